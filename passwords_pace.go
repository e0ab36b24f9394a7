package auth

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pace makes all refused comparisons take as long as the slowest kind of stored
// hash. Otherwise the time would tell, after an import, that a name exists,
// because its hash is slower than the dummy for unknown names.
//
// It learns the times of the kinds from the comparisons of this process. With
// one kind there is no wait.
type pace struct {
	least time.Duration

	mu    sync.Mutex
	kinds map[string]typical
}

// typical is the time of comparisons with one kind of hash, estimated as TCP
// estimates round trips (RFC 6298).
type typical struct{ mean, deviation time.Duration }

const maxKinds = 16

// note learns from the time of a comparison.
func (p *pace) note(hash string, took time.Duration) {
	kind := kindOf(hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := p.kinds[kind]
	switch {
	case !known && len(p.kinds) >= maxKinds:
		return
	case !known:
		if p.kinds == nil {
			p.kinds = make(map[string]typical)
		}
		kind, t = strings.Clone(kind), typical{took, took / 16}
	default:
		t.deviation += ((took - t.mean).Abs() - t.deviation) / 4
		t.mean += (took - t.mean) / 8
	}
	p.kinds[kind] = t
}

// wait prolongs a refused comparison that took that long to the time of the
// slowest kind, or until the client has gone. The caller holds no slot, so that
// a waiting request costs nothing but memory.
func (p *pace) wait(ctx context.Context, took time.Duration) {
	rest := p.target() - took
	if rest <= 0 {
		return
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (p *pace) target() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	target := p.least
	if len(p.kinds) < 2 {
		return target
	}
	for _, t := range p.kinds {
		target = max(target, min(t.mean+4*t.deviation, 2*t.mean))
	}
	return target
}

// kindOf returns the scheme and the parameters of a hash, without salt and key.
// Hashes of one kind take the same time.
func kindOf(hash string) string {
	cut := func(s string, n int) string {
		for range n {
			s = s[:max(strings.LastIndexByte(s, '$'), 0)]
		}
		return s
	}
	if scheme, _, _ := strings.Cut(hash, "$"); strings.HasPrefix(hash, "$2") || strings.HasPrefix(scheme, "bcrypt") {
		return cut(hash, 1) // salt and key are one part
	}
	return cut(hash, 2)
}

// dummyHash is the hash for the passwords of unknown users, which must take as
// long as a wrong password. The first attempt makes it, for a known or an
// unknown user.
type dummyHash struct {
	mu   sync.Mutex
	made atomic.Pointer[string]
}

func (d *dummyHash) get(h PasswordHasher) (string, error) {
	if hash := d.made.Load(); hash != nil {
		return *hash, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if hash := d.made.Load(); hash != nil {
		return *hash, nil
	}
	hash, err := h.Hash("no user has this password")
	if err != nil {
		return "", err
	}
	d.made.Store(&hash)
	return hash, nil
}
