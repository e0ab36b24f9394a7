package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

func TestCreatePersonalToken(t *testing.T) { // 124 to 128, 112, 85, 141
	s := newSystem(t)
	r := s.do("POST", "/api/v2/users/1/personal_tokens/", basic("admin", "admin-pw"),
		jsonBody(`{"description":"My API Token","application":null,"scope":"write"}`)).wants(201)
	doc := r.json()
	token, _ := doc["token"].(string)
	expires, err := time.Parse("2006-01-02T15:04:05.000000Z", fmt.Sprint(doc["expires"]))
	if err != nil || time.Until(expires) < 29*24*time.Hour {
		t.Errorf("expires %v (%v)", doc["expires"], err)
	}
	if len(token) < 30 || len(token) > 55 || strings.HasPrefix(token, "-") {
		t.Errorf("token %q", token)
	}
	for _, changing := range []string{"token", "expires", "created", "modified"} {
		delete(doc, changing)
	}
	want := map[string]any{
		"id": 1.0, "type": "o_auth2_access_token", "url": "/api/v2/tokens/1/",
		"related":        map[string]any{"user": "/api/v2/users/1/"},
		"summary_fields": map[string]any{"user": map[string]any{"id": 1.0, "username": "admin", "first_name": "", "last_name": ""}},
		"description":    "My API Token", "user": 1.0, "refresh_token": nil, "application": nil, "scope": "write", "last_used": nil, "addresses": []any{}, "parent": nil,
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
	if r.header.Get("Location") != "/api/v2/tokens/1/" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", r.header)
	}
	if s.whoami(bearer(token)) != "admin" {
		t.Error("the token does not work")
	}
	for _, target := range []string{"/api/v2/tokens/", "/api/v2/tokens/1/", "/api/v2/users/1/personal_tokens/", "/api/v2/users/admin/personal_tokens/1/"} {
		if r := s.do("GET", target, bearer(token)).wants(200); strings.Contains(r.body, token) || !strings.Contains(r.body, `"token":"`+mask+`"`) {
			t.Errorf("%s: %s", target, r.body)
		}
	}
	for name, parts := range map[string][]with{
		"no body":               {},
		"empty body":            {jsonBody("")},
		"blank body":            {jsonBody(" \n")},
		"empty object":          {jsonBody("{}")},
		"charset":               {body("application/json; charset=utf-8", "{}")},
		"name in place of id":   {},                                                                                         // 134
		"what AWX ignores":      {jsonBody(`{"user":1,"token":"x","id":900,"refresh_token":"x","created":"x","type":"x"}`)}, // 138
		"what a client read":    {jsonBody(`{"related":{},"summary_fields":{},"url":"x","modified":null,"last_used":null}`)},
		"an expiry of its own":  {jsonBody(`{"expires":null}`)},
		"description with HTML": {jsonBody(`{"description":"<b>\u00e9</b>"}`)}, // 142
	} {
		for _, target := range []string{"/api/v2/tokens/", "/api/v2/users/alice/personal_tokens/"} {
			doc := s.do("POST", target, append(parts, basic("alice", "alice-pw"))...).wants(201).json()
			if doc["scope"] != "write" || doc["user"] != 3.0 || doc["token"] == "x" || doc["id"] == 900.0 {
				t.Errorf("%s at %s: %v", name, target, doc)
			}
			if name == "description with HTML" && doc["description"] != "<b>é</b>" {
				t.Errorf("description %v", doc["description"])
			}
		}
	}
}

func TestCreateRefusesWhatItDoesNotUnderstand(t *testing.T) { // 115, 139, 140, 242 to 244, 246
	s := newSystem(t)
	alice := basic("alice", "alice-pw")
	for content, fields := range map[string][]string{
		`{"scope":""}`:               {"scope"},
		`{"scope":"rainbow"}`:        {"scope"},
		`{"scope":"read rainbow"}`:   {"scope"},
		`{"scope":"read read"}`:      {"scope"},
		`{"scope":"Write"}`:          {"scope"},
		`{"scope":"read  write"}`:    {"scope"},
		`{"scope":"*"}`:              {"scope"},
		`{"scope":null}`:             {"scope"},
		`{"scope":["read"]}`:         {"scope"},
		`{"scope":7}`:                {"scope"},
		`{"description":7}`:          {"description"},
		`{"description":"a\u0000b"}`: {"description"},
		`{"description":"` + strings.Repeat("a", 5000) + `"}`: {"description"},
		`{"expires":"2001-01-01T00:00:00Z"}`:                  {"expires"},
		`{"expires":"9999-12-31T23:59:59Z"}`:                  {"expires"},
		`{"expires":"tomorrow"}`:                              {"expires"},
		`{"expires":7}`:                                       {"expires"},
		`{"application":7}`:                                   {"application"},
		`{"scpoe":"read"}`:                                    {"scpoe"},
		`{"SCOPE":"write"}`:                                   {"SCOPE"},
		`{"scope":"x","expires":"x","description":1}`:         {"description", "expires", "scope"},
	} {
		s.do("POST", "/api/v2/users/3/personal_tokens/", alice, jsonBody(content)).blames(fields...)
	}
	for _, content := range []string{"null", `"x"`, "[]", "7", "{", `{"a"}`, `{"scope":"read"} {}`, `{"scope":"read","scope":"write"}`, "\xff", `{"description":"` + "\xff" + `"}`, `{"description":"\ud800"}`, "\ufeff{}", `{"scope":NaN}`, `{"scope":"read",}`} {
		r := s.do("POST", "/api/v2/tokens/", alice, jsonBody(content)).wants(400)
		if detail, _ := r.json()["detail"].(string); !strings.HasPrefix(detail, "JSON parse error") {
			t.Errorf("%q: %s", content, r.body)
		}
	}
	for _, contentType := range []string{"", "text/html", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json2", "application"} {
		r := s.do("POST", "/api/v2/tokens/", alice, body(contentType, `{"scope":"read"}`)).wants(415)
		if !strings.Contains(r.json()["detail"].(string), "application/json") {
			t.Errorf("%q: %s", contentType, r.body)
		}
	}
	s.do("POST", "/api/v2/tokens/", alice, jsonBody(`{"description":"`+strings.Repeat("a", 10<<20)+`"}`)).wants(413)
	unread := &unreadable{t: t}
	s.do("POST", "/api/v2/tokens/", func(r *http.Request) { r.Body = unread }).is401()
	if list, _, err := s.db.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 9}); err != nil || len(list) > 0 {
		t.Errorf("a refused request made a token: %v (%v)", list, err)
	}
}

// unreadable is a body that nobody may read.
type unreadable struct{ t *testing.T }

func (u *unreadable) Read([]byte) (int, error) {
	u.t.Error("the body of an anonymous request is read")
	return 0, http.ErrBodyNotAllowed
}

func (*unreadable) Close() error { return nil }

func TestChosenExpiry(t *testing.T) { // 139
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		at := time.Now().Add(time.Hour).UTC()
		doc := s.do("POST", "/api/v2/tokens/", basic("alice", "alice-pw"), jsonBody(`{"expires":"`+at.Format(time.RFC3339)+`"}`)).wants(201).json()
		if got := doc["expires"]; got != at.Format("2006-01-02T15:04:05.000000Z") {
			t.Errorf("expires %v, want %v", got, at)
		}
		time.Sleep(time.Hour)
		s.do("GET", "/api/v2/me/", bearer(doc["token"].(string))).is401()
		// A time that was never set is not the same as none.
		for _, never := range []string{"0001-01-01T00:00:00Z", "0001-01-01T01:00:00+01:00", "0000-12-31T23:59:59Z", "1970-01-01T00:00:00Z"} {
			s.do("POST", "/api/v2/tokens/", basic("alice", "alice-pw"), jsonBody(`{"expires":"`+never+`"}`)).wants(400).blames("expires")
		}
	})
}

func TestWhoseTokens(t *testing.T) { // 129, 131, 135 to 137, 143, 152, 155, 157, 158
	s := newSystem(t)
	tokens := map[string]string{}
	for _, u := range []store.User{s.admin, s.alice, s.bob} {
		tokens[u.Name] = s.token(u, auth.ScopeWrite) // 1, 2, 3
	}
	as := func(name string) with { return basic(name, name+"-pw") }
	for _, tt := range []struct {
		who, method, target string
		status              int
		count               float64
	}{
		{"admin", "GET", "/api/v2/users/3/personal_tokens/", 200, 1},
		{"admin", "GET", "/api/v2/users/alice/personal_tokens/", 200, 1},
		{"auditor", "GET", "/api/v2/users/3/personal_tokens/", 200, 1},
		{"alice", "GET", "/api/v2/users/3/personal_tokens/", 200, 1},
		{"alice", "GET", "/api/v2/users/4/personal_tokens/", 404, 0},
		{"alice", "GET", "/api/v2/users/bob/personal_tokens/", 404, 0},
		{"alice", "GET", "/api/v2/users/999/personal_tokens/", 404, 0},
		{"admin", "GET", "/api/v2/users/999/personal_tokens/", 404, 0},
		{"admin", "GET", "/api/v2/users/nobody/personal_tokens/", 404, 0},
		{"alice", "GET", "/api/v2/users/1/personal_tokens/", 403, 0},
		{"alice", "POST", "/api/v2/users/1/personal_tokens/", 403, 0},
		{"alice", "POST", "/api/v2/users/4/personal_tokens/", 404, 0},
		{"admin", "POST", "/api/v2/users/3/personal_tokens/", 403, 0},
		{"alice", "GET", "/api/v2/tokens/", 200, 1},
		{"admin", "GET", "/api/v2/tokens/", 200, 3},
		{"auditor", "GET", "/api/v2/tokens/", 200, 3},
		{"alice", "GET", "/api/v2/tokens/3/", 404, 0},
		{"alice", "DELETE", "/api/v2/tokens/3/", 404, 0},
		{"alice", "PATCH", "/api/v2/tokens/3/", 404, 0},
		{"auditor", "GET", "/api/v2/tokens/3/", 200, 0},
		{"auditor", "DELETE", "/api/v2/tokens/3/", 403, 0},
		{"auditor", "PATCH", "/api/v2/tokens/3/", 403, 0},
		{"admin", "GET", "/api/v2/users/1/personal_tokens/3/", 404, 0},
		{"admin", "DELETE", "/api/v2/users/1/personal_tokens/3/", 404, 0},
		{"alice", "POST", "/api/v2/tokens/3/rotate/", 404, 0},
		{"admin", "POST", "/api/v2/tokens/3/rotate/", 403, 0},
	} {
		r := s.do(tt.method, tt.target, as(tt.who))
		if r.status != tt.status {
			t.Errorf("%s %s %s: %d, want %d: %s", tt.who, tt.method, tt.target, r.status, tt.status, r.body)
			continue
		}
		if tt.count > 0 && r.json()["count"] != tt.count {
			t.Errorf("%s %s: %v tokens, want %v", tt.who, tt.target, r.json()["count"], tt.count)
		}
		if r.status == 404 {
			r.hasDetail("Not found.")
		}
	}
	for _, target := range []string{"/api/v2/users/1/personal_tokens/", "/api/v2/users/nobody/personal_tokens/", "/api/v2/users/admin/", "/api/v2/tokens/1/", "/api/v2/tokens/999/"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"} {
			if r := s.do(method, target); r.status != 401 {
				t.Errorf("anonymous %s %s: %d", method, target, r.status)
			}
		}
	}
	for name, token := range tokens {
		if s.whoami(bearer(token)) != name {
			t.Errorf("the token of %s is gone", name)
		}
	}
}

func TestDeleteToken(t *testing.T) { // 130, 132, 133
	s := newSystem(t)
	for _, target := range []string{"/api/v2/tokens/%d/", "/api/v2/users/3/personal_tokens/%d/", "/api/v2/users/alice/personal_tokens/%d/"} {
		token := s.token(s.alice, auth.ScopeWrite)
		p, err := s.tokens.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf(target, p.TokenID)
		if r := s.do("DELETE", path, bearer(token)).wants(204); r.body != "" { // by itself
			t.Errorf("body %q", r.body)
		}
		s.do("GET", "/api/v2/me/", bearer(token)).is401()
		s.do("DELETE", path, basic("alice", "alice-pw")).wants(404)
		s.do("GET", path, basic("alice", "alice-pw")).wants(404)
	}
}

func TestPatchToken(t *testing.T) { // 119, 142, 156
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.token(s.alice, auth.ScopeWrite)
		alice := basic("alice", "alice-pw")
		before := s.do("GET", "/api/v2/tokens/1/", alice).json()
		time.Sleep(time.Second)
		after := s.do("PATCH", "/api/v2/tokens/1/", alice, jsonBody(`{"scope":"read","description":"x","application":9,"user":4,"expires":"x"}`)).wants(200).json()
		if after["scope"] != "read" || after["description"] != "x" || after["modified"] == before["modified"] || after["token"] != mask {
			t.Errorf("after the change: %v", after)
		}
		for _, name := range []string{"application", "user", "expires", "created", "id"} {
			if !cmp.Equal(after[name], before[name]) {
				t.Errorf("%s changed from %v to %v", name, before[name], after[name])
			}
		}
		for _, method := range []string{"PATCH", "PUT"} {
			s.do(method, "/api/v2/tokens/1/", alice, jsonBody(`{"scope":"write"}`)).blames("scope")
			s.do(method, "/api/v2/tokens/1/", alice, jsonBody(`{"scope":"read write"}`)).blames("scope")
		}
		s.do("PUT", "/api/v2/tokens/1/", alice, jsonBody(`{"description":"y"}`)).wants(200)
		s.do("PATCH", "/api/v2/tokens/1/", alice, jsonBody(`{"description":7}`)).blames("description")
	})
}

func TestReadTokenCannotManageTokens(t *testing.T) { // 118
	s := newSystem(t)
	read := bearer(s.token(s.alice, auth.ScopeRead))
	for _, request := range [][2]string{
		{"POST", "/api/v2/tokens/"}, {"POST", "/api/v2/users/3/personal_tokens/"}, {"PATCH", "/api/v2/tokens/1/"},
		{"DELETE", "/api/v2/tokens/1/"}, {"POST", "/api/v2/tokens/1/rotate/"}, {"DELETE", "/api/v2/users/3/personal_tokens/1/"},
	} {
		s.do(request[0], request[1], read).is403()
	}
}

func TestTokensMintOnlyChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *options) { o.tokens.PersonalLifetime = time.Hour })
		parent := s.token(s.alice, auth.ScopeWrite)
		time.Sleep(time.Minute)
		child := s.do("POST", "/api/v2/tokens/", bearer(parent), jsonBody(`{"scope":"write"}`)).wants(201).json()
		parentDoc := s.do("GET", "/api/v2/tokens/1/", bearer(parent)).json()
		if child["expires"] != parentDoc["expires"] {
			t.Errorf("the child expires at %v, its parent at %v", child["expires"], parentDoc["expires"])
		}
		s.do("POST", "/api/v2/tokens/", bearer(parent), jsonBody(`{"expires":"`+time.Now().Add(2*time.Hour).Format(time.RFC3339)+`"}`)).blames("expires")
		token := child["token"].(string)
		grandchild := s.do("POST", "/api/v2/tokens/", bearer(token), jsonBody(`{"scope":"read"}`)).wants(201).json()["token"].(string)
		s.do("DELETE", "/api/v2/tokens/1/", bearer(parent)).wants(204)
		if s.whoami(bearer(token)) != "" || s.whoami(bearer(grandchild)) != "" {
			t.Error("what a token minted outlived it")
		}
	})
}

func TestRotateToken(t *testing.T) {
	s := newSystem(t)
	old := s.token(s.alice, auth.ScopeWrite)
	child := s.do("POST", "/api/v2/tokens/", bearer(old)).wants(201).json()["token"].(string)
	r := s.do("POST", "/api/v2/tokens/1/rotate/", bearer(old)).wants(200)
	next, _ := r.json()["token"].(string)
	if s.whoami(bearer(old)) != "" || s.whoami(bearer(next)) != "alice" || s.whoami(bearer(child)) != "alice" {
		t.Error("rotation did not replace exactly the secret")
	}
	if r.json()["id"] != 1.0 || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", r.body, r.header)
	}
	s.do("POST", "/api/v2/tokens/1/rotate/", bearer(child)).wants(403).hasDetail("A token may rotate only itself: log in, or use Basic.")
}

func TestTokensOfUsersWhoLogInElsewhere(t *testing.T) { // 144
	refused := map[string]bool{}
	s := newSystem(t, func(o *options) {
		o.tokens.MayIssue = func(_ context.Context, u store.User) error {
			if refused[u.Name] {
				return &auth.Error{Detail: "Tokens are not for users of the directory."}
			}
			return nil
		}
	})
	token := s.token(s.alice, auth.ScopeRead)
	refused["alice"] = true
	r := s.do("POST", "/api/v2/tokens/", basic("alice", "alice-pw")).wants(403)
	if r.json()["detail"] != "Tokens are not for users of the directory." {
		t.Errorf("detail %s", r.body)
	}
	if s.whoami(bearer(token)) != "alice" {
		t.Error("an existing token ended")
	}
}

// Decision 27: a token says which one issued it, and a tree can be ended as one.
func TestMintedTokens(t *testing.T) {
	s := newSystem(t, func(o *options) { o.tokens.Minting = auth.InsecureMintIndependent })
	mint := func(by string) (id int64, secret string, parent any) {
		t.Helper()
		doc := s.do("POST", "/api/v2/tokens/", bearer(by), jsonBody(`{"scope":"write"}`)).wants(201).json()
		return int64(doc["id"].(float64)), doc["token"].(string), doc["parent"]
	}
	root := s.token(s.alice, "write")
	list := s.do("GET", "/api/v2/tokens/", bearer(root)).wants(200).json()
	first := list["results"].([]any)[0].(map[string]any)
	if first["parent"] != nil {
		t.Errorf("the first token has the parent %v", first["parent"])
	}
	child, secret, parent := mint(root)
	if parent != first["id"] {
		t.Errorf("parent is %v, want %v", parent, first["id"])
	}
	_, grandchild, parent := mint(secret)
	if parent != float64(child) {
		t.Errorf("parent is %v, want %v", parent, child)
	}
	path := fmt.Sprintf("/api/v2/tokens/%d/", child)
	for _, query := range []string{"?minted=yes", "?minted=", "?minted=true&minted=true"} {
		s.do("DELETE", path+query, bearer(root)).wants(400)
	}
	s.do("DELETE", path, bearer(root)).wants(204)
	s.do("GET", "/api/v2/me/", bearer(secret)).is401()
	s.do("GET", "/api/v2/me/", bearer(grandchild)).wants(200)

	_, secret, _ = mint(grandchild)
	id := int64(first["id"].(float64))
	s.do("DELETE", fmt.Sprintf("/api/v2/tokens/%d/?minted=true", id), bearer(s.token(s.bob, "write"))).wants(404)
	s.do("GET", "/api/v2/me/", bearer(secret)).wants(200)
	s.do("DELETE", fmt.Sprintf("/api/v2/tokens/%d/?minted=true", id), bearer(secret)).wants(204)
	for _, token := range []string{root, grandchild, secret} {
		s.do("GET", "/api/v2/me/", bearer(token)).is401()
	}
}
