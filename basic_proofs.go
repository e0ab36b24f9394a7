package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ostiary/auth/internal/header"
)

// proofs are the right passwords that Basic remembers, because a client sends its
// password with every request. Wrong passwords are never remembered.
//
// A proof belongs to the text of the credentials, in which the name and the password
// are encoded, so that the text of a hit need not be decoded. It counts as long as the
// stored hash is the one that the password was compared with. The state of the user is
// looked up each time.
//
// A hit costs no attempt. A proof counts for one network only and is dropped when the
// throttle refuses an attempt from there, so that the proofs answer no guesses.
type proofs struct {
	secret [16]byte // 128 bits; with it most credentials fit into one block of SHA-256
	mu     sync.RWMutex
	of     map[proofKey]*proof
	keys   map[pair][]proofKey // of those in of
}

// A proofKey stands for credentials from a network. It cannot be computed outside this
// process.
type proofKey struct {
	digest  [sha256.Size]byte
	network netip.Prefix
}

// A proof does not change.
type proof struct {
	userID, name string
	hash         string // that the password was compared with
	expires      time.Time
}

const (
	verifiedFor = 5 * time.Minute
	maxVerified = 10_000 // proofs, of about 550 bytes with the hash
)

func newProofs() *proofs {
	c := &proofs{of: make(map[proofKey]*proof), keys: make(map[pair][]proofKey)}
	_, _ = rand.Read(c.secret[:])
	return c
}

// key hashes a secret and the credentials. The digest stays in the process, so that
// length extension is no attack.
func (c *proofs) key(credentials string, network netip.Prefix) proofKey {
	var scratch [256]byte // on the stack
	b := append(append(scratch[:0], c.secret[:]...), credentials...)
	k := proofKey{sha256.Sum256(b), network}
	clear(b)
	return k
}

// find returns the proof of credentials from a network, or nil.
func (c *proofs) find(credentials string, network netip.Prefix) *proof {
	if len(credentials) > header.MaxBasic {
		return nil // a stranger may send more than is worth hashing
	}
	k := c.key(credentials, network)
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.of[k]
}

// covers reports whether the password of e is right for a user with this ID and hash.
func (e *proof) covers(userID, hash string, now time.Time) bool {
	return e.userID == userID && e.hash == hash && now.Before(e.expires)
}

// put remembers that an attempt with these credentials was right.
func (c *proofs) put(credentials string, a *attempt, now time.Time) {
	k, of := c.key(credentials, a.network), a.pair()
	c.mu.Lock()
	defer c.mu.Unlock()
	// A text that was an earlier user's stays in the list of that one.
	if len(c.of) >= maxVerified || len(c.keys) >= maxVerified {
		c.shrink(now)
	}
	c.of[k] = &proof{a.user.ID, a.name, a.hash, now.Add(verifiedFor)}
	if !slices.Contains(c.keys[of], k) {
		c.keys[of] = append(c.keys[of], k)
	}
}

// drop forgets the passwords of an account from a network.
func (c *proofs) drop(p pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.keys[p] {
		delete(c.of, k)
	}
	delete(c.keys, p)
}

// shrink drops expired proofs, and if that is too little, any half of the rest.
func (c *proofs) shrink(now time.Time) {
	for k, e := range c.of {
		if !now.Before(e.expires) {
			delete(c.of, k)
		}
	}
	for k := range c.of {
		if len(c.of) <= maxVerified/2 {
			break
		}
		delete(c.of, k)
	}
	clear(c.keys)
	for k, e := range c.of {
		of := pair{e.userID, k.network}
		c.keys[of] = append(c.keys[of], k)
	}
}
