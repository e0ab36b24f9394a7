package auth_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

const throttled = "429 Too many attempts. Try again later."

// browser is a client that keeps its cookies.
type browser struct {
	s       *system
	addr    string
	cookies map[string]string
}

func (s *system) browser(addr string) *browser {
	return &browser{s: s, addr: addr, cookies: make(map[string]string)}
}

// login logs in as a handler of a login form does, and returns what came of it.
func (b *browser) login(name, password string) string {
	r := httptest.NewRequest("POST", "/login", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(b.addr), 4711).String()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	u, err := b.s.passwords.VerifyRequest(r, name, password)
	if err != nil {
		return verdictOf(u, err)
	}
	w := httptest.NewRecorder()
	if err := b.s.passwords.RememberBrowser(w, r, u); err != nil {
		b.s.t.Error(err)
	}
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return u.Name
}

// guess tries a wrong password for a name from each of these addresses until each
// is refused, and returns how many were compared.
func (s *system) guess(name string, addrs ...string) int {
	before := s.hasher.verifies.Load()
	for _, addr := range addrs {
		for i := 0; ; i++ {
			if got := verdictOf(s.passwords.Verify(at(s.t, addr), name, fmt.Sprint("guess", i))); got == throttled {
				break
			} else if got != badLogin {
				s.t.Fatalf("guess %d at %s from %s: %s", i, name, addr, got)
			}
		}
	}
	return int(s.hasher.verifies.Load() - before)
}

// networks returns that many addresses, each in a network of its own.
func networks(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("203.0.%d.%d", i/256, i%256))
	}
	return list
}

// B1, R-161: whatever others do, the owner of an account gets in from a network
// or with a browser that is known.
func TestOwnerGetsIn(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, s *system)
	}{
		{"a known network, attacked from another one", func(t *testing.T, s *system) {
			home := s.browser("192.0.2.1")
			if got := home.login("alice", goodPassword); got != "alice" {
				t.Fatal(got)
			}
			clear(home.cookies)
			for range 24 * 29 {
				s.guess("alice", "203.0.113.1")
				time.Sleep(time.Hour)
			}
			if n := s.guess("alice", networks(30)...); n != 100 {
				t.Errorf("%d guesses were compared", n)
			}
			if got := home.login("alice", goodPassword); got != "alice" {
				t.Errorf("alice: %s", got)
			}
		}},
		{"an IPv6 network is known by its /64", func(t *testing.T, s *system) {
			s.browser("2001:db8:1:2::1").login("alice", goodPassword)
			s.guess("alice", networks(30)...)
			for addr, want := range map[string]string{"2001:db8:1:2:ffff::9": "alice", "2001:db8:1:3::1": throttled} {
				if got := s.browser(addr).login("alice", goodPassword); got != want {
					t.Errorf("from %s: %s, want %s", addr, got, want)
				}
			}
		}},
		{"known for thirty days, not longer, and prolonged by each login", func(t *testing.T, s *system) {
			const nearly = 30*24*time.Hour - time.Minute
			for range 3 {
				s.browser("192.0.2.1").login("alice", goodPassword)
				time.Sleep(nearly)
				s.guess("alice", networks(30)...)
			}
			if got := s.browser("192.0.2.1").login("alice", goodPassword); got != "alice" {
				t.Errorf("after nearly thirty days: %s", got)
			}
			time.Sleep(nearly + time.Minute)
			s.guess("alice", networks(30)...)
			if got := s.browser("192.0.2.1").login("alice", goodPassword); got != throttled {
				t.Errorf("after thirty days: %s", got)
			}
		}},
		{"a network is known by a right password only, and to that account only", func(t *testing.T, s *system) {
			s.browser("192.0.2.1").login("alice", "wrong")
			s.browser("192.0.2.1").login("bob", goodPassword)
			s.browser("192.0.2.1").login("dora", goodPassword) // disabled
			s.guess("alice", networks(30)...)
			s.guess("dora", networks(30)...)
			for _, name := range []string{"alice", "dora"} {
				if got := s.browser("192.0.2.1").login(name, goodPassword); got != throttled {
					t.Errorf("%s: %s", name, got)
				}
			}
		}},
		{"others in the network use up its attempts, and the browser is known", func(t *testing.T, s *system) {
			mine, new := s.browser("192.0.2.1"), s.browser("192.0.2.1")
			mine.login("alice", goodPassword)
			if n := s.guess("alice", "192.0.2.1"); n != 10 {
				t.Errorf("%d guesses were compared", n)
			}
			if got := new.login("alice", goodPassword); got != throttled {
				t.Errorf("another browser: %s", got)
			}
			if got := mine.login("alice", goodPassword); got != "alice" {
				t.Errorf("the browser: %s", got)
			}
			mine.addr = "198.51.100.1" // on the road
			s.guess("alice", networks(30)...)
			if got := mine.login("alice", goodPassword); got != "alice" {
				t.Errorf("the browser in another network: %s", got)
			}
		}},
		{"a known network is not part of what others in it do to other names", func(t *testing.T, s *system) {
			s.browser("192.0.2.1").login("alice", goodPassword)
			for i := range 3000 {
				_, _ = s.passwords.Verify(at(t, "192.0.2.1"), fmt.Sprint("nobody", i), "wrong")
			}
			if got := s.browser("192.0.2.1").login("bob", goodPassword); got != throttled {
				t.Errorf("bob, who is not known there: %s", got)
			}
			if got := s.browser("192.0.2.1").login("alice", goodPassword); got != "alice" {
				t.Errorf("alice: %s", got)
			}
			if got := s.me(basicLine("alice", goodPassword)); got != "alice by basic" {
				t.Errorf("alice by Basic: %s", got)
			}
		}},
		{"a known browser has limits of its own", func(t *testing.T, s *system) {
			mine := s.browser("192.0.2.1")
			mine.login("alice", goodPassword)
			got := ""
			for i := range 11 {
				got = mine.login("alice", fmt.Sprint("wrong", i))
			}
			if got != throttled {
				t.Errorf("the eleventh: %s", got)
			}
			if got := s.browser("192.0.2.1").login("alice", goodPassword); got != "alice" {
				t.Errorf("from the network, without the cookie: %s", got)
			}
			compared := s.hasher.verifies.Load()
			for range 59 {
				time.Sleep(time.Minute)
				for i := range 11 {
					mine.login("alice", fmt.Sprint("wrong", i))
				}
			}
			if n := s.hasher.verifies.Load() - compared; n > 100 {
				t.Errorf("%d guesses were compared in an hour", n)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.run(t, newSystem(t, nil)) })
		})
	}
}

// A device cookie says nothing but that somebody logged in with it: it cannot be
// made, moved to another account, or kept for longer.
func TestDeviceCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		mine := s.browser("192.0.2.1")
		mine.login("alice", goodPassword)
		const name = "__Host-ostiary_device"
		good := mine.cookies[name]
		// known tells whether a cookie is taken for alice's: her network is
		// used up by others.
		known := func(cookies map[string]string) bool {
			b := s.browser("192.0.2.1")
			b.cookies = cookies
			return b.login("alice", goodPassword) == "alice"
		}
		use := func() { s.guess("alice", "192.0.2.1") }
		use()
		if !known(map[string]string{name: good}) {
			t.Fatal("the cookie does not work")
		}
		use()
		bobs := s.browser("192.0.2.7")
		bobs.login("bob", goodPassword)
		flipped := func(at int) string {
			c := byte('A')
			if good[at] == c {
				c = 'B'
			}
			return good[:at] + string(c) + good[at+1:]
		}
		for what, value := range map[string]string{
			"none": "", "bob's": bobs.cookies[name], "a dot": ".", "cut": good[:len(good)-1], "longer": good + "A",
			"another time": flipped(2), "another number": flipped(20), "another MAC": flipped(40), "another end": flipped(len(good) - 1),
			"padding": good + "=", "zeros": strings.Repeat("A", len(good)), "not base64": strings.Repeat("!", len(good)),
			"a megabyte": strings.Repeat(good+".", 20_000),
		} {
			if known(map[string]string{name: value}) {
				t.Errorf("%s: a cookie that was not given is known", what)
			}
		}
		if known(map[string]string{strings.TrimPrefix(name, "__Host-"): good}) {
			t.Error("a cookie that any host of the domain can set is known")
		}

		// The browser of a family knows the last four.
		family := s.browser("192.0.2.50")
		family.cookies[name] = good
		for i := range 3 {
			s.addUser(store.User{Name: fmt.Sprint("child", i), Active: true})
			family.login(fmt.Sprint("child", i), goodPassword)
		}
		if !known(map[string]string{name: family.cookies[name]}) {
			t.Error("three others logged in with the browser, and it is not known any more")
		}
		use()
		s.addUser(store.User{Name: "child3", Active: true})
		family.login("child3", goodPassword)
		if known(map[string]string{name: family.cookies[name]}) {
			t.Error("the cookie keeps more than four")
		}

		time.Sleep(30*24*time.Hour - time.Second)
		use()
		if !known(map[string]string{name: good}) {
			t.Error("within thirty days the browser is not known")
		}
		time.Sleep(time.Second)
		use()
		if known(map[string]string{name: good}) {
			t.Error("after thirty days the browser is known")
		}

		mine.addr = "192.0.2.99"
		mine.login("alice", goodPassword)
		if err := s.passwords.Set(t.Context(), s.alice.ID, goodPassword); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		use()
		if known(map[string]string{name: mine.cookies[name]}) {
			t.Error("after a new password the browser is known")
		}
	})
}

// The attributes of the device cookie.
func TestDeviceCookieAttributes(t *testing.T) {
	for insecure, want := range map[bool]string{
		false: "__Host-ostiary_device=; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict",
		true:  "ostiary_device=; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict",
	} {
		s := newSystem(t, func(o *settings) { o.passwords.InsecureCookie = insecure })
		w := httptest.NewRecorder()
		if err := s.passwords.RememberBrowser(w, httptest.NewRequest("POST", "/", nil), s.alice); err != nil {
			t.Fatal(err)
		}
		before, after, _ := strings.Cut(w.Header().Get("Set-Cookie"), "=")
		value, attributes, _ := strings.Cut(after, ";")
		if got := before + "=;" + attributes; got != want || len(value) < 50 {
			t.Errorf("insecure %v: %s, value %q", insecure, got, value)
		}
		w = httptest.NewRecorder()
		err := s.passwords.RememberBrowser(w, httptest.NewRequest("POST", "/", nil), store.User{ID: "nobody", Name: "nobody"})
		if err != nil || len(w.Header()) > 0 {
			t.Errorf("nobody: %v, %v", err, w.Header())
		}
	}
}

// B1: a month in which an account is attacked, with 120 guesses an hour. The
// figures stand in doc/throttle.md.
func TestMonthOfGuessing(t *testing.T) {
	for _, tt := range []struct {
		name      string
		attackers []string
	}{
		{"one network", networks(1)},
		{"a hundred networks", networks(100)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, func(o *settings) { o.passwords.Logger = quiet })
				rnd := rand.New(rand.NewPCG(1, 2))
				home, office := s.browser("192.0.2.1"), s.browser("2001:db8:5:6::1")
				home.login("alice", goodPassword)
				office.login("alice", goodPassword)
				clear(office.cookies) // which knows alice by her network
				var logins, refused, strange, strangeRefused, compared, worst int
				const hours, steps, guesses = 30 * 24, 10, 12
				for hour := range hours {
					atHour, mine := 0, rnd.IntN(3*steps)
					for step := range steps {
						before := s.hasher.verifies.Load()
						for i := range guesses {
							from := tt.attackers[(step*guesses+i)%len(tt.attackers)]
							_, _ = s.passwords.Verify(at(t, from), "alice", "guess")
						}
						atHour += int(s.hasher.verifies.Load() - before)
						if step == mine { // every third hour
							for _, b := range []*browser{home, office} {
								logins++
								if b.login("alice", goodPassword) != "alice" {
									refused++
								}
							}
							clear(office.cookies)
							strange++
							if s.browser(fmt.Sprintf("198.18.%d.%d", hour/256, hour%256)).login("alice", goodPassword) != "alice" {
								strangeRefused++
							}
						}
						time.Sleep(time.Hour / steps)
					}
					compared, worst = compared+atHour, max(worst, atHour)
				}
				t.Logf("30 days, from %s: the owner was refused %d of %d times from a known network or with a known browser, %d of %d times from networks that were never seen; "+
					"guesses compared an hour: %d at most, %d on average",
					tt.name, refused, logins, strangeRefused, strange, worst, compared/hours)
				if refused > 0 || worst > 100 || logins < 400 {
					t.Error("that is not what was promised")
				}
			})
		})
	}
}

// B4: a job that logs in each minute gives an attacker no more attempts than
// were promised, wherever the attacker is.
func TestSuccessForgivesNobodyElse(t *testing.T) {
	for name, attackers := range map[string][]string{
		"one network": networks(1), "a hundred networks": networks(100), "the network of the job": {"198.51.100.7"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem(t, func(o *settings) { o.passwords.Logger = quiet })
			const hours = 4
			compared, refused := 0, 0
			for minute := range hours * 60 {
				if got := verdictOf(s.passwords.Verify(at(t, "198.51.100.7"), "alice", goodPassword)); got != "alice" {
					refused++
				}
				before := s.hasher.verifies.Load()
				for i := range 30 {
					_, _ = s.passwords.Verify(at(t, attackers[(minute*30+i)%len(attackers)]), "alice", "guess")
				}
				compared += int(s.hasher.verifies.Load() - before)
				time.Sleep(time.Minute)
			}
			t.Logf("%s: %d guesses compared in %d hours, the job refused %d times", name, compared, hours, refused)
			if compared > 100*hours || refused > 0 && len(attackers) != 1 {
				t.Error("that is not what was promised")
			}
		})
	}
}

// B4: an attacker with an account gains no attempts at others by logging in.
func TestSuccessKeepsTheNetworksCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		for i := range 500 {
			s.addUser(store.User{Name: fmt.Sprint("user", i), Active: true})
		}
		compared := 0
		for i := range 500 {
			if got := verdictOf(s.passwords.Verify(at(t, "203.0.113.1"), "bob", goodPassword)); got != "bob" {
				t.Fatalf("bob: %s", got)
			}
			if verdictOf(s.passwords.Verify(at(t, "203.0.113.1"), fmt.Sprint("user", i), "Password1")) == badLogin {
				compared++
			}
		}
		if compared != 300 {
			t.Errorf("%d guesses were compared, want 300", compared)
		}
	})
}

// A cookie that is made with the hash that was just compared belongs to the hash that
// is stored, also where the login has replaced it.
func TestDeviceCookieOfComparedHash(t *testing.T) {
	for name, before := range map[string]string{"current": "", "outdated": "old:"} {
		s := newSystem(t, nil)
		hash, err := s.db.PasswordHash(t.Context(), s.alice.ID)
		if err == nil {
			err = s.db.SetPasswordHash(t.Context(), s.alice.ID, before+hash)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/login", nil)
		r = r.WithContext(context.WithValue(r.Context(), stores.SeenKey{}, new(stores.Seen)))
		u, err := s.passwords.VerifyRequest(r, "alice", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		if calls := s.db.during(func() { _ = s.passwords.RememberBrowser(httptest.NewRecorder(), r, u) }); len(calls) > 0 {
			t.Errorf("%s: the hash is known, and still there was %v", name, calls)
		}
		remember := func(r *http.Request) *http.Cookie {
			w := httptest.NewRecorder()
			if err := s.passwords.RememberBrowser(w, r, u); err != nil {
				t.Fatal(err)
			}
			return w.Result().Cookies()[0]
		}
		again := httptest.NewRequest("POST", "/login", nil) // reads the hash
		again.AddCookie(remember(r))
		if c := remember(again); strings.Contains(c.Value, ".") {
			t.Errorf("%s: the cookie of the login is one of another hash: %s", name, c.Value)
		}
	}
}
