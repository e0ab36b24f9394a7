package httpapi_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

// heldBack sends a request whose body stops after its first byte, calls meanwhile,
// and sends the rest.
func (s *system) heldBack(method, target, contentType, content string, meanwhile func(), parts ...with) reply {
	s.t.Helper()
	body, send := io.Pipe()
	r := httptest.NewRequest(method, "http://app.example"+target, body)
	r.Header.Set("Content-Type", contentType)
	for _, part := range parts {
		part(r)
	}
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() { defer close(done); s.handler.ServeHTTP(w, r); _ = body.Close() }()
	_, _ = io.WriteString(send, content[:1]) // somebody reads: the request was let in
	meanwhile()
	_, _ = io.WriteString(send, content[1:])
	_ = send.Close()
	<-done
	return reply{s, w.Code, w.Header(), w.Body.String()}
}

// A superuser who fears to be demoted keeps requests waiting for their bodies.
// What decides is who the sender is when the body has arrived.
func TestRightsEndBeforeTheBody(t *testing.T) {
	const evil = `{"username":"evil","password":"a long enough password","is_superuser":true}`
	for credential, of := range map[string]func(*pageSystem) with{
		"session": func(s *pageSystem) with { return cookie(s.as("admin").session) },
		"Basic":   func(*pageSystem) with { return as("admin") },
		"token":   func(s *pageSystem) with { return bearer(s.token(s.admin, "write")) },
	} {
		for _, tt := range []struct{ method, target, body string }{
			{"POST", "/api/v2/users/", evil},
			{"PATCH", "/api/v2/users/1/", `{"is_superuser":true}`},
			{"PUT", "/api/v2/users/alice/", `{"is_superuser":true}`},
			{"PATCH", "/api/v2/users/bob/", `{"password":"a long enough password"}`},
			{"PATCH", "/api/v2/applications/1/", `{"name":"taken"}`},
			{"POST", "/api/v2/applications/", `{"name":"taken","organization":2,"client_type":"confidential","authorization_grant_type":"password"}`},
			{"POST", "/api/v2/tokens/reported/", `{"tokens":[]}`},
		} {
			t.Run(credential+" "+tt.method+" "+tt.target, func(t *testing.T) {
				s := newPages(t, httpapi.PageOptions{})
				r := s.heldBack(tt.method, tt.target, "application/json", tt.body, func() { s.demote(t) }, of(s))
				if r.status != 403 && r.status != 404 {
					t.Errorf("status %d: %s", r.status, r.body)
				}
				if users, _, err := s.db.ListUsers(t.Context(), store.UserFilter{}, store.Page{Limit: 50}); err != nil {
					t.Error(err)
				} else {
					for _, u := range users {
						if u.Admin != (u.ID == s.auditor.ID) || u.Name == "evil" {
							t.Errorf("there is %+v", u)
						}
					}
				}
			})
		}
	}
}

// gatewayUsers puts a gate that knows users by the field of a gateway, and by a
// credential of the host that is good once, before the API.
func (s *system) gatewayUsers(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, UserField: "X-Remote-User", InsecureAddressAlone: true,
		Logger: quiet,
	}))
	used := false
	once := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		if r.Header.Get("X-Once") == "" {
			return nil, auth.ErrNoCredentials
		}
		if used {
			return nil, &auth.Error{Status: 401, Detail: "Used."}
		}
		used = true
		return &auth.Principal{ID: s.admin.ID, Name: s.admin.Name, Admin: true, Scopes: auth.Unrestricted}, nil
	})
	gate := auth.NewGate(auth.FirstOf(auth.Must(auth.NewProxyUsers(proxy, s.db, &auth.ProxyUsersOptions{Admins: true})), once), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: s.db, Accounts: s.accounts}))
	s.handler = proxy.Handler(api)
}

// TestRightsEndBeforeTheBody for the users of a gateway. A credential of the host
// that is good once is asked for once.
func TestRightsOfGatewayUsersEndBeforeTheBody(t *testing.T) {
	for body, target := range map[string]string{
		`{"username":"evil","password":"a long enough password","is_superuser":true}`: "/api/v2/users/",
		`{"is_superuser":true}`:                 "/api/v2/users/1/",
		`{"password":"a long enough password"}`: "/api/v2/users/bob/",
	} {
		method := "PATCH"
		if target == "/api/v2/users/" {
			method = "POST"
		}
		for what, tt := range map[string]struct {
			meanwhile func(*system)
			status    [2]int
		}{
			"nothing":  {func(*system) {}, [2]int{200, 201}},
			"demoted":  {func(s *system) { s.demote(t) }, [2]int{403, 404}},
			"inactive": {func(s *system) { s.demote(t); s.setActive(s.admin, false) }, [2]int{401, 401}},
		} {
			s := newSystem(t)
			s.gatewayUsers(t)
			r := s.heldBack(method, target, "application/json", body, func() { tt.meanwhile(s) }, header("X-Remote-User", "admin"))
			if r.status != tt.status[0] && r.status != tt.status[1] {
				t.Errorf("%s %s: status %d, want one of %v: %s", what, target, r.status, tt.status, r.body)
			}
		}
	}
	s := newSystem(t)
	s.gatewayUsers(t)
	s.heldBack("PATCH", "/api/v2/users/bob/", "application/json", `{"last_name":"B"}`, func() {}, header("X-Once", "1")).wants(200)
}

// A token that is narrowed has the scopes that it has when the body has arrived.
func TestScopesEndBeforeTheBody(t *testing.T) {
	for _, target := range []string{"/api/v2/users/alice/", "/api/v2/tokens/1/", "/api/v2/tokens/self/"} {
		s := newSystem(t)
		token := s.token(s.alice, "write")
		r := s.heldBack("PATCH", target, "application/json", `{"description":"x","email":"x@example.com"}`, func() {
			s.do("PATCH", "/api/v2/tokens/1/", as("alice"), object("scope", "read")).wants(200)
		}, bearer(token))
		r.is403()
		if challenge := r.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="write"`) {
			t.Errorf("%s: challenge %q", target, challenge)
		}
	}
}

// TestRightsEndBeforeTheForm is TestRightsEndBeforeTheBody for the pages.
func TestRightsEndBeforeTheForm(t *testing.T) {
	for target, content := range map[string]string{
		"applications/new/":      "name=taken&organization=2&client_type=confidential&authorization_grant_type=password&skip_authorization=1",
		"applications/3/":        "name=taken&redirect_uris=https://evil.example/&skip_authorization=1",
		"applications/3/delete/": "x=y",
	} {
		t.Run(target, func(t *testing.T) {
			s := newPages(t, httpapi.PageOptions{})
			r := s.heldBack("POST", "/api/account/"+target, "application/x-www-form-urlencoded", content, func() { s.demote(t) },
				browser, cookie(s.as("admin").session))
			// What is not there has been deleted already, for whoever deletes it.
			if gone := r.header.Get("Location") == "/api/account/applications/?done=app_deleted"; r.status != 403 && r.status != 404 && !gone {
				t.Errorf("status %d, %v", r.status, r.header)
			}
			list := s.do("GET", "/api/v2/applications/", as("auditor")).wants(200)
			if list.json()["count"] != 4.0 || strings.Contains(list.body, "taken") {
				t.Errorf("applications %s", list.body)
			}
		})
	}
}

// demote makes admin a plain user, who was the superuser beside auditor.
func (s *system) demote(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		id    string
		admin bool
	}{{s.auditor.ID, true}, {s.admin.ID, false}} {
		if _, err := s.db.ChangeUser(t.Context(), c.id, store.UserChange{Admin: &c.admin}); err != nil {
			t.Fatal(err)
		}
	}
}
