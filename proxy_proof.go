package auth

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ProofOptions are the options for verifying X-Trusted-Proxy, the signed field
// of Ansible gateways.
//
// Its value is "T-S": S is the hexadecimal RSA-PSS signature, with SHA-256, of
// the text "trusted_proxy-T". In the first version T is the time in nanoseconds,
// so that whoever sees a value can use it for another request until it is stale.
// The second version, which [ProxySigner] writes, adds a digest of the request
// and a nonce to T; consumers that take T for opaque text accept it as well.
type ProofOptions struct {
	// Keys are the public keys of the gateway; [ParseProxyKey] reads one. At
	// most 8, each of 2,048 to 8,192 bits.
	Keys []*rsa.PublicKey

	// Refresh fetches the keys, for gateways that change them; [GatewayKeys] is
	// one. It is called while a request waits, when there are no keys yet, when
	// none of them fits a proof, and hourly; never by two requests at once, and
	// not more often than every RefreshInterval. When it fails the last keys
	// stay. Nil means that Keys never change.
	Refresh func(context.Context) ([]*rsa.PublicKey, error)

	// RefreshInterval is the least time between two calls of Refresh. Zero means
	// a minute, the least is a second.
	RefreshInterval time.Duration

	// Past is how old a proof may be. Zero means 5 minutes.
	Past time.Duration

	// Future is how far the gateway's clock may be ahead. Zero means a minute.
	Future time.Duration

	// RequireV2 accepts proofs of the second version only. It needs Audience.
	RequireV2 bool

	// Audience is the name of this service in proofs of the second version.
	Audience string

	// RefuseReplay accepts each proof of the first version once, too, for
	// gateways that sign every request. Proofs of the second version are always
	// accepted once. What was accepted is known to this Proxy alone: another
	// process, or this one after a restart, accepts it once more.
	RefuseReplay bool

	// ReplayEntries is how many proofs are remembered in order to refuse them.
	// Zero means 131,072, which is enough for 180 requests a second; at a higher
	// rate the oldest are forgotten before they are stale. Up to 16 requests a
	// second they are remembered for another hour, so that a clock that is set
	// back by as much makes none good again.
	ReplayEntries int

	// InsecureAnyPeer believes a signed request from any address. Without
	// RequireV2 a proof that leaks is good for any request.
	InsecureAnyPeer bool

	// InsecureStale accepts proofs of the first version whatever their time.
	// One that leaks is good for ever.
	InsecureStale bool
}

// clockJump is how much longer than they are fresh proofs are remembered, in case
// the clock is set back.
const clockJump = time.Hour

// verifier verifies the proofs of one Proxy.
type verifier struct {
	opts    ProofOptions
	covered []string
	keys    *keyRing
	seen    *seen
}

func newVerifier(opts *ProofOptions, covered []string, log *slog.Logger) (*verifier, error) {
	o := *opts
	o.RefreshInterval = cmp.Or(o.RefreshInterval, time.Minute)
	o.Past = cmp.Or(o.Past, 5*time.Minute)
	o.Future = cmp.Or(o.Future, time.Minute)
	o.ReplayEntries = cmp.Or(o.ReplayEntries, 1<<17)
	switch {
	case len(o.Keys) == 0 && o.Refresh == nil:
		return nil, errors.New("auth: ProofOptions has neither Keys nor Refresh")
	case o.RefreshInterval < time.Second:
		return nil, errors.New("auth: ProofOptions.RefreshInterval is below a second")
	case o.Past < 0 || o.Future < 0 || o.Past > 24*time.Hour || o.Future > 24*time.Hour:
		return nil, errors.New("auth: ProofOptions.Past and Future must be between 0 and a day")
	case o.ReplayEntries < 0:
		return nil, errors.New("auth: ProofOptions.ReplayEntries is negative")
	case o.RequireV2 && o.Audience == "":
		return nil, errors.New("auth: ProofOptions.RequireV2 needs Audience: a proof for another service must not count here")
	case o.RequireV2 && o.InsecureStale:
		return nil, errors.New("auth: ProofOptions.InsecureStale contradicts RequireV2")
	}
	set, err := newKeySet(o.Keys)
	if err != nil {
		return nil, fmt.Errorf("auth: ProofOptions.Keys: %w", err)
	}
	set.at = time.Now()
	ring := &keyRing{refresh: o.Refresh, interval: o.RefreshInterval, log: log}
	ring.current.Store(set)
	return &verifier{
		opts:    o,
		covered: covered,
		keys:    ring,
		seen:    newSeen(o.ReplayEntries, o.Past+o.Future+clockJump),
	}, nil
}

// Why a request is not proven. None of these is ever an answer to the client.
var (
	errProofDoubled   = errors.New("more than one X-Trusted-Proxy")
	errProofMalformed = errors.New("malformed")
	errProofTime      = errors.New("stale, or from the future")
	errProofVersion   = errors.New("not bound to the request")
	errProofKey       = errors.New("signed with an unknown key")
	errProofRequest   = errors.New("made for another request")
	errProofSignature = errors.New("wrong signature")
	errProofReplayed  = errors.New("used before")
)

// A proof is a value of X-Trusted-Proxy.
type proof struct {
	value  string
	text   string // what is signed, without the label
	hex    string // the signature
	at     int64  // nanoseconds since 1970
	bound  bool   // version 2
	kid    string
	nonce  string
	digest string
}

// Lengths of the parts of a proof of version 2, in characters.
const (
	kidLen    = 8
	nonceLen  = 16
	digestLen = 2 * sha256.Size
)

// maxProof is the longest value that is looked at, in bytes: that of a key of
// 8,192 bits.
const maxProof = 19 + 2 + 1 + kidLen + 1 + nonceLen + 1 + digestLen + 1 + maxKeyBits/4

// parseProof reads a value strictly. In particular each proof has one spelling,
// so that a copy cannot pass for another one.
func parseProof(value string) (p proof, ok bool) {
	if len(value) > maxProof {
		return proof{}, false
	}
	p.value = value
	if p.text, p.hex, ok = strings.Cut(value, "-"); !ok || !isHex(p.hex) {
		return proof{}, false
	}
	digits, rest, bound := strings.Cut(p.text, ".")
	if bound {
		parts := strings.Split(rest, ".")
		if len(parts) != 4 || parts[0] != "2" {
			return proof{}, false
		}
		p.bound, p.kid, p.nonce, p.digest = true, parts[1], parts[2], parts[3]
		if len(p.kid) != kidLen || len(p.nonce) != nonceLen || len(p.digest) != digestLen ||
			!isBase32(p.kid) || !isBase32(p.nonce) || !isHex(p.digest) {
			return proof{}, false
		}
	}
	if digits == "" || len(digits) > 19 || digits[0] == '0' && len(digits) > 1 {
		return proof{}, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return proof{}, false
		}
	}
	var err error
	p.at, err = strconv.ParseInt(digits, 10, 64)
	return p, err == nil
}

// isHex reports whether s is a whole number of bytes in lower case.
func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != "" && len(s)%2 == 0
}

// isBase32 reports whether s has only digits of the encoding in lower case.
func isBase32(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// verify reports why r has no good proof, or nil if it has one.
func (v *verifier) verify(r *http.Request, now time.Time) error {
	values := r.Header[fieldProof]
	if len(values) != 1 {
		return errProofDoubled
	}
	set := v.keys.keys(r.Context(), now)
	if at, ok := set.recent.get(values[0]); ok && !v.opts.RefuseReplay && !v.opts.RequireV2 {
		if !v.fresh(at, now) && !v.opts.InsecureStale {
			return errProofTime
		}
		return nil
	}
	p, ok := parseProof(values[0])
	if !ok {
		return errProofMalformed
	}
	if !v.fresh(p.at, now) && (p.bound || !v.opts.InsecureStale) {
		return errProofTime
	}
	if !p.bound && v.opts.RequireV2 {
		return errProofVersion
	}
	if p.bound {
		var digest [digestLen]byte
		hex.Encode(digest[:], requestDigest(v.opts.Audience, r.Method, r.Host, r.RequestURI, r.Header, v.covered))
		if subtle.ConstantTimeCompare(digest[:], []byte(p.digest)) != 1 {
			return errProofRequest
		}
	}
	if err := v.signature(r.Context(), set, &p, now); err != nil {
		return err
	}
	switch {
	case p.bound:
		if !v.seen.add(p.kid+p.nonce, now) {
			return errProofReplayed
		}
	case v.opts.RefuseReplay:
		digest := sha256.Sum256([]byte(p.value))
		if !v.seen.add(string(digest[:]), now) {
			return errProofReplayed
		}
	}
	return nil
}

// fresh reports whether a proof made at that time is neither stale nor from the
// future.
func (v *verifier) fresh(at int64, now time.Time) bool {
	age := now.UnixNano() - at
	return age <= int64(v.opts.Past) && age >= -int64(v.opts.Future)
}

// signature verifies the signature of p with the keys of set and, if none fits,
// once more with newer ones.
func (v *verifier) signature(ctx context.Context, set *keySet, p *proof, now time.Time) error {
	err := set.verify(p)
	if err != nil {
		if newer := v.keys.newer(ctx, set, now); newer != nil {
			err = newer.verify(p)
		}
	}
	return err
}

// verify reports whether one of the keys has signed p.
func (s *keySet) verify(p *proof) error {
	var buf [maxKeyBits / 8]byte
	n, err := hex.Decode(buf[:], []byte(p.hex))
	if err != nil {
		return errProofMalformed
	}
	signature := buf[:n]
	digest := proofDigest(p.text)
	err = errProofKey
	for i := range s.keys {
		k := &s.keys[i]
		if p.bound && p.kid != k.id || len(signature) != k.key.Size() {
			continue
		}
		if rsa.VerifyPSS(k.key, crypto.SHA256, digest[:], signature, pss) == nil {
			if !p.bound { // the others are good once only
				s.recent.add(p.value, p.at)
			}
			return nil
		}
		err = errProofSignature
	}
	return err
}

// pss signs with the longest salt that the key allows, as the reference demands,
// and accepts every length.
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}

// proofDigest is the digest that is signed.
func proofDigest(text string) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("trusted_proxy-"), text...))
}

// requestDigest is the SHA-256 of what a proof of version 2 is bound to. Every
// part is preceded by its length, so that no two requests have one text. Fields
// that do not occur are left out: one that is added or removed on the way changes
// the text all the same.
func requestDigest(audience, method, host, target string, h http.Header, covered []string) []byte {
	sum := sha256.New()
	writePart(sum, "ostiary trusted proxy 2")
	writePart(sum, audience)
	writePart(sum, method)
	writePart(sum, host)
	writePart(sum, target)
	for _, name := range covered {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		writePart(sum, name)
		writePart(sum, strconv.Itoa(len(values)))
		for _, v := range values {
			writePart(sum, v)
		}
	}
	return sum.Sum(nil)
}

func writePart(sum hash.Hash, part string) {
	var buf [24]byte
	sum.Write(append(strconv.AppendInt(buf[:0], int64(len(part)), 10), ':')) // a hash never fails
	sum.Write([]byte(part))
}
