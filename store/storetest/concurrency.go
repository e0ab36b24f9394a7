package storetest

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
)

var concurrencyChecks = []check{
	{
		name:    "methods may be called at once",
		races:   true,
		promise: "methods are safe for concurrent use; an error that is not a sentinel is an outage",
		alone:   true,
		run:     concurrentUse,
	},
	{
		name:    "what was reported is visible at once to others",
		races:   true,
		promise: "what a method reported is durable and visible to every later call",
		run:     concurrentVisible,
	},
}

// concurrentUse mixes everything. The race detector and outages tell.
func concurrentUse(t *tester) {
	u, v, app := t.user(), t.user(), t.application()
	tok, session := t.insert(t.pair(u.ID, app.ID)), t.insertSession(t.login(u.ID, at(0)))
	ctx, page := t.Context(), store.Page{Limit: 10}
	charge := []store.Charge{{Key: "a", Unless: "c", Limit: store.Limit{Max: 1000, Window: hour}}, {Key: "b", Limit: store.Limit{Max: 1000, Window: hour}}}
	calls := []func() error{
		func() error { _, err := t.st.AccessByDigest(ctx, tok.Digest); return err },
		func() error { _, _, err := t.st.SessionByDigest(ctx, session.Digest); return err },
		func() error {
			_, _, err := t.st.ListTokens(ctx, store.TokenFilter{All: true, Kind: store.ApplicationToken}, page)
			return err
		},
		func() error { _, err := t.st.InsertToken(ctx, t.personal(v.ID), limits); return err },
		func() error { _, err := t.st.RevokeTokens(ctx, store.Selection{UserID: v.ID}, at(us)); return err },
		func() error { return t.st.Touch(ctx, []store.Sighting{{TokenID: tok.ID, At: at(us)}}) },
		func() error {
			_, _, err := t.st.InsertSession(ctx, t.login(v.ID, at(0)), store.Digest{}, 2)
			return err
		},
		func() error { return t.st.TouchSession(ctx, session.Digest, at(2*hour), at(us), netip.Addr{}) },
		func() error {
			s, _, err := t.st.SessionByDigest(ctx, session.Digest)
			if err == nil {
				err = t.st.SaveSession(ctx, s.Digest, []byte("x"), s.Revision, at(us))
			}
			return err
		},
		func() error {
			_, err := t.st.EndSessions(ctx, store.SessionSelection{UserID: v.ID}, store.EndedAdmin, at(us))
			return err
		},
		func() error {
			_, _, err := t.st.ListSessions(ctx, store.SessionFilter{UserID: v.ID}, at(us), newest)
			return err
		},
		func() error {
			v, err := t.st.Charge(ctx, charge, at(us))
			if err == nil {
				err = t.st.Settle(ctx, store.Settlement{Return: v.Reserved, Remember: store.Memory{Key: "c", Group: "a", Until: at(hour), Most: 1}})
			}
			return err
		},
		func() error { return t.st.Settle(ctx, store.Settlement{Forget: []string{"b", "a"}}) },
		func() error { _, err := t.st.Remembers(ctx, "c", at(us)); return err },
		func() error { return t.st.SetPasswordHash(ctx, v.ID, "x") },
		func() error {
			x, err := t.st.UserByID(ctx, v.ID)
			if err == nil {
				_, err = t.st.ReplacePassword(ctx, v.ID, x.Epoch, "y")
			}
			return err
		},
		func() error { x := v; x.Active = false; return t.st.UpdateUser(ctx, x) },
		func() error {
			_, err := t.st.ChangeUser(ctx, v.ID, store.UserChange{LastName: new("x")})
			return err
		},
		func() error { _, _, err := t.st.ListUsers(ctx, store.UserFilter{}, page); return err },
		func() error {
			a, err := t.st.ApplicationByID(ctx, app.ID)
			if err == nil {
				a.Modified = at(us)
				err = t.st.UpdateApplication(ctx, a)
			}
			return err
		},
		func() error {
			c := store.Code{Digest: t.digest(), ApplicationID: app.ID, UserID: v.ID, Expires: at(hour)}
			if err := t.st.InsertCode(ctx, c, anyNumber); err != nil {
				return err
			}
			first, err := t.st.Redeem(ctx, t.redemption(c, at(us)))
			if err != nil {
				return err
			}
			_, err = t.st.Rotate(ctx, t.rotation(first, at(us)))
			return err
		},
		func() error {
			d := store.Device{Digest: t.digest(), UserCode: t.digest(), ApplicationID: app.ID, Expires: at(hour)}
			if err := t.st.InsertDevice(ctx, d); err != nil {
				return err
			}
			if err := t.st.DecideDevice(ctx, d.UserCode, store.Approved, v.ID, 1, at(us)); err != nil {
				return err
			}
			_, err := t.st.RedeemDevice(ctx, store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(v.ID, app.ID)})
			return err
		},
		func() error { _, err := t.st.Purge(ctx, at(0), 10); return err },
		func() error { _, err := t.st.PurgeSessions(ctx, at(2*us), 2); return err },
		func() error { _, err := t.st.PurgeAttempts(ctx, at(us), 10); return err },
	}
	t.rounds(func() {
		for i, err := range race(2*len(calls), func(i int) error { return calls[i%len(calls)]() }) {
			if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
				t.Errorf("call %d: %v", i%len(calls), err)
			}
		}
	})
}

func concurrentVisible(t *tester) {
	u := t.user()
	toks := make(chan store.Token)
	done := make(chan error)
	go func() {
		for tok := range toks {
			a, err := t.st.AccessByDigest(t.Context(), tok.Digest)
			if err == nil && a.Revoked.IsZero() != tok.Revoked.IsZero() {
				err = errors.New("another caller does not see what was reported")
			}
			done <- err
		}
	}()
	defer close(toks)
	t.rounds(func() {
		tok := t.insert(t.personal(u.ID))
		toks <- tok
		t.must(<-done)
		_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(time.Second))
		t.must(err)
		tok.Revoked = at(time.Second)
		toks <- tok
		t.must(<-done)
	})
}
