package storetest

import (
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/ostiary/auth/store"
)

var userChecks = []check{
	{
		name:    "every field is kept",
		promise: "InsertUser stores u without a password and returns it; records come back by value, text byte for byte, times in UTC to the microsecond",
		run:     userFields,
	},
	{
		name:    "assigned IDs are decimal and never reused",
		promise: "InsertUser assigns ID, a decimal number that is never reused, where that is empty",
		run:     userIDs,
	},
	{
		name:    "a taken ID or name is ErrExists",
		promise: "InsertUser returns ErrExists if the ID or the name is taken",
		run:     userTaken,
	},
	{
		name:    "names and IDs are compared byte for byte",
		promise: "text is compared byte for byte, without case folding, collation or normalization",
		run:     userText,
	},
	{
		name:    "an absent user is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run:     userAbsent,
	},
	{
		name:    "inactive users are found",
		promise: "UserByID and UserByName return the user, active or not",
		run:     userInactive,
	},
	{
		name:    "UpdateUser replaces everything but ID, Epoch and Created",
		promise: "UpdateUser replaces everything but ID, Epoch and Created",
		run:     userUpdate,
	},
	{
		name:    "UpdateUser to a taken name is ErrExists and changes nothing",
		promise: "UpdateUser returns ErrExists if the name is taken; a method changes all of it or nothing",
		run:     userUpdateTaken,
	},
	{
		name:    "SwapPasswordHash needs the stored hash",
		promise: "SwapPasswordHash returns ErrConflict, and changes nothing, if the stored hash is not prev",
		run:     userSwap,
		needs:   usersPart,
	},
	{
		name:    "passwords belong to one user",
		promise: "PasswordHash returns the stored password hash, \"\" where the user has no password",
		run:     userPasswords,
	},
	{
		name:    "of 64 inserts of one name one succeeds",
		races:   true,
		promise: "InsertUser returns ErrExists if the name is taken",
		run:     userInsertRace,
	},
	{
		name:    "of 64 renames to one name one succeeds",
		races:   true,
		promise: "UpdateUser returns ErrExists if the name is taken",
		run:     userRenameRace,
	},
	{
		name:    "of 64 swaps of one hash one succeeds",
		races:   true,
		promise: "SwapPasswordHash replaces the hash prev by next, in one step",
		run:     userSwapRace,
		needs:   usersPart,
	},
}

func userFields(t *tester) {
	prefix := rand.Text()
	times := oddTimes()
	for i, s := range oddTexts() {
		given := store.User{
			Name: prefix + s, Email: s, FirstName: s, LastName: s,
			Admin: i%2 == 0, Auditor: i%3 == 0, Active: i%5 != 0, Service: i%7 == 0,
			Epoch: int64(i), Created: times[i%len(times)],
		}
		stored, err := t.st.InsertUser(t.Context(), given)
		t.must(err)
		want := given
		want.ID, want.Created = stored.ID, kept(given.Created)
		t.same("InsertUser", want, stored)
		got, err := t.st.UserByID(t.Context(), stored.ID)
		t.must(err)
		t.same("UserByID", want, got)
		got, err = t.st.UserByName(t.Context(), given.Name)
		t.must(err)
		t.same("UserByName", want, got)
		hash, err := t.st.PasswordHash(t.Context(), stored.ID)
		t.must(err)
		t.same("PasswordHash of a new user", "", hash)
	}
}

func userIDs(t *tester) {
	seen := map[string]bool{}
	assigned := func() int64 {
		t.Helper()
		u := t.user()
		n, err := strconv.ParseInt(u.ID, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != u.ID || n <= 0 {
			t.Fatalf("got ID %q, want a decimal number", u.ID)
		}
		if seen[u.ID] {
			t.Fatalf("ID %s was assigned twice", u.ID)
		}
		seen[u.ID] = true
		return n
	}
	n := assigned()
	t.must(t.st.DeleteUser(t.Context(), strconv.FormatInt(n, 10), at(0)))
	n = assigned()

	// A number that a host chose is as used as one that was assigned.
	given := strconv.FormatInt(n+2, 10)
	for _, gone := range []bool{false, true} {
		u, err := t.st.InsertUser(t.Context(), store.User{ID: given, Name: rand.Text()})
		t.must(err)
		t.same("a given ID", given, u.ID)
		seen[given] = true
		if gone {
			break
		}
		for range 4 {
			assigned()
		}
		t.must(t.st.DeleteUser(t.Context(), given, at(0)))
	}
}

func userTaken(t *tester) {
	u := t.user()
	_, err := t.st.InsertUser(t.Context(), store.User{ID: u.ID, Name: rand.Text()})
	t.refused("taken ID", store.ErrExists, err)
	_, err = t.st.InsertUser(t.Context(), store.User{Name: u.Name})
	t.refused("taken name", store.ErrExists, err)
	id := rand.Text()
	_, err = t.st.InsertUser(t.Context(), store.User{ID: id, Name: u.Name})
	t.refused("taken name, free ID", store.ErrExists, err)
	_, err = t.st.UserByID(t.Context(), id)
	t.refused("the user that was refused", store.ErrNotFound, err)
	got, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	t.same("the user that was there", u, got)
}

func userText(t *tester) {
	prefix := rand.Text()
	var want []store.User
	for _, s := range oddTexts() {
		u, err := t.st.InsertUser(t.Context(), store.User{ID: prefix + s, Name: prefix + s, Email: s})
		if err != nil {
			t.Fatalf("InsertUser of name %q: %v", u.Name, err)
		}
		t.same("a given ID", prefix+s, u.ID)
		want = append(want, u)
	}
	for _, w := range want {
		got, err := t.st.UserByName(t.Context(), w.Name)
		t.must(err)
		t.same("UserByName", w, got)
		got, err = t.st.UserByID(t.Context(), w.ID)
		t.must(err)
		t.same("UserByID", w, got)
	}
	_, err := t.st.UserByName(t.Context(), strings.ToLower(prefix))
	t.refused("UserByName in lower case", store.ErrNotFound, err)
	_, err = t.st.UserByID(t.Context(), prefix+"  ")
	t.refused("UserByID with two trailing blanks", store.ErrNotFound, err)
}

func userAbsent(t *tester) {
	t.user() // somebody else
	for _, id := range []string{"", "0", "-1", "999999999", "nobody", "1 OR 1=1"} {
		_, err := t.st.UserByID(t.Context(), id)
		t.refused("UserByID", store.ErrNotFound, err)
		_, err = t.st.UserByName(t.Context(), id)
		t.refused("UserByName", store.ErrNotFound, err)
		_, err = t.st.PasswordHash(t.Context(), id)
		t.refused("PasswordHash", store.ErrNotFound, err)
		t.refused("SwapPasswordHash", store.ErrNotFound, t.st.SwapPasswordHash(t.Context(), id, "", "x"))
		t.refused("SetPasswordHash", store.ErrNotFound, t.st.SetPasswordHash(t.Context(), id, "x"))
		t.refused("UpdateUser", store.ErrNotFound, t.st.UpdateUser(t.Context(), store.User{ID: id, Name: rand.Text()}))
		t.refused("DeleteUser", store.ErrNotFound, t.st.DeleteUser(t.Context(), id, at(0)))
	}
}

func userInactive(t *tester) {
	u, err := t.st.InsertUser(t.Context(), store.User{Name: rand.Text()})
	t.must(err)
	got, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	t.same("UserByID", u, got)
	got, err = t.st.UserByName(t.Context(), u.Name)
	t.must(err)
	t.same("UserByName", u, got)
}

func userUpdate(t *tester) {
	u, other := t.user(), t.user()
	t.must(t.st.SetPasswordHash(t.Context(), u.ID, "hash"))
	u, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	old := u.Name
	for i, s := range oddTexts() {
		u.Name, u.Email, u.FirstName, u.LastName = old+s, s+"@", s+"1", s+"2"
		u.Admin, u.Auditor, u.Active = i%2 == 0, i%3 == 0, true
		given := u
		given.Epoch, given.Created = 77777, at(day) // not the caller's to say
		t.must(t.st.UpdateUser(t.Context(), given))
		got, err := t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		t.same("the user", u, got)
	}
	_, err = t.st.UserByName(t.Context(), old+"root")
	t.refused("the name it had", store.ErrNotFound, err)
	got, err := t.st.UserByName(t.Context(), u.Name)
	t.must(err)
	t.same("the name it has", u, got)
	hash, err := t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("the password", "hash", hash)
	got, err = t.st.UserByID(t.Context(), other.ID)
	t.must(err)
	t.same("another user", other, got)

	v, err := t.st.InsertUser(t.Context(), store.User{Name: old + "root", Active: true})
	if err != nil {
		t.Errorf("a name that was given up: %v", err)
	}
	t.must(t.st.UpdateUser(t.Context(), v))
}

func userUpdateTaken(t *tester) {
	u, other := t.user(), t.user()
	given := u
	given.Name, given.Email, given.Active = other.Name, "new@example.com", false
	t.refused("taken name", store.ErrExists, t.st.UpdateUser(t.Context(), given))
	for _, w := range []store.User{u, other} {
		got, err := t.st.UserByName(t.Context(), w.Name)
		t.must(err)
		t.same("the user", w, got)
	}
}

func userSwap(t *tester) {
	u := t.user()
	t.refused("no password, prev is x", store.ErrConflict, t.st.SwapPasswordHash(t.Context(), u.ID, "x", "y"))
	t.must(t.st.SetPasswordHash(t.Context(), u.ID, "Hash "))
	before, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	for _, prev := range []string{"", "hash ", "Hash", "Hash  ", "HASH ", "H\u00e4sh "} {
		t.refused("prev is "+strconv.Quote(prev), store.ErrConflict, t.st.SwapPasswordHash(t.Context(), u.ID, prev, "stolen"))
	}
	hash, err := t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("the hash after swaps that were refused", "Hash ", hash)
	t.must(t.st.SwapPasswordHash(t.Context(), u.ID, "Hash ", "better"))
	hash, err = t.st.PasswordHash(t.Context(), u.ID)
	t.must(err)
	t.same("the hash after a swap", "better", hash)
	t.must(t.st.SwapPasswordHash(t.Context(), u.ID, "better", "better"))
	after, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	t.same("the user, epoch included", before, after)
}

func userPasswords(t *tester) {
	u, other := t.user(), t.user()
	for _, s := range append(oddTexts(), strings.Repeat("$argon2id$", 40)) {
		t.must(t.st.SetPasswordHash(t.Context(), u.ID, s))
		hash, err := t.st.PasswordHash(t.Context(), u.ID)
		t.must(err)
		t.same("the password", s, hash)
	}
	hash, err := t.st.PasswordHash(t.Context(), other.ID)
	t.must(err)
	t.same("another user's password", "", hash)
}

func userInsertRace(t *tester) {
	t.rounds(func() {
		name := rand.Text()
		users := make([]store.User, contenders)
		winner := t.oneWinner("InsertUser", store.ErrExists, race(contenders, func(i int) (err error) {
			users[i], err = t.st.InsertUser(t.Context(), store.User{Name: name, Email: strconv.Itoa(i)})
			return err
		}))
		got, err := t.st.UserByName(t.Context(), name)
		t.must(err)
		t.same("the winner", users[winner], got)
	})
}

func userRenameRace(t *tester) {
	const n = 8 // users are dear to make
	t.rounds(func() {
		var users [n]store.User
		for i := range users {
			users[i] = t.user()
		}
		name := rand.Text()
		winner := t.oneWinner("UpdateUser", store.ErrExists, race(n, func(i int) error {
			u := users[i]
			u.Name = name
			return t.st.UpdateUser(t.Context(), u)
		}))
		got, err := t.st.UserByName(t.Context(), name)
		t.must(err)
		t.same("the winner", users[winner].ID, got.ID)
	})
}

func userSwapRace(t *tester) {
	u := t.user()
	prev := ""
	t.rounds(func() {
		next := rand.Text()
		winner := t.oneWinner("SwapPasswordHash", store.ErrConflict, race(contenders, func(i int) error {
			return t.st.SwapPasswordHash(t.Context(), u.ID, prev, next+strconv.Itoa(i))
		}))
		prev = next + strconv.Itoa(winner)
		hash, err := t.st.PasswordHash(t.Context(), u.ID)
		t.must(err)
		t.same("the winner's hash", prev, hash)
	})
}
