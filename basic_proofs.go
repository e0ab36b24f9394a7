package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
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
// throttle refuses an attempt from there, so that the proofs answer no guesses. An
// attempt that was right at that moment may put its proof afterwards: that one answers
// the next guess, and a wrong guess drops it.
type proofs struct {
	secret [16]byte // 128 bits; with it most credentials fit into one block of SHA-256
	// heads begin chains of proofs, whose digests name the head. Readers take no lock
	// and write nothing. A proof that was taken out of a chain still leads to those
	// behind it, so that a reader who stands there finds all that stay.
	heads [proofHeads]atomic.Pointer[proof]

	mu   sync.Mutex // for writers
	of   map[pair][]*proof
	held int // proofs in the chains, and in the lists of of
}

// A proof does not change, but for its place in a chain.
type proof struct {
	next atomic.Pointer[proof]

	digest       [sha256.Size]byte // of the credentials, see proofs.digest
	network      netip.Prefix
	userID, name string
	hash         string // that the password was compared with
	expires      time.Time
}

const (
	verifiedFor = 5 * time.Minute
	maxVerified = 10_000  // proofs, of about 400 bytes with the hash
	proofHeads  = 1 << 13 // of 8 bytes
)

func newProofs() *proofs {
	c := &proofs{of: make(map[pair][]*proof)}
	_, _ = rand.Read(c.secret[:])
	return c
}

// digest hashes a secret and the credentials. It cannot be computed outside this
// process, and stays there, so that length extension is no attack.
func (c *proofs) digest(credentials string) [sha256.Size]byte {
	var scratch [256]byte // on the stack
	b := append(append(scratch[:0], c.secret[:]...), credentials...)
	d := sha256.Sum256(b)
	clear(b)
	return d
}

func (c *proofs) head(digest *[sha256.Size]byte) *atomic.Pointer[proof] {
	return &c.heads[binary.LittleEndian.Uint64(digest[:])%proofHeads]
}

// find returns the proof of credentials from a network, or nil.
func (c *proofs) find(credentials string, network netip.Prefix) *proof {
	if len(credentials) > header.MaxBasic {
		return nil // a stranger may send more than is worth hashing
	}
	d := c.digest(credentials)
	return c.at(&d, network)
}

// at returns the proof with a digest from a network, or nil.
func (c *proofs) at(digest *[sha256.Size]byte, network netip.Prefix) *proof {
	e := c.head(digest).Load()
	for e != nil && (e.digest != *digest || e.network != network) {
		e = e.next.Load()
	}
	return e
}

// covers reports whether the password of e is right for a user with this ID and hash.
func (e *proof) covers(userID, hash string, now time.Time) bool {
	return e.userID == userID && e.hash == hash && now.Before(e.expires)
}

// put remembers that an attempt with these credentials was right.
func (c *proofs) put(credentials string, a *attempt, now time.Time) {
	e := &proof{
		digest: c.digest(credentials), network: a.network,
		userID: a.user.ID, name: a.name, hash: a.hash, expires: now.Add(verifiedFor),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held >= maxVerified {
		c.shrink(now)
	}
	// It takes the place of an old one, so that a reader finds either, or the last one.
	old := c.at(&e.digest, a.network)
	link := c.link(&e.digest, old)
	if old != nil { // of the same user, or of an earlier one
		e.next.Store(old.next.Load())
		c.list(old.pair(), slices.DeleteFunc(c.of[old.pair()], func(one *proof) bool { return one == old }))
	} else {
		c.held++
	}
	link.Store(e)
	c.list(e.pair(), append(c.of[e.pair()], e))
}

// link returns what points to a proof in the chain of a digest, or to nil at its end.
func (c *proofs) link(digest *[sha256.Size]byte, e *proof) *atomic.Pointer[proof] {
	link := c.head(digest)
	for link.Load() != e {
		link = &link.Load().next
	}
	return link
}

// list sets the list of a pair.
func (c *proofs) list(of pair, list []*proof) {
	if len(list) > 0 {
		c.of[of] = list
	} else {
		delete(c.of, of)
	}
}

// pair returns whose list e is in.
func (e *proof) pair() pair { return pair{e.userID, e.network} }

// drop forgets the passwords of an account from a network.
func (c *proofs) drop(of pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(of, func(*proof) bool { return false })
}

// shrink drops expired proofs, and if that is too little, any half of the rest. The
// caller holds the lock.
func (c *proofs) shrink(now time.Time) {
	for of := range c.of {
		c.keep(of, func(e *proof) bool { return now.Before(e.expires) })
	}
	for of := range c.of {
		c.keep(of, func(*proof) bool { return c.held <= maxVerified/2 })
	}
}

// keep forgets the proofs of a pair for which stays returns false. The caller holds the
// lock.
func (c *proofs) keep(of pair, stays func(*proof) bool) {
	c.list(of, slices.DeleteFunc(c.of[of], func(e *proof) bool {
		if stays(e) {
			return false
		}
		c.link(&e.digest, e).Store(e.next.Load())
		c.held--
		return true
	}))
}
