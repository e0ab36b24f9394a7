package auth_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Cases 70 to 79, R-029, R-142 to R-144: what Basic credentials are worth.
func TestBasic(t *testing.T) { readings(t, testBasic) }

func testBasic(t *testing.T, how func(*settings)) {
	s := newSystem(t, how)
	add := func(name, hash string) {
		u := s.addUser(store.User{Name: name, Active: true})
		if err := s.db.Store.SetPasswordHash(t.Context(), u.ID, hash); err != nil {
			t.Fatal(err)
		}
	}
	add("carl", cheapHash(1, "pa:ss:word:"))
	add("jürgen", cheapHash(1, "pässwörd"))
	add("nopass", "")
	encode := func(pair string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	}
	good := strings.TrimPrefix(encode("alice:"+goodPassword), "Authorization: Basic ")
	unpadded := base64.RawStdEncoding.EncodeToString([]byte("carl:pa:ss:word:")) // needs padding
	for _, tt := range []struct{ name, line, want string }{
		{"right", encode("alice:" + goodPassword), "alice by basic"},
		{"scheme in any case", "Authorization: bAsIc " + good, "alice by basic"},
		{"more than one blank", "Authorization: Basic   " + good, "alice by basic"},
		{"colons belong to the password", encode("carl:pa:ss:word:"), "carl by basic"},
		{"UTF-8", encode("jürgen:pässwörd"), "jürgen by basic"},
		{"Latin-1, which AWX's client sends", encode("j\xfcrgen:p\xe4ssw\xf6rd"), "jürgen by basic"},
		{"mixed encodings are Latin-1", encode("jürgen:p\xe4sswörd"), "401"},
		{"wrong password", encode("alice:wrong"), "401"},
		{"unknown user", encode("nobody:" + goodPassword), "401"},
		{"disabled user", encode("dora:" + goodPassword), "401"},
		{"no password stored, none sent", encode("nopass:"), "401"},
		{"empty password", encode("alice:"), "401"},
		{"empty user", encode(":" + goodPassword), "401"},
		{"empty pair", encode(":"), "401"},
		{"no colon", encode("alice"), "401"},
		{"nothing", "Authorization: Basic", "401"},
		{"nothing but a blank", "Authorization: Basic ", "401"},
		{"not base64", "Authorization: Basic !!!", "401"},
		{"two words", "Authorization: Basic " + good + " " + good, "401"},
		{"a newline in base64", "Authorization: Basic " + good[:8] + "\n" + good[8:], "401"},
		{"base64url", "Authorization: Basic YTo_Pz8_", "401"},
		{"padding missing", "Authorization: Basic " + unpadded, "401"},
		{"padding to spare", "Authorization: Basic " + good + "====", "401"},
		{"bits to spare", "Authorization: Basic Y2FybDpwYTpzczp3b3JkOh==", "401"},
		{"NUL in the user", encode("alice\x00:" + goodPassword), "401"},
		{"NUL in the password", encode("alice:" + goodPassword + "\x00"), "401"},
		{"newline in the user", encode("alice\nadmin:" + goodPassword), "401"},
		{"blank behind the user", encode("alice :" + goodPassword), "401"},
		{"a megabyte", encode("alice:" + strings.Repeat("x", 1<<20)), "401"},
		{"scheme with a long s", "Authorization: Baſic " + good, "401"},
		{"scheme and more", "Authorization: Basics " + good, "401"},
		{"tab instead of a blank", "Authorization: Basic\t" + good, "401"},
		{"token as a user", encode(s.issue(s.alice, "write").AccessToken.Reveal() + ":x"), "401"},
		{"token as a password", encode("bob:" + s.issue(s.bob, "write").AccessToken.Reveal()), "401"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := s.send("GET", "/probe/", tt.line)
			if got := who(t, w); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if len(w.Header()["Set-Cookie"]) > 0 { // case 83
				t.Error("Basic got a cookie")
			}
			if strings.Contains(strings.Join(w.Header()["Www-Authenticate"], " "), "Basic") { // case 80
				t.Error("Basic is advertised")
			}
		})
	}
}

// Case 71, R-030: while Basic is off, right and wrong passwords are the same, and
// nothing is looked at.
func TestBasicSwitch(t *testing.T) {
	var off atomic.Bool
	s := newSystem(t, func(o *settings) { o.basic.Enabled = func() bool { return !off.Load() } })
	right, wrong := basicLine("alice", goodPassword), basicLine("alice", "wrong")
	if got := s.me(right); got != "alice by basic" {
		t.Errorf("on: %s", got)
	}
	off.Store(true)
	before := s.hasher.verifies.Load()
	calls := s.db.during(func() {
		for _, line := range []string{right, wrong, "Authorization: Basic !!!"} {
			if diff := cmp.Diff(e401(""), refusalOf(s.send("GET", "/probe/", line))); diff != "" {
				t.Errorf("off (-want +got):\n%s", diff)
			}
			if got := who(t, s.send("GET", "/public/", line)); got != "anonymous by none" {
				t.Errorf("off, public page: %s", got)
			}
		}
	})
	if len(calls) > 0 || s.hasher.verifies.Load() != before {
		t.Errorf("off, but store calls %q", calls)
	}
	off.Store(false)
	if got := s.me(right); got != "alice by basic" {
		t.Errorf("on again: %s", got)
	}
}

// A gate asks a Basic in its turn: after a type of the host that is in front of it, and
// instead of one behind it, unless it is off.
func TestBasicInItsTurn(t *testing.T) {
	s, other := newSystem(t, nil), newSystem(t, nil)
	if err := other.db.Store.SetPasswordHash(t.Context(), other.alice.ID, cheapHash(0, "of the other one")); err != nil {
		t.Fatal(err)
	}
	bearer, basic, without := auth.NewBearer(s.tokens), auth.NewBasic(s.passwords, nil), auth.NewBasic(other.passwords, nil)
	off := auth.NewBasic(other.passwords, &auth.BasicOptions{Enabled: func() bool { return false }})
	host := says(&auth.Principal{Name: "of the host", Scopes: auth.Unrestricted}, nil)
	for _, tt := range []struct {
		name string
		gate auth.Authenticator
		want string
	}{
		{"alone", basic, "alice"},
		{"behind a session and a bearer", auth.FirstOf(s.session, bearer, basic, host), "alice"},
		{"in a chain's chain", auth.FirstOf(bearer, auth.FirstOf(s.session, auth.FirstOf(basic, host))), "alice"},
		{"behind the host's", auth.FirstOf(host, basic), "of the host"},
		{"behind a bearer and the host's", auth.FirstOf(bearer, host, basic), "of the host"},
		{"behind the host's that knows nobody", auth.FirstOf(says(nil, auth.ErrNoCredentials), basic), "alice"},
		{"behind one that is off", auth.FirstOf(off, basic), "alice"},
		{"behind another", auth.FirstOf(without, basic), "Incorrect user name or password."},
		{"nobody", auth.FirstOf(s.session, bearer), "The scheme of the Authorization field is not supported."},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth("alice", goodPassword)
		got := ""
		p, err := auth.NewGate(tt.gate, &auth.GateOptions{Logger: quiet}).Check(r)
		if err == nil {
			got = p.Name
		} else if e, ok := errors.AsType[*auth.Error](err); ok {
			got = e.Detail
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q (%v)", tt.name, got, tt.want, err)
		}
	}
}

// TestAcceptsBasic holds what a gate says about its own authenticators.
func TestAcceptsBasic(t *testing.T) {
	s := newSystem(t, nil)
	on := true
	basic := auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: func() bool { return on }})
	gate, without := auth.NewGate(auth.FirstOf(s.session, basic), nil), auth.NewGate(s.session, nil)
	type hosts struct{ auth.Authenticator }
	foreign := auth.NewGate(hosts{basic}, nil)
	if !gate.AcceptsBasic() || without.AcceptsBasic() || foreign.AcceptsBasic() {
		t.Errorf("Basic is on: %v, %v, %v", gate.AcceptsBasic(), without.AcceptsBasic(), foreign.AcceptsBasic())
	}
	if on = false; gate.AcceptsBasic() {
		t.Error("Basic is off")
	}
}

// Case 66, R-035: browsers send Basic credentials by themselves, as cookies.
func TestBasicIsAmbient(t *testing.T) {
	s := newSystem(t, nil)
	line := basicLine("alice", goodPassword)
	for _, tt := range []struct {
		method, field string
		want          int
	}{
		{"POST", "X: y", 200},
		{"POST", "Sec-Fetch-Site: same-origin", 200},
		{"POST", "Sec-Fetch-Site: none", 200},
		{"POST", "Sec-Fetch-Site: cross-site", 403},
		{"POST", "Sec-Fetch-Site: same-site", 403},
		{"DELETE", "Sec-Fetch-Site: cross-site", 403},
		{"POST", "Origin: http://example.com", 200}, // httptest's Host
		{"POST", "Origin: https://evil.example", 403},
		{"POST", "Origin: null", 403},
		{"GET", "Sec-Fetch-Site: cross-site", 200},
	} {
		before := s.hasher.verifies.Load()
		if got := s.send(tt.method, "/probe/", line, tt.field).Code; got != tt.want {
			t.Errorf("%s with %s: %d, want %d", tt.method, tt.field, got, tt.want)
		}
		if wrong := s.send(tt.method, "/probe/", basicLine("alice", "wrong"), tt.field).Code; tt.want == 403 && (wrong != 403 || s.hasher.verifies.Load() != before) {
			t.Errorf("%s with %s: a wrong password is %d: the order tells which are right", tt.method, tt.field, wrong)
		}
	}
}

// Case 84: where TLS is required, passwords in clear are not looked at.
func TestBasicRequiresTLS(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.basic.RequireTLS = true })
	for _, password := range []string{goodPassword, "wrong"} {
		calls := s.db.during(func() {
			want := refused{Status: 403, Body: `{"detail":"Basic authentication needs HTTPS."}`}
			if diff := cmp.Diff(want, refusalOf(s.send("GET", "/probe/", basicLine("alice", password), "X-Forwarded-Proto: https"))); diff != "" {
				t.Errorf("in clear (-want +got):\n%s", diff)
			}
		})
		if len(calls) > 0 {
			t.Errorf("in clear: store calls %q", calls)
		}
	}
	r := httptest.NewRequest("GET", "https://app.example/probe/", nil)
	r.TLS = &tls.ConnectionState{}
	r.SetBasicAuth("alice", goodPassword)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if got := who(t, w); got != "alice by basic" {
		t.Errorf("over TLS: %s", got)
	}
}

// Rights are the user's at the moment of the request.
func TestBasicSeesTheUserAsHeIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		rights := func() (p *auth.Principal) {
			r := httptest.NewRequest("GET", "/", nil)
			r.SetBasicAuth("admin", goodPassword)
			p, err := s.gate.Check(r)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		want := &auth.Principal{
			ID: "1", Name: "admin", Scopes: auth.Unrestricted, Admin: true, Credential: auth.CredentialBasic,
			Epoch: s.admin.Epoch, HasEpoch: true, Proved: time.Now(),
		}
		if diff := cmp.Diff(want, rights()); diff != "" {
			t.Errorf("principal (-want +got):\n%s", diff)
		}
		demoted := s.admin
		demoted.Admin, demoted.Auditor = false, true
		if err := s.db.UpdateUser(t.Context(), demoted); err != nil {
			t.Fatal(err)
		}
		want.Admin, want.Auditor = false, true
		if diff := cmp.Diff(want, rights()); diff != "" {
			t.Errorf("after a demotion (-want +got):\n%s", diff)
		}
	})
}
