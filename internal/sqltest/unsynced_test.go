package sqltest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// In PostgreSQL what a crash may undo does not wait for the disk, and nothing else comes
// to be so. The server waits for a standby that there is not: a commit that is to be
// safe does not end then. All run on one connection.
func TestCommitsThatDoNotWait(t *testing.T) {
	pg := need(t, newPostgres) // not the one the other tests use
	for _, tt := range []struct {
		name string
		at   func() (*server, error)
	}{
		{"prepared", func() (*server, error) { return pg, nil }},
		{"behind a pooler", func() (*server, error) { return newPgBouncer(pg) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := freshOn(tt.at)(t)
			st, db := p.openDB(t)
			db.SetMaxOpenConns(1)
			now := time.Now().Add(-time.Minute)
			limit := store.Limit{Max: 100, Window: hour}
			charges := []store.Charge{{Key: "here", Limit: limit}, {Key: "account", Limit: limit}}
			var v store.Verdict
			charge := func(ctx context.Context) error {
				charged, err := st.Charge(ctx, charges, now)
				if err == nil {
					v = charged
				}
				return err
			}
			giveBack := func(key string) func(context.Context) error {
				return func(ctx context.Context) error {
					return st.Settle(ctx, store.Settlement{
						Return: v.Reserved[1:], Forget: []string{"here"},
						Remember: store.Memory{Key: key, Group: "group", Most: 2, Until: now.Add(hour)},
					})
				}
			}
			// What is charged, remembered, logged in and issued for the first time is in
			// the way of nothing that follows.
			var tok store.Token
			for _, do := range []func(context.Context) error{charge, giveBack("known"), charge,
				func(ctx context.Context) error {
					_, _, err := st.InsertSession(ctx, sessionNamed("s", "u", now), store.Digest{}, 1)
					return err
				},
				func(ctx context.Context) (err error) {
					tok, err = st.InsertToken(ctx, tokenNamed("t", now), limits)
					return err
				},
			} {
				if err := do(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			waitFor := func(standby string) {
				for _, query := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + standby + "'", "SELECT pg_reload_conf()"} {
					if _, err := db.Exec(query); err != nil {
						t.Fatal(err)
					}
				}
			}
			// soon is for what may not end, and calls off what does not.
			soon := func(do func(context.Context) error) error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				return do(ctx)
			}
			waitFor("nobody")
			t.Cleanup(func() { waitFor("") })
			for err := error(nil); err == nil; { // until the server has noticed
				err = soon(func(ctx context.Context) error {
					_, err := db.ExecContext(ctx, p.sql("UPDATE auth_locks SET uses = uses + 1 WHERE slot = 0"))
					return err
				})
			}

			type step struct {
				name string
				do   func(context.Context) error
			}
			later := now.Add(time.Minute / 2)
			for _, s := range []step{
				{"a right password is given back", giveBack("known")},
				{"a session is prolonged", func(ctx context.Context) error {
					return st.TouchSession(ctx, sessionOf("s"), later.Add(hour), later, netip.Addr{})
				}},
				{"a use of a token is noted", func(ctx context.Context) error {
					return st.Touch(ctx, []store.Sighting{{TokenID: tok.ID, At: later}})
				}},
			} {
				if err := s.do(t.Context()); err != nil {
					t.Errorf("%s: %v", s.name, err)
				}
				var commit string
				if err := db.QueryRow("SHOW synchronous_commit").Scan(&commit); err != nil || commit != "on" {
					t.Errorf("%s: then synchronous_commit is %q, %v", s.name, commit, err)
				}
			}
			got, _, err := st.SessionByDigest(t.Context(), sessionOf("s"))
			a, err1 := st.TokenByDigest(t.Context(), tok.Digest)
			if err != nil || err1 != nil || got.Seen.UnixMicro() != later.UnixMicro() || a.LastUsed.UnixMicro() != later.UnixMicro() {
				t.Errorf("seen at %v and %v: %v, %v", got.Seen, a.LastUsed, err, err1)
			}
			for _, s := range []step{
				{"a charge", charge},
				{"a network that is new", giveBack("new")},
				{"a login", func(ctx context.Context) error {
					_, _, err := st.InsertSession(ctx, sessionNamed("new", "u", now), store.Digest{}, 2)
					return err
				}},
				{"a logout", func(ctx context.Context) error {
					_, err := st.EndSessions(ctx, store.SessionSelection{Digest: sessionOf("s")}, store.EndedLogout, now)
					return err
				}},
			} {
				becomesReady(t, st) // what timed out before has calls refused for a moment
				if err := soon(s.do); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s does not wait for the standby: %v", s.name, err)
				}
			}
		})
	}
}
