package memory

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// A reader without a lock that is interrupted between the look-up and the copy finds
// the token, the session or the account of somebody else in the same place. It notices,
// whatever the change was that gave the place away.
func TestReusedPlaceIsNoticed(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d := func(user string) store.Digest { return store.DigestOf(user) }
	insert := func(s *Store, user string, expires time.Time) {
		_, err := s.InsertUser(ctx, store.User{ID: user, Name: user})
		must(err)
		_, err = s.InsertToken(ctx, store.Token{Digest: d(user), UserID: user, Scopes: user, Created: now, Expires: expires}, store.InsertLimits{})
		must(err)
		_, _, err = s.InsertSession(ctx, store.Session{Digest: d(user), UserID: user, Data: []byte(user), Created: now, Expires: expires}, store.Digest{}, 0)
		must(err)
	}
	purge := func(s *Store) {
		_, err := s.Purge(ctx, now.Add(time.Second), 10)
		must(err)
		_, err = s.PurgeSessions(ctx, now.Add(time.Second), 10)
		must(err)
	}
	for name, end := range map[string]func(*Store){
		"the user is deleted": func(s *Store) { must(s.DeleteUser(ctx, "alice", now)); purge(s) },
		"all is revoked and ended one by one": func(s *Store) {
			_, err := s.RevokeTokens(ctx, store.Selection{TokenID: s.tokenByDigest(new(d("alice"))).id}, now)
			must(err)
			_, err = s.EndSessions(ctx, store.SessionSelection{Digest: d("alice")}, store.EndedLogout, now)
			must(err)
			purge(s)
			must(s.DeleteUser(ctx, "alice", now))
		},
		"all expires": func(s *Store) {
			_, err := s.Purge(ctx, now.Add(2*time.Hour), 10)
			must(err)
			_, err = s.PurgeSessions(ctx, now.Add(2*time.Hour), 10)
			must(err)
			must(s.DeleteUser(ctx, "alice", now))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			insert(s, "stays", now.Add(100*time.Hour)) // and its chunks
			insert(s, "alice", now.Add(time.Hour))
			step, quiet := s.quiet()
			tok, login, account := s.tokenByDigest(new(d("alice"))), s.session(d("alice")), ref(s.account("alice").self)
			if !quiet || !s.undisturbed(step) {
				t.Fatal("a reader is disturbed by nobody")
			}
			end(s)
			insert(s, "mallory", now.Add(time.Hour))
			if s.tokenByDigest(new(d("mallory"))) != tok || s.session(d("mallory")) != login || s.accounts.get(account).id != "mallory" {
				t.Fatal("the places have no other use: this tests nothing")
			}
			if got := s.ownerOf(tok).id + s.ownerOfSession(login).id; got != "mallorymallory" {
				t.Fatalf("a copy has %q", got)
			}
			if s.undisturbed(step) {
				t.Error("the copy of what is somebody else's counts")
			}
			// With the lock nothing of it is found any more.
			if _, err := s.AccessByDigest(ctx, d("alice")); err != store.ErrNotFound {
				t.Errorf("the token: %v", err)
			}
			if _, _, err := s.SessionByDigest(ctx, d("alice")); err != store.ErrNotFound {
				t.Errorf("the session: %v", err)
			}
		})
	}
}

// A reader that begins during a change does not trust what it sees, nor one that ends
// during one.
func TestReadersTrustNoChangeUnderWay(t *testing.T) {
	s := New()
	before, _ := s.quiet()
	calls := 0
	for _, during := range []func(){
		func() { // the reader begins
			if _, quiet := s.quiet(); quiet {
				t.Error("it is quiet during a change")
			}
		},
		func() { // the reader ends
			if s.undisturbed(before) {
				t.Error("what was read before a change counts during it")
			}
		},
	} {
		if err := s.write(t.Context(), func() error { during(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	s.look(func() {
		if calls++; calls == 1 {
			if err := s.write(t.Context(), func() error { return nil }); err != nil {
				t.Error(err)
			}
		} else if s.mu.TryLock() {
			t.Error("it looks again without the lock")
			s.mu.Unlock()
		}
	})
	if calls != 2 {
		t.Errorf("a reader that is disturbed looks %d times", calls)
	}
}

// The collector follows no pointer of a session, and a session has its size in few
// objects. The texts of a user are one.
func TestSessionsAreSmall(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[session](), reflect.TypeFor[block]()} {
		if path := pointerIn(of); path != "" {
			t.Errorf("%v has a pointer: %s", of, path)
		}
	}
	const n = 10_000
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := New()
	measure := func(what string, mostBytes, mostObjects float64, insert func(i int) error) {
		objects, bytes := heapNow()
		for i := range n {
			if err := insert(i); err != nil {
				t.Fatal(err)
			}
		}
		objects2, bytes2 := heapNow()
		perBytes, perObjects := (bytes2-bytes)/n, (objects2-objects)/n
		t.Logf("%.1f bytes and %.3f objects a %s", perBytes, perObjects, what)
		if perBytes > mostBytes || perObjects > mostObjects {
			t.Errorf("%.1f bytes and %.3f objects a %s, want at most %v and %v", perBytes, perObjects, what, mostBytes, mostObjects)
		}
	}
	measure("user", 450, 4.1, func(i int) error {
		name := fmt.Sprint("user", i)
		_, err := s.InsertUser(t.Context(), store.User{Name: name, Email: name + "@example.com", FirstName: name[:3], LastName: name[2:], Created: now})
		return err
	})
	measure("session of 100 bytes", 330, 0.2, func(i int) error {
		_, _, err := s.InsertSession(t.Context(), store.Session{
			Digest: store.DigestOf(fmt.Sprint(i)), UserID: fmt.Sprint(i + 1), Data: make([]byte, 100), Agent: fmt.Sprint("browser ", i%9),
			Created: now, Expires: now.Add(time.Hour + time.Duration(i)*time.Second),
		}, store.Digest{}, 0)
		return err
	})
	runtime.KeepAlive(s)
}

// The place of a session that is gone says nothing, although its record is still there:
// the data that it had are those of another session by now.
func TestPurgedSessionHasNoData(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := New()
	for i, user := range []string{"goes", "stays"} { // the chunk stays, too
		if _, _, err := s.InsertSession(ctx, store.Session{
			Digest: store.DigestOf(user), UserID: user, Data: []byte(user), Created: now, Expires: now.Add(time.Duration(i+1) * time.Hour),
		}, store.Digest{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	place := uint32(s.sessionByID.find(1))
	if data, revision := s.SessionData(place, 1); string(data) != "goes" || revision != 1 {
		t.Errorf("%q of revision %d", data, revision)
	}
	if n, err := s.PurgeSessions(ctx, now.Add(90*time.Minute), 10); n != 1 || err != nil {
		t.Fatalf("%d sessions purged, %v", n, err)
	}
	if err := s.SaveSession(ctx, store.DigestOf("stays"), []byte("a secret of another"), 1, now); err != nil {
		t.Fatal(err)
	}
	if data, revision := s.SessionData(place, 1); data != nil || revision != 0 {
		t.Errorf("a session that is gone has the data %q of revision %d", data, revision)
	}
}
