package stores

import (
	"context"

	"github.com/ostiary/auth/store"
)

type hashKey struct{}

// A Hash keeps the hash of a password that a look-up of its user by name has read
// along, so that a login needs no second query.
type Hash struct {
	by           any // a pointer
	userID, hash string
}

// WithHash returns a context for a look-up by name that may note the hash.
func WithHash(ctx context.Context) (context.Context, *Hash) {
	h := new(Hash)
	return context.WithValue(ctx, hashKey{}, h), h
}

// WantedHash returns where a look-up by name notes the hash, or nil.
func WantedHash(ctx context.Context) *Hash {
	h, _ := ctx.Value(hashKey{}).(*Hash)
	return h
}

// Note notes what by has read: the hash of that user, or "" and "" for nobody. By must
// be a pointer.
func (h *Hash) Note(by store.Users, userID, hash string) { h.by, h.userID, h.hash = by, userID, hash }

// Noted reports whether anybody has noted a hash.
func (h *Hash) Noted() bool { return h != nil && h.by != nil }

// Of returns the hash of that user as users.PasswordHash does, without a query if users
// itself has noted it, or if the ID is that of nobody. A store of the host may know
// more about a hash.
func (h *Hash) Of(ctx context.Context, users store.Users, userID string) (string, error) {
	switch {
	case !h.Noted() || h.by != any(users):
	case userID == "":
		return "", store.ErrNotFound
	case userID == h.userID:
		return h.hash, nil
	}
	return users.PasswordHash(ctx, userID)
}
