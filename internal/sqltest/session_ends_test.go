package sqltest

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A4: the end of all sessions, or of those of a user, is many steps, however many there
// are. What a failure interrupts goes on with the next call: otherwise a table with more
// sessions than one statement ends in time would keep all of them alive for ever.
func TestEndOfAllSessionsGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		for _, tt := range []struct {
			name  string
			users int
			of    store.SessionSelection
		}{
			{"of everybody", 70, store.SessionSelection{All: true}},
			{"of a user", 1, store.SessionSelection{UserID: "u0"}},
		} {
			t.Run(tt.name, func(t *testing.T) { endGoesOn(t, fresh(t), tt.users, tt.of) })
		}
	})
}

func endGoesOn(t *testing.T, p place, users int, of store.SessionSelection) {
	t.Parallel()
	calm, plain := p.openDB(t)
	const all = 2_300
	digest := p.randomDigest()
	later := time.Now().Add(hour).UnixMicro()
	if _, err := plain.Exec(p.sql(`INSERT INTO auth_sessions (digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision)
		WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9)
		SELECT `, digest, fmt.Sprintf(`, CONCAT('u', n.i %% %d), 0, n.i, n.i, %d, '', %d, 1
		FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS i FROM d a, d b, d c, d e) n WHERE n.i < %d`, users, later, later, all-1))); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	mine, _, err := calm.InsertSession(t.Context(), store.Session{Digest: sessionOf("mine"), UserID: cmp.Or(of.UserID, "me"), Created: now, Expires: now.Add(hour)}, store.Digest{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	live := func() (n int) {
		t.Helper()
		if err := plain.QueryRow(p.sql("SELECT COUNT(*) FROM auth_sessions WHERE ended_at IS NULL")).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := live(); n != all {
		t.Fatalf("%d sessions to begin with, want %d", n, all)
	}

	db, tap := p.tapped(t)
	st := openShaky(t, db, p, 0)
	of.Except = mine.Digest
	end := func() (int, error) {
		return st.EndSessions(t.Context(), of, store.EndedAdmin, now)
	}
	ended, calls, failures := 0, 0, 0
	for {
		// Each call gets a little further before it fails.
		calls += 700
		tap.arm(calls, fails, nil)
		before := live()
		n, err := end()
		tap.arm(0, fails, nil)
		ended += n
		if got := before - live(); got != n {
			t.Fatalf("%d ended, and %d were told, %v", got, n, err)
		}
		if err == nil {
			break
		}
		failures++
		if before == live() { // each time a step or more was done before
			t.Fatalf("failure %d: nothing more ends, %d live", failures, before)
		}
	}
	if ended != all-1 || live() != 1 || failures < 2 {
		t.Errorf("%d ended, %d live, %d failures; want %d, 1 and some", ended, live(), failures, all-1)
	}
	if v, _, err := calm.SessionByDigest(t.Context(), mine.Digest); err != nil || !v.Ended.IsZero() {
		t.Errorf("the session that is left out: %v, %v", v.Ended, err)
	}
	if n, err := end(); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
}

// A user with more consents and sessions than one statement ends in time can be deleted: the
// user is disabled at once, and what a failure interrupts goes on with the next call.
func TestDeletionOfUserGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		calm, plain := p.openDB(t)
		const each = 1_700
		now := time.Now()
		u, err := calm.InsertUser(t.Context(), store.User{Name: "busy", Active: true, Created: now})
		if err != nil {
			t.Fatal(err)
		}
		digest := p.randomDigest()
		many := fmt.Sprintf(` FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS i FROM d a, d b, d c, d e) n WHERE n.i < %d`, each)
		const numbers = ` WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9) SELECT `
		for _, statement := range []string{
			"INSERT INTO auth_consents (user_id, application_id, uri_digest, application_epoch, redirect_uri, scopes, audience, created_at)" + numbers +
				fmt.Sprintf("'%s', n.i / 3, %s, 1, '', '', '', 1", u.ID, digest),
			"INSERT INTO auth_sessions (digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision)" + numbers +
				fmt.Sprintf("%s, '%s', 0, n.i, n.i, %d, '', %d, 1", digest, u.ID, now.Add(hour).UnixMicro(), now.Add(hour).UnixMicro()),
		} {
			if p.Dialect == sqlstore.MySQL {
				statement = strings.Replace(statement, "n.i / 3", "n.i DIV 3", 1)
			}
			if _, err := plain.Exec(p.sql(statement, many)); err != nil {
				t.Fatal(err)
			}
		}
		left := func() (n int) {
			t.Helper()
			if err := plain.QueryRow(p.sql("SELECT (SELECT COUNT(*) FROM auth_consents) + (SELECT COUNT(*) FROM auth_sessions WHERE ended_at IS NULL)")).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := left(); n != 2*each {
			t.Fatalf("%d records to begin with, want %d", n, 2*each)
		}
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		failures := 0
		for calls := 40; ; calls += 40 {
			tap.arm(calls, fails, nil)
			err := st.DeleteUser(t.Context(), u.ID, now)
			tap.arm(0, fails, nil)
			got, errGot := calm.UserByID(t.Context(), u.ID)
			if err == nil {
				if !errors.Is(errGot, store.ErrNotFound) {
					t.Errorf("deleted: %v, %v", got, errGot)
				}
				break
			}
			if failures++; failures > 40 {
				t.Fatalf("%d records are left after so many calls: %v", left(), err)
			}
			if n := left(); errGot != nil || got.Active != (n == 2*each) {
				t.Fatalf("failure %d, %d records left: %+v, %v", failures, n, got, errGot)
			}
		}
		if n := left(); n != 0 || failures < 2 {
			t.Errorf("%d records left after %d failures", n, failures)
		}
	})
}
