package trustedproxy

import (
	"context"
	"crypto/rsa"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// renewAge is after how long keys are fetched again although they still fit,
	// so that one that was withdrawn does not stay for ever.
	renewAge = time.Hour
	// refreshTimeout is how long requests wait for keys.
	refreshTimeout = 5 * time.Second
)

// A ring holds the keys of a gateway and fetches new ones.
type ring struct {
	refresh  func(context.Context) ([]*rsa.PublicKey, error)
	interval time.Duration
	renew    time.Duration // the age at which keys are fetched again
	maxAge   time.Duration // the age at which they count for nothing
	fetched  func(context.Context, int, error)
	current  atomic.Pointer[keySet]

	mu     sync.Mutex
	tried  time.Time     // when refresh was called last
	flight chan struct{} // closed when the call that is under way ends
}

// errOld is why there are no keys.
var errOld = errors.New("the keys are older than MaxKeyAge and count no more")

// age returns how long ago something was. The monotonic clock stops while a machine
// sleeps, and the other one can be set back: the greater age counts.
func age(at, now time.Time) time.Duration {
	return max(now.Sub(at), now.Round(0).Sub(at.Round(0)))
}

// keys returns the keys there are, after an attempt to get some if there are
// none, or if it is time. It drops keys that are too old.
func (k *ring) keys(ctx context.Context, now time.Time) *keySet {
	set := k.current.Load()
	if k.refresh == nil || len(set.keys) > 0 && age(set.at, now) <= k.renew {
		return set
	}
	if newer := k.newer(ctx, set, now); newer != nil {
		return newer
	}
	if len(set.keys) > 0 && age(set.at, now) > k.maxAge {
		if k.current.CompareAndSwap(set, &keySet{recent: new(recent), at: set.at}) {
			k.fetched(ctx, 0, errOld)
		}
		return k.current.Load()
	}
	return set
}

// newer returns keys that replace old, or nil if there are none to be had at
// present.
func (k *ring) newer(ctx context.Context, old *keySet, now time.Time) *keySet {
	if k.refresh == nil {
		return nil
	}
	k.mu.Lock()
	if set := k.current.Load(); set != old {
		k.mu.Unlock()
		return set
	}
	flight := k.flight
	switch {
	case flight != nil:
		k.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
	case !k.tried.IsZero() && age(k.tried, now) < k.interval:
		k.mu.Unlock()
		return nil
	default:
		k.tried, k.flight = now, make(chan struct{})
		k.mu.Unlock()
		k.fetch(ctx, now)
	}
	if set := k.current.Load(); set != old {
		return set
	}
	return nil
}

// fetch calls refresh for all waiting requests. The end of one request must not
// cancel it.
func (k *ring) fetch(ctx context.Context, now time.Time) {
	defer func() {
		k.mu.Lock()
		close(k.flight)
		k.flight = nil
		k.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	keys, err := k.refresh(ctx)
	if err == nil && len(keys) == 0 {
		err = errors.New("the gateway has no keys")
	}
	var set *keySet
	if err == nil {
		set, err = newKeySet(keys)
	}
	if err != nil {
		k.fetched(ctx, 0, err)
		return
	}
	set.at = now
	if old := k.current.Load(); set.equal(old) {
		// The same keys: their proofs stay good, and nobody need try again.
		set.recent = old.recent
		if age(old.at, now) <= k.renew {
			return
		}
	}
	k.current.Store(set)
	k.fetched(ctx, len(set.keys), nil)
}
