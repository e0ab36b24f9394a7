package httpapi_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

// A hostileInput is a row of the corpus: the input of a parser, and the status
// that must come back.
type hostileInput struct {
	Parser      string
	Name        string
	Input       string
	Base64      bool
	Expect      string
	Why         string
	Method      string
	Path        string
	Headers     map[string]string
	ContentType *string `json:"content_type"`
	Repeat      int
	SuffixUnit  string `json:"suffix_unit"`
	Suffix      string
	Multi       bool
	Anonymous   bool
}

func (h hostileInput) text(t *testing.T) string {
	s := h.Input
	if h.Base64 {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		s = string(b)
	}
	return s + strings.Repeat(h.SuffixUnit, h.Repeat) + h.Suffix
}

// raw sends a request through a socket.
func (s *system) raw(t *testing.T, request string) reply {
	t.Helper()
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{s, resp.StatusCode, resp.Header, string(content)}
}

func hostileInputs(t *testing.T, parser string) []hostileInput {
	t.Helper()
	b, err := os.ReadFile("../testdata/hostile-inputs.json")
	if err != nil {
		t.Fatal(err)
	}
	var all, rows []hostileInput
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		if row.Parser == parser {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no rows of the parser %q", parser)
	}
	return rows
}

// expects reports whether the status is one of those that the row allows.
func (h hostileInput) expects(status int) bool {
	for want := range strings.SplitSeq(h.Expect, "|") {
		if want == strconv.Itoa(status) || want == "clamped" && status == http.StatusOK {
			return true
		}
	}
	return false
}

func (h hostileInput) check(t *testing.T, r reply) {
	t.Helper()
	if !h.expects(r.status) {
		t.Errorf("%s/%s: status %d, want %s: %s\n%.300s", h.Parser, h.Name, r.status, h.Expect, h.Why, r.body)
	}
}

func TestHostileForms(t *testing.T) {
	fill := strings.NewReplacer("{USER}", "alice", "{PASS}", "alice-pw", "{ADMIN_PASS}", "admin-pw",
		"{PLUS_USER}", "bob", "{LOCKED_USER}", "dora", "{LOCKED_PASS}", "dora-pw")
	for _, row := range hostileInputs(t, "form") {
		s := newSystem(t)
		if err := s.db.SetPasswordHash(t.Context(), s.bob.ID, "cheap$a+b c"); err != nil {
			t.Fatal(err)
		}
		contentType := "application/x-www-form-urlencoded"
		if row.ContentType != nil {
			contentType = *row.ContentType
		}
		target := "/api/login/"
		if _, query, ok := strings.Cut(row.Path, "?"); ok {
			target += "?" + fill.Replace(query)
		}
		r := s.do("POST", target, body(contentType, fill.Replace(row.text(t))))
		row.check(t, r)
		if opened := r.cookies()["session"] != nil; opened != (r.status == 302 || r.status == 200) {
			t.Errorf("%s: status %d, session opened: %t", row.Name, r.status, opened)
		}
	}
}

func TestHostileJSON(t *testing.T) {
	for _, row := range hostileInputs(t, "json") {
		s := newSystem(t)
		contentType := "application/json"
		if row.ContentType != nil {
			contentType = *row.ContentType
		}
		who := basic("alice", "alice-pw")
		if row.Headers["Authorization"] != "" {
			who = bearer(s.token(s.alice, auth.ScopeWrite))
		}
		content := strings.ReplaceAll(row.text(t), "{OTHER_ORG_APP}", "77")
		r := s.do("POST", "/api/v2/users/3/personal_tokens/", who, body(contentType, content))
		row.check(t, r)
		if r.status == 201 && r.json()["user"] != 3.0 {
			t.Errorf("%s: owner %v", row.Name, r.json()["user"])
		}
	}
}

func TestHostileNext(t *testing.T) {
	for _, row := range hostileInputs(t, "next") {
		s := newSystem(t)
		input := row.text(t)
		pairs := []string{"username", "alice", "password", "alice-pw"}
		if row.Multi {
			for part := range strings.SplitSeq(input, "\n") {
				pairs = append(pairs, "next", part)
			}
		} else {
			pairs = append(pairs, "next", input)
		}
		r := s.do("POST", "/api/login/", form(pairs...))
		if row.Multi {
			r.wants(400)
			continue
		}
		location := r.wants(302).header.Get("Location")
		followed := location != "/api/"
		if followed && !strings.Contains(row.Expect, "follow") || !followed && !strings.Contains(row.Expect, "fallback") {
			t.Errorf("%s: %q leads to %q, want %s: %s", row.Name, input, location, row.Expect, row.Why)
		}
		if strings.HasPrefix(location, "//") || !strings.HasPrefix(location, "/") || strings.ContainsAny(location, "\\\r\n\t") {
			t.Errorf("%s: Location %q", row.Name, location)
		}
	}
}

func TestHostilePages(t *testing.T) {
	for _, row := range hostileInputs(t, "pagination") {
		s := newSystem(t)
		s.token(s.alice, auth.ScopeRead)
		s.token(s.bob, auth.ScopeRead)
		query := strings.ReplaceAll(row.text(t), "{OTHER_USER_CURSOR}", "eyJpZCI6IjQifQ")
		r := s.do("GET", "/api/v2/tokens/?"+query, basic("alice", "alice-pw"))
		expect := row
		expect.Expect, _, _ = strings.Cut(row.Expect, " ")
		expect.check(t, r)
		if r.status == 200 {
			if n, _ := r.json()["count"].(float64); n > 1 {
				t.Errorf("%s: %v tokens of others", row.Name, n-1)
			}
		}
	}
}

func TestHostilePathIDs(t *testing.T) {
	for _, row := range hostileInputs(t, "url_id") {
		s := newSystem(t)
		s.token(s.bob, auth.ScopeRead)
		target := "/api/v2" + strings.ReplaceAll(row.text(t), "{OTHER_USER_TOKEN_ID}", "1")
		parts := []with{basic("alice", "alice-pw")}
		if row.Anonymous {
			parts = nil
		}
		row.check(t, s.do("GET", target, parts...))
	}
}

func TestHostileScopes(t *testing.T) {
	s := newSystem(t)
	for _, row := range hostileInputs(t, "scope") {
		content, err := json.Marshal(map[string]string{"scope": row.text(t)})
		if err != nil {
			t.Fatal(err)
		}
		status := s.do("POST", "/api/v2/tokens/", basic("alice", "alice-pw"), jsonBody(string(content))).status
		accepted := status == 201
		if accepted && !strings.Contains(row.Expect, "accept") || !accepted && (status != 400 || !strings.Contains(row.Expect, "reject")) {
			t.Errorf("%s: status %d, want %s: %s", row.Name, status, row.Expect, row.Why)
		}
	}
}

func TestHostileHeaders(t *testing.T) {
	for _, row := range hostileInputs(t, "headers") {
		s := newSystem(t)
		token := s.token(s.alice, auth.ScopeWrite)
		fill := strings.NewReplacer("{TOKEN}", token, "{TOKEN2}", s.token(s.bob, auth.ScopeWrite), "{READ_TOKEN}", s.token(s.alice, auth.ScopeRead),
			"{SESSION_COOKIE}", "session="+s.login("admin", "admin-pw").Value, "{COOKIE_NAME}", "session")
		method, target := row.Method, "/probe/"
		if method == "" {
			method = "GET"
		}
		if _, query, ok := strings.Cut(row.Path, "?"); ok {
			target += "?" + fill.Replace(query)
		}
		var parts []with
		for line := range strings.SplitSeq(fill.Replace(row.text(t)), "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				parts = append(parts, func(r *http.Request) { r.Header.Add(name, value) })
			}
		}
		if row.Path == "" || strings.Contains(row.Path, "?") || strings.HasPrefix(row.Path, "/probe/") {
			row.check(t, s.do(method, target, parts...))
			continue
		}
		// Requests that no client library sends.
		row.check(t, s.raw(t, method+" "+row.Path+" HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"))
	}
}

// TestNothingIsReflected puts a marker into every input and looks for it, raw, in
// what comes back.
func TestNothingIsReflected(t *testing.T) {
	const marker = `"><script>x</script>` + "\u202e"
	s := newSystem(t)
	escaped := url.QueryEscape(marker)
	for name, r := range map[string]reply{
		"path":        s.do("GET", "/api/v2/users/"+url.PathEscape(marker)+"/", basic("admin", "admin-pw")),
		"no route":    s.do("GET", "/api/"+url.PathEscape(marker)+"/"),
		"next":        s.do("GET", "/api/login/?next="+escaped, header("Accept", "text/html")),
		"local next":  s.do("GET", "/api/login/?next=/"+escaped, header("Accept", "text/html")),
		"user name":   s.do("POST", "/api/login/", form("username", marker, "password", marker), header("Accept", "text/html")),
		"bearer":      s.do("GET", "/api/v2/me/", bearer(marker)),
		"origin":      s.do("POST", "/api/login/", form(), header("Origin", marker)),
		"order":       s.do("GET", "/api/v2/tokens/?order_by="+escaped, basic("admin", "admin-pw")),
		"filter":      s.do("GET", "/api/v2/tokens/?"+escaped+"=1", basic("admin", "admin-pw")),
		"field":       s.do("POST", "/api/v2/tokens/", basic("admin", "admin-pw"), jsonBody(`{"`+strings.ReplaceAll(marker, `"`, `\"`)+`":1}`)),
		"scope":       s.do("POST", "/api/v2/tokens/", basic("admin", "admin-pw"), jsonBody(`{"scope":["`+strings.ReplaceAll(marker, `"`, `\"`)+`"]}`)),
		"description": s.do("POST", "/api/v2/tokens/", basic("admin", "admin-pw"), jsonBody(`{"description":"`+strings.ReplaceAll(marker, `"`, `\"`)+`"}`)),
	} {
		all := fmt.Sprint(r.header) + r.body
		if strings.Contains(all, "<script>") {
			t.Errorf("%s: %s", name, all)
		}
	}
}

// TestNoSecretIsLoggedOrShownAgain runs the life of some credentials at debug
// level and looks for them where they may not be.
func TestNoSecretIsLoggedOrShownAgain(t *testing.T) { // 274, 128, 105
	s := newSystem(t)
	c := s.login("alice", "alice-pw")
	created := s.do("POST", "/api/v2/tokens/", cookie(c)).wants(201).json()["token"].(string)
	rotated := s.do("POST", "/api/v2/tokens/1/rotate/", cookie(c)).wants(200).json()["token"].(string)
	secrets := []string{"alice-pw", "guess-me", "bob-typed-this", c.Value, created, rotated}
	var shown strings.Builder
	for _, target := range []string{"/api/", "/api/v2/", "/api/v2/me/", "/api/v2/users/3/", "/api/v2/tokens/", "/api/v2/tokens/1/", "/api/v2/users/3/personal_tokens/", "/api/login/"} {
		for _, part := range []with{cookie(c), bearer(rotated), basic("alice", "alice-pw")} {
			shown.WriteString(s.do("GET", target, part).body)
		}
	}
	shown.WriteString(s.do("PATCH", "/api/v2/tokens/1/", cookie(c), jsonBody(`{"description":"x"}`)).wants(200).body)
	shown.WriteString(s.do("POST", "/api/login/", form("username", "alice", "password", "guess-me"), header("Accept", "text/html")).body)
	s.do("GET", "/api/v2/me/", basic("bob-typed-this", "guess-me"))
	s.do("GET", "/api/v2/me/?access_token="+rotated)
	s.do("GET", "/api/v2/me/", bearer(created))
	s.do("DELETE", "/api/v2/tokens/1/", bearer(rotated)).wants(204)
	s.do("GET", "/api/logout/", cookie(c)).wants(302)
	logs := s.logs.String()
	for _, secret := range secrets {
		if secret != "bob-typed-this" && strings.Contains(logs, secret) { // a name, even if it was meant to be a password
			t.Errorf("%q is in the log", secret)
		}
		if strings.Contains(shown.String(), secret) {
			t.Errorf("%q is shown again", secret)
		}
	}
	tokens, _, err := s.db.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 100})
	if err != nil || strings.Contains(fmt.Sprintf("%+v", tokens), rotated) {
		t.Errorf("the store has the token in clear (%v)", err)
	}
}

// the warning about a prefix has the path alone.
func TestMountIsLoggedWithoutSecrets(t *testing.T) {
	for _, target := range []string{
		"/x/api/v2/me/?access_token=canary", "/x/api/v2/tokens/?code=canary", "http://user:canary@app.example/x/api/v2/me/", "/x/api/v2/me/?%00canary",
	} {
		for name, mount := range map[string]func(http.Handler) http.Handler{
			"cut off": func(h http.Handler) http.Handler { return http.StripPrefix("/x", h) },
			"left":    func(h http.Handler) http.Handler { return h },
		} {
			s := newSystem(t)
			api := auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Tokens: s.tokens, Logger: slog.New(slog.NewJSONHandler(s.logs, nil))}))
			mount(api).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
			log := s.logs.String()
			warned := strings.Contains(log, `"path":"/x/api/`) && strings.Contains(log, "mounted below a prefix")
			if strings.Contains(log, "canary") || !warned && name == "left" {
				t.Errorf("%s, %s: logged\n%s", target, name, log)
			}
		}
	}
}
