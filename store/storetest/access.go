package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/ostiary/auth/store"
)

// hostUsers is a host's own table of users. Users of the store are not in it.
type hostUsers struct {
	store.Users // the methods that no look-up needs
	byID        map[string]store.User
	err         error
}

func (h hostUsers) UserByID(_ context.Context, id string) (store.User, error) {
	if h.err != nil {
		return store.User{}, h.err
	}
	if u, ok := h.byID[id]; ok {
		return u, nil
	}
	return store.User{}, fmt.Errorf("host: user %q: %w", id, store.ErrNotFound)
}

var errHostDown = errors.New("host: no connection")

var accessChecks = []check{
	{
		name:    "token and user, whatever their state",
		promise: "AccessByDigest returns the access token with digest d and its user, whatever the state of either",
		run:     accessState,
	},
	{
		name:    "the user is the one that users has",
		promise: "AccessByDigest returns its user as users has it; a missing user is a zero User and no error",
		run:     accessForeign,
	},
	{
		name:    "an outage of users is an outage",
		promise: "every error that is not a sentinel is an outage",
		run:     accessOutage,
	},
}

func accessState(t *tester) {
	u, app := t.user(), t.application()
	tok, machine := t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair("", app.ID))
	orphan := t.insert(t.personal("nobody"))
	want := store.Access{
		TokenID: tok.ID, UserID: u.ID, ApplicationID: app.ID, Scopes: tok.Scopes, Epoch: tok.Epoch, Expires: tok.Expires, User: u,
	}
	read := func(what string, tok store.Token, want store.Access) {
		t.Helper()
		got, err := t.st.AccessByDigest(t.Context(), tok.Digest, t.st)
		t.must(err)
		t.same(what, want, got)
	}
	read("of a user", tok, want)
	read("of an application alone", machine, store.Access{
		TokenID: machine.ID, ApplicationID: app.ID, Scopes: machine.Scopes, Epoch: machine.Epoch, Expires: machine.Expires,
	})
	read("of nobody", orphan, store.Access{
		TokenID: orphan.ID, UserID: "nobody", Scopes: orphan.Scopes, Epoch: orphan.Epoch, Expires: orphan.Expires,
	})
	t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: tok.ID, At: at(us)}}))
	want.LastUsed = at(us)
	read("used", tok, want)
	want.User.Active, want.User.Email, want.User.Admin = false, "x", true
	t.must(t.st.UpdateUser(t.Context(), want.User))
	var err error
	want.User, err = t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	read("of an inactive user", tok, want)
	_, err = t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(2*us))
	t.must(err)
	want.Revoked = at(2 * us)
	read("revoked", tok, want)
}

func accessForeign(t *tester) {
	u, stranger := t.user(), t.user()
	tok, session := t.insert(t.personal(u.ID)), t.insertSession(t.login(u.ID, at(0)))
	twin := store.User{ID: u.ID, Name: "host " + u.Name, Epoch: 42, Active: true, Created: at(day)}
	users := hostUsers{byID: map[string]store.User{u.ID: twin, "": {Name: "nobody"}}}
	a, err := t.st.AccessByDigest(t.Context(), tok.Digest, users)
	t.must(err)
	t.same("AccessByDigest: the host's user", twin, a.User)
	s, got, err := t.st.SessionByDigest(t.Context(), session.Digest, users)
	t.must(err)
	t.same("SessionByDigest: the host's user", twin, got)
	t.same("SessionByDigest: the session", session, s)

	// The store has this one, the host has not.
	tok, session = t.insert(t.personal(stranger.ID)), t.insertSession(t.login(stranger.ID, at(0)))
	a, err = t.st.AccessByDigest(t.Context(), tok.Digest, users)
	t.must(err)
	t.same("AccessByDigest: a user the host does not have", store.User{}, a.User)
	_, got, err = t.st.SessionByDigest(t.Context(), session.Digest, users)
	t.must(err)
	t.same("SessionByDigest: a user the host does not have", store.User{}, got)

	tok, session = t.insert(t.personal("")), t.insertSession(t.login("", at(0)))
	a, err = t.st.AccessByDigest(t.Context(), tok.Digest, users)
	t.must(err)
	t.same("AccessByDigest: no user", store.User{}, a.User)
	_, got, err = t.st.SessionByDigest(t.Context(), session.Digest, users)
	t.must(err)
	t.same("SessionByDigest: no user", store.User{}, got)

	_, err = t.st.AccessByDigest(t.Context(), t.digest(), users)
	t.refused("AccessByDigest: no token", store.ErrNotFound, err)
	_, _, err = t.st.SessionByDigest(t.Context(), t.digest(), users)
	t.refused("SessionByDigest: no session", store.ErrNotFound, err)
}

func accessOutage(t *tester) {
	u := t.user()
	tok, session := t.insert(t.personal(u.ID)), t.insertSession(t.login(u.ID, at(0)))
	users := hostUsers{err: errHostDown}
	_, err := t.st.AccessByDigest(t.Context(), tok.Digest, users)
	t.outage("AccessByDigest", err)
	_, _, err = t.st.SessionByDigest(t.Context(), session.Digest, users)
	t.outage("SessionByDigest", err)
}

// outage reports success and sentinels.
func (t *tester) outage(what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got no error, want an outage", what)
	}
	for _, sentinel := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed} {
		if errors.Is(err, sentinel) {
			t.Errorf("%s: got %v, want an outage", what, err)
		}
	}
}
