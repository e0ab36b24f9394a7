package storetest

import "github.com/ostiary/auth/store"

var epochChecks = []check{
	{
		name:    "a new password changes the epoch",
		promise: "SetPasswordHash stores the hash of a new password, \"\" for none, and changes the user's Epoch in the same step",
		run:     epochPassword,
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
