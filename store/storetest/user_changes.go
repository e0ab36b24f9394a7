package storetest

import (
	"crypto/rand"
	"errors"

	"github.com/ostiary/auth/store"
)

var changeUserChecks = []check{
	{
		name:    "what is not set stays",
		promise: "ChangeUser changes the fields that c sets and no others, and returns the user as it is then",
		run:     changeFields,
	},
	{
		name:    "deactivation changes the epoch, nothing else does",
		promise: "ChangeUser changes the Epoch in the same step if the user was active and no longer is",
		run:     changeEpoch,
	},
	{
		name:    "a taken name is ErrExists and changes nothing",
		promise: "ChangeUser returns ErrExists if the name is taken",
		run:     changeTaken,
	},
	{
		name:    "an absent user is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run: func(t *tester) {
			for _, c := range []store.UserChange{{}, {Email: new("x")}, {Admin: new(false)}, {Active: new(false)}} {
				_, err := t.st.ChangeUser(t.Context(), rand.Text(), c)
				t.refused("ChangeUser", store.ErrNotFound, err)
			}
		},
	},
	{
		name:    "changes at the same time all hold",
		races:   true,
		promise: "ChangeUser changes the fields that c sets and no others, in one step",
		run:     changeRace,
	},
	{
		name:    "the last active administrator stays",
		promise: "ChangeUser and DeleteUser return ErrLastAdmin, without a change, if no active administrator would be left",
		alone:   true,
		run:     lastAdmin,
	},
	{
		name:    "administrators that end each other leave one",
		races:   true,
		promise: "of concurrent calls of ChangeUser and DeleteUser that end administrators one is refused rather than that none is left",
		alone:   true,
		run:     lastAdminRace,
	},
}

func changeFields(t *tester) {
	u, other := t.user(), t.user()
	t.must(t.st.SetPasswordHash(t.Context(), u.ID, "hash"))
	u, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	change := func(what string, c store.UserChange) {
		t.Helper()
		got, err := t.st.ChangeUser(t.Context(), u.ID, c)
		t.must(err)
		t.same(what, u, got)
		got, err = t.st.UserByName(t.Context(), u.Name)
		t.must(err)
		t.same(what+", read again", u, got)
	}
	change("nothing", store.UserChange{})
	old := u.Name
	for _, s := range oddTexts() {
		u.Name = old + s
		change("the name", store.UserChange{Name: &u.Name})
		u.Email = s + "@"
		change("the address", store.UserChange{Email: &u.Email})
		u.FirstName = s + "1"
		change("the first name", store.UserChange{FirstName: &u.FirstName})
		u.LastName = s + "2"
		change("the last name", store.UserChange{LastName: &u.LastName})
	}
	t.admin() // so that u is never the last one
	for range 2 {
		u.Admin = !u.Admin
		change("administrator", store.UserChange{Admin: &u.Admin})
		u.Auditor = !u.Auditor
		change("auditor", store.UserChange{Auditor: &u.Auditor})
	}
	hash, err := t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("the password", "hash", hash)
	got, err := t.st.UserByID(t.Context(), other.ID)
	t.must(err)
	t.same("another user", other, got)
}

func (t *tester) admin() store.User {
	t.Helper()
	u, err := t.st.InsertUser(t.Context(), store.User{Name: rand.Text(), Admin: true, Active: true})
	t.must(err)
	return u
}

func changeEpoch(t *tester) {
	u := t.user()
	change := func(c store.UserChange) store.User {
		t.Helper()
		got, err := t.st.ChangeUser(t.Context(), u.ID, c)
		t.must(err)
		return got
	}
	got := change(store.UserChange{Active: new(true), Email: new("a@example.com")})
	t.same("active as before", u.Epoch, got.Epoch)
	ended := change(store.UserChange{Active: new(false)})
	if ended.Epoch == u.Epoch || ended.Active {
		t.Errorf("deactivated: got epoch %d and active %t", ended.Epoch, ended.Active)
	}
	t.same("inactive as before", ended.Epoch, change(store.UserChange{Active: new(false)}).Epoch)
	t.same("active again", ended.Epoch, change(store.UserChange{Active: new(true)}).Epoch)
}

func changeTaken(t *tester) {
	u, other := t.user(), t.user()
	_, err := t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Name: &other.Name, Email: new("new@example.com"), Active: new(false)})
	t.refused("taken name", store.ErrExists, err)
	for _, w := range []store.User{u, other} {
		got, err := t.st.UserByName(t.Context(), w.Name)
		t.must(err)
		t.same("the user", w, got)
	}
}

func changeRace(t *tester) {
	t.rounds(func() {
		u := t.user()
		want := u
		want.Email, want.FirstName, want.LastName, want.Auditor = "e", "f", "l", true
		changes := []store.UserChange{{Email: new("e")}, {FirstName: new("f")}, {LastName: new("l")}, {Auditor: new(true)}}
		for _, err := range race(len(changes), func(i int) error {
			_, err := t.st.ChangeUser(t.Context(), u.ID, changes[i])
			return err
		}) {
			t.must(err)
		}
		got, err := t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		t.same("the user", want, got)
	})
}

func lastAdmin(t *tester) {
	t.user()
	u := t.admin()
	inactive, err := t.st.InsertUser(t.Context(), store.User{Name: rand.Text(), Admin: true})
	t.must(err)
	refused := func() {
		t.Helper()
		for _, c := range []store.UserChange{
			{Admin: new(false)}, {Active: new(false)}, {Admin: new(false), Active: new(true), Email: new("x")}, {Admin: new(true), Active: new(false)},
		} {
			_, err := t.st.ChangeUser(t.Context(), u.ID, c)
			t.refused("ChangeUser", store.ErrLastAdmin, err)
		}
		t.refused("DeleteUser", store.ErrLastAdmin, t.st.DeleteUser(t.Context(), u.ID, at(us)))
		got, err := t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		t.same("the last one", u, got)
	}
	refused()
	got, err := t.st.ChangeUser(t.Context(), u.ID, store.UserChange{Name: &u.Name, Admin: new(true), Active: new(true)})
	t.must(err)
	t.same("a change that ends nobody", u, got)
	t.must(t.st.DeleteUser(t.Context(), inactive.ID, at(us)))
	other := t.admin()
	_, err = t.st.ChangeUser(t.Context(), other.ID, store.UserChange{Admin: new(false)})
	t.must(err)
	refused()
	_, err = t.st.ChangeUser(t.Context(), other.ID, store.UserChange{Admin: new(true)})
	t.must(err)
	t.must(t.st.DeleteUser(t.Context(), u.ID, at(us)))
	u = other
	u.Admin = true
	refused()
}

func lastAdminRace(t *tester) {
	const n = 8
	left := t.admin()
	t.rounds(func() {
		admins := []store.User{left}
		for len(admins) < n {
			admins = append(admins, t.admin())
		}
		errs := race(n, func(i int) error {
			switch i % 3 {
			case 0:
				return t.st.DeleteUser(t.Context(), admins[i].ID, at(us))
			case 1:
				_, err := t.st.ChangeUser(t.Context(), admins[i].ID, store.UserChange{Admin: new(false)})
				return err
			}
			_, err := t.st.ChangeUser(t.Context(), admins[i].ID, store.UserChange{Active: new(false)})
			return err
		})
		kept := 0
		for i, err := range errs {
			if errors.Is(err, store.ErrLastAdmin) {
				left, err = admins[i], nil
				kept++
			}
			t.must(err)
		}
		if kept != 1 {
			t.Errorf("%d of %d administrators were kept, want 1", kept, n)
		}
		got, err := t.st.UserByID(t.Context(), left.ID)
		t.must(err)
		t.same("the one that was kept", left, got)
	})
}
