package sqltest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// In MySQL and MariaDB a new token is one statement in sessions that are READ COMMITTED,
// and two in those that lock what an insert reads. A transaction is left for what can be
// decided in no other way: in a session that sees what is not committed, and where the
// sessions of a pool are not as they were when it was opened.
func TestNewTokenInMySQL(t *testing.T) {
	const transaction = 8 // both ways to a parent, what that is, and a transaction
	const foundRows = ""  // the driver counts rows that an update finds, and stays so
	for _, d := range databases() {
		for _, tt := range []struct {
			level string
			most  int
			other string // the isolation of the session later
			then  int
		}{
			{"repeatable-read", 2, "READ UNCOMMITTED", transaction},
			{"serializable", 2, "READ COMMITTED", 2},
			{"read-committed", 1, "REPEATABLE READ", transaction},
			{"read-uncommitted", transaction, "REPEATABLE READ", 2},
			{"repeatable-read", 2, foundRows, 2},
			{"read-committed", 1, foundRows, 1},
		} {
			setting := mysqlIsolation(d.name, tt.level)
			if setting == "" {
				continue
			}
			if tt.other == foundRows {
				setting += "&clientFoundRows=true"
			}
			t.Run(d.name+" "+setting, func(t *testing.T) {
				p := d.fresh(t)
				p.open(t)
				p.DSN += setting
				db, tap := p.tapped(t)
				db.SetMaxOpenConns(1)
				st := openShaky(t, db, p, 0)
				newTokens(t, st, tap, "first", tt.most, tt.most == transaction)
				if tt.other != foundRows {
					if _, err := db.Exec("SET SESSION TRANSACTION ISOLATION LEVEL " + tt.other); err != nil {
						t.Fatal(err)
					}
				}
				newTokens(t, st, tap, "then", tt.then, tt.then == transaction)
			})
		}
	}
}

// newTokens inserts tokens with all kinds of conditions, and what cannot be inserted.
func newTokens(t *testing.T, st *sqlstore.Store, tap *tap, prefix string, most int, transaction bool) {
	t.Helper()
	few := store.InsertLimits{Depth: store.MaxDepth, Live: 2, Owned: 100}
	insert := func(tok store.Token) (out store.Token, err error) {
		trips := tap.trippedBy(func() { out, err = st.InsertToken(t.Context(), tok, few) })
		if err == nil && (len(trips) > most || slices.Contains(trips, "BEGIN") != transaction) {
			t.Errorf("a token takes %d round trips, want at most %d, and a transaction: %t", len(trips), most, transaction)
		}
		return out, err
	}
	now := time.Now()
	named := func(name string, parent int64) store.Token {
		tok := tokenNamed(prefix+name, now)
		tok.ParentID = parent
		return tok
	}
	var all []store.Token
	for n, name := range []string{"a", "b", "c"} {
		tok := named(name, 0)
		if n == 2 {
			tok.ParentID = all[0].ID
		}
		tok, err := insert(tok)
		if err != nil {
			t.Fatal(err)
		}
		got, err := st.TokenByDigest(t.Context(), tok.Digest)
		if err != nil || got.ID != tok.ID || got.Family != tok.ID || tok.Family != tok.ID || n > 0 && tok.ID <= all[n-1].ID {
			t.Errorf("%+v, stored as %+v: %v", tok, got, err)
		}
		all = append(all, tok)
	}
	member := named("member", 0)
	member.Family = all[0].Family
	member, err := st.InsertToken(t.Context(), member, few)
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, member)
	taken := named("a", 0)
	taken.Refresh.Digest = refreshOf(prefix + "free")
	again := named("free", 0)
	again.Refresh.Digest = refreshOf(prefix + "a")
	noApplication := named("free", 0)
	noApplication.ApplicationID = 77
	for what, tt := range map[string]struct {
		tok  store.Token
		want error
	}{
		"a digest that is taken":                {taken, store.ErrExists},
		"the digest of a later one of a family": {named("member", 0), store.ErrExists},
		"a digest of a parent that is taken":    {named("a", all[0].ID), store.ErrExists},
		"a refresh token that is taken":         {again, store.ErrExists},
		"a parent that does not exist":          {named("free", 1_000_000), store.ErrConflict},
		"an application that does not exist":    {noApplication, store.ErrConflict},
	} {
		if _, err := insert(tt.tok); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", what, err, tt.want)
		}
	}
	for n := range 2 {
		_, err := insert(named(fmt.Sprint("full", n), all[0].ID))
		if want := n == 1; errors.Is(err, store.ErrLimit) != want {
			t.Errorf("child %d of a parent that may have 2: %v", n+2, err)
		}
	}
	for _, tok := range all { // nothing that was refused has changed a record
		got, err := st.TokenByDigest(t.Context(), tok.Digest)
		if err != nil || got.ID != tok.ID || got.Family != tok.Family {
			t.Errorf("%+v, stored as %+v: %v", tok, got, err)
		}
	}
	if _, err := st.TokenByDigest(t.Context(), accessOf(prefix+"free")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused token is stored: %v", err)
	}
}
