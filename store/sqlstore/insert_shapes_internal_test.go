package sqlstore

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// Every statement names values that there are, and has a place for each of its arguments.
func TestInsertValuesHaveNames(t *testing.T) {
	tok := store.Token{Digest: store.DigestOf("access"), Refresh: store.Refresh{Digest: store.DigestOf("refresh")}}
	in, err := insertionOf(tok)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range insertShapes() {
		statements := map[string]insertStatement{
			"MySQL, founder": h.founder(true), "MySQL, asking first": h.founder(false),
		}
		for _, d := range []Dialect{SQLite, Postgres, MySQL} {
			statements[d.String()] = h.statement(d)
		}
		for name, st := range statements {
			places := strings.Count(st.query, "?")
			if name == Postgres.String() {
				places = 0
				for strings.Contains(st.query, Postgres.placeholder(places)) {
					places++
				}
				if sorted := slices.Sorted(slices.Values(st.args)); len(slices.Compact(sorted)) != len(st.args) {
					t.Errorf("%+v takes a value twice: %q", h, st.args)
				}
			}
			if places != len(st.args) {
				t.Errorf("%+v, %s: %d places for %d arguments", h, name, places, len(st.args))
			}
			for n, value := range in.args(st) {
				if _, unknown := value.(error); unknown {
					t.Errorf("%+v, %s: %v", h, name, value)
				}
				if value == nil && h.kind != anyKind && !slices.Contains([]string{"refresh_expires_at", "grant_expires_at", "refresh_grant", "parent_digest", "parent_scopes"}, st.args[n]) {
					t.Errorf("%+v, %s: %s is sent where no such token has it", h, name, st.args[n])
				}
			}
		}
	}
}

// In PostgreSQL each argument costs the driver and the server time.
func TestInsertArguments(t *testing.T) {
	for _, tt := range []struct {
		what string
		h    insertShape
		want int
	}{
		{"a personal token", insertShape{kind: accessOnly}, 9},
		{"one of a user with a limit", insertShape{kind: accessOnly, owned: true}, 10},
		{"one that a personal token mints", insertShape{kind: accessOnly, under: rooted}, 15},
		{"one of an application", insertShape{kind: withRefresh, served: true}, 16},
		{"any", insertShape{}, 23},
	} {
		if got := len(tt.h.statement(Postgres).args); got != tt.want {
			t.Errorf("%s takes %d arguments, want %d: %q", tt.what, got, tt.want, tt.h.statement(Postgres).args)
		}
	}
}

// What a token has decides what its statement stores: nothing that it has is left out.
func TestInsertKind(t *testing.T) {
	now := time.Now()
	token := func(change func(*store.Token)) store.Token {
		tok := store.Token{Created: now, Modified: now, Expires: now.Add(time.Hour)}
		tok.Refresh = store.Refresh{Digest: store.DigestOf("refresh"), Expires: now, Grant: store.DigestOf("grant")}
		change(&tok)
		return tok
	}
	for _, tt := range []struct {
		what   string
		change func(*store.Token)
		want   insertKind
	}{
		{"with a refresh token", func(tok *store.Token) {}, withRefresh},
		{"without", func(tok *store.Token) { tok.Refresh = store.Refresh{} }, accessOnly},
		{"with something of one", func(tok *store.Token) { tok.Refresh.Digest = store.Digest{} }, anyKind},
		{"that was spent", func(tok *store.Token) { tok.Refresh.Spent = now }, anyKind},
		{"with a nonce", func(tok *store.Token) { tok.Refresh.Nonce = store.DigestOf("nonce") }, anyKind},
		{"of a family", func(tok *store.Token) { tok.Family = 1 }, anyKind},
		{"that was changed", func(tok *store.Token) { tok.Modified = now.Add(time.Second) }, anyKind},
		{"that was used", func(tok *store.Token) { tok.LastUsed = now }, anyKind},
		{"that was revoked", func(tok *store.Token) { tok.Revoked = now }, anyKind},
	} {
		in, err := insertionOf(token(tt.change))
		if err != nil {
			t.Fatal(err)
		}
		if got := in.kindOf(); got != tt.want {
			t.Errorf("one %s is of kind %d, want %d", tt.what, got, tt.want)
		}
	}
}
