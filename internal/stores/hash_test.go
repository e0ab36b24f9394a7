package stores_test

import (
	"errors"
	"testing"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// What was read along counts for that user. Nobody is nobody without a query, so that an
// unknown name takes as long as a known one.
func TestHashReadAlong(t *testing.T) {
	db := &users{name: "asked"}
	for _, tt := range []struct {
		name      string
		note      func(*stores.Hash)
		id        string
		want      string
		noted, no bool
	}{
		{"nothing was noted", func(*stores.Hash) {}, "1", "asked", false, false},
		{"nothing was noted, nobody", func(*stores.Hash) {}, "", "asked", false, false},
		{"noted", func(h *stores.Hash) { h.Note("1", "along") }, "1", "along", true, false},
		{"noted, no password", func(h *stores.Hash) { h.Note("1", "") }, "1", "", true, false},
		{"noted, another user", func(h *stores.Hash) { h.Note("1", "along") }, "2", "asked", true, false},
		{"noted, another spelling", func(h *stores.Hash) { h.Note("1", "along") }, "", "", true, true},
		{"unknown name", func(h *stores.Hash) { h.Note("", "") }, "", "", true, true},
	} {
		ctx, h := stores.WithHash(t.Context(), db)
		tt.note(stores.WantedHash(ctx, db))
		hash, err := h.Of(ctx, db, tt.id)
		if hash != tt.want || errors.Is(err, store.ErrNotFound) != tt.no || err != nil && !tt.no || h.Noted() != tt.noted {
			t.Errorf("%s: %q, %v, noted %t; want %q, not found %t, noted %t", tt.name, hash, err, h.Noted(), tt.want, tt.no, tt.noted)
		}
	}
	var none *stores.Hash
	if hash, err := none.Of(t.Context(), db, "1"); hash != "asked" || err != nil || none.Noted() || stores.WantedHash(t.Context(), db) != nil {
		t.Errorf("without a place for it: %q, %v", hash, err)
	}
}

// A store of the host may know another hash than the one it asks, and may ask that one
// twice at a time.
func TestHashOfAnotherStore(t *testing.T) {
	inner := &users{name: "inner"}
	for name, asked := range map[string]store.Users{
		"another":     &users{name: "inner"},
		"a decorator": &decorator{inner},
		"no pointer":  incomparable{Users: inner},
	} {
		ctx, _ := stores.WithHash(t.Context(), asked)
		if stores.WantedHash(ctx, inner) != nil {
			t.Errorf("%s was asked, and the one behind it notes a hash", name)
		}
	}
}

type decorator struct{ store.Users }

// An incomparable value panics where it is compared with its like.
type incomparable struct {
	store.Users
	_ []string
}
