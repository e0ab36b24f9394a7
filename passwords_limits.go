package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// slots bounds how many passwords are hashed at a time: each takes the memory of
// the hasher and a core.
type slots struct {
	free    chan struct{}
	waiting *atomic.Int64
}

const (
	hashWaiters = 16              // times the slots
	hashWait    = 5 * time.Second // then the client should try again
)

func newSlots(n int) slots { return slots{make(chan struct{}, n), new(atomic.Int64)} }

func (s slots) acquire(ctx context.Context) error {
	select {
	case s.free <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > int64(hashWaiters*cap(s.free)) {
		return errBusy
	}
	timeout := time.NewTimer(hashWait)
	defer timeout.Stop()
	select {
	case s.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errBusy
	}
}

func (s slots) release() { <-s.free }

var errBusy = &Error{
	Status:     http.StatusServiceUnavailable,
	Detail:     "Too many logins at the same time. Try again later.",
	RetryAfter: time.Second,
}

// dummyHash is what the passwords of unknown users are compared with: it must
// take as long as a wrong password. It is made when it is first needed, for
// whomever that is.
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

// A verdict is the answer to one password check.
type verdict struct {
	ok  bool
	err error
}

type flightKey struct {
	key     cacheKey
	network netip.Prefix
}

// flights makes one check of all that ask the same at the same time, so that
// many parallel requests with one password cost one hash, and one attempt.
type flights struct {
	mu      sync.Mutex
	current map[flightKey]*flight
}

type flight struct {
	done    chan struct{}
	verdict verdict
}

func (f *flights) do(ctx context.Context, key flightKey, check func() verdict) verdict {
	for {
		f.mu.Lock()
		leader := f.current[key]
		if leader == nil {
			return f.lead(key, check)
		}
		f.mu.Unlock()
		select {
		case <-leader.done:
		case <-ctx.Done():
			return verdict{err: ctx.Err()}
		}
		// A leader whose client hung up has no verdict for the others.
		if err := leader.verdict.err; !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return leader.verdict
		}
	}
}

// lead runs check for all that wait for key. f.mu is held.
func (f *flights) lead(key flightKey, check func() verdict) verdict {
	mine := &flight{done: make(chan struct{}), verdict: verdict{err: context.Canceled}} // if check panics
	if f.current == nil {
		f.current = make(map[flightKey]*flight)
	}
	f.current[key] = mine
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.current, key)
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.verdict = check()
	return mine.verdict
}

// A cacheKey stands for a user name, a password and the stored hash. It cannot
// be computed outside this process.
type cacheKey [sha256.Size]byte

// verifiedCache remembers which passwords were right, for Basic, where every
// request brings one. The stored hash is part of the key, so that a new password
// misses by construction; whether the user is active is looked up each time.
// Wrong passwords are never remembered.
type verifiedCache struct {
	secret  [sha256.Size]byte
	mu      *sync.RWMutex
	expires map[cacheKey]time.Time
}

const (
	verifiedFor = 5 * time.Minute
	maxVerified = 10_000 // entries, of about 64 bytes
)

func newVerifiedCache() verifiedCache {
	c := verifiedCache{mu: new(sync.RWMutex), expires: make(map[cacheKey]time.Time)}
	_, _ = rand.Read(c.secret[:])
	return c
}

// key hashes the parts behind a secret, each with its length before it, so that
// no two triples have the same text. The digest never leaves the process, so
// nobody can extend it.
func (c *verifiedCache) key(name, password, hash string) cacheKey {
	var scratch [512]byte
	b := append(scratch[:0], c.secret[:]...)
	for _, part := range [...]string{name, password, hash} {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	k := cacheKey(sha256.Sum256(b))
	clear(b)
	return k
}

func (c *verifiedCache) has(k cacheKey, now time.Time) bool {
	c.mu.RLock()
	expires, ok := c.expires[k]
	c.mu.RUnlock()
	return ok && now.Before(expires)
}

func (c *verifiedCache) put(k cacheKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.expires) >= maxVerified {
		c.shrink(now)
	}
	c.expires[k] = now.Add(verifiedFor)
}

// shrink drops what has expired, and if that is too little, any half: they are
// verified again when they come back.
func (c *verifiedCache) shrink(now time.Time) {
	for k, expires := range c.expires {
		if !now.Before(expires) {
			delete(c.expires, k)
		}
	}
	for k := range c.expires {
		if len(c.expires) <= maxVerified/2 {
			return
		}
		delete(c.expires, k)
	}
}
