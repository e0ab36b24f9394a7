package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// at returns a context of a request from addr.
func at(t testing.TB, addr string) context.Context {
	return auth.WithClientAddr(t.Context(), netip.MustParseAddr(addr))
}

// verdictOf returns the answer of Verify as a text.
func verdictOf(u store.User, err error) string {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return fmt.Sprint(e.Status, " ", e.Detail)
	}
	if err != nil {
		return "outage: " + err.Error()
	}
	return u.Name
}

const badLogin = "401 Incorrect user name or password."

// cases 14 and 75: whatever is wrong with a login, the answer is the
// same, and so are the hashes and the look-ups, from the first request on.
func TestFailedLoginsAreAlike(t *testing.T) {
	type trace struct {
		Basic            refused
		Header           http.Header
		Direct           string
		Calls            []string
		Hashes, Verifies int64
	}
	classes := map[string]func(s *system) (name, password string){
		"wrong password":           func(s *system) (string, string) { return "alice", "wrong" },
		"unknown user":             func(s *system) (string, string) { return "nobody", goodPassword },
		"the dummy's password":     func(s *system) (string, string) { return "nobody", "no user has this password" },
		"disabled, right password": func(s *system) (string, string) { return "dora", goodPassword },
		"disabled, wrong password": func(s *system) (string, string) { return "dora", "wrong" },
		"no password": func(s *system) (string, string) {
			if err := s.db.Store.SetPasswordHash(t.Context(), s.bob.ID, ""); err != nil {
				t.Fatal(err)
			}
			return "bob", "no user has this password"
		},
		"outdated hash, wrong password": func(s *system) (string, string) {
			if err := s.db.Store.SetPasswordHash(t.Context(), s.bob.ID, "old:"+cheapHash(0, goodPassword)); err != nil {
				t.Fatal(err)
			}
			return "bob", "wrong"
		},
		"deleted user": func(s *system) (string, string) {
			if err := s.db.DeleteUser(t.Context(), s.bob.ID, time.Now()); err != nil {
				t.Fatal(err)
			}
			return "bob", goodPassword
		},
	}
	traces := make(map[string]trace)
	for class, prepare := range classes {
		s := newSystem(t, nil) // each class meets a fresh process
		name, password := prepare(s)
		var tr trace
		tr.Calls = s.db.during(func() {
			w := s.send("GET", "/probe/", basicLine(name, password))
			tr.Basic, tr.Header = refusalOf(w), w.Header()
			tr.Direct = verdictOf(s.passwords.Verify(at(t, "192.0.2.9"), name, password))
		})
		tr.Hashes, tr.Verifies = s.hasher.hashes.Load(), s.hasher.verifies.Load()
		traces[class] = tr
	}
	want := traces["wrong password"]
	if want.Basic.Status != 401 || want.Direct != badLogin || want.Hashes != 1 || want.Verifies != 2 {
		t.Errorf("wrong password: %+v", want)
	}
	for class, got := range traces {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs from a wrong password:\n%s", class, diff)
		}
	}
}

// A hash that cannot be read is compared with as long as any other: Django stores
// one for every user who logs in elsewhere.
func TestUnreadableHashTakesAsLong(t *testing.T) {
	s := newSystem(t, nil)
	if err := s.db.Store.SetPasswordHash(t.Context(), s.bob.ID, "!unusable"); err != nil {
		t.Fatal(err)
	}
	if got := s.me(basicLine("bob", goodPassword)); got != "401" {
		t.Errorf("reply %s", got)
	}
	if n := s.hasher.verifies.Load(); n != 2 {
		t.Errorf("%d comparisons, want that with the hash and that with the dummy", n)
	}
}

// one spelling of a name, for all that is done with it; and nothing
// is looked up for what nobody can be called.
func TestMalformedLogins(t *testing.T) {
	s := newSystem(t, nil)
	name150, pass1024 := strings.Repeat("é", 150), strings.Repeat("p", 1024)
	u := s.addUser(store.User{Name: name150, Active: true})
	if err := s.db.Store.SetPasswordHash(t.Context(), u.ID, cheapHash(0, pass1024)); err != nil {
		t.Fatal(err)
	}
	if got := verdictOf(s.passwords.Verify(t.Context(), name150, pass1024)); got != name150 {
		t.Errorf("the longest name and password: %s", got)
	}
	for name, login := range map[string][2]string{
		"no name":                {"", goodPassword},
		"blank before":           {" alice", goodPassword},
		"blank after":            {"alice ", goodPassword},
		"no-break space after":   {"alice\u00a0", goodPassword},
		"zero width space":       {"ali\u200bce", goodPassword},
		"right-to-left override": {"\u202ealice", goodPassword},
		"byte order mark":        {"\ufeffalice", goodPassword},
		"NUL":                    {"alice\x00", goodPassword},
		"newline":                {"alice\nadmin", goodPassword},
		"C1 control":             {"alice\u0085x", goodPassword},
		"invalid UTF-8":          {"alice\xff", goodPassword},
		"151 characters":         {strings.Repeat("é", 151), goodPassword},
		"a megabyte":             {strings.Repeat("a", 1<<20), goodPassword},
		"no password":            {"alice", ""},
		"1025 bytes":             {"alice", strings.Repeat("p", 1025)},
		"a megabyte of password": {"alice", strings.Repeat("p", 1<<20)},
		"NUL in the password":    {"alice", goodPassword + "\x00"},
		"control in it":          {"alice", goodPassword + "\x1b"},
		"invalid UTF-8 in it":    {"alice", goodPassword + "\xff"},
	} {
		calls := s.db.during(func() {
			if got := verdictOf(s.passwords.Verify(t.Context(), login[0], login[1])); got != badLogin {
				t.Errorf("%s: %s", name, got)
			}
		})
		if len(calls) > 0 {
			t.Errorf("%s: store calls %q", name, calls)
		}
	}
	// Case counts, and so does the normal form: these are other users.
	for _, name := range []string{"Alice", "ＡＬＩＣＥ", "аlice"} {
		if got := verdictOf(s.passwords.Verify(t.Context(), name, goodPassword)); got != badLogin {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// a request that waits for the answer of another one still checks
// whether the user may log in. The one that asked first may have looked before
// the user was disabled.
func TestFollowerIsDisabled(t *testing.T) {
	for name, verify := range map[string]func(s *system) string{
		"login": func(s *system) string {
			return verdictOf(s.passwords.Verify(at(s.t, "192.0.2.1"), "alice", goodPassword))
		},
		"basic": func(s *system) string { return s.me(basicLine("alice", goodPassword)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				release := make(chan struct{})
				s.hasher.hold = func() { <-release }
				go verify(s)
				synctest.Wait()
				s.disable(s.alice)
				answer := make(chan string)
				go func() { answer <- verify(s) }()
				synctest.Wait()
				close(release)
				if got := <-answer; got != "401" && got != badLogin {
					t.Errorf("a login that began after the user was disabled: %s", got)
				}
			})
		})
	}
}

// Case 81, R-034: a repeated password costs no hash, for five minutes, and only
// while nothing has changed.
func TestVerifiedPasswords(t *testing.T) { readings(t, testVerifiedPasswords) }

func testVerifiedPasswords(t *testing.T, how func(*settings)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, how)
		line := basicLine("alice", goodPassword)
		hashesOf := func(want string, n int64, line string) {
			t.Helper()
			before := s.hasher.verifies.Load()
			if got := s.me(line); got != want {
				t.Errorf("reply %s, want %s", got, want)
			}
			if got := s.hasher.verifies.Load() - before; got != n {
				t.Errorf("%d hashes, want %d", got, n)
			}
		}
		hashesOf("alice by basic", 1, line)
		for range 100 {
			hashesOf("alice by basic", 0, line)
		}
		hashesOf("401", 1, basicLine("bob", goodPassword+"x"))
		hashesOf("401", 1, basicLine("bob", goodPassword+"x")) // wrong ones are not remembered
		time.Sleep(5*time.Minute - time.Nanosecond)
		hashesOf("alice by basic", 0, line)
		time.Sleep(time.Nanosecond)
		hashesOf("alice by basic", 1, line)

		// Each spelling of the credentials is remembered.
		juergen := s.addUser(store.User{Name: "jürgen", Active: true})
		if err := s.db.Store.SetPasswordHash(t.Context(), juergen.ID, cheapHash(1, "pässwörd")); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int64{1, 0, 0} {
			hashesOf("jürgen by basic", n, basicLine("jürgen", "pässwörd"))
			hashesOf("jürgen by basic", n, basicLine("j\xfcrgen", "p\xe4ssw\xf6rd")) // Latin-1
		}
		// A hash that somebody else has replaced counts at once, without an epoch.
		old := auth.Must(s.db.Store.PasswordHash(t.Context(), juergen.ID))
		if err := s.db.Store.SwapPasswordHash(t.Context(), juergen.ID, old, cheapHash(1, "another")); err != nil {
			t.Fatal(err)
		}
		hashesOf("401", 1, basicLine("jürgen", "pässwörd"))

		s.disable(s.alice)
		hashesOf("401", 1, line)
		if err := s.db.UpdateUser(t.Context(), s.alice); err != nil {
			t.Fatal(err)
		}
		hashesOf("alice by basic", 0, line)
		if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
			t.Fatal(err)
		}
		hashesOf("401", 1, line)
		hashesOf("alice by basic", 1, basicLine("alice", "another horse battery"))
		if err := s.passwords.Set(t.Context(), s.alice.ID, goodPassword); err != nil {
			t.Fatal(err)
		}
		hashesOf("alice by basic", 1, line) // the old password, but a new hash
		if err := s.db.DeleteUser(t.Context(), s.alice.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		hashesOf("401", 1, line)
		again := s.addUser(store.User{ID: "33", Name: "alice", Active: true})
		if err := s.db.Store.SetPasswordHash(t.Context(), again.ID, cheapHash(7, "the new alice's own")); err != nil {
			t.Fatal(err)
		}
		hashesOf("401", 1, line) // a new user of that name inherits nothing
	})
}

// an outdated hash is replaced after a good login, once, and never after a
// bad one.
func TestRehash(t *testing.T) {
	s := newSystem(t, nil)
	old := "old:" + cheapHash(0, goodPassword)
	if err := s.db.Store.SetPasswordHash(t.Context(), s.alice.ID, old); err != nil {
		t.Fatal(err)
	}
	_, _ = s.passwords.Verify(at(t, "192.0.2.1"), "alice", "wrong")
	if got, _ := s.db.Store.PasswordHash(t.Context(), s.alice.ID); got != old {
		t.Errorf("after a wrong password the hash is %q", got)
	}
	alice, err := s.db.Store.UserByID(t.Context(), s.alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	cookie := s.login(alice)
	rehashed := 0
	for _, e := range s.events(func() {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if got := verdictOf(s.passwords.Verify(at(t, fmt.Sprintf("192.0.2.%d", i)), "alice", goodPassword)); got != "alice" {
					t.Errorf("login: %s", got)
				}
			})
		}
		wg.Wait()
	}) {
		if e["msg"] == "auth: password rehashed" {
			rehashed++
		}
	}
	if got, _ := s.db.Store.PasswordHash(t.Context(), s.alice.ID); strings.HasPrefix(got, "old:") || rehashed != 1 {
		t.Errorf("the hash is %q, replaced %d times", got, rehashed)
	}
	if got := s.me(cookie); got != "alice by session" { // the password is the same
		t.Errorf("a session from before: %s", got)
	}
}

// the passwords that Set accepts, and the credentials that it
// ends.
func TestSetPassword(t *testing.T) {
	s := newSystem(t, nil)
	const minimum, shape = "Must have at least 15 characters.", "Must be UTF-8 without control characters, of at most 1024 bytes."
	for _, tt := range []struct{ name, password, want string }{
		{"empty", "", minimum},
		{"14 characters", strings.Repeat("p", 14), minimum},
		{"14 characters of two bytes", strings.Repeat("é", 14), minimum},
		{"15 characters", strings.Repeat("p", 15), ""},
		{"15 characters of three bytes", strings.Repeat("€", 15), ""},
		{"blanks are characters", strings.Repeat(" ", 15), ""},
		{"1024 bytes", strings.Repeat("p", 1024), ""},
		{"1025 bytes", strings.Repeat("p", 1025), shape},
		{"NUL", strings.Repeat("p", 15) + "\x00", shape},
		{"newline", strings.Repeat("p", 15) + "\n", shape},
		{"invalid UTF-8", strings.Repeat("p", 15) + "\xff", shape},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := s.db.Store.PasswordHash(t.Context(), s.bob.ID)
			err := s.passwords.Set(t.Context(), s.bob.ID, tt.password)
			after, _ := s.db.Store.PasswordHash(t.Context(), s.bob.ID)
			if tt.want == "" {
				if err != nil || after == before || verdictOf(s.passwords.Verify(t.Context(), "bob", tt.password)) != "bob" {
					t.Errorf("%v, changed: %v", err, after != before)
				}
				return
			}
			refusesStatus(t, err, http.StatusBadRequest, "Password")
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) || after != before {
				t.Errorf("%v, changed: %v", err, after != before)
			}
		})
	}
	cookie, token := s.login(s.alice), s.issue(s.alice, "read")
	if err := s.passwords.Set(t.Context(), s.alice.ID, "a longer password"); err != nil {
		t.Fatal(err)
	}
	if got := s.me(cookie); got != "401" {
		t.Errorf("a session after a new password: %s", got)
	}
	if got := s.me(bearer(token)); got != "alice by bearer" { // case 102
		t.Errorf("a token after a new password: %s", got)
	}
	if err := s.passwords.Set(t.Context(), "nobody", "a longer password"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown user: %v", err)
	}
}

// Case 29: while local passwords are off no password is right, and none is looked
// at.
func TestLocalPasswordsOff(t *testing.T) {
	var off atomic.Bool
	s := newSystem(t, func(o *settings) { o.passwords.Enabled = func() bool { return !off.Load() } })
	if got := s.me(basicLine("alice", goodPassword)); got != "alice by basic" {
		t.Errorf("on: %s", got)
	}
	off.Store(true)
	before := s.hasher.verifies.Load()
	calls := s.db.during(func() {
		right, wrong := s.send("GET", "/probe/", basicLine("alice", goodPassword)), s.send("GET", "/probe/", basicLine("alice", "wrong"))
		if diff := cmp.Diff(refusalOf(right), refusalOf(wrong)); diff != "" || right.Code != 401 {
			t.Errorf("off, right and wrong: %d\n%s", right.Code, diff)
		}
		if got := verdictOf(s.passwords.Verify(t.Context(), "alice", goodPassword)); got != badLogin {
			t.Errorf("off, login: %s", got)
		}
	})
	if len(calls) > 0 || s.hasher.verifies.Load() != before {
		t.Errorf("off, but store calls %q", calls)
	}
}
