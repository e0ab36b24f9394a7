package remote

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// An entry is what the authorization server said about a live token. It has 96
// bytes and one string.
type entry struct {
	digest store.Digest
	text   string // ID, name and scopes, one after the other

	tokenID, application, via int64

	expires       int64         // of the token, in seconds since 1970
	until         time.Duration // since the start; the entry counts strictly before
	name, scopes  uint16        // where they begin in text
	admin, audits bool
}

// principal returns the principal that the entry describes.
func (e *entry) principal() *auth.Principal {
	return &auth.Principal{
		ID:               e.text[:e.name],
		Name:             e.text[e.name:e.scopes],
		Scopes:           auth.Scopes(e.text[e.scopes:]),
		TokenID:          e.tokenID,
		TokenDigest:      e.digest,
		ApplicationID:    e.application,
		ViaApplicationID: e.via,
		Admin:            e.admin,
		Auditor:          e.audits,
		Credential:       auth.CredentialBearer,
		Expires:          time.Unix(e.expires, 0),
	}
}

const (
	ways    = 8   // places of a token
	locks   = 64  // of the table
	maxText = 512 // bytes of an entry that is kept
)

// A table keeps entries by digest in a fixed number of places. The digests of
// tokens are uniform, so they need no other hash.
type table struct {
	mu   [locks]lock
	sets [][ways]entry
}

// A lock fills a cache line, so that two of them do not slow each other down.
type lock struct {
	sync.Mutex
	_ [56]byte
}

func newTable(entries int) *table {
	return &table{sets: make([][ways]entry, max(1, (entries+ways-1)/ways))}
}

// set returns the places of a digest, and their lock.
func (t *table) set(digest *store.Digest) (*[ways]entry, *lock) {
	i := binary.LittleEndian.Uint64(digest[:]) % uint64(len(t.sets))
	return &t.sets[i], &t.mu[i%locks]
}

// get returns the entry of a digest that counts at a time.
func (t *table) get(digest *store.Digest, now time.Duration) (entry, bool) {
	set, mu := t.set(digest)
	mu.Lock()
	defer mu.Unlock()
	for i := range set {
		if e := &set[i]; e.digest == *digest {
			return *e, now < e.until
		}
	}
	return entry{}, false
}

// put keeps e, in the place of an older entry of its digest, or else in the place
// whose entry ends first.
func (t *table) put(e entry, now time.Duration) {
	if len(e.text) > maxText || now >= e.until {
		return
	}
	set, mu := t.set(&e.digest)
	mu.Lock()
	defer mu.Unlock()
	place := &set[0]
	for i := range set {
		if set[i].digest == e.digest {
			place = &set[i]
			break
		}
		if set[i].until < place.until {
			place = &set[i]
		}
	}
	*place = e
}

const (
	refusalAge    = time.Second
	refusalPlaces = 1024
)

// refusals keeps the refusals of tokens for refusalAge, one in each place.
type refusals struct {
	mu     sync.Mutex
	places [refusalPlaces]refused
}

type refused struct {
	digest store.Digest
	until  time.Duration
	err    *auth.Error
}

func (r *refusals) place(digest *store.Digest) *refused {
	return &r.places[binary.LittleEndian.Uint64(digest[8:])%refusalPlaces]
}

// get returns the refusal of a digest that counts at a time, or nil.
func (r *refusals) get(digest *store.Digest, now time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.place(digest); p.digest == *digest && now < p.until {
		return p.err
	}
	return nil
}

func (r *refusals) put(digest *store.Digest, err *auth.Error, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.place(digest) = refused{*digest, now + refusalAge, err}
}

// A flight is a call for a token, with its answer once done is closed.
type flight struct {
	done  chan struct{}
	entry entry
	err   error
}

// flights are the calls that are being made, by digest.
type flights struct {
	mu    sync.Mutex
	calls map[store.Digest]*flight
}

// join returns the flight of a digest, and whether the caller has to make the call.
func (fs *flights) join(digest store.Digest) (f *flight, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.calls[digest]; f != nil {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	fs.calls[digest] = f
	return f, true
}

// leave ends a flight.
func (fs *flights) leave(digest store.Digest, f *flight) {
	fs.mu.Lock()
	delete(fs.calls, digest)
	fs.mu.Unlock()
	close(f.done)
}
