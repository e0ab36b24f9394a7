package auth

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/trustedproxy"
	"github.com/ostiary/auth/observe"
)

// ProofOptions are the options for verifying X-Trusted-Proxy, the signed field
// of Ansible gateways.
//
// Its value is "T-S". S is the hexadecimal RSA-PSS signature, with SHA-256, of
// the text "trusted_proxy-T". In the first version, T is the time in
// nanoseconds since 1970. Such a proof covers nothing else: a copy of it is
// good for any request until it is stale.
//
// The second version is EXPERIMENTAL: only gateway.Signer writes it, and it may
// change. Services that verify the first version accept it, too. Its T adds a
// nonce and a digest of the request, and the digest covers
//
//   - the Audience, the method, Host and the request target;
//   - X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded,
//     X-Envoy-External-Address and X-DAB-JW-TOKEN;
//   - the UserField, AddressFields and Protected of the [ProxyOptions], which the
//     gateway must name as well;
//   - Authorization, Cookie, Content-Type, Content-Encoding and Content-Digest.
//
// A covered field can be neither changed nor added nor removed on the way.
// Nothing else is covered: no other field, no trailer, and the body only by a
// Content-Digest (RFC 9530), which gateway.SignerOptions.DigestBody adds. If
// there is one by SHA-256 or SHA-512, the body is verified: the last Read
// returns an error instead of [io.EOF] for another body. A handler must
// therefore read the whole body before it acts, see BufferBody.
type ProofOptions struct {
	// Keys are the public keys of the gateway, at most 8, each of 2,048 to
	// 8,192 bits. gateway.ParseKey parses one.
	Keys []*rsa.PublicKey

	// Refresh fetches the present keys of the gateway; gateway.FetchKeys
	// returns such a function. A request calls it and waits for it if there are
	// no keys yet, if no key fits a proof, or if the keys are an hour old.
	// Calls never overlap and are at least a minute apart. If Refresh fails,
	// the last keys count until MaxKeyAge. Nil means that Keys never change.
	Refresh func(context.Context) ([]*rsa.PublicKey, error)

	// MaxKeyAge is the time for which keys count after Refresh last returned
	// them. Older keys verify nothing until Refresh succeeds, because the
	// gateway may have withdrawn one. The age of Keys begins with [NewProxy].
	// Zero means 24 hours, and the minimum is 2 minutes. It needs Refresh.
	MaxKeyAge time.Duration

	// Past is the greatest age of a proof. Zero means 5 minutes, the maximum is
	// a day.
	Past time.Duration

	// Future is the most that the gateway's clock may be ahead. Zero means a
	// minute, the maximum is a day.
	Future time.Duration

	// RequireV2 accepts proofs of the second version only. It needs Audience.
	// EXPERIMENTAL.
	RequireV2 bool

	// Audience is the name of this service in proofs of the second version.
	// EXPERIMENTAL.
	Audience string

	// RequireDigest accepts requests with a Content-Digest only, whether or not
	// they have a body. It needs RequireV2. EXPERIMENTAL.
	RequireDigest bool

	// BufferBody is the number of bytes of a body that are read into memory and
	// compared with the Content-Digest before the proof counts. A request with
	// a longer body has no proof. Zero means that the body is verified while
	// the handler reads it. EXPERIMENTAL.
	BufferBody int64

	// RefuseReplay accepts each proof of the first version only once, for
	// gateways that sign every request. Proofs of the second version are always
	// accepted only once. Each Proxy remembers its own proofs: another process,
	// or this one after a restart, accepts a proof once more.
	RefuseReplay bool

	// ReplayEntries is the number of used proofs that are remembered. Zero
	// means 131,072. If there are more, the oldest is forgotten, and all proofs
	// up to its time are refused. The default holds all fresh proofs at up to
	// 360 requests a second. At up to 33 requests a second it holds them for
	// another hour, which covers a clock that is set back by as much.
	ReplayEntries int

	// InsecureAnyPeer trusts a signed request from any address. Without
	// RequireV2 a leaked proof is good for any request.
	InsecureAnyPeer bool

	// InsecureStale accepts proofs of the first version of any age. A leaked
	// one is good for ever.
	InsecureStale bool
}

// newVerifier checks the options and returns the verifier of p.
func (p *Proxy) newVerifier() (*trustedproxy.Verifier, error) {
	o := trustedproxy.Options{
		Keys:            p.opts.Proof.Keys,
		Refresh:         p.opts.Proof.Refresh,
		RefreshInterval: time.Minute,
		MaxKeyAge:       cmp.Or(p.opts.Proof.MaxKeyAge, 24*time.Hour),
		Past:            cmp.Or(p.opts.Proof.Past, 5*time.Minute),
		Future:          cmp.Or(p.opts.Proof.Future, time.Minute),
		RequireV2:       p.opts.Proof.RequireV2,
		Audience:        p.opts.Proof.Audience,
		RefuseReplay:    p.opts.Proof.RefuseReplay,
		ReplayEntries:   cmp.Or(p.opts.Proof.ReplayEntries, 1<<17),
		InsecureStale:   p.opts.Proof.InsecureStale,
		RequireDigest:   p.opts.Proof.RequireDigest,
		BufferBody:      p.opts.Proof.BufferBody,
		Covered:         p.fields.Covered(),
		Fetched:         p.eventKeys,
	}
	switch {
	case len(o.Keys) == 0 && o.Refresh == nil:
		return nil, errors.New("auth: ProofOptions has neither Keys nor Refresh")
	case o.Refresh == nil && p.opts.Proof.MaxKeyAge != 0:
		return nil, errors.New("auth: ProofOptions.MaxKeyAge needs Refresh: Keys that never change have no age")
	case o.MaxKeyAge < 2*time.Minute:
		return nil, errors.New("auth: ProofOptions.MaxKeyAge is below 2 minutes, so that one failure of Refresh could end everything")
	case o.Past < time.Millisecond || o.Future < time.Millisecond || o.Past > 24*time.Hour || o.Future > 24*time.Hour:
		return nil, errors.New("auth: ProofOptions.Past and Future must be between a millisecond and a day")
	case o.ReplayEntries < 0:
		return nil, errors.New("auth: ProofOptions.ReplayEntries is negative")
	case o.RequireV2 && o.Audience == "":
		return nil, errors.New("auth: ProofOptions.RequireV2 needs Audience: a proof for another service must not count here")
	case o.RequireDigest && !o.RequireV2:
		return nil, errors.New("auth: ProofOptions.RequireDigest needs RequireV2: proofs of the first version cover no request")
	case o.BufferBody < 0:
		return nil, errors.New("auth: ProofOptions.BufferBody is negative")
	case o.RequireV2 && o.InsecureStale:
		return nil, errors.New("auth: ProofOptions.InsecureStale contradicts RequireV2")
	case o.RefuseReplay && o.InsecureStale:
		return nil, errors.New("auth: ProofOptions.InsecureStale contradicts RefuseReplay: proofs of every age would have to be remembered")
	}
	v, err := trustedproxy.NewVerifier(o)
	if err != nil {
		return nil, fmt.Errorf("auth: ProofOptions.Keys: %w", err)
	}
	return v, nil
}

// HasKeys reports whether p has keys of the gateway, which is the case with
// [ProxyOptions].Proof.
func (p *Proxy) HasKeys() bool { return p.proof != nil }

// TryKeys reports whether good accepts one of the gateway's keys. It is for
// verifying other signatures of the gateway, such as JSON Web Tokens. If good
// accepts none, TryKeys calls [ProofOptions].Refresh, unless that was called
// within the last minute, and tries the new keys. It returns false if p has no
// keys.
func (p *Proxy) TryKeys(ctx context.Context, good func(*rsa.PublicKey) bool) bool {
	return p.proof != nil && p.proof.TryKeys(ctx, good)
}

// eventKeys records that keys were fetched, or the error.
func (p *Proxy) eventKeys(ctx context.Context, keys int, err error) {
	if err != nil {
		p.hook.One(ctx, observe.KeysFetched, observe.KindNone, observe.ReasonOutage)
		p.log.LogAttrs(ctx, slog.LevelError, audit.GatewayKeys, slog.String(audit.KeyOutcome, "failure"), slog.String(audit.KeyError, audit.Clip(err.Error())))
		return
	}
	p.hook.One(ctx, observe.KeysFetched, observe.KindNone, observe.ReasonNone)
	p.log.LogAttrs(ctx, slog.LevelInfo, audit.GatewayKeys, slog.String(audit.KeyOutcome, "success"), slog.Int(audit.KeyKeys, keys))
}
