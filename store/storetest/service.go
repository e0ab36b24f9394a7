package storetest

import (
	"crypto/rand"
	"errors"

	"github.com/ostiary/auth/store"
)

var serviceChecks = []check{
	{
		name:    "ChangeUser ends the logins and the password",
		promise: "ChangeUser changes the Epoch and removes the password in the same step if Service changes, and does neither if it stays",
		run: func(t *tester) {
			serviceChange(t, func(u store.User) error {
				_, err := t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Service: &u.Service, Admin: &u.Admin})
				return err
			})
		},
	},
	{
		name:    "UpdateUser ends the logins and the password",
		promise: "UpdateUser changes the Epoch and removes the password in the same step if Service changes, and does neither if it stays",
		run: func(t *tester) {
			serviceChange(t, func(u store.User) error { return t.st.UpdateUser(t.Context(), u) })
		},
	},
	{
		name:    "deactivation and Service at once",
		promise: "ChangeUser changes the Epoch if the user was active and no longer is, and if Service changes",
		run: func(t *tester) {
			u := t.user()
			got, err := t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Active: new(false), Service: new(false)})
			t.must(err)
			if got.Epoch == u.Epoch {
				t.Error("deactivated, with Service as before: the epoch stays")
			}
			before := got.Epoch
			got, err = t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Active: new(false), Service: new(true)})
			t.must(err)
			if got.Epoch == before || got.Active || !got.Service {
				t.Errorf("inactive as before, and a service account: got %+v", got)
			}
		},
	},
	{
		name:    "no order of a password and a service account leaves a password",
		races:   true,
		promise: "ChangeUser removes the password in the step that sets Service, and ReplacePassword needs the Epoch from before it",
		run:     serviceRace,
	},
	{
		name:    "tokens and sessions come with it",
		promise: "AccessByDigest and SessionByDigest return the user with Service",
		run:     serviceJoined,
		needs:   wholePart,
	},
	{
		name:    "a service account is no last administrator",
		promise: "ChangeUser and DeleteUser return ErrLastAdmin, without a change, if no active administrator would be left who is no service account",
		alone:   true,
		run:     serviceLastAdmin,
	},
}

func serviceChange(t *tester, change func(store.User) error) {
	t.admin() // so that u is never the last one
	u, other := t.user(), t.user()
	t.must(t.st.SetPasswordHash(t.Context(), other.ID, "other"))
	seen := map[int64]bool{u.Epoch: true}
	for _, service := range []bool{true, false, true} {
		t.must(t.st.SetPasswordHash(t.Context(), u.ID, "hash"))
		t.newEpoch(u.ID, seen)
		u.Service = service
		t.must(change(u))
		t.newEpoch(u.ID, seen)
		u.Epoch = t.hasHash(u, "")

		t.must(t.st.SwapPasswordHash(t.Context(), u.ID, "", "hash"))
		u.Admin = !u.Admin
		t.must(change(u))
		t.hasHash(u, "hash")
	}
	if hash, err := t.st.PasswordHash(t.Context(), other.ID); err != nil || hash != "other" {
		t.Errorf("the hash of another user: %q, %v", hash, err)
	}
}

// hasHash compares the user and the hash, and returns the epoch as of now.
func (t *tester) hasHash(u store.User, hash string) int64 {
	t.Helper()
	got, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	if hash == "" {
		u.Epoch = got.Epoch
	}
	t.same("the user", u, got)
	stored, err := t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("the hash", hash, stored)
	return got.Epoch
}

func serviceRace(t *tester) {
	t.rounds(func() {
		u := t.user()
		for _, err := range race(8, func(i int) error {
			if i == 4 {
				_, err := t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Service: new(true)})
				return err
			}
			for range 8 {
				now, err := t.st.UserByID(t.Context(), u.ID)
				if err != nil || now.Service {
					return err
				}
				if _, err := t.st.ReplacePassword(t.Context(), u.ID, now.Epoch, "hash"); err != nil && !errors.Is(err, store.ErrConflict) {
					return err
				}
			}
			return nil
		}) {
			t.must(err)
		}
		hash, err := t.st.PasswordHash(t.Context(), u.ID)
		t.must(err)
		t.same("the hash of a service account", "", hash)
	})
}

func serviceJoined(t *tester) {
	u := t.user()
	tok, session := t.insert(t.personal(u.ID)), t.insertSession(t.login(u.ID, at(0)))
	u, err := t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Service: new(true)})
	t.must(err)
	a, err := t.st.AccessByDigest(t.Context(), tok.Digest)
	t.must(err)
	t.same("the user of a token", u, a.User)
	_, su, err := t.st.SessionByDigest(t.Context(), session.Digest)
	t.must(err)
	t.same("the user of a session", u, su)
}

func serviceLastAdmin(t *tester) {
	u := t.admin()
	machine, err := t.st.InsertUser(t.Context(), store.User{Name: rand.Text(), Admin: true, Active: true, Service: true})
	t.must(err)
	for _, c := range []store.UserChange{{Admin: new(false)}, {Active: new(false)}, {Service: new(true)}, {Service: new(true), Active: new(true)}} {
		_, err := t.st.ChangeUser(t.Context(), u.ID, c)
		t.refused("ChangeUser", store.ErrLastAdmin, err)
	}
	t.refused("DeleteUser", store.ErrLastAdmin, t.st.DeleteUser(t.Context(), u.ID, at(us)))
	got, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	t.same("the last one", u, got)
	_, err = t.st.ChangeUser(t.Context(), machine.ID, store.UserChange{Admin: new(false), Active: new(false)})
	t.must(err)
	t.must(t.st.DeleteUser(t.Context(), machine.ID, at(us)))
}
