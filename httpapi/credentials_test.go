package httpapi_test

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

func TestBasic(t *testing.T) { // 70, 74 to 78, 66
	s := newSystem(t)
	if s.whoami(basic("admin", "admin-pw")) != "admin" {
		t.Error("a right password is refused")
	}
	want := s.do("GET", "/api/v2/me/", basic("alice", "wrong")).is401()
	raw := func(value string) with { return header("Authorization", value) }
	encoded := func(pair string) with {
		return raw("Basic " + base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	for name, part := range map[string]with{
		"unknown user":       basic("nobody", "wrong"),
		"disabled user":      basic("dora", "dora-pw"),
		"empty user":         basic("", "x"),
		"empty password":     basic("alice", ""),
		"scheme only":        raw("Basic"),
		"not base64":         raw("Basic !!!"),
		"two words":          raw("Basic YTpi YTpi"),
		"no colon":           encoded("alice"),
		"NUL":                encoded("alice:alice-pw\x00"),
		"not canonical":      raw("Basic YWxpY2U6YWxpY2UtcHd="),
		"a token as name":    basic(s.token(s.alice, auth.ScopeWrite), ""),
		"a token as secret":  basic("alice", s.token(s.alice, auth.ScopeWrite)),
		"other kind of name": basic("ALICE", "alice-pw"),
	} {
		if got := s.do("GET", "/api/v2/me/", part); got.status != 401 || got.body != want.body {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if s.whoami(raw("bAsIc "+base64.StdEncoding.EncodeToString([]byte("alice:alice-pw")))) != "alice" {
		t.Error("the scheme is case-sensitive")
	}
	for _, password := range []string{"a:b:c", "pässword"} {
		if err := s.db.SetPasswordHash(t.Context(), s.bob.ID, "cheap$"+password); err != nil {
			t.Fatal(err)
		}
		if s.whoami(basic("bob", password)) != "bob" {
			t.Errorf("the password %q is not taken", password)
		}
	}
	latin1 := "bob:p\xe4ssword"
	if s.whoami(encoded(latin1)) != "bob" {
		t.Error("Latin-1 is not taken")
	}
}

func TestBasicOff(t *testing.T) { // 71
	s := newSystem(t, func(o *options) { o.basicOff = true })
	s.do("GET", "/api/v2/me/", basic("alice", "alice-pw")).is401()
	if r := s.do("GET", "/public/", basic("alice", "alice-pw")).wants(200); !strings.Contains(r.body, "anonymous") {
		t.Errorf("public: %s", r.body)
	}
}

func TestAudit(t *testing.T) { // 72, 73, 106, 272, 273
	s := newSystem(t)
	s.whoami(basic("alice", "alice-pw"))
	s.do("GET", "/api/v2/me/", basic("mallory", "guess"), from("203.0.113.9:1"))
	s.do("POST", "/api/login/", form("username", "x\nadmin logged in", "password", "guess"))
	s.login("alice", "alice-pw")
	s.whoami(bearer(s.token(s.alice, auth.ScopeRead)))
	logs := s.logs.String()
	for _, want := range []string{
		`"msg":"auth: request","outcome":"success","user":"alice","user_id":"3","credential":"basic","token_id":0,"application_id":0,"method":"GET","path":"/api/v2/me/"`,
		`"user":"mallory","reason":"wrong user name or password","client":"203.0.113.9"`,
		`"msg":"auth: user logged in","user":"alice","user_id":"3","client":"192.0.2.1"`,
		`"credential":"bearer","token_id":1,"application_id":0,"method":"GET","path":"/api/v2/me/"`,
		`"user":"x\nadmin logged in"`,
	} {
		if !strings.Contains(logs, want) {
			t.Errorf("no %s in\n%s", want, logs)
		}
	}
}

func TestBearer(t *testing.T) { // 86 to 88, 91, 93 to 98, 101
	s := newSystem(t)
	token := s.token(s.alice, auth.ScopeRead)
	session := s.login("bob", "bob-pw")
	raw := func(values ...string) with { return header("Authorization", values...) }
	for name, tt := range map[string]struct {
		target string
		parts  []with
		status int
		user   string
	}{
		"valid":                       {"/probe/", []with{bearer(token)}, 200, "alice"},
		"lower case":                  {"/probe/", []with{raw("bearer " + token)}, 200, "alice"},
		"spaces":                      {"/probe/", []with{raw("Bearer   " + token)}, 200, "alice"},
		"scheme only":                 {"/probe/", []with{raw("Bearer")}, 401, ""},
		"two words":                   {"/probe/", []with{raw("Bearer " + token + " x")}, 401, ""},
		"no space":                    {"/probe/", []with{raw("Bearer" + token)}, 401, ""},
		"unknown":                     {"/probe/", []with{bearer("nope")}, 401, ""},
		"huge":                        {"/probe/", []with{bearer(strings.Repeat("a", 1<<20))}, 401, ""},
		"in the query":                {"/probe/?access_token=" + token, nil, 401, ""},
		"in the query, too":           {"/probe/?access_token=" + token, []with{bearer(token)}, 400, ""},
		"two fields":                  {"/probe/", []with{raw("Bearer "+token, "Bearer "+token)}, 400, ""},
		"folded with Basic":           {"/probe/", []with{raw("Bearer " + token + ", Basic YTpi")}, 401, ""},
		"no fall-through to session":  {"/probe/", []with{bearer("nope"), cookie(session)}, 401, ""},
		"wins over the session":       {"/probe/", []with{bearer(token), cookie(session)}, 200, "alice"},
		"dead on a public page":       {"/public/", []with{bearer("nope")}, 401, ""},
		"nothing on a public page":    {"/public/", nil, 200, "anonymous"},
		"malformed query elsewhere":   {"/public/?x=%zz", nil, 200, "anonymous"},
		"dead on a public API page":   {"/api/", []with{bearer("nope")}, 401, ""},
		"malformed query, with token": {"/probe/?x=%zz", []with{bearer(token)}, 200, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.do("GET", tt.target, tt.parts...).wants(tt.status)
			if tt.status == 200 && !strings.Contains(r.body, `"user":"`+tt.user+`"`) {
				t.Errorf("%s, want %s", r.body, tt.user)
			}
			if tt.status == 401 {
				r.is401()
			}
		})
	}
	if got := s.do("GET", "/probe/", bearer("nope")).header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("challenge %q", got)
	}
	if got := s.do("GET", "/probe/").header.Get("WWW-Authenticate"); got != `Bearer realm="api"` { // 236, 237
		t.Errorf("challenge %q", got)
	}
	r := s.do("POST", "/probe/", form("access_token", token)) // 94
	r.is401()
}

func TestBearerExpiry(t *testing.T) { // 89, 90
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *options) { o.tokens.PersonalLifetime = time.Hour })
		token := s.token(s.alice, auth.ScopeRead)
		time.Sleep(time.Hour - time.Second)
		if s.whoami(bearer(token)) != "alice" {
			t.Error("dead a second early")
		}
		time.Sleep(time.Second)
		r := s.do("GET", "/api/v2/me/", bearer(token)).is401()
		if got := r.header.Get("WWW-Authenticate"); !strings.Contains(got, "expired") {
			t.Errorf("challenge %q", got)
		}
	})
}

func TestTokenUseAndDeletionAtOnce(t *testing.T) { // 104, 91
	s := newSystem(t)
	token := s.token(s.alice, auth.ScopeWrite)
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			if i == 25 {
				if got := s.do("DELETE", "/api/v2/tokens/1/", bearer(token)).status; got != 204 && got != 401 {
					t.Errorf("delete: %d", got)
				}
				return
			}
			if got := s.do("GET", "/api/v2/me/", bearer(token)).status; got != 200 && got != 401 {
				t.Errorf("use: %d", got)
			}
		})
	}
	clients.Wait()
	s.do("GET", "/api/v2/me/", bearer(token)).is401()
}

func TestLastUse(t *testing.T) { // 103
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		token := s.token(s.alice, auth.ScopeRead)
		lastUsed := func() any {
			return s.do("GET", "/api/v2/tokens/1/", basic("alice", "alice-pw")).wants(200).json()["last_used"]
		}
		if got := lastUsed(); got != nil {
			t.Errorf("a new token was used at %v", got)
		}
		s.whoami(bearer(token))
		first := lastUsed()
		time.Sleep(59 * time.Second)
		s.whoami(bearer(token))
		if got := lastUsed(); got != first || first == nil {
			t.Errorf("last use moved from %v to %v within a minute", first, got)
		}
		time.Sleep(time.Second)
		s.whoami(bearer(token))
		if got := lastUsed(); got == first {
			t.Error("last use did not move after a minute")
		}
	})
}

func TestScopes(t *testing.T) { // 109 to 111, 113, 114, 116, 117, 120, 121, 123
	s := newSystem(t)
	for _, tt := range []struct {
		scope  auth.Scopes
		method string
		status int
	}{
		{"read", "GET", 200}, {"read", "HEAD", 200}, {"read", "OPTIONS", 200},
		{"read", "POST", 403}, {"read", "PUT", 403}, {"read", "PATCH", 403}, {"read", "DELETE", 403},
		{"read", "PROPFIND", 403}, {"read", "QUERY", 403}, {"read", "get", 403},
		{"write", "GET", 200}, {"write", "POST", 200}, {"write", "DELETE", 200},
		{"read write", "POST", 200}, {"write read", "POST", 200},
	} {
		r := s.do(tt.method, "/probe/", bearer(s.token(s.alice, tt.scope)))
		if r.status != tt.status {
			t.Errorf("%s with scope %s: %d, want %d", tt.method, tt.scope, r.status, tt.status)
		}
		if r.status == 403 {
			r.is403()
			if got := r.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) || !strings.Contains(got, `scope="write"`) {
				t.Errorf("challenge %q", got)
			}
		}
	}
	read := bearer(s.token(s.alice, "read"))
	s.do("POST", "/api/v2/me/", read).is403() // before 405
	s.do("POST", "/probe/", read, header("X-HTTP-Method-Override", "GET")).is403()
	s.do("POST", "/probe/?_method=GET", read).is403()
	s.do("DELETE", "/api/v2/tokens/1/", bearer(s.token(s.bob, "write"))).wants(404) // a mask, no permission
	for _, part := range []with{basic("alice", "alice-pw"), cookie(s.login("alice", "alice-pw"))} {
		s.do("POST", "/probe/", part).wants(200)
	}
}
