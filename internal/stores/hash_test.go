package stores_test

import (
	"errors"
	"testing"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// What was read along counts for that user, and only where the store that is asked
// read it: one of the host may know another hash. Nobody is nobody without a query, so
// that an unknown name takes as long as a known one.
func TestHashReadAlong(t *testing.T) {
	db, decorated := &users{name: "asked"}, &users{name: "decorated"}
	for _, tt := range []struct {
		name      string
		note      func(*stores.Hash)
		users     *users
		id        string
		want      string
		noted, no bool
	}{
		{"nothing was noted", func(*stores.Hash) {}, db, "1", "asked", false, false},
		{"nothing was noted, nobody", func(*stores.Hash) {}, db, "", "asked", false, false},
		{"noted", func(h *stores.Hash) { h.Note(db, "1", "along") }, db, "1", "along", true, false},
		{"noted, no password", func(h *stores.Hash) { h.Note(db, "1", "") }, db, "1", "", true, false},
		{"noted, another user", func(h *stores.Hash) { h.Note(db, "1", "along") }, db, "2", "asked", true, false},
		{"noted, another spelling", func(h *stores.Hash) { h.Note(db, "1", "along") }, db, "", "", true, true},
		{"noted by another store", func(h *stores.Hash) { h.Note(db, "1", "along") }, decorated, "1", "decorated", true, false},
		{"nobody noted by another store", func(h *stores.Hash) { h.Note(db, "", "") }, decorated, "", "decorated", true, false},
		{"unknown name", func(h *stores.Hash) { h.Note(db, "", "") }, db, "", "", true, true},
	} {
		ctx, h := stores.WithHash(t.Context())
		tt.note(stores.WantedHash(ctx))
		hash, err := h.Of(ctx, tt.users, tt.id)
		if hash != tt.want || errors.Is(err, store.ErrNotFound) != tt.no || err != nil && !tt.no || h.Noted() != tt.noted {
			t.Errorf("%s: %q, %v, noted %t; want %q, not found %t, noted %t", tt.name, hash, err, h.Noted(), tt.want, tt.no, tt.noted)
		}
	}
	var none *stores.Hash
	if hash, err := none.Of(t.Context(), db, "1"); hash != "asked" || err != nil || none.Noted() || stores.WantedHash(t.Context()) != nil {
		t.Errorf("without a place for it: %q, %v", hash, err)
	}
}
