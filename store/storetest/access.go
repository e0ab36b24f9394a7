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
		promise: "AccessByDigest returns the user that the users of the store have; a missing user is a zero User and no error",
		run:     accessForeign,
	},
	{
		name:    "an outage of users is an outage",
		promise: "every error that is not a sentinel is an outage",
		run:     accessOutage,
	},
}

var sessionAccessChecks = []check{
	{
		name:    "the user is the one that users has",
		promise: "SessionByDigest returns the user that the users of the store have; a missing user is a zero User and no error",
		run:     sessionForeign,
	},
	{
		name:    "an outage of users is an outage",
		promise: "every error that is not a sentinel is an outage",
		run:     sessionOutage,
	},
}

func accessState(t *tester) {
	u, app := t.user(), t.application()
	tok, machine := t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair("", app.ID))
	orphan := t.insert(t.personal("nobody"))
	want := store.Access{
		TokenID: tok.ID, Family: tok.Family, UserID: u.ID, ApplicationID: app.ID, ViaApplicationID: app.ID, Scopes: tok.Scopes, Epoch: tok.Epoch, Expires: tok.Expires, User: u,
	}
	read := func(what string, tok store.Token, want store.Access) {
		t.Helper()
		got, err := t.st.AccessByDigest(t.Context(), tok.Digest)
		t.must(err)
		t.same(what, want, got)
	}
	read("of a user", tok, want)
	read("of an application alone", machine, store.Access{
		TokenID: machine.ID, Family: machine.Family, ApplicationID: app.ID, ViaApplicationID: app.ID, Scopes: machine.Scopes, Epoch: machine.Epoch, Expires: machine.Expires,
	})
	read("of nobody", orphan, store.Access{
		TokenID: orphan.ID, Family: orphan.Family, UserID: "nobody", Scopes: orphan.Scopes, Epoch: orphan.Epoch, Expires: orphan.Expires,
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
	twin := store.User{ID: u.ID, Name: "host " + u.Name, Epoch: 42, Active: true, Created: at(day)}
	st := t.open(t.T, hostUsers{byID: map[string]store.User{u.ID: twin, "": {Name: "nobody"}}})
	for _, tt := range []struct {
		name, id string
		want     store.User
	}{
		{"the host's user", u.ID, twin},
		{"a user whom the host does not have", stranger.ID, store.User{}},
		{"no user", "", store.User{}},
	} {
		tok, err := st.InsertToken(t.Context(), t.personal(tt.id), limits)
		t.must(err)
		a, err := st.AccessByDigest(t.Context(), tok.Digest)
		t.must(err)
		t.same(tt.name, tt.want, a.User)
		t.same(tt.name+": the ID", tt.id, a.UserID)
	}
	_, err := st.AccessByDigest(t.Context(), t.digest())
	t.refused("no token", store.ErrNotFound, err)
}

func accessOutage(t *tester) {
	st := t.open(t.T, hostUsers{err: errHostDown})
	tok, err := st.InsertToken(t.Context(), t.personal("u"), limits)
	t.must(err)
	_, err = st.AccessByDigest(t.Context(), tok.Digest)
	t.outage("AccessByDigest", err)
}

func sessionForeign(t *tester) {
	u, stranger := t.user(), t.user()
	twin := store.User{ID: u.ID, Name: "host " + u.Name, Epoch: 42, Active: true, Created: at(day)}
	st := t.open(t.T, hostUsers{byID: map[string]store.User{u.ID: twin, "": {Name: "nobody"}}})
	for _, tt := range []struct {
		name, id string
		want     store.User
	}{
		{"the host's user", u.ID, twin},
		{"a user whom the host does not have", stranger.ID, store.User{}},
		{"no user", "", store.User{}},
	} {
		want, _, err := st.InsertSession(t.Context(), t.login(tt.id, at(0)), store.Digest{}, 0)
		t.must(err)
		s, got, err := st.SessionByDigest(t.Context(), want.Digest)
		t.must(err)
		t.same(tt.name, tt.want, got)
		t.same(tt.name+": the session", want, s)
	}
	_, _, err := st.SessionByDigest(t.Context(), t.digest())
	t.refused("no session", store.ErrNotFound, err)
}

func sessionOutage(t *tester) {
	st := t.open(t.T, hostUsers{err: errHostDown})
	s, _, err := st.InsertSession(t.Context(), t.login("u", at(0)), store.Digest{}, 0)
	t.must(err)
	_, _, err = st.SessionByDigest(t.Context(), s.Digest)
	t.outage("SessionByDigest", err)
}

// outage reports an error if err is nil or one of the sentinels.
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
