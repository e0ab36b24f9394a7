package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

func newAccounts(s *system) *auth.Accounts {
	return auth.Must(auth.NewAccounts(s.db, s.passwords, nil))
}

func statusOf(err error) int {
	var e *auth.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// What anybody may do to users, by every kind of caller.
func TestWhoManagesUsers(t *testing.T) {
	s := newSystem(t, nil)
	a := newAccounts(s)
	root := s.admin
	for _, tt := range []struct {
		name                           string
		by                             auth.Principal
		create, changeOther, changeOwn int // statuses, 0 for success
	}{
		{"superuser", auth.Principal{ID: root.ID, Admin: true}, 0, 0, 0},
		{"auditor", auth.Principal{ID: s.bob.ID, Auditor: true}, 403, 403, 0},
		{"user", auth.Principal{ID: s.bob.ID}, 403, 403, 0},
		{"superuser's token of an application", auth.Principal{ID: root.ID, Admin: true, TokenID: 1, ApplicationID: 1}, 403, 403, 403},
		{"token minted through an application", auth.Principal{ID: root.ID, Admin: true, TokenID: 1, ViaApplicationID: 1}, 403, 403, 403},
		{"application alone", auth.Principal{ApplicationID: 1}, 403, 403, 404},
		{"nobody", auth.Principal{}, 403, 403, 404},
	} {
		by := tt.by
		u, err := a.Create(t.Context(), &by, store.User{Name: "new" + strings.ReplaceAll(tt.name, " ", ""), Active: true}, goodPassword)
		if statusOf(err) != tt.create || (err == nil) != (tt.create == 0) {
			t.Errorf("%s creates: %v", tt.name, err)
		}
		c := auth.AccountChange{UserChange: store.UserChange{Email: new("x@example.com")}}
		if _, err := a.Change(t.Context(), &by, s.alice.ID, c); statusOf(err) != tt.changeOther {
			t.Errorf("%s changes another: %v", tt.name, err)
		}
		if _, err := a.Change(t.Context(), &by, by.ID, c); statusOf(err) != tt.changeOwn {
			t.Errorf("%s changes itself: %v", tt.name, err)
		}
		if err := a.Delete(t.Context(), &by, s.alice.ID); tt.create != 0 && statusOf(err) != 403 {
			t.Errorf("%s deletes: %v", tt.name, err)
		} else if tt.create == 0 {
			s.alice = u
		}
		if by.ID != "" && statusOf(a.Delete(t.Context(), &by, by.ID)) != 403 {
			t.Errorf("%s deletes itself", tt.name)
		}
	}
}

// noPassword is a store that fails where a password is set.
type noPassword struct{ store.Accounts }

func (noPassword) SetPasswordHash(context.Context, string, string) error {
	return errors.New("the disk is full")
}

// A user without a password would keep the name from the next try.
func TestCreateFailsAsAWhole(t *testing.T) {
	s := newSystem(t, nil)
	root := s.admin
	a := auth.Must(auth.NewAccounts(noPassword{s.db}, s.passwords, nil))
	by := &auth.Principal{ID: root.ID, Admin: true}
	if _, err := a.Create(t.Context(), by, store.User{Name: "erika", Active: true}, goodPassword); err == nil || statusOf(err) != 0 {
		t.Fatalf("error %v", err)
	}
	if _, err := newAccounts(s).Create(t.Context(), by, store.User{Name: "erika", Active: true}, goodPassword); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

// halfDeleting is a store that fails after the first step of a deletion.
type halfDeleting struct{ store.Accounts }

func (h halfDeleting) DeleteUser(ctx context.Context, id string, _ time.Time) error {
	_, err := h.ChangeUser(ctx, id, store.UserChange{Active: new(false)})
	return errors.Join(err, context.Canceled)
}

// A superuser who has disabled somebody leaves a trace, though it was by half a deletion.
func TestHalfADeletionIsRecorded(t *testing.T) {
	s := newSystem(t, nil)
	a := auth.Must(auth.NewAccounts(halfDeleting{s.db}, s.passwords, &auth.AccountsOptions{Logger: slog.New(slog.NewJSONHandler(s.log, nil))}))
	for _, want := range []int{1, 0} { // the second time the user is disabled already
		list := s.events(func() {
			if err := a.Delete(t.Context(), by(s.admin), s.alice.ID); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
		})
		if len(list) != want {
			t.Fatalf("%d events, want %d: %v", len(list), want, list)
		}
		if want == 0 {
			continue
		}
		e := list[0]
		if was, _ := e[audit.KeyBefore].(map[string]any); e["msg"] != audit.UserChanged || e[audit.KeyUserID] != s.alice.ID || e[audit.KeyActorID] != s.admin.ID || e[audit.KeyActive] != false || was[audit.KeyActive] != true {
			t.Errorf("event %v", e)
		}
	}
}

// A deletion leaves a trace.
func TestDeletionIsRecorded(t *testing.T) {
	s := newSystem(t, nil)
	a := loggedAccounts(s)
	list := s.events(func() {
		if err := a.Delete(t.Context(), by(s.admin), s.alice.ID); err != nil {
			t.Fatal(err)
		}
	})
	if len(list) != 1 || list[0]["msg"] != audit.UserDeleted || list[0][audit.KeyUserID] != s.alice.ID || list[0][audit.KeyActorID] != s.admin.ID {
		t.Errorf("events %v", list)
	}
}

// wholeDeleting deletes and then loses the answer.
type wholeDeleting struct{ store.Accounts }

func (w wholeDeleting) DeleteUser(ctx context.Context, id string, at time.Time) error {
	return errors.Join(w.Accounts.DeleteUser(ctx, id, at), context.Canceled)
}

// A deletion whose answer was lost leaves a trace, for another call finds nobody.
func TestDeletionWithoutAnAnswerIsRecorded(t *testing.T) {
	s := newSystem(t, nil)
	a := auth.Must(auth.NewAccounts(wholeDeleting{s.db}, s.passwords, &auth.AccountsOptions{Logger: slog.New(slog.NewJSONHandler(s.log, nil))}))
	list := s.events(func() {
		if err := a.Delete(t.Context(), by(s.admin), s.alice.ID); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	})
	if len(list) != 1 || list[0]["msg"] != audit.UserDeleted || list[0][audit.KeyUserID] != s.alice.ID {
		t.Errorf("events %v", list)
	}
}

// The first superuser is the last one, too, and may not stay without a password.
func TestFirstSuperuserFailsAsAWhole(t *testing.T) {
	s := newSystem(t, nil)
	db := memory.New()
	root := &auth.Principal{ID: "setup", Admin: true}
	first := store.User{Name: "root", Admin: true, Active: true}
	if _, err := auth.Must(auth.NewAccounts(noPassword{db}, s.passwords, nil)).Create(t.Context(), root, first, goodPassword); err == nil {
		t.Fatal("a user was created without a password")
	}
	u, err := auth.Must(auth.NewAccounts(db, s.passwords, nil)).Create(t.Context(), root, first, goodPassword)
	if err != nil {
		t.Fatalf("the next try: %v", err)
	}
	kept, err := db.UserByID(t.Context(), u.ID)
	if diff := cmp.Diff(kept, u); diff != "" || err != nil || !u.Active || !u.Admin {
		t.Errorf("Create returns another user than there is (-stored +returned):\n%s%v", diff, err)
	}
}

func TestAccountChangeOfPassword(t *testing.T) {
	s := newSystem(t, nil)
	a := newAccounts(s)
	c := auth.AccountChange{Password: new("another good password")}
	for name, tt := range map[string]struct {
		proved  time.Time
		current string
		status  int
	}{
		"unknown":        {time.Time{}, "", 400},
		"long ago":       {time.Now().Add(-time.Hour), "", 400},
		"wrong":          {time.Now().Add(-time.Hour), "wrong", 400},
		"wrong at once":  {time.Now(), "wrong", 400},
		"short of fresh": {time.Now().Add(-10 * time.Minute), "", 400},
		"to come":        {time.Now().Add(time.Hour), "", 400},
	} {
		c.CurrentPassword = tt.current
		if _, err := a.Change(t.Context(), &auth.Principal{ID: s.alice.ID, Proved: tt.proved}, s.alice.ID, c); statusOf(err) != tt.status {
			t.Errorf("%s: %v", name, err)
		}
	}
	before, err := s.db.UserByID(t.Context(), s.alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.CurrentPassword = goodPassword
	after, err := a.Change(t.Context(), &auth.Principal{ID: s.alice.ID}, s.alice.ID, c)
	if err != nil || after.Epoch == before.Epoch {
		t.Errorf("with the password: %v, epoch %d", err, after.Epoch)
	}
	now, err := s.db.UserByID(t.Context(), s.alice.ID)
	if diff := cmp.Diff(now, after); diff != "" || err != nil {
		t.Errorf("%v (-stored +returned):\n%s", err, diff)
	}
}

// meanwhile is a user table in which something happens before or behind a new
// password.
type meanwhile struct {
	store.Accounts
	before, behind func()
}

func (m *meanwhile) ReplacePassword(ctx context.Context, id string, epoch int64, hash string) (store.User, error) {
	m.before()
	defer m.behind()
	return m.Accounts.ReplacePassword(ctx, id, epoch, hash)
}

// interruptedHasher is a hasher during whose work something happens.
type interruptedHasher struct{ work func() }

func (h interruptedHasher) Hash(password string) (string, error) {
	h.work()
	return "slow$" + password, nil
}

func (h interruptedHasher) Verify(hash, password string) (ok, outdated bool, err error) {
	return hash == "slow$"+password, false, nil
}

// A thief of a login sets the password while an administrator sets another one, which
// ends the login. The thief gets no user to log in with, and no older login wins.
func TestPasswordsAtTheSameTime(t *testing.T) {
	const id, thief, admin = "7", "the password of a thief", "slow$of the administrator"
	for _, name := range []string{"during the hash", "before the password", "behind the password"} {
		t.Run(name, func(t *testing.T) {
			mem := memory.New()
			u, err := mem.InsertUser(t.Context(), store.User{ID: id, Name: "victim", Active: true})
			if err != nil {
				t.Fatal(err)
			}
			reset := func() {
				if err := mem.SetPasswordHash(t.Context(), id, admin); err != nil {
					t.Error(err)
				}
			}
			nothing := func() {}
			users, hasher := &meanwhile{mem, nothing, nothing}, interruptedHasher{nothing}
			switch name {
			case "during the hash":
				hasher.work = reset
			case "before the password":
				users.before = reset
			case "behind the password":
				users.behind = reset
			}
			passwords := auth.Must(auth.NewPasswords(users, mem, &auth.PasswordsOptions{Hasher: hasher}))
			a := auth.Must(auth.NewAccounts(users, passwords, nil))
			by := &auth.Principal{ID: id, Epoch: u.Epoch, HasEpoch: true, Proved: time.Now()}
			got, err := a.Change(t.Context(), by, id, auth.AccountChange{Password: new(thief)})
			if status := statusOf(err); name != "behind the password" && status != 401 && status != 409 {
				t.Errorf("got %+v, %v", got, err)
			}
			if now, err := mem.UserByID(t.Context(), id); got.Epoch == now.Epoch || err != nil {
				t.Errorf("the thief got the epoch of the administrator's password: %+v, %v", got, err)
			}
			if hash, err := mem.PasswordHash(t.Context(), id); hash != admin || err != nil {
				t.Errorf("the password is %q, %v", hash, err)
			}
		})
	}
}

// A superuser is demoted, or logged out, during the hash of a password.
func TestManagerEndsDuringTheHash(t *testing.T) {
	ends := map[string]struct {
		end    func(*memory.Store, string) error
		status int
	}{
		"demoted": {func(m *memory.Store, id string) error {
			_, err := m.ChangeUser(context.Background(), id, store.UserChange{Admin: new(false)})
			return err
		}, 403},
		"disabled": {func(m *memory.Store, id string) error {
			_, err := m.ChangeUser(context.Background(), id, store.UserChange{Active: new(false)})
			return err
		}, 401},
		"deleted":          {func(m *memory.Store, id string) error { return m.DeleteUser(context.Background(), id, time.Now()) }, 401},
		"another password": {func(m *memory.Store, id string) error { return m.SetPasswordHash(context.Background(), id, "x") }, 401},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			mem := memory.New()
			var users []store.User
			for _, u := range []store.User{{Name: "root", Admin: true, Active: true}, {Name: "manager", Admin: true, Active: true}, {Name: "victim", Active: true}} {
				u, err := mem.InsertUser(t.Context(), u)
				if err != nil {
					t.Fatal(err)
				}
				users = append(users, u)
			}
			manager, victim := users[1], users[2]
			hasher := interruptedHasher{func() {
				if err := tt.end(mem, manager.ID); err != nil {
					t.Error(err)
				}
			}}
			a := auth.Must(auth.NewAccounts(mem, auth.Must(auth.NewPasswords(mem, mem, &auth.PasswordsOptions{Hasher: hasher})), nil))
			by := &auth.Principal{ID: manager.ID, Admin: true, Epoch: manager.Epoch, HasEpoch: true, Proved: time.Now()}
			if _, err := a.Create(t.Context(), by, store.User{Name: "evil", Admin: true, Active: true}, goodPassword); statusOf(err) != tt.status {
				t.Errorf("create: %v", err)
			}
			if _, err := mem.UserByName(t.Context(), "evil"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the user is there: %v", err)
			}
			hasher.work = func() {}
			a = auth.Must(auth.NewAccounts(mem, auth.Must(auth.NewPasswords(mem, mem, &auth.PasswordsOptions{Hasher: hasher})), nil))
			if _, err := a.Change(t.Context(), by, victim.ID, auth.AccountChange{Password: new(goodPassword)}); statusOf(err) != tt.status {
				t.Errorf("change: %v", err)
			}
			if hash, err := mem.PasswordHash(t.Context(), victim.ID); hash != "" || err != nil {
				t.Errorf("the password is set: %q, %v", hash, err)
			}
		})
	}
}

// comparedMeanwhile is a hasher during whose comparison something happens.
type comparedMeanwhile struct {
	interruptedHasher
	compare func()
}

func (h comparedMeanwhile) Verify(hash, password string) (ok, outdated bool, err error) {
	h.compare()
	return h.interruptedHasher.Verify(hash, password)
}

// A superuser loses the right, or the login, while the current password is compared:
// nothing else of the change is stored either.
func TestManagerEndsDuringTheProof(t *testing.T) {
	for name, tt := range map[string]struct {
		other  store.UserChange
		status int
	}{
		"demoted":           {store.UserChange{Admin: new(false)}, 403},
		"a service account": {store.UserChange{Service: new(true)}, 401},
		"disabled":          {store.UserChange{Active: new(false)}, 401},
	} {
		mem := memory.New()
		auth.Must(mem.InsertUser(t.Context(), store.User{Name: "root", Admin: true, Active: true}))
		manager := auth.Must(mem.InsertUser(t.Context(), store.User{Name: "manager", Admin: true, Active: true}))
		if err := mem.SetPasswordHash(t.Context(), manager.ID, "slow$"+goodPassword); err != nil {
			t.Fatal(err)
		}
		manager = auth.Must(mem.UserByID(t.Context(), manager.ID))
		var want store.User
		hasher := comparedMeanwhile{interruptedHasher{func() {}}, func() { want = auth.Must(mem.ChangeUser(t.Context(), manager.ID, tt.other)) }}
		a := auth.Must(auth.NewAccounts(mem, auth.Must(auth.NewPasswords(mem, mem, &auth.PasswordsOptions{Hasher: hasher, Logger: quiet})), nil))
		by := &auth.Principal{ID: manager.ID, Admin: true, Epoch: manager.Epoch, HasEpoch: true}
		_, err := a.Change(t.Context(), by, manager.ID, auth.AccountChange{
			UserChange: store.UserChange{Name: new("root2"), Auditor: new(true)}, Password: new("another " + goodPassword), CurrentPassword: goodPassword,
		})
		if diff := cmp.Diff(want, auth.Must(mem.UserByID(t.Context(), manager.ID))); diff != "" || statusOf(err) != tt.status {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
}

// overtaken is a store in which somebody else changes a user just before a change.
type overtaken struct {
	*memory.Store
	first func()
}

func (o *overtaken) ChangeUser(ctx context.Context, id string, c store.UserChange) (store.User, error) {
	o.first()
	return o.Store.ChangeUser(ctx, id, c)
}

// A change that sends what it has read does not undo what came between: superusers who
// lose a right do not give it back to themselves, nor does a service account become a
// person without a password.
func TestChangeDoesNotUndoAnother(t *testing.T) {
	for name, other := range map[string]store.UserChange{
		"demoted":           {Admin: new(false), Auditor: new(false)},
		"disabled":          {Active: new(false)},
		"a service account": {Service: new(true)},
	} {
		s := newSystem(t, nil)
		u := s.addUser(store.User{Name: "boss", Admin: true, Auditor: true, Active: true})
		var want store.User
		db := &overtaken{s.db.Store, func() { want = auth.Must(s.db.ChangeUser(t.Context(), u.ID, other)) }}
		a := auth.Must(auth.NewAccounts(db, s.passwords, &auth.AccountsOptions{Logger: quiet}))
		got, err := a.Change(t.Context(), by(u), u.ID, auth.AccountChange{UserChange: store.UserChange{
			Email: new("x@example.com"), Admin: new(true), Auditor: new(true), Active: new(true), Service: new(false),
		}})
		want.Email = "x@example.com"
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
}
