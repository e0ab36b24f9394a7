package auth_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// B2: one password at very many accounts from one address. After the budget of
// the network nothing is compared, and others are not refused.
func TestOnePasswordAtManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		const accounts = 900
		for i := range accounts {
			s.addUser(store.User{Name: fmt.Sprint("user", i), Active: true})
		}
		before := s.hasher.verifies.Load()
		last := ""
		for i := range accounts {
			last = verdictOf(s.passwords.Verify(at(t, "2001:db8::1"), fmt.Sprint("user", i), "Password1"))
			time.Sleep(time.Second)
		}
		if n := s.hasher.verifies.Load() - before; n != 300 || last != throttled {
			t.Errorf("%d were compared, the last is %s", n, last)
		}
		if got := verdictOf(s.passwords.Verify(at(t, "2001:db8::ffff"), "user1", goodPassword)); got != throttled {
			t.Errorf("from the network: %s", got)
		}
		if got := verdictOf(s.passwords.Verify(at(t, "2001:db8:0:1::1"), "user1", goodPassword)); got != "user1" {
			t.Errorf("from the next network: %s", got)
		}
		time.Sleep(time.Hour)
		if got := verdictOf(s.passwords.Verify(at(t, "2001:db8::1"), "user899", goodPassword)); got != "user899" {
			t.Errorf("after an hour: %s", got)
		}
	})
}

// B2: the networks of one IPv6 site are not as many chances.
func TestOnePasswordFromManyNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.passwords.PerNetwork = store.Limit{Max: 3, Window: time.Hour} })
		s.browser("2001:db8:0:7::1").login("alice", goodPassword)
		before := s.hasher.verifies.Load()
		for i := range 100 {
			_, _ = s.passwords.Verify(at(t, fmt.Sprintf("2001:db8:0:%x::1", i)), fmt.Sprint("user", i), "Password1")
			time.Sleep(time.Second)
		}
		if n := s.hasher.verifies.Load() - before; n != 3*16 {
			t.Errorf("%d were compared, want 48", n)
		}
		for from, want := range map[string]string{"2001:db8:0:7::2": "alice", "2001:db8:0:8::1": throttled, "2001:db8:1::1": "alice"} {
			if got := verdictOf(s.passwords.Verify(at(t, from), "alice", goodPassword)); got != want {
				t.Errorf("from %s: %s, want %s", from, got, want)
			}
		}
	})
}

// B2, B3: one address and very many names. The figures stand in doc/throttle.md.
func TestFloodOfNames(t *testing.T) {
	names, err := strconv.Atoi(cmp.Or(os.Getenv("OSTIARY_NAMES"), "30000"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.passwords.Logger = quiet })
		s.browser("192.0.2.1").login("alice", goodPassword)
		before := s.hasher.verifies.Load()
		charges := 0
		s.db.on(func(call string) error {
			if call == "Charge" {
				charges++
			}
			return nil
		})
		ctx := at(t, "203.0.113.1")
		for i := range names {
			_, _ = s.passwords.Verify(ctx, fmt.Sprint("name", i), "Password1")
		}
		s.db.on(nil)
		compared := s.hasher.verifies.Load() - before
		for i := range 100 { // others, and from anywhere
			if got := verdictOf(s.passwords.Verify(at(t, fmt.Sprintf("198.51.100.%d", i)), "bob", goodPassword)); got != "bob" {
				t.Errorf("bob: %s", got)
			}
		}
		time.Sleep(2 * time.Hour)
		rows, err := s.db.PurgeAttempts(t.Context(), time.Now(), 10_000_000)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d names from one network: %d compared, %d steps of the store, %d rows, none of them after two hours", names, compared, charges, rows)
		// 300 names with two rows each, and what alice and bob left behind.
		if compared != 300 || charges > 1000 || rows > 1000 {
			t.Error("that is more than was promised")
		}
	})
}

// B6: no two accounts and no two networks share a counter, whatever clients call
// themselves; and one client has one network, however its address is written.
func TestCountersAreNotMixedUp(t *testing.T) {
	odd := []string{
		"alice:", ":alice", "3", "2:3", "id 1:3", "192.0.2.1/32", "a 5:alice", "/64:alice", "::/64:alice", ":/64:alice", "password account 1:3",
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.passwords.PerNetwork = store.Limit{Max: 10_000, Window: time.Hour} })
		s.guess("alice", "192.0.2.1")
		for _, name := range odd {
			s.addUser(store.User{Name: name, Active: true})
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), name, goodPassword)); got != name {
				t.Errorf("%q after guesses at alice: %s", name, got)
			}
			s.guess(name, "192.0.2.9")
		}
		for _, addr := range []string{"192.0.2.9", "::1"} {
			if got := verdictOf(s.passwords.Verify(at(t, addr), "alice", goodPassword)); got != "alice" {
				t.Errorf("alice from %s after guesses at others: %s", addr, got)
			}
		}
		// An unknown name and an ID of the same text.
		s.guess(s.bob.ID, "192.0.2.20")
		if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.20"), "bob", goodPassword)); got != "bob" {
			t.Errorf("bob after guesses at the name of his ID: %s", got)
		}

		for _, same := range [][2]string{
			{"198.51.100.1", "::ffff:198.51.100.1"}, {"fe80::1%eth0", "fe80::2%eth1"}, {"2001:db8:7::1", "2001:db8:7::ffff:ffff:1"},
		} {
			s.guess("bob", same[0])
			if got := verdictOf(s.passwords.Verify(at(t, same[1]), "bob", goodPassword)); got != throttled {
				t.Errorf("%s after guesses from %s: %s", same[1], same[0], got)
			}
		}
		for _, other := range []string{"::ffff:198.51.100.2", "::198.51.100.1", "2001:db8:7:1::1"} {
			if got := verdictOf(s.passwords.Verify(at(t, other), "bob", goodPassword)); got != "bob" {
				t.Errorf("%s: %s", other, got)
			}
		}
	})
}

// B7: VerifyRequest knows the client, outside of Proxy and inside; Verify without
// an address says that it does not, once.
func TestVerifyRequestKnowsTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		request := func(remote string, proven string) string {
			r := httptest.NewRequest("POST", "/login", nil)
			r.RemoteAddr = remote
			if proven != "" {
				r = r.WithContext(auth.WithClientAddr(r.Context(), netip.MustParseAddr(proven)))
			}
			return verdictOf(s.passwords.VerifyRequest(r, "alice", "wrong"))
		}
		got := s.events(func() {
			for i := range 11 {
				request("192.0.2.1:4711", "")
				request(fmt.Sprintf("10.0.0.%d:1", i), "192.0.2.2")
			}
		})
		for _, e := range got {
			if client := e["client"]; client != "192.0.2.1" && client != "192.0.2.2" {
				t.Errorf("event %v", e)
			}
		}
		for remote, want := range map[string]string{"192.0.2.1:9": throttled, "[::ffff:192.0.2.1]:9": throttled, "192.0.2.3:9": badLogin} {
			if got := request(remote, ""); got != want {
				t.Errorf("from %s: %s, want %s", remote, got, want)
			}
		}

		warnings := 0
		for _, e := range s.events(func() {
			for range 3 {
				_, _ = s.passwords.Verify(t.Context(), "bob", "wrong")
				request("@", "")
			}
		}) {
			if strings.Contains(e["msg"].(string), "address of the client unknown") {
				warnings++
			}
		}
		if warnings != 1 {
			t.Errorf("%d warnings about unknown addresses, want 1", warnings)
		}
	})
}

// A flood of clients without an address, which all are one, does not refuse an
// account that nobody guesses at.
func TestClientsWithoutAddress(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.passwords.Logger = quiet })
	for i := range 3000 {
		_, _ = s.passwords.Verify(t.Context(), fmt.Sprint("nobody", i), "wrong")
	}
	if got := verdictOf(s.passwords.Verify(t.Context(), "alice", goodPassword)); got != "alice" {
		t.Errorf("alice: %s", got)
	}
}

// The memory of Basic answers no guesses: not from another network, and not
// after the throttle has refused one.
func TestCacheAnswersNoGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		basic := func(addr, password string) int {
			r := httptest.NewRequest("GET", "/probe/", nil)
			r.RemoteAddr = addr + ":4711"
			r.SetBasicAuth("alice", password)
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			return w.Code
		}
		if got := basic("192.0.2.1", goodPassword); got != 200 {
			t.Fatal(got)
		}
		for i := range 11 {
			basic("203.0.113.1", fmt.Sprint("guess", i))
		}
		if got := basic("203.0.113.1", goodPassword); got != 429 {
			t.Errorf("the right guess from another network, where it is too late: %d", got)
		}
		if got := basic("192.0.2.1", goodPassword); got != 200 {
			t.Errorf("the owner: %d", got)
		}
		for i := range 11 {
			basic("192.0.2.1", fmt.Sprint("guess", i))
		}
		if got := basic("192.0.2.1", goodPassword); got != 429 {
			t.Errorf("the right guess from the same network, where it is too late: %d", got)
		}
	})
}

// foldingUsers is a host's table that breaks its promises.
type foldingUsers struct {
	*memory.Store
	keepsEpoch bool
}

func (f foldingUsers) UserByName(ctx context.Context, name string) (store.User, error) {
	return f.Store.UserByName(ctx, strings.ToLower(strings.Trim(name, ".")))
}

func (f foldingUsers) UserByID(ctx context.Context, id string) (store.User, error) {
	u, err := f.Store.UserByID(ctx, id)
	if f.keepsEpoch {
		u.Epoch = 1
	}
	return u, err
}

// E1: a table that folds names gives nobody more attempts by spelling them
// differently, and says so.
func TestTableThatFoldsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		log := new(logtest.Buffer)
		p := auth.Must(auth.NewPasswords(foldingUsers{Store: s.db.Store}, s.db, &auth.PasswordsOptions{Hasher: s.hasher, Logger: slog.New(slog.NewTextHandler(log, nil))}))
		if got := verdictOf(p.Verify(at(t, "192.0.2.1"), "alice", goodPassword)); got != "alice" {
			t.Errorf("by her name: %s", got)
		}
		for i, name := range []string{"ALICE", "Alice", "aliCe", "alice.", ".alice", "alıce"} {
			if got := verdictOf(p.Verify(at(t, fmt.Sprintf("192.0.2.1%d", i)), name, goodPassword)); got != badLogin {
				t.Errorf("as %s: %s", name, got)
			}
		}
		if n := strings.Count(log.String(), "which is another name"); n != 1 {
			t.Errorf("noted %d times, want 1:\n%s", n, log)
		}
	})
}

// E1: a table that returns an empty user in place of store.ErrNotFound lets nobody
// in, and is told what to return.
func TestTableThatReturnsNobody(t *testing.T) {
	s := newSystem(t, nil)
	log := new(logtest.Buffer)
	p := auth.Must(auth.NewPasswords(emptyUsers{s.db.Store}, s.db, &auth.PasswordsOptions{Hasher: s.hasher, Logger: slog.New(slog.NewTextHandler(log, nil))}))
	for _, name := range []string{"nobody", "somebody"} {
		if got := verdictOf(p.Verify(at(t, "192.0.2.1"), name, goodPassword)); got != badLogin {
			t.Errorf("%s: %s", name, got)
		}
	}
	if n := strings.Count(log.String(), "store.ErrNotFound says that there is none"); n != 1 {
		t.Errorf("noted %d times, want 1:\n%s", n, log)
	}
}

// emptyUsers forgets the error of a row that is not there.
type emptyUsers struct{ *memory.Store }

func (e emptyUsers) UserByName(ctx context.Context, name string) (store.User, error) {
	u, _ := e.Store.UserByName(ctx, name)
	return u, nil
}

// E1: a table whose SetPasswordHash leaves Epoch as it was is found out at the
// first new password.
func TestTableThatKeepsEpochs(t *testing.T) {
	s := newSystem(t, nil)
	p := auth.Must(auth.NewPasswords(foldingUsers{s.db.Store, true}, s.db, &auth.PasswordsOptions{Hasher: s.hasher, Logger: quiet}))
	err := p.Set(t.Context(), s.alice.ID, "a longer password")
	if _, refusal := errors.AsType[*auth.Error](err); err == nil || refusal || !strings.Contains(err.Error(), "has not raised Epoch") {
		t.Errorf("got %v", err)
	}
	if err := s.passwords.Set(t.Context(), s.alice.ID, "a longer password"); err != nil {
		t.Errorf("a table that keeps its promise: %v", err)
	}
}

// F8: processes whose clocks differ are noticed, once.
func TestClocksThatDifferAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		for i, ahead := range []time.Duration{20 * time.Second, time.Hour} {
			addr := fmt.Sprintf("203.0.113.%d", i)
			s.db.ahead.Store(int64(ahead))
			_, _ = s.passwords.Verify(at(t, addr), "alice", "wrong")
			s.db.ahead.Store(0)
			noted := 0
			for _, e := range s.events(func() {
				for range 3 {
					_, _ = s.passwords.Verify(at(t, addr), "alice", "wrong")
				}
			}) {
				if strings.Contains(e["msg"].(string), "clocks of this service differ") {
					noted++
				}
			}
			if want := i; noted != want {
				t.Errorf("%v apart: noted %d times, want %d", ahead, noted, want)
			}
		}
	})
}

// C10: nobody logs in by a name that cannot be read.
func TestNamesThatCannotBeRead(t *testing.T) {
	s := newSystem(t, nil)
	for _, name := range []string{"alice\u200b", "\u202eecila", "\u3164", "ali\u2060ce", "alice\ufe0f", "alice\U000e0061", "ali\u00adce", "alice\u00a0x"} {
		u, err := s.db.InsertUser(t.Context(), store.User{Name: name, Active: true})
		if err == nil {
			err = s.db.Store.SetPasswordHash(t.Context(), u.ID, cheapHash(0, goodPassword))
		}
		if err != nil {
			t.Fatal(err)
		}
		calls := s.db.during(func() {
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), name, goodPassword)); got != badLogin {
				t.Errorf("%+q: %s", name, got)
			}
		})
		if len(calls) > 0 {
			t.Errorf("%+q: store calls %q", name, calls)
		}
	}
}
