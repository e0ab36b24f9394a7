package auth_test

import (
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Cases 86 to 100, R-007, R-009, R-039: what bearer credentials are worth, and
// which of them are looked up at all.
func TestBearer(t *testing.T) {
	s := newSystem(t, nil)
	token := s.issue(s.alice, "write").AccessToken.Reveal()
	other := newSystem(t, func(o *settings) { o.tokens.Prefix = "oth" })
	foreign := other.issue(other.alice, "write").AccessToken.Reveal()
	unknown := newSystem(t, nil)
	notHere := unknown.issue(unknown.alice, "write").AccessToken.Reveal()
	const malformed = `error="invalid_token", error_description="The access token is malformed."`
	for _, tt := range []struct {
		name, value string
		want        any
		lookUp      bool
	}{
		{"right", "Bearer " + token, "alice by bearer", true},
		{"scheme in any case", "bEaReR " + token, "alice by bearer", true},
		{"more than one blank", "Bearer    " + token, "alice by bearer", true},
		{"only the scheme", "Bearer", e401(malformed), false},
		{"only the scheme and a blank", "Bearer ", e401(malformed), false},
		{"two words", "Bearer " + token + " " + token, e401(malformed), false},
		{"two tokens with a comma", "Bearer " + token + "," + token, e401(malformed), false},
		{"no blank", "Bearer" + token, e401(""), false},
		{"a tab", "Bearer\t" + token, e401(""), false},
		{"another scheme", "Token " + token, e401(""), false},
		{"another scheme that begins alike", "BearerX " + token, e401(""), false},
		{"no scheme", token, e401(""), false},
		{"a blank in front", " Bearer " + token, e401(malformed), false},
		{"unknown", "Bearer " + notHere, e401(invalidToken), true},
		{"another prefix", "Bearer " + foreign, e401(invalidToken), false},
		{"upper case", "Bearer " + strings.ToUpper(token), e401(invalidToken), false},
		{"padding", "Bearer " + token + "=", e401(invalidToken), false},
		{"one character less", "Bearer " + token[:len(token)-1], e401(invalidToken), false},
		{"one character more", "Bearer " + token + "A", e401(invalidToken), false},
		{"NUL behind", "Bearer " + token + "\x00", e401(malformed), false},
		{"not ASCII", "Bearer é", e401(malformed), false},
		{"512 bytes", "Bearer " + strings.Repeat("a", 512), e401(invalidToken), false},
		{"513 bytes", "Bearer " + strings.Repeat("a", 513), e401(malformed), false},
		{"a megabyte", "Bearer " + strings.Repeat("a.", 1<<19), e401(malformed), false},
		{"only padding", "Bearer ====", e401(malformed), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := s.db.during(func() {
				w := s.send("GET", "/probe/", "Authorization: "+tt.value)
				var got any = refusalOf(w)
				if w.Code == 200 {
					got = who(t, w)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("reply (-want +got):\n%s", diff)
				}
			})
			if slices.Contains(calls, "AccessByDigest") != tt.lookUp {
				t.Errorf("store calls %q", calls)
			}
		})
	}
}

// a huge token costs next to nothing.
func TestHugeTokenIsCheap(t *testing.T) {
	s := newSystem(t, nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("a", 900_000))
	b := auth.NewBearer(s.tokens)
	if n := testing.AllocsPerRun(10, func() { _, _ = b.Authenticate(r) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// Cases 89 to 92, R-047 to: a token lives strictly before its expiry,
// and only while it and its owner are what they were.
func TestTokenEnds(t *testing.T) {
	const expired = `error="invalid_token", error_description="The access token has expired."`
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, s *system, issued auth.IssuedToken)
		want any
	}{
		{"a microsecond before the expiry", func(t *testing.T, s *system, issued auth.IssuedToken) {
			time.Sleep(time.Until(issued.Expires) - time.Microsecond)
		}, "alice by bearer"},
		{"at the expiry", func(t *testing.T, s *system, issued auth.IssuedToken) {
			time.Sleep(time.Until(issued.Expires))
		}, e401(expired)},
		{"a nanosecond later", func(t *testing.T, s *system, issued auth.IssuedToken) {
			time.Sleep(time.Until(issued.Expires) + time.Nanosecond)
		}, e401(expired)},
		{"revoked", func(t *testing.T, s *system, issued auth.IssuedToken) {
			if err := s.tokens.End(t.Context(), by(s.alice), issued.ID); err != nil {
				t.Fatal(err)
			}
		}, e401(invalidToken)},
		{"revoked and expired", func(t *testing.T, s *system, issued auth.IssuedToken) {
			if err := s.tokens.End(t.Context(), by(s.alice), issued.ID); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(issued.Expires))
		}, e401(invalidToken)},
		{"owner disabled", func(t *testing.T, s *system, _ auth.IssuedToken) { s.disable(s.alice) }, e401(invalidToken)},
		{"owner disabled and enabled again", func(t *testing.T, s *system, _ auth.IssuedToken) {
			s.disable(s.alice)
			if err := s.db.UpdateUser(t.Context(), s.alice); err != nil {
				t.Fatal(err)
			}
		}, "alice by bearer"},
		{"owner deleted", func(t *testing.T, s *system, _ auth.IssuedToken) {
			if err := s.db.DeleteUser(t.Context(), s.alice.ID, time.Now()); err != nil {
				t.Fatal(err)
			}
		}, e401(invalidToken)},
		{"owner deleted, and another of that name", func(t *testing.T, s *system, _ auth.IssuedToken) {
			if err := s.db.DeleteUser(t.Context(), s.alice.ID, time.Now()); err != nil {
				t.Fatal(err)
			}
			s.addUser(store.User{ID: "33", Name: "alice", Active: true})
		}, e401(invalidToken)},
		{"new password", func(t *testing.T, s *system, _ auth.IssuedToken) {
			if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
				t.Fatal(err)
			}
		}, "alice by bearer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				issued := s.issue(s.alice, "read")
				tt.end(t, s, issued)
				w := s.send("GET", "/probe/", bearer(issued))
				var got any = refusalOf(w)
				if w.Code == 200 {
					got = who(t, w)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("reply (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("new password with EndWithPassword", func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.tokens.EndWithPassword = true })
		issued := s.issue(s.alice, "read")
		if got := s.me(bearer(issued)); got != "alice by bearer" {
			t.Errorf("before: %s", got)
		}
		if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e401(invalidToken), refusalOf(s.send("GET", "/probe/", bearer(issued)))); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}
	})
}

// Case 103, R-058: the last use is known to the minute, for one write a minute.
func TestLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		issued := s.issue(s.alice, "read")
		touches := func(f func()) (n int) {
			for _, c := range s.db.during(f) {
				if c == "Touch" {
					n++
				}
			}
			return n
		}
		use := func(times int) {
			for range times {
				if got := s.me(bearer(issued)); got != "alice by bearer" {
					t.Fatal(got)
				}
			}
		}
		lastUsed := func() time.Time {
			tok, err := s.db.Store.TokenByID(t.Context(), issued.ID)
			if err != nil {
				t.Fatal(err)
			}
			return tok.LastUsed
		}
		start := time.Now()
		if n := touches(func() { use(100) }); n != 1 || !lastUsed().Equal(start) {
			t.Errorf("first minute: %d writes, last use %v", n, lastUsed())
		}
		time.Sleep(time.Minute - time.Microsecond)
		if n := touches(func() { use(100) }); n != 0 {
			t.Errorf("still the first minute: %d writes", n)
		}
		time.Sleep(time.Microsecond)
		if n := touches(func() { use(100) }); n != 1 || !lastUsed().Equal(start.Add(time.Minute)) {
			t.Errorf("second minute: %d writes, last use %v", n, lastUsed())
		}

		// A burst makes one write, and only the writing request waits for it.
		time.Sleep(time.Hour)
		release := make(chan struct{})
		s.db.on(func(call string) error {
			if call == "Touch" {
				<-release
			}
			return nil
		})
		var wg sync.WaitGroup
		n := touches(func() {
			for range 50 {
				wg.Go(func() { use(1) })
			}
			synctest.Wait()
		})
		close(release)
		wg.Wait()
		s.db.on(nil)
		if n != 1 {
			t.Errorf("a burst: %d writes", n)
		}

		// A token that ends while its use is noted stays dead.
		time.Sleep(time.Hour)
		s.db.on(func(call string) error {
			if call == "Touch" {
				return s.tokens.End(t.Context(), by(s.alice), issued.ID)
			}
			return nil
		})
		use(1)
		s.db.on(nil)
		if got := s.me(bearer(issued)); got != "401" {
			t.Errorf("after its end: %s", got)
		}
	})
}

// Case 104: parallel use of a token while it ends is yes or no, never an outage,
// and no once it has ended.
func TestTokenEndsDuringUse(t *testing.T) {
	s := newSystem(t, nil)
	issued := s.issue(s.alice, "read")
	var wg sync.WaitGroup
	ended := make(chan struct{})
	for range 50 {
		wg.Go(func() {
			for range 20 {
				var over bool
				select {
				case <-ended:
					over = true
				default:
				}
				if got := s.me(bearer(issued)); got != "401" && (over || got != "alice by bearer") {
					t.Errorf("got %s, ended before: %v", got, over)
				}
			}
		})
	}
	if err := s.tokens.End(t.Context(), by(s.alice), issued.ID); err != nil {
		t.Error(err)
	}
	close(ended)
	wg.Wait()
}

// A token that is bound to addresses is good from there only; what a header
// claims counts for nothing.
func TestTokenAddresses(t *testing.T) {
	s := newSystem(t, nil)
	issued, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Scopes: "read", Addresses: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/30"), netip.MustParsePrefix("2001:db8::/32"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]int{
		"192.0.2.1:1":          200,
		"[::ffff:192.0.2.2]:1": 200,
		"[2001:db8::1%eth0]:1": 200,
		"192.0.2.4:1":          401,
		"[2001:db9::1]:1":      401,
		"@":                    401, // a Unix socket
		"":                     401,
	} {
		r := httptest.NewRequest("GET", "/probe/", nil)
		r.RemoteAddr = peer
		r.Header.Set("Authorization", "Bearer "+issued.AccessToken.Reveal())
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %q: %d, want %d", peer, w.Code, want)
		}
	}
}

// Case 146: tokens of AWX work where they were imported, and only there.
func TestImportedTokens(t *testing.T) {
	for _, imported := range []bool{true, false} {
		s := newSystem(t, func(o *settings) { o.tokens.Imported = imported })
		const old = "abcdefghijABCDEFGHIJ0123456789"
		if _, err := s.db.Store.InsertToken(t.Context(), store.Token{UserID: s.alice.ID, Digest: store.DigestOf(old), Scopes: "read", Created: time.Now(), Expires: time.Now().Add(time.Hour)}, store.InsertLimits{}); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "alice by bearer", false: "401"}[imported]
		if got := s.me("Authorization: Bearer " + old); got != want {
			t.Errorf("imported %v: %s, want %s", imported, got, want)
		}
		for _, near := range []string{old[:29], old + "x", old[:29] + "_"} {
			if calls := s.db.during(func() {
				if got := s.me("Authorization: Bearer " + near); got != "401" {
					t.Errorf("%s: %s", near, got)
				}
			}); len(calls) > 0 {
				t.Errorf("%s: store calls %q", near, calls)
			}
		}
	}
}

// the contents of a store are no credentials.
func TestDigestsOpenNothing(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.Imported = true })
	issued := s.issue(s.alice, "write")
	tok, err := s.db.Store.TokenByID(t.Context(), issued.ID)
	if err != nil || tok.Digest != store.DigestOf(issued.AccessToken.Reveal()) {
		t.Fatalf("stored %x, %v", tok.Digest, err)
	}
	for _, text := range []string{string(tok.Digest[:]), string(tok.Digest[:30])} {
		if got := s.me("Authorization: Bearer " + text); got != "401" {
			t.Errorf("the digest is answered %s", got)
		}
	}
}

// a good token in the first of two fields lets nobody in.
func TestBearerTwice(t *testing.T) {
	s := newSystem(t, nil)
	good := bearer(s.issue(s.alice, "read"))
	for _, second := range []string{good, "Authorization: Bearer other", "Authorization: Basic YTpi", "Authorization: "} {
		for _, lines := range [][]string{{good, second}, {second, good}} {
			if got := s.me(lines...); got != "400" {
				t.Errorf("%q: %s, want 400", lines, got)
			}
		}
	}
}
