package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

const selfPath = "/api/v2/tokens/self/"

// A token shows itself, whatever its scopes are, and nothing but itself.
func TestSelf(t *testing.T) {
	s := newSystem(t, func(o *options) { o.tokens.Scopes = []string{"jobs"} })
	for _, scope := range []auth.Scopes{"read", "write", "jobs"} {
		token := s.token(s.alice, scope)
		self := s.do("GET", selfPath, bearer(token)).wants(200).json()
		byID := s.do("GET", self["url"].(string), basic("alice", "alice-pw")).wants(200).json()
		self["last_used"], byID["last_used"] = nil, nil
		if diff := cmp.Diff(byID, self); diff != "" || self["scope"] != string(scope) || self["token"] != mask {
			t.Errorf("%s (-by ID +self):\n%s", scope, diff)
		}
	}
	s.do("GET", selfPath).is401()
	s.do("GET", selfPath, bearer("ost_x")).is401()
	for _, with := range []with{basic("alice", "alice-pw"), cookie(s.login("alice", "alice-pw"))} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			s.do(method, selfPath, with).wants(404)
		}
		s.do("POST", selfPath+"rotate/", with).wants(404)
	}
}

// Whoever has a personal token may end it, whatever its scopes are.
func TestDeleteSelf(t *testing.T) {
	s := newSystem(t, func(o *options) { o.tokens.Scopes = []string{"jobs"} })
	other := s.token(s.alice, "write")
	for _, scope := range []auth.Scopes{"read", "write", "jobs"} {
		token := s.token(s.alice, scope)
		s.do("DELETE", selfPath, bearer(token)).wants(204)
		for _, method := range []string{"GET", "DELETE"} {
			s.do(method, selfPath, bearer(token)).is401()
		}
	}
	s.do("GET", selfPath, bearer(other)).wants(200)
}

func TestRotateSelf(t *testing.T) {
	s := newSystem(t)
	read, old := s.token(s.alice, "read"), s.token(s.alice, "write")
	s.do("POST", selfPath+"rotate/", bearer(read)).is403()
	before := s.do("GET", selfPath, bearer(old)).wants(200).json()
	s.do("POST", selfPath+"rotate/", bearer(old), jsonBody(`{"expires_at":"2099-01-01"}`)).wants(400)
	after := s.do("POST", selfPath+"rotate/", bearer(old)).wants(200).json()
	token := after["token"].(string)
	s.do("GET", selfPath, bearer(old)).is401()
	s.do("POST", selfPath+"rotate/", bearer(old)).is401() // which does not end the new one, as it would in GitLab
	now := s.do("GET", selfPath, bearer(token)).wants(200).json()
	for _, name := range []string{"id", "scope", "expires", "created", "description"} {
		if now[name] != before[name] {
			t.Errorf("%s was %v and is %v", name, before[name], now[name])
		}
	}
}

// A token narrows itself and never widens.
func TestNarrowSelf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		at := func(d time.Duration) string { return time.Now().UTC().Add(d).Format(time.RFC3339Nano) }
		s.do("PATCH", selfPath, bearer(s.token(s.alice, "read")), jsonBody(`{"description":"x"}`)).is403()
		for _, tt := range []struct {
			body    string
			blames  string // "" for a change that is made
			expires time.Duration
			scope   string
		}{
			{`{}`, "", 30 * 24 * time.Hour, "write"},
			{`{"description":"mine"}`, "", 30 * 24 * time.Hour, "write"},
			{`{"scope":"read"}`, "", 30 * 24 * time.Hour, "read"},
			{`{"scope":""}`, "scope", 0, ""},
			{`{"scope":"admin"}`, "scope", 0, ""},
			{`{"expires":"` + at(time.Hour) + `"}`, "", time.Hour, "write"},
			{`{"expires":"` + at(30*24*time.Hour) + `"}`, "", 30 * 24 * time.Hour, "write"},
			{`{"expires":null}`, "", 30 * 24 * time.Hour, "write"},
			{`{"scope":"read","expires":"` + at(time.Hour) + `"}`, "", time.Hour, "read"},
			{`{"expires":"` + at(30*24*time.Hour+time.Second) + `"}`, "expires", 0, ""},
			{`{"expires":"` + at(0) + `"}`, "expires", 0, ""},
			{`{"expires":"` + at(-time.Hour) + `"}`, "expires", 0, ""},
			{`{"expires":"0001-01-01T00:00:00Z"}`, "expires", 0, ""},
			{`{"expires":"soon"}`, "expires", 0, ""},
			{`{"expires":7}`, "expires", 0, ""},
			{`{"addresses":["192.0.2.0/24"]}`, "addresses", 0, ""},
			{`{"expires_at":"2027-01-01"}`, "expires_at", 0, ""},
		} {
			token := s.token(s.alice, "write")
			r := s.do("PATCH", selfPath, bearer(token), jsonBody(tt.body))
			if tt.blames != "" {
				r.blames(tt.blames)
				tt.expires, tt.scope = 30*24*time.Hour, "write"
			} else {
				r.wants(200)
			}
			self := s.do("GET", selfPath, bearer(token)).wants(200).json()
			expires, err := time.Parse(time.RFC3339Nano, self["expires"].(string))
			if err != nil || time.Until(expires) != tt.expires || self["scope"] != tt.scope {
				t.Errorf("%s: scope %v, expires in %v, %v", tt.body, self["scope"], time.Until(expires), err)
			}
			// What was read can be sent back by who may write.
			if tt.scope == "write" {
				self["application"] = nil
				back := s.do("GET", selfPath, bearer(token)).body
				s.do("PATCH", selfPath, bearer(token), jsonBody(back)).wants(200)
			}
		}
		token := s.token(s.alice, "write")
		child := s.do("POST", "/api/v2/tokens/", bearer(token), jsonBody(`{}`)).wants(201).json()["token"].(string)
		s.do("PATCH", selfPath, bearer(token), jsonBody(`{"expires":"`+at(time.Hour)+`"}`)).wants(200)
		s.do("GET", selfPath, bearer(child)).is401() // it could have outlived the token
		time.Sleep(time.Hour)
		s.do("GET", selfPath, bearer(token)).is401()
	})
}

// Tokens that leaked are ended by administrators and whom the host names, and the
// answer does not tell which there were.
func TestReportedTokens(t *testing.T) {
	const path = "/api/v2/tokens/reported/"
	s := newSystem(t)
	report := func(tokens ...string) with {
		return jsonBody(fmt.Sprintf(`{"tokens":["%s"]}`, strings.Join(tokens, `","`)))
	}
	leaked, kept := s.token(s.alice, "read"), s.token(s.alice, "read")
	s.do("POST", path, report(leaked)).is401()
	for name, with := range map[string]with{
		"the owner": basic("alice", "alice-pw"), "an auditor": basic("auditor", "auditor-pw"), "the token": bearer(s.token(s.alice, "write")),
		"an administrator's token that may read": bearer(s.token(s.admin, "read")),
	} {
		if r := s.do("POST", path, with, report(leaked)); r.status != 403 {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	admin := basic("admin", "admin-pw")
	for _, body := range []string{`{}`, `{"tokens":null}`, `{"tokens":"x"}`, `{"tokens":[1]}`, `{"tokens":{}}`,
		`{"tokens":["` + strings.Repeat(`x","`, 100) + `x"]}`} {
		if r := s.do("POST", path, admin, jsonBody(body)).blames("tokens"); strings.Contains(r.body, "x") && strings.Contains(body, `"x"}`) {
			t.Errorf("%s", r.body)
		}
	}
	s.do("POST", path, admin, jsonBody(`{"token":"x"}`)).blames("token")
	s.do("GET", selfPath, bearer(leaked)).wants(200)
	unknown := s.do("POST", path, admin, report("osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG"))
	for _, list := range [][]string{{leaked}, {leaked}, {"x", "", leaked}, {}} {
		got := s.do("POST", path, admin, jsonBody(fmt.Sprintf(`{"tokens":%s}`, strings.ReplaceAll(fmt.Sprintf("%q", list), " ", ",")))).wants(204)
		if diff := cmp.Diff(unknown.header, got.header); diff != "" || got.body != "" {
			t.Errorf("the answer tells more (-unknown +known):\n%s", diff)
		}
		if len(list) > 0 {
			s.do("GET", selfPath, bearer(leaked)).is401()
		}
	}
	s.do("GET", selfPath, bearer(kept)).wants(200)
	if strings.Contains(s.logs.String(), leaked) {
		t.Error("a token stands in the log")
	}
}

// An end of a token that is near is announced where the host asks for it.
func TestExpiryWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, before := range []time.Duration{0, 7 * 24 * time.Hour} {
			s := newSystem(t, func(o *options) { o.gate.WarnBefore = before })
			token := s.token(s.alice, "read")
			tok, err := s.db.TokenByDigest(t.Context(), store.DigestOf(token))
			if err != nil {
				t.Fatal(err)
			}
			check := func(what, want string, parts ...with) {
				t.Helper()
				for _, path := range []string{"/probe/", "/public/", selfPath, "/api/v2/me/"} {
					if got := s.do("GET", path, parts...).header.Get("X-Token-Expires"); got != want && (path != selfPath || len(parts) == 1) {
						t.Errorf("%s: %s has %q, want %q", what, path, got, want)
					}
				}
			}
			check("a new token", "", bearer(token))
			time.Sleep(23 * 24 * time.Hour)
			check("seven days before", "", bearer(token))
			time.Sleep(time.Second)
			want := ""
			if before > 0 {
				want = tok.Expires.UTC().Format(time.RFC3339)
			}
			check("less than seven days before", want, bearer(token))
			check("the owner", "", basic("alice", "alice-pw"))
			time.Sleep(7 * 24 * time.Hour)
			check("a token that has expired", "", bearer(token))
		}
	})
}
