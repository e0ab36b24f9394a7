package stores

import (
	"context"

	"github.com/ostiary/auth/store"
)

type hashKey struct{}

// A Hash keeps the hash of a password that a look-up of its user by name has read
// along, so that a login needs no second query.
type Hash struct {
	of           store.Users // who alone may note it: a store of the host may know more about a hash
	noted        bool
	userID, hash string
}

// WithHash returns a context for a look-up by name in users, which may note the hash.
func WithHash(ctx context.Context, users store.Users) (context.Context, *Hash) {
	h := &Hash{of: users}
	return context.WithValue(ctx, hashKey{}, h), h
}

// WantedHash returns where a look-up by name in users, a pointer, notes the hash. It
// returns nil if nobody asked users itself. A store of the host that asks users may do
// so more than once, and go on without the answer.
func WantedHash(ctx context.Context, users store.Users) *Hash {
	if h, ok := ctx.Value(hashKey{}).(*Hash); ok && h.of == users {
		return h
	}
	return nil
}

// Note notes the hash of that user, or "" and "" for nobody.
func (h *Hash) Note(userID, hash string) { h.noted, h.userID, h.hash = true, userID, hash }

// Noted reports whether the hash was noted.
func (h *Hash) Noted() bool { return h != nil && h.noted }

// Of returns the hash of that user as PasswordHash of users does, without a query if it
// was noted, or if the ID is that of nobody.
func (h *Hash) Of(ctx context.Context, users store.Users, userID string) (string, error) {
	switch {
	case !h.Noted():
	case userID == "":
		return "", store.ErrNotFound
	case userID == h.userID:
		return h.hash, nil
	}
	return users.PasswordHash(ctx, userID)
}
