package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store"
)

var deleteUserChecks = []check{
	{
		name:    "everything of the user ends and nothing else",
		promise: "DeleteUser removes the user and the user's codes, revokes the user's tokens with everything they minted, and ends the user's sessions with EndedAdmin",
		run:     deleteUser,
	},
	{
		name:    "what ended before stays as it was",
		promise: "revoked tokens and ended sessions stay as they were",
		run:     deleteUserEnded,
	},
	{
		name:    "no reader sees half of it",
		races:   true,
		promise: "DeleteUser of a user with few sessions and consents is one step; where users is the store itself, AccessByDigest and SessionByDigest read record and user in one read",
		run:     deleteUserReaders,
	},
	{
		name:    "no order of a redemption and a deletion leaves a live token",
		races:   true,
		promise: "DeleteUser of a user with few sessions and consents is one step, Redeem is one step",
		run:     deleteUserRedeem,
	},
}

func deleteUser(t *tester) {
	u, other := t.user(), t.user()
	app := t.application()
	when := at(5 * us)

	personal, pair := t.insert(t.personal(u.ID)), t.insert(t.pair(u.ID, app.ID))
	kid := t.child(personal)
	foreign := t.personal(other.ID) // minted by the user's token for somebody else
	foreign.ParentID = kid.Family
	grandkid := t.insert(foreign)
	code, session := t.code(u.ID, app.ID), t.insertSession(t.login(u.ID, at(0)))

	oToken, oPair := t.insert(t.personal(other.ID)), t.insert(t.pair(other.ID, app.ID))
	oMachine := t.insert(t.pair("", app.ID))
	oCode, oSession := t.code(other.ID, app.ID), t.insertSession(t.login(other.ID, at(0)))
	anonymous := t.insertSession(t.login("", at(0)))

	t.must(t.st.DeleteUser(t.Context(), u.ID, when))

	_, err := t.st.UserByID(t.Context(), u.ID)
	t.refused("UserByID", store.ErrNotFound, err)
	_, err = t.st.UserByName(t.Context(), u.Name)
	t.refused("UserByName", store.ErrNotFound, err)
	_, err = t.st.PasswordHash(t.Context(), u.ID)
	t.refused("PasswordHash", store.ErrNotFound, err)
	t.refused("a second time", store.ErrNotFound, t.st.DeleteUser(t.Context(), u.ID, when))
	_, err = t.st.CodeByDigest(t.Context(), code.Digest)
	t.refused("CodeByDigest", store.ErrNotFound, err)
	_, err = t.st.Redeem(t.Context(), t.redemption(code, at(us)))
	t.refused("Redeem", store.ErrNotFound, err)
	t.revoked("the user's tokens and what they minted", when, personal, pair, kid, grandkid)
	_, err = t.st.Rotate(t.Context(), t.rotation(pair, at(us)))
	t.refused("Rotate", store.ErrNotFound, err)
	a, err := t.st.AccessByDigest(t.Context(), personal.Digest)
	t.must(err)
	t.same("the user of a token", store.User{}, a.User)
	s, su, err := t.st.SessionByDigest(t.Context(), session.Digest)
	t.must(err)
	t.same("the user of a session", store.User{}, su)
	session.Ended, session.Reason = when, store.EndedAdmin
	t.same("the session", session, s)

	_, err = t.st.UserByID(t.Context(), other.ID)
	t.must(err)
	t.live("tokens of another user and of an application", oToken, oPair, oMachine)
	t.same("a session of another user", oSession, t.session(oSession.Digest))
	t.same("a session without a user", anonymous, t.session(anonymous.Digest))
	got, err := t.st.CodeByDigest(t.Context(), oCode.Digest)
	t.must(err)
	t.same("a code of another user", oCode, got)

	if _, err := t.st.InsertUser(t.Context(), store.User{Name: u.Name}); err != nil {
		t.Errorf("the name of a user who is gone: %v", err)
	}
}

func deleteUserEnded(t *tester) {
	u := t.user()
	tok, session := t.insert(t.personal(u.ID)), t.insertSession(t.login(u.ID, at(0)))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(us))
	t.must(err)
	_, err = t.st.EndSessions(t.Context(), store.SessionSelection{ID: session.ID}, store.EndedLogout, at(us))
	t.must(err)
	t.must(t.st.DeleteUser(t.Context(), u.ID, at(2*us)))
	t.revoked("a token that was revoked before", at(us), tok)
	session.Ended, session.Reason = at(us), store.EndedLogout
	t.same("a session that ended before", session, t.session(session.Digest))
}

func deleteUserReaders(t *tester) {
	const readers = 8
	t.rounds(func() {
		u := t.user()
		var toks []store.Token
		var sessions []store.Session
		for range readers { // so that there is something to do
			toks = append(toks, t.insert(t.personal(u.ID)))
			sessions = append(sessions, t.insertSession(t.login(u.ID, at(0))))
		}
		look := func(i int) error {
			if i%2 == 0 {
				a, err := t.st.AccessByDigest(t.Context(), toks[i].Digest)
				if err == nil && (a.User.ID == "") != !a.Revoked.IsZero() {
					err = fmt.Errorf("AccessByDigest: user %q, revoked %v", a.User.ID, a.Revoked)
				}
				return err
			}
			s, su, err := t.st.SessionByDigest(t.Context(), sessions[i].Digest)
			if err == nil && (su.ID == "") != !s.Ended.IsZero() {
				err = fmt.Errorf("SessionByDigest: user %q, ended %v", su.ID, s.Ended)
			}
			return err
		}
		var ready sync.WaitGroup
		ready.Add(readers)
		var done atomic.Bool
		for _, err := range race(readers+1, func(i int) error {
			if i == readers {
				defer done.Store(true)
				ready.Wait()
				return t.st.DeleteUser(t.Context(), u.ID, at(us))
			}
			err := look(i)
			ready.Done()
			for begin := time.Now(); err == nil && !done.Load() && time.Since(begin) < time.Second; {
				err = look(i)
			}
			return err
		}) {
			t.must(err)
		}
	})
}

func deleteUserRedeem(t *tester) {
	app := t.application()
	t.rounds(func() {
		u := t.user()
		code := t.code(u.ID, app.ID)
		r := t.redemption(code, at(us))
		errs := race(2, func(i int) error {
			if i == 0 {
				return t.st.DeleteUser(t.Context(), u.ID, at(2*us))
			}
			_, err := t.st.Redeem(t.Context(), r)
			return err
		})
		t.must(errs[0])
		tok, err := t.st.TokenByDigest(t.Context(), r.Token.Digest)
		switch {
		case errs[1] == nil:
			t.must(err)
			t.revoked("the token of a user who is gone", at(2*us), tok)
		case !errors.Is(errs[1], store.ErrNotFound):
			t.Errorf("Redeem: got error %v, want %v", errs[1], store.ErrNotFound)
		}
	})
}
