package remote

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// An entry is what the authorization server said about a live token. It has 56
// bytes and one string; with its place in the table it has 96.
type entry struct {
	text string // ID, name and scopes, one after the other

	tokenID, application, via int64

	expires       int64  // of the token, in seconds since 1970
	name, scopes  uint16 // where they begin in text
	admin, audits bool
}

// principal returns the principal that the entry of a digest describes.
func (e *entry) principal(digest store.Digest) *auth.Principal {
	return &auth.Principal{
		ID:               e.text[:e.name],
		Name:             e.text[e.name:e.scopes],
		Scopes:           auth.Scopes(e.text[e.scopes:]),
		TokenID:          e.tokenID,
		TokenDigest:      digest,
		ApplicationID:    e.application,
		ViaApplicationID: e.via,
		Admin:            e.admin,
		Auditor:          e.audits,
		Credential:       auth.CredentialBearer,
		Expires:          time.Unix(e.expires, 0),
	}
}

// maxText is the length of the longest text of an entry that is kept, in bytes.
const maxText = 512

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
