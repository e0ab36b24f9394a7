package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth/internal/header"
)

// A verdict is the answer to one password check.
type verdict struct {
	ok  bool
	err error
}

type flightKey struct {
	key     cacheKey
	network netip.Prefix
	browser string
}

// flights joins equal checks that run at the same time, so that many parallel
// requests with one password cost one hash and one attempt.
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

// lead runs check for all callers that wait for key. The caller must hold f.mu.
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

// verifiedCache remembers right passwords for Basic, where every request has
// one. The stored hash is part of the key, so that a new password is a miss.
// The state of the user is looked up each time. Wrong passwords are never
// remembered.
//
// A hit costs no attempt. An entry counts for one network only and is dropped
// when the throttle refuses an attempt from there, so that the cache answers no
// guesses.
type verifiedCache struct {
	secret  [sha256.Size]byte
	mu      *sync.RWMutex
	entries map[pair]verifiedEntry
}

type verifiedEntry struct {
	key     cacheKey
	expires time.Time
}

const (
	verifiedFor = 5 * time.Minute
	maxVerified = 10_000 // entries, of about 150 bytes
)

func newVerifiedCache() verifiedCache {
	c := verifiedCache{mu: new(sync.RWMutex), entries: make(map[pair]verifiedEntry)}
	_, _ = rand.Read(c.secret[:])
	return c
}

// key hashes a secret and the parts, each with its length before it, so that no
// two triples have the same text. The digest stays in the process, so that
// length extension is no attack.
func (c *verifiedCache) key(name, password, hash string) cacheKey {
	return keyOf(&c.secret, name, password, hash)
}

func keyOf[T string | []byte](secret *[sha256.Size]byte, name string, password T, hash string) cacheKey {
	var scratch [512]byte
	b := append(scratch[:0], secret[:]...)
	b = append(binary.LittleEndian.AppendUint64(b, uint64(len(name))), name...)
	b = append(binary.LittleEndian.AppendUint64(b, uint64(len(password))), password...)
	b = append(binary.LittleEndian.AppendUint64(b, uint64(len(hash))), hash...)
	k := cacheKey(sha256.Sum256(b))
	clear(b)
	return k
}

func (c *verifiedCache) has(p pair, k cacheKey, now time.Time) bool {
	c.mu.RLock()
	e, ok := c.entries[p]
	c.mu.RUnlock()
	return ok && e.key == k && now.Before(e.expires)
}

func (c *verifiedCache) put(p pair, k cacheKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxVerified {
		c.shrink(now)
	}
	c.entries[p] = verifiedEntry{k, now.Add(verifiedFor)}
}

func (c *verifiedCache) drop(p pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, p)
}

// shrink drops expired entries, and if that is too little, any half of the
// rest.
func (c *verifiedCache) shrink(now time.Time) {
	for p, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, p)
		}
	}
	for p := range c.entries {
		if len(c.entries) <= maxVerified/2 {
			return
		}
		delete(c.entries, p)
	}
}

// sentNames have the user name of each text of Basic credentials that was right, so
// that it need not be copied to the heap with the password. They prove nothing: the
// password is compared in any case. Hashes of the texts stand for them, which cannot be
// computed outside this process, and may collide.
type sentNames struct {
	seed  maphash.Seed
	mu    *sync.RWMutex
	names map[uint64]string
}

// maxSent is the length of the longest credentials that sentNames know, in bytes.
const maxSent = 256

func newSentNames() sentNames {
	return sentNames{maphash.MakeSeed(), new(sync.RWMutex), make(map[uint64]string)}
}

// read decodes credentials that were right before, or returns no password. The password
// is in room, which the caller must wipe.
func (n *sentNames) read(credentials string, room *[2 * maxSent]byte) (name string, password []byte) {
	if len(credentials) > maxSent {
		return "", nil
	}
	hash := maphash.String(n.seed, credentials)
	n.mu.RLock()
	name, known := n.names[hash]
	n.mu.RUnlock()
	if !known {
		return "", nil
	}
	pair, ok := header.BasicPair(room[:], credentials)
	user, password, _ := bytes.Cut(pair, []byte(":"))
	if !ok || string(user) != name || !utf8.Valid(pair) {
		return "", nil
	}
	return name, password
}

func (n *sentNames) put(credentials, name string) {
	if len(credentials) > maxSent {
		return
	}
	hash := maphash.String(n.seed, credentials)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.names) >= maxVerified {
		clear(n.names)
	}
	n.names[hash] = name
}
