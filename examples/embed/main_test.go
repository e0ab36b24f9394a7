package embed_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// no goroutine outlives what started it.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

const password = "correct horse battery"

// alice returns a store with the user alice.
func alice(t *testing.T) *memory.Store {
	t.Helper()
	db := memory.New()
	authtest.AddUser(t, db, store.User{Name: "alice"}, password)
	return db
}

// A visitor is a browser or a script at a service.
type visitor struct {
	t      *testing.T
	url    string
	client *http.Client
}

// visit serves h by TLS until the test ends.
func visit(t *testing.T, h http.Handler) *visitor {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	v := &visitor{t, srv.URL, srv.Client()}
	v.client.Jar, _ = cookiejar.New(nil)
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v
}

// do sends a request with pairs of header fields, and returns the answer with its
// body read.
func (v *visitor) do(method, path, body string, fields ...string) (*http.Response, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(text)
}

// wants is do for an answer with a status, and with a text in its body.
func (v *visitor) wants(status int, text, method, path, body string, fields ...string) string {
	v.t.Helper()
	res, got := v.do(method, path, body, fields...)
	if res.StatusCode != status || !strings.Contains(got, text) {
		v.t.Errorf("%s %s: %s\n%s\nwant %d with %q", method, path, res.Status, got, status, text)
	}
	return got
}

const form = "application/x-www-form-urlencoded"

// login logs alice in by package httpapi.
func (v *visitor) login() {
	v.t.Helper()
	v.wants(302, "", "POST", "/api/login/", url.Values{"username": {"alice"}, "password": {password}}.Encode(), "Content-Type", form)
}

// token makes a personal access token of alice, who is logged in or sends fields,
// and returns the value of Authorization for it.
func (v *visitor) token(scope string, fields ...string) string {
	v.t.Helper()
	text := v.wants(201, `"token"`, "POST", "/api/v2/tokens/", `{"scope":"`+scope+`"}`, append(fields, "Content-Type", "application/json")...)
	_, rest, _ := strings.Cut(text, `"token":"`)
	token, _, _ := strings.Cut(strings.TrimPrefix(rest, " "), `"`)
	return "Bearer " + token
}

// Each example has at most 120 lines, and the README links to it.
func TestExamples(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("*/*.go")
	if len(files) != 13 {
		t.Errorf("%d examples", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n > 120 {
			t.Errorf("%s has %d lines", file, n)
		}
		if !strings.Contains(string(readme), "(examples/embed/"+filepath.ToSlash(file)+")") {
			t.Errorf("the README has no link to %s", file)
		}
	}
}
