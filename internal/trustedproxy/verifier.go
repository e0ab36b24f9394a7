package trustedproxy

import (
	"context"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/ostiary/auth/internal/forwarded"
)

// Options are the options of [NewVerifier], which are those of auth.ProofOptions
// with their defaults filled in.
type Options struct {
	Keys            []*rsa.PublicKey
	Refresh         func(context.Context) ([]*rsa.PublicKey, error)
	RefreshInterval time.Duration
	MaxKeyAge       time.Duration
	Past, Future    time.Duration
	RequireV2       bool
	Audience        string
	RefuseReplay    bool
	ReplayEntries   int
	InsecureStale   bool
	RequireDigest   bool
	BufferBody      int64

	// Covered are the canonical names of the fields that a proof of version 2
	// covers.
	Covered []string

	// Fetched is told how many keys Refresh returned, or why none.
	Fetched func(ctx context.Context, keys int, err error)
}

// clockJump is how much longer than they are fresh proofs are remembered, in case
// the clock is set back.
const clockJump = time.Hour

// A Verifier verifies the proofs that one service gets. It is safe for concurrent
// use.
type Verifier struct {
	opts Options
	keys *ring
	seen *memory
}

// NewVerifier returns a verifier. It returns an error for keys that are too weak
// or too many.
func NewVerifier(opts Options) (*Verifier, error) {
	set, err := newKeySet(opts.Keys)
	if err != nil {
		return nil, err
	}
	set.at = time.Now()
	keys := &ring{
		refresh:  opts.Refresh,
		interval: opts.RefreshInterval,
		renew:    min(renewAge, opts.MaxKeyAge/2),
		maxAge:   opts.MaxKeyAge,
		fetched:  opts.Fetched,
	}
	keys.current.Store(set)
	return &Verifier{opts: opts, keys: keys, seen: newMemory(opts.ReplayEntries, opts.Past+opts.Future+clockJump, opts.Future+clockJump)}, nil
}

// TryKeys reports whether good accepts one of the keys, after asking for newer
// ones if none is good.
func (v *Verifier) TryKeys(ctx context.Context, good func(*rsa.PublicKey) bool) bool {
	now := time.Now()
	set := v.keys.keys(ctx, now)
	if set.any(good) {
		return true
	}
	newer := v.keys.newer(ctx, set, now)
	return newer != nil && newer.any(good)
}

// Why a request is not proven. None of these is ever an answer to the client.
var (
	errDoubled   = errors.New("more than one X-Trusted-Proxy")
	errMalformed = errors.New("malformed")
	errTime      = errors.New("stale, or from the future")
	errVersion   = errors.New("not bound to the request")
	errKey       = errors.New("signed with an unknown key")
	errRequest   = errors.New("made for another request")
	errSignature = errors.New("wrong signature")
	errReplayed  = errors.New("used before")
	errDigest    = errors.New("a malformed Content-Digest")
	errNoDigest  = errors.New("no digest of the body")
	errContent   = errors.New("the body is another one")
	errTooLong   = errors.New("the body is longer than BufferBody")
	errForgotten = errors.New("not newer than one that ReplayEntries had no room for")
)

// Verify returns why r has no good proof, or nil if it has one. If body is not nil,
// it takes the place of r.Body in either case.
func (v *Verifier) Verify(r *http.Request, now time.Time) (body io.ReadCloser, err error) {
	values := r.Header[forwarded.FieldProof]
	if len(values) != 1 {
		return nil, errDoubled
	}
	set := v.keys.keys(r.Context(), now)
	if at, ok := set.recent.get(values[0]); ok && !v.opts.RefuseReplay && !v.opts.RequireV2 {
		if !v.fresh(at, now) && !v.opts.InsecureStale {
			return nil, errTime
		}
		return nil, nil
	}
	p, ok := Parse(values[0])
	if !ok {
		return nil, errMalformed
	}
	if !v.fresh(p.At, now) && (p.Bound || !v.opts.InsecureStale) {
		return nil, errTime
	}
	if !p.Bound && v.opts.RequireV2 {
		return nil, errVersion
	}
	if p.Bound {
		var digest [digestLen]byte
		hex.Encode(digest[:], RequestDigest(v.opts.Audience, r.Method, r.Host, r.RequestURI, r.Header, v.opts.Covered))
		if subtle.ConstantTimeCompare(digest[:], []byte(p.digest)) != 1 {
			return nil, errRequest
		}
	}
	if err := v.signature(r.Context(), set, &p, now); err != nil {
		return nil, err
	}
	if p.Bound || v.opts.RefuseReplay {
		if err := v.seen.add(p.once(), p.At, now); err != nil {
			return nil, err
		}
	}
	if p.Bound {
		return checkBody(r, v.opts.BufferBody, v.opts.RequireDigest)
	}
	return nil, nil
}

// fresh reports whether a proof made at that time is neither stale nor from the
// future.
func (v *Verifier) fresh(at int64, now time.Time) bool {
	age := now.UnixNano() - at
	return age <= int64(v.opts.Past) && age >= -int64(v.opts.Future)
}

// signature verifies the signature of p with the keys of set and, if none fits,
// once more with newer ones.
func (v *Verifier) signature(ctx context.Context, set *keySet, p *Proof, now time.Time) error {
	err := set.verify(p)
	if err != nil {
		if newer := v.keys.newer(ctx, set, now); newer != nil {
			err = newer.verify(p)
		}
	}
	return err
}
