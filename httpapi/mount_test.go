package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

// below is what routers other than net/http's do: they look at the start of the
// path and leave the request as it is.
func below(prefix string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix) {
			http.Error(w, "another part of the site", http.StatusTeapot)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// muxed mounts h on a pattern of net/http's mux.
func muxed(pattern string, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pattern, h)
	return mux
}

// TestMounting runs the documented flow on every way to mount the API.
func TestMounting(t *testing.T) { // 290
	for name, mount := range map[string]func(s *system, api http.Handler) http.Handler{
		"alone":               func(_ *system, api http.Handler) http.Handler { return api },
		"alone, in sessions":  func(s *system, api http.Handler) http.Handler { return s.session.Handler(api) },
		"mux":                 func(_ *system, api http.Handler) http.Handler { return muxed("/api/", api) },
		"mux in sessions":     func(s *system, api http.Handler) http.Handler { return s.session.Handler(muxed("/api/", api)) },
		"mux with a wildcard": func(s *system, api http.Handler) http.Handler { return s.session.Handler(muxed("/api/{user...}", api)) },
		"mux by host":         func(_ *system, api http.Handler) http.Handler { return muxed("app.example/", api) },
		"prefix router":       func(s *system, api http.Handler) http.Handler { return s.session.Handler(below("/api/", api)) },
		"in sessions, twice":  func(s *system, api http.Handler) http.Handler { return s.session.Handler(s.session.Handler(api)) },
		"behind Identify":     func(s *system, api http.Handler) http.Handler { return s.session.Handler(s.gate.Identify(api)) },
		"with MaxBytesHandler": func(s *system, api http.Handler) http.Handler {
			return http.MaxBytesHandler(s.session.Handler(api), 1<<20)
		},
		"with CrossOriginGuards": func(s *system, api http.Handler) http.Handler {
			return http.NewCrossOriginProtection().Handler(s.session.Handler(api))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.document.Store(nil)
			s.handler = mount(s, auth.Must(httpapi.New(httpapi.Config{
				Gate: s.gate, Users: s.db, Passwords: s.passwords, Session: s.session, Tokens: s.tokens,
			})))
			r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw")).wants(302)
			if n := strings.Count(strings.Join(r.header["Set-Cookie"], "\n"), "session="); n != 1 {
				t.Errorf("%d session cookies", n)
			}
			c := cookie(r.cookies()["session"])
			if s.whoami(c) != "alice" {
				t.Error("the session is not good")
			}
			token := s.do("POST", "/api/v2/users/alice/personal_tokens/", c, jsonBody(`{"scope":"write"}`)).wants(201).json()["token"].(string)
			if s.whoami(bearer(token)) != "alice" {
				t.Error("the token is not good")
			}
			s.do("GET", "/api/v2/users/bob/personal_tokens/", c).wants(404).hasDetail("Not found.")
			s.do("GET", "/api/v2/users/alice%2F/personal_tokens/", c).wants(404)
			s.do("DELETE", "/api/v2/users/3/personal_tokens/1/", bearer(token)).wants(204)
			s.do("GET", "/api/v2/me/", bearer(token)).is401()
			s.do("GET", "/api/nope/").wants(404).json()
			s.do("POST", "/api/logout/", c).wants(302)
			s.do("GET", "/api/v2/me/", c).is401()
		})
	}
}

// TestRealClient has net/http's client, with its jar and its redirects, at the
// default options: Secure cookies over TLS.
func TestRealClient(t *testing.T) {
	s := newSystem(t, func(o *options) { o.session.InsecureCookie = false })
	srv := httptest.NewTLSServer(s.handler)
	defer srv.Close()
	client := srv.Client()
	client.Jar = auth.Must(cookiejar.New(nil))
	send := func(method, path, contentType, content string, header http.Header) (int, string, *url.URL) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if header != nil {
			r.Header = header
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b), resp.Request.URL
	}
	wants := func(want int, status int, body string, at *url.URL) string {
		t.Helper()
		if status != want {
			t.Fatalf("status %d at %s, want %d: %s", status, at, want, body)
		}
		return body
	}

	// The login is followed to where it leads, by GET.
	status, text, at := send("POST", "/api/login/", "application/x-www-form-urlencoded", "username=alice&password=alice-pw", nil)
	if wants(200, status, text, at); at.Path != "/api/" {
		t.Errorf("the login led to %s", at)
	}
	server, _ := url.Parse(srv.URL)
	names := map[string]bool{}
	for _, c := range client.Jar.Cookies(server) {
		names[c.Name] = true
	}
	if !names["__Host-session"] || !names["csrftoken"] {
		t.Errorf("cookies %v", names)
	}
	get := func(path string) (int, string, *url.URL) { return send("GET", path, "", "", nil) }
	status, text, at = get("/api/v2/me") // without its slash
	if body := wants(200, status, text, at); at.Path != "/api/v2/me/" || !strings.Contains(body, `"username":"alice"`) {
		t.Errorf("me at %s: %s", at, body)
	}

	// A redirect keeps method and body.
	status, text, at = send("POST", "/api/v2/tokens", "application/json", `{"description":"kept"}`, nil)
	if body := wants(201, status, text, at); !strings.Contains(body, `"description":"kept"`) {
		t.Errorf("created %s", body)
	}

	own, foreign := "https://"+server.Host, "http://"+server.Host
	for origin, want := range map[string]int{own: 201, foreign: 403, "https://evil.example": 403, "null": 403} {
		status, text, at = send("POST", "/api/v2/tokens/", "application/json", "{}", http.Header{"Origin": {origin}})
		wants(want, status, text, at)
	}
	status, text, at = send("POST", "/api/logout/", "", "", nil)
	if wants(200, status, text, at); at.Path != "/api/" {
		t.Errorf("the logout led to %s", at)
	}
	for _, c := range client.Jar.Cookies(server) {
		if c.Name == "__Host-session" {
			t.Error("the jar keeps the cookie")
		}
	}
	status, text, at = get("/api/v2/me/")
	wants(401, status, text, at)
}

// TestRefusedBeforeTheBody holds that a client that asks first is refused at
// once: the server does not even say that it wants the body.
func TestRefusedBeforeTheBody(t *testing.T) { // 244
	s := newSystem(t)
	for _, credential := range []string{"", "Authorization: Bearer dead\r\n", "Cookie: session=" + strings.Repeat("B", 43) + "\r\n"} {
		s.raw(t, "POST /api/v2/tokens/ HTTP/1.1\r\nHost: app.example\r\n"+credential+
			"Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n").is401()
	}
	read := s.token(s.alice, auth.ScopeRead)
	s.raw(t, "POST /api/v2/tokens/ HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer "+read+
		"\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n").is403()
}

// TestBodyIsCut sends more than the limit in chunks, without saying how much:
// the answer comes before the end.
func TestBodyIsCut(t *testing.T) { // 246, R-135
	s := newSystem(t)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	for _, target := range []string{"/api/login/", "/api/v2/tokens/"} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
			target, s.token(s.alice, auth.ScopeWrite))
		chunk := strings.Repeat(" ", 1<<10)
		for range 65 { // and no last one
			fmt.Fprintf(conn, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 413 || !resp.Close {
			t.Errorf("%s: %s, the connection is closed: %t", target, resp.Status, resp.Close)
		}
		resp.Body.Close()
		conn.Close()
	}
}

// TestOddRequests has what net/http's client would not send.
func TestOddRequests(t *testing.T) {
	s := newSystem(t)
	token := s.token(s.alice, auth.ScopeWrite)
	who := "\r\nHost: app.example\r\nAuthorization: Bearer " + token + "\r\n"
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"HTTP/1.0":              {"GET /api/v2/me/ HTTP/1.0" + who + "\r\n", 200},
		"absolute form":         {"GET http://evil.example/api/v2/me/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 200},
		"asterisk":              {"OPTIONS * HTTP/1.1" + who + "Connection: close\r\n\r\n", 200},
		"TRACE":                 {"TRACE /api/v2/me/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 405},
		"CONNECT":               {"CONNECT app.example:443 HTTP/1.1" + who + "Connection: close\r\n\r\n", 404},
		"hop by hop":            {"GET /api/v2/me/ HTTP/1.1" + who + "Connection: close, Authorization\r\n\r\n", 200},
		"folded":                {"GET /api/v2/me/ HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer\r\n " + token + "\r\nConnection: close\r\n\r\n", 200},
		"two lengths":           {"POST /api/v2/tokens/ HTTP/1.1" + who + "Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}", 400},
		"length and chunks":     {"POST /api/v2/tokens/ HTTP/1.1" + who + "Content-Type: application/json\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 201},
		"a body ends early":     {"POST /api/v2/tokens/ HTTP/1.1" + who + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n", 400},
		"dots":                  {"GET /api/v2/../../api/v2/me/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 307},
		"encoded dots":          {"GET /api/v2/%2e%2e/v2/me/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 404},
		"two slashes":           {"GET /api//v2/me/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 307},
		"a NUL in the path":     {"GET /api/v2/users/%00/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 404},
		"a percent in the path": {"GET /api/v2/users/%zz/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 400},
		"a matrix parameter":    {"GET /api/v2/me;x=1/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 404},
		"upper case":            {"GET /API/V2/ME/ HTTP/1.1" + who + "Connection: close\r\n\r\n", 404},
		"a body with GET":       {"GET /api/v2/me/ HTTP/1.1" + who + "Content-Length: 5\r\nConnection: close\r\n\r\nhello", 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.raw(t, tt.request)
			if r.status != tt.status {
				t.Errorf("status %d, want %d: %s", r.status, tt.status, r.body)
			}
			if strings.Contains(r.body+fmt.Sprint(r.header), token) && tt.status != 201 {
				t.Errorf("the token comes back: %v %s", r.header, r.body)
			}
		})
	}
}
