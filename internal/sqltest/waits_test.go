package sqltest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// While a large application is deleted and as much is purged, nobody else waits for
// it: with every lock that a step takes, before its commit, logins, refreshes and
// revocations of others go on. A step is bounded.
func TestNobodyWaitsForBulk(t *testing.T) {
	const many = 2_000
	p := freshOn(sharedPostgres)(t)
	others, plain := p.openDB(t)
	ctx := context.Background()
	big, err := others.InsertApplication(ctx, store.Application{ClientID: "big", Name: "big"})
	if err != nil {
		t.Fatal(err)
	}
	tok := tokenNamed("big", time.Now())
	tok.ApplicationID, tok.Refresh, tok.UserID = big.ID, store.Refresh{}, "big"
	if tok, err = others.InsertToken(ctx, tok, limits); err != nil {
		t.Fatal(err)
	}
	copies := func(what, ends string) {
		t.Helper()
		statement := `
			INSERT INTO auth_tokens (digest, user_id, application_id, scopes, audience, addresses, epoch, description,
				created_at, modified_at, expires_at, refresh_scopes, ends_at, purge_at, parent_id, independent, root_id,
				ancestors, via_id, refresh_number, seq, successor_id, minted, revision, family)
			SELECT sha256(('` + what + `' || g)::bytea), user_id, application_id, scopes, audience, addresses, epoch, description,
				created_at, modified_at, ` + ends + `, refresh_scopes, ` + ends + `, ` + ends + `, parent_id, independent, root_id,
				ancestors, via_id, refresh_number, seq, successor_id, minted, revision, -g
			FROM auth_tokens, generate_series(1, $2::int) g WHERE id = $1`
		if _, err := plain.Exec(strings.ReplaceAll(statement, "auth_", p.Prefix), tok.ID, many); err != nil {
			t.Fatal(err)
		}
	}
	copies("live", "ends_at")
	copies("ended", "1")

	db, tap := p.tapped(t)
	st := openShaky(t, db, p, 0)
	steps, calls := 0, 0
	tap.arm(0, fails, nil)
	tap.before = func() { // the step goes on when the others are done
		if n := tap.counted() - calls; n > 3*stepRows {
			t.Errorf("step %d makes %d calls, want at most %d", steps, n, 3*stepRows)
		}
		var all []func()
		for w := range 4 {
			all = append(all, func() { useOthers(t, others, fmt.Sprintf("%d.%d", steps, w)) })
		}
		together(all...)
		steps, calls = steps+1, tap.counted()
	}
	if err := st.DeleteApplication(ctx, big.ID, time.Now()); err != nil {
		t.Errorf("the deletion: %v", err)
	}
	left := 2*many + 1
	for n := 0; left > 0 && n < 100; n++ {
		if _, err = st.Purge(ctx, time.Now().Add(time.Second), 500); err != nil {
			t.Fatalf("purge: %v", err)
		}
		if err := plain.QueryRow(p.sql("SELECT COUNT(*) FROM auth_tokens WHERE application_id = ?"), big.ID).Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
	if left > 0 || steps < 2*many/stepRows {
		t.Errorf("%d tokens are left after %d steps", left, steps)
	}
	t.Logf("%d steps, beside each of which others did all they do", steps)
}

// useOthers logs in, issues, refreshes and revokes.
func useOthers(t *testing.T, st *sqlstore.Store, name string) {
	ctx, now := context.Background(), time.Now()
	var first store.Token
	for _, s := range []struct {
		what string
		do   func() error
	}{
		{"login", func() error {
			_, err := st.Charge(ctx, []store.Charge{{Key: name, Limit: store.Limit{Max: 9, Window: hour}}}, now)
			if err != nil {
				return err
			}
			_, _, err = st.InsertSession(ctx, store.Session{Digest: sessionOf(name), UserID: name, Created: now, Seen: now, Expires: now.Add(hour)}, store.Digest{}, 5)
			return err
		}},
		{"issue", func() (err error) {
			first, err = st.InsertToken(ctx, tokenNamed(name, now), limits)
			return err
		}},
		{"refresh", func() error {
			_, err := st.Rotate(ctx, store.Rotation{
				Refresh: first.Refresh.Digest, ApplicationID: 1, Revision: first.Revision, At: now, Token: tokenNamed(name+"'", now),
			})
			return err
		}},
		{"revocation", func() error {
			_, err := st.RevokeTokens(ctx, store.Selection{Family: first.Family}, now)
			return err
		}},
	} {
		if err := s.do(); err != nil {
			t.Errorf("%s, while a step is not committed: %v", s.what, err)
		}
	}
}
