package storetest

import (
	"fmt"

	"github.com/ostiary/auth/store"
)

var epochChecks = []check{
	{
		name:    "a new password changes the epoch",
		promise: "SetPasswordHash stores the hash of a new password, \"\" for none, and changes the user's Epoch in the same step",
		run:     epochPassword,
		needs:   usersPart,
	},
	{
		name:    "a password in place of that of an epoch",
		promise: "ReplacePassword is SetPasswordHash for a user with that Epoch, returns the user with the new one, and returns ErrConflict without a change for another Epoch",
		run:     epochReplaced,
	},
	{
		name:    "of 64 passwords in place of one, one succeeds",
		races:   true,
		promise: "of any number of concurrent calls of ReplacePassword with one epoch exactly one succeeds",
		run:     epochRace,
	},
	{
		name:    "deactivation changes the epoch, nothing else does",
		promise: "UpdateUser changes the Epoch in the same step if u was active and no longer is",
		run:     epochDeactivation,
	},
}

// newEpoch fails if the user has an epoch that was seen before.
func (t *tester) newEpoch(id string, seen map[int64]bool) {
	t.Helper()
	u, err := t.st.UserByID(t.Context(), id)
	t.must(err)
	if seen[u.Epoch] {
		t.Fatalf("the epoch %d was used before", u.Epoch)
	}
	seen[u.Epoch] = true
}

// oldEpoch reports an epoch that changed.
func (t *tester) oldEpoch(what string, before store.User) {
	t.Helper()
	u, err := t.st.UserByID(t.Context(), before.ID)
	t.must(err)
	if u.Epoch != before.Epoch {
		t.Errorf("%s changed the epoch from %d to %d", what, before.Epoch, u.Epoch)
	}
}

func epochPassword(t *tester) {
	u, other := t.user(), t.user()
	seen := map[int64]bool{u.Epoch: true}
	for _, hash := range []string{"a", "a", "", "", "b"} {
		t.must(t.st.SetPasswordHash(t.Context(), u.ID, hash))
		got, err := t.st.PasswordHash(t.Context(), u.ID)
		t.must(err)
		t.same("the hash", hash, got)
		t.newEpoch(u.ID, seen)
	}
	t.oldEpoch("another user's password", other)
}

func epochReplaced(t *tester) {
	u, other := t.user(), t.user()
	seen := map[int64]bool{u.Epoch: true}
	for _, hash := range []string{"a", "a", "", "b"} {
		after, err := t.st.ReplacePassword(t.Context(), u.ID, u.Epoch, hash)
		t.must(err)
		t.newEpoch(u.ID, seen)
		stored, err := t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		t.same("the user", stored, after)
		for old := range seen {
			if old == after.Epoch {
				continue
			}
			_, err := t.st.ReplacePassword(t.Context(), u.ID, old, "of an old epoch")
			t.refused("ReplacePassword", store.ErrConflict, err)
		}
		_, err = t.st.ReplacePassword(t.Context(), u.ID, after.Epoch+1, "of a later epoch")
		t.refused("ReplacePassword", store.ErrConflict, err)
		t.oldEpoch("a refused password", after)
		got, err := t.st.PasswordHash(t.Context(), u.ID)
		t.must(err)
		t.same("the hash", hash, got)
		u = after
	}
	_, err := t.st.ReplacePassword(t.Context(), u.ID+"x", u.Epoch, "x")
	t.refused("an absent user", store.ErrNotFound, err)
	t.oldEpoch("another user's password", other)
}

func epochRace(t *tester) {
	u := t.user()
	t.rounds(func() {
		winner := ""
		for i, err := range race(contenders, func(i int) error {
			after, err := t.st.ReplacePassword(t.Context(), u.ID, u.Epoch, fmt.Sprint(i))
			if err == nil && after.Epoch == u.Epoch {
				t.Errorf("the epoch stays %d", u.Epoch)
			}
			return err
		}) {
			switch {
			case err == nil && winner == "":
				winner = fmt.Sprint(i)
			case err == nil:
				t.Errorf("%s and %d both replaced one password", winner, i)
			default:
				t.refused("who is late", store.ErrConflict, err)
			}
		}
		got, err := t.st.PasswordHash(t.Context(), u.ID)
		t.must(err)
		t.same("the hash", winner, got)
		u, err = t.st.UserByID(t.Context(), u.ID)
		t.must(err)
	})
}

func epochDeactivation(t *tester) {
	u, other := t.user(), t.user()
	seen := map[int64]bool{u.Epoch: true}
	for range 3 {
		u, err := t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		u.Email = "still@active.example"
		t.must(t.st.UpdateUser(t.Context(), u))
		t.oldEpoch("an update of an active user", u)

		u.Active = false
		t.must(t.st.UpdateUser(t.Context(), u))
		t.newEpoch(u.ID, seen)

		u, err = t.st.UserByID(t.Context(), u.ID)
		t.must(err)
		if u.Active {
			t.Fatal("the user is still active")
		}
		t.must(t.st.UpdateUser(t.Context(), u))
		t.oldEpoch("an update of an inactive user", u)
		u.Active = true
		t.must(t.st.UpdateUser(t.Context(), u))
		t.oldEpoch("activation", u)
	}
	t.oldEpoch("another user's deactivation", other)
}
