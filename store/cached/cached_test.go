package cached_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/cached"
)

// A token that was found is not looked up again before MaxAge.
func TestFoundOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.open(cached.Options{})
		want := w.access(w.db.Store, w.token.Digest)
		use := func() {
			if diff := cmp.Diff(want, w.access(st, w.token.Digest), cmp.Comparer(netipEqual)); diff != "" {
				t.Errorf("(-database +cache)\n%s", diff)
			}
		}
		if n := w.db.asked(func() {
			for range 100 {
				use()
			}
			time.Sleep(2*time.Second - 1)
			use()
		}); n != 1 {
			t.Errorf("%d queries within MaxAge", n)
		}
		time.Sleep(time.Nanosecond)
		if n := w.db.asked(use); n != 1 {
			t.Errorf("%d queries after MaxAge", n)
		}
	})
}

// What is not live is asked for each time: it takes no memory and hides nothing.
func TestOnlyLiveTokensAreKept(t *testing.T) {
	w := newWorld(t)
	st := w.open(cached.Options{})
	twice := func(d store.Digest) int64 {
		return w.db.asked(func() {
			for range 2 {
				_, _ = st.AccessByDigest(t.Context(), d)
			}
		})
	}
	if n := twice(digest("unknown")); n != 2 {
		t.Errorf("unknown: %d queries", n)
	}
	if _, err := w.db.RevokeTokens(t.Context(), store.Selection{TokenID: w.minted.ID}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := twice(w.minted.Digest); n != 2 {
		t.Errorf("revoked: %d queries", n)
	}
	inactive := false
	if _, err := w.db.ChangeUser(t.Context(), w.user.ID, store.UserChange{Active: &inactive}); err != nil {
		t.Fatal(err)
	}
	if n := twice(w.token.Digest); n != 2 {
		t.Errorf("of a disabled user: %d queries", n)
	}
}

// A change through the store is seen by the next call, whatever was cached.
func TestChangesAreSeenAtOnce(t *testing.T) {
	no, name := false, "erika2"
	for method, change := range map[string]func(w *world, st *cached.Store) error{
		"UpdateToken": func(w *world, st *cached.Store) error {
			tok := w.token
			tok.Scopes = "write"
			return st.UpdateToken(w.Context(), tok, store.KeepMinted)
		},
		"UpdateToken, what it minted": func(w *world, st *cached.Store) error {
			tok := w.token
			tok.Modified = time.Now()
			return st.UpdateToken(w.Context(), tok, store.EndMinted)
		},
		"RevokeTokens, one": func(w *world, st *cached.Store) error {
			_, err := st.RevokeTokens(w.Context(), store.Selection{TokenID: w.token.ID}, time.Now())
			return err
		},
		"RevokeTokens, of a user": func(w *world, st *cached.Store) error {
			_, err := st.RevokeTokens(w.Context(), store.Selection{UserID: w.user.ID}, time.Now())
			return err
		},
		"Touch": func(w *world, st *cached.Store) error {
			return st.Touch(w.Context(), []store.Sighting{{TokenID: w.token.ID, At: time.Now()}})
		},
		"Rotate": func(w *world, st *cached.Store) error {
			_, err := st.Rotate(w.Context(), store.Rotation{Refresh: w.token.Refresh.Digest, ApplicationID: w.app.ID,
				Revision: w.token.Revision, At: time.Now(), Token: w.record("second")})
			return err
		},
		"Rotate, twice": func(w *world, st *cached.Store) error {
			r := store.Rotation{Refresh: w.token.Refresh.Digest, ApplicationID: w.app.ID,
				Revision: w.token.Revision, At: time.Now(), Token: w.record("second")}
			if _, err := w.db.Rotate(w.Context(), r); err != nil {
				return err
			}
			w.access(st, w.minted.Digest)
			if _, err := st.Rotate(w.Context(), r); !errors.Is(err, store.ErrUsed) {
				return fmt.Errorf("used twice: %v", err)
			}
			return nil
		},
		"Redeem, twice": func(w *world, st *cached.Store) error {
			code := store.Code{Digest: digest("code"), ApplicationID: w.app.ID, UserID: w.user.ID, Created: time.Now(), Expires: time.Now().Add(time.Hour)}
			if err := st.InsertCode(w.Context(), code, 10); err != nil {
				return err
			}
			r := store.Redemption{Code: code.Digest, ApplicationID: w.app.ID, At: time.Now(), Token: w.record("redeemed")}
			if _, err := st.Redeem(w.Context(), r); err != nil {
				return err
			}
			w.token.Digest = digest("redeemed")
			w.access(st, w.token.Digest)
			if _, err := st.Redeem(w.Context(), r); !errors.Is(err, store.ErrUsed) {
				return fmt.Errorf("used twice: %v", err)
			}
			return nil
		},
		"RedeemDevice, twice": func(w *world, st *cached.Store) error {
			d := store.Device{Digest: digest("device"), UserCode: digest("user code"), ApplicationID: w.app.ID, Created: time.Now(), Expires: time.Now().Add(time.Hour)}
			if err := errors.Join(st.InsertDevice(w.Context(), d),
				st.DecideDevice(w.Context(), d.UserCode, store.Approved, w.user.ID, w.user.Epoch, time.Now())); err != nil {
				return err
			}
			r := store.Redemption{Code: d.Digest, ApplicationID: w.app.ID, At: time.Now(), Token: w.record("redeemed")}
			if _, err := st.RedeemDevice(w.Context(), r); err != nil {
				return err
			}
			w.token.Digest = digest("redeemed")
			w.access(st, w.token.Digest)
			if _, err := st.RedeemDevice(w.Context(), r); !errors.Is(err, store.ErrUsed) {
				return fmt.Errorf("used twice: %v", err)
			}
			return nil
		},
		"WithdrawConsent": func(w *world, st *cached.Store) error {
			return st.WithdrawConsent(w.Context(), w.user.ID, w.app.ID, time.Now())
		},
		"UpdateApplication": func(w *world, st *cached.Store) error {
			app := w.app
			app.Disabled, app.Modified = true, time.Now()
			return st.UpdateApplication(w.Context(), app)
		},
		"DeleteApplication": func(w *world, st *cached.Store) error {
			return st.DeleteApplication(w.Context(), w.app.ID, time.Now())
		},
		"SetPasswordHash": func(w *world, st *cached.Store) error { return st.SetPasswordHash(w.Context(), w.user.ID, "hash") },
		"ReplacePassword": func(w *world, st *cached.Store) error {
			_, err := st.ReplacePassword(w.Context(), w.user.ID, w.user.Epoch, "hash")
			return err
		},
		"UpdateUser": func(w *world, st *cached.Store) error {
			u := w.user
			u.Active = false
			return st.UpdateUser(w.Context(), u)
		},
		"ChangeUser": func(w *world, st *cached.Store) error {
			_, err := st.ChangeUser(w.Context(), w.user.ID, store.UserChange{Active: &no})
			return err
		},
		"DeleteUser": func(w *world, st *cached.Store) error { return st.DeleteUser(w.Context(), w.user.ID, time.Now()) },
		"ForgetUser": func(w *world, st *cached.Store) error {
			_, err := w.db.ChangeUser(w.Context(), w.user.ID, store.UserChange{Name: &name})
			st.ForgetUser(w.Context(), w.user.ID)
			return err
		},
		"Forget": func(w *world, st *cached.Store) error {
			_, err := w.db.RevokeTokens(w.Context(), store.Selection{All: true}, time.Now())
			st.Forget(w.Context())
			return err
		},
	} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			st := w.open(cached.Options{MaxAge: time.Minute})
			w.access(st, w.token.Digest)
			w.access(st, w.minted.Digest)
			if err := change(w, st); err != nil {
				t.Fatal(err)
			}
			changed := false
			for _, d := range []store.Digest{w.token.Digest, w.minted.Digest} {
				want := w.access(w.db.Store, d)
				changed = changed || !want.Revoked.IsZero() || !want.LastUsed.IsZero() || want.Scopes != "read" || want.User != w.user
				if diff := cmp.Diff(want, w.access(st, d), cmp.Comparer(netipEqual)); diff != "" {
					t.Errorf("(-database +cache)\n%s", diff)
				}
			}
			if !changed {
				t.Error("nothing has changed")
			}
		})
	}
}

// Callers that ask for one token at the same time make one query.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.open(cached.Options{})
		w.db.answers = func() { time.Sleep(time.Second) }
		n := w.db.asked(func() {
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() { w.access(st, w.token.Digest) })
			}
			all.Wait()
		})
		if n != 1 {
			t.Errorf("%d queries", n)
		}
	})
}

// A query that began before a change tells nothing to a caller that comes after it, and
// is not kept.
func TestQueryOlderThanAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.open(cached.Options{})
		slow := true
		w.db.answers = func() {
			if slow {
				slow = false
				time.Sleep(time.Second)
			}
		}
		var first sync.WaitGroup
		first.Go(func() { w.access(st, w.token.Digest) })
		synctest.Wait()
		if _, err := st.RevokeTokens(t.Context(), store.Selection{TokenID: w.token.ID}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if w.access(st, w.token.Digest).Revoked.IsZero() {
			t.Error("a caller after the revocation got the answer of before")
		}
		first.Wait()
		if w.access(st, w.token.Digest).Revoked.IsZero() {
			t.Error("the answer of before is kept")
		}
	})
}

// A deletion may take many steps, of which the first disables the user. That takes effect
// before the method returns: after MaxAge at most, and at once for a token that is not
// kept.
func TestLongDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const maxAge = 2 * time.Second
		st := w.open(cached.Options{MaxAge: maxAge})
		if !w.access(st, w.token.Digest).User.Active {
			t.Fatal("the user is not active")
		}
		w.db.deletes = func() { time.Sleep(time.Hour) }
		var deletion sync.WaitGroup
		deletion.Go(func() {
			if err := st.DeleteUser(t.Context(), w.user.ID, time.Now()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if w.access(st, w.minted.Digest).User.Active {
			t.Error("a token that was not kept: the user is active after the first step")
		}
		time.Sleep(maxAge - time.Nanosecond)
		w.access(st, w.token.Digest) // which keeps nothing any longer
		time.Sleep(time.Nanosecond)
		if w.access(st, w.token.Digest).User.Active {
			t.Error("the user is active MaxAge after the first step")
		}
		deletion.Wait()
		if w.access(st, w.token.Digest).Revoked.IsZero() {
			t.Error("the token goes on after the deletion")
		}
	})
}

// A caller that joins a query which takes longer than MaxAge gets no answer that is older
// than that: another process may have revoked the token meanwhile.
func TestQuerySlowerThanMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.open(cached.Options{})
		var queries atomic.Int64
		w.db.answers = func() {
			if queries.Add(1) == 1 {
				time.Sleep(2 * time.Second)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { w.access(st, w.token.Digest) })
		synctest.Wait()
		if _, err := w.db.RevokeTokens(t.Context(), store.Selection{TokenID: w.token.ID}, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Second - 1)
		all.Go(func() {
			if w.access(st, w.token.Digest).Revoked.IsZero() {
				t.Error("a token passes that was revoked longer ago than MaxAge")
			}
		})
		all.Wait()
	})
}

// A caller that gave up, or whose query failed, fails nobody else.
func TestOnlyGoodAnswersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.open(cached.Options{})
		w.db.answers = func() { time.Sleep(time.Second) }
		late := digest("late")
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := st.AccessByDigest(t.Context(), late); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("before it is there: %v", err)
			}
		})
		synctest.Wait()
		w.issue("late", 0)
		all.Go(func() { w.access(st, late) }) // joins the call that will find nothing
		all.Wait()
	})
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	for name, opts := range map[string]cached.Options{
		"MaxAge, negative":     {MaxAge: -1},
		"MaxAge, too short":    {MaxAge: time.Millisecond - 1},
		"MaxAge, too long":     {MaxAge: time.Minute + 1},
		"MaxEntries, negative": {MaxEntries: -1},
		"MaxEntries, too many": {MaxEntries: 1<<22 + 1},
		"Bus, nil":             {Bus: (*network)(nil)},
	} {
		if _, err := cached.New(w.db, &opts); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := cached.New(nil, nil); err == nil {
		t.Error("no store is accepted")
	}
}
