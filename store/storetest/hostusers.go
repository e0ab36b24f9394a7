package storetest

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/ostiary/auth/store"
)

// The checks of a host's table, whose names are letters and digits.
var hostUserChecks = []check{
	{
		name:    "letters are compared byte for byte",
		promise: "UserByID and UserByName compare text byte for byte, without case folding, collation or normalization",
		run:     hostUserText,
	},
	{
		name:    "active or not",
		promise: "UserByID and UserByName return the user, active or not",
		run:     hostUserActive,
	},
	{
		name:    "nobody is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound; PasswordHash is asked for the ID \"\" where nobody has a name",
		run:     hostUserAbsent,
	},
	{
		name:    "a hash comes back whole",
		promise: "PasswordHash returns the stored hash, and \"\" where the user has no password",
		run:     hostUserPassword,
	},
}

// hostUser stores a user with a name of both cases.
func (t *tester) hostUser(active bool) store.User {
	t.Helper()
	u, err := t.st.InsertUser(t.Context(), store.User{Name: "Aa" + rand.Text(), Active: active})
	t.must(err)
	if u.ID == "" || u.Active != active {
		t.Fatalf("got ID %q and Active %v, want an ID and %v", u.ID, u.Active, active)
	}
	return u
}

func hostUserText(t *tester) {
	u := t.hostUser(true)
	got, err := t.st.UserByName(t.Context(), u.Name)
	t.must(err)
	t.same("UserByName", u, got)
	got, err = t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	t.same("UserByID", u, got)
	others := []string{
		strings.ToLower(u.Name), strings.ToUpper(u.Name), "a" + u.Name[1:], u.Name + " ", " " + u.Name, u.Name + "  ",
		u.Name[:len(u.Name)-1], u.Name[:1] + "%", strings.Replace(u.Name, "a", "\u00e1", 1), u.Name + "\u200b",
		u.Name + "\t", u.Name + "\r\n", "A\u00ad" + u.Name[1:], "\uff21" + u.Name[1:], // what normalization removes or replaces
		"A." + u.Name[1:], u.Name + "+x", u.Name + "@", u.Name + "@x.example", `x\` + u.Name, // addresses and domains
	}
	if u.Email != "" && u.Email != u.Name {
		others = append(others, u.Email) // anybody may have this address as a name
	}
	for _, name := range others {
		_, err := t.st.UserByName(t.Context(), name)
		t.refused(fmt.Sprintf("UserByName(%q) where the name is %q", name, u.Name), store.ErrNotFound, err)
	}
	for _, id := range []string{u.ID + " ", " " + u.ID, "0" + u.ID, u.ID + ".0", "+" + u.ID, u.ID + "\u200b"} {
		_, err := t.st.UserByID(t.Context(), id)
		t.refused(fmt.Sprintf("UserByID(%q) where the ID is %q", id, u.ID), store.ErrNotFound, err)
	}
}

func hostUserActive(t *tester) {
	for _, active := range []bool{true, false} {
		u := t.hostUser(active)
		got, err := t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		t.same("UserByID", u, got)
		got, err = t.st.UserByName(t.Context(), u.Name)
		t.must(err)
		t.same("UserByName", u, got)
	}
}

func hostUserAbsent(t *tester) {
	t.hostUser(true) // somebody else
	for _, id := range []string{"", "0", "-1", "999999999", "nobody", "1 OR 1=1", "%"} {
		_, err := t.st.UserByID(t.Context(), id)
		t.refused("UserByID", store.ErrNotFound, err)
		_, err = t.st.UserByName(t.Context(), id)
		t.refused("UserByName", store.ErrNotFound, err)
		_, err = t.st.PasswordHash(t.Context(), id)
		t.refused("PasswordHash", store.ErrNotFound, err)
		t.refused("SwapPasswordHash", store.ErrNotFound, t.st.SwapPasswordHash(t.Context(), id, "", "x"))
		t.refused("SetPasswordHash", store.ErrNotFound, t.st.SetPasswordHash(t.Context(), id, "x"))
	}
}

func hostUserPassword(t *tester) {
	u, other := t.hostUser(true), t.hostUser(true)
	long := "$argon2id$v=19$" + strings.Repeat("Aa0+/", 40)
	t.must(t.st.SetPasswordHash(t.Context(), u.ID, long))
	hash, err := t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("a long hash", long, hash) // a short column may have cut it
	long += "="
	t.must(t.st.SwapPasswordHash(t.Context(), u.ID, hash, long))
	hash, err = t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("a long hash that was swapped", long, hash)
	hash, err = t.st.PasswordHash(t.Context(), other.ID)
	t.must(err)
	t.same("the password of a new user", "", hash)
	t.oldEpoch("another user's password", other)
}
