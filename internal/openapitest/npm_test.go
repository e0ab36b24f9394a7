package openapitest_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/memory"
)

// handlers returns the API in configurations that have other routes.
func handlers(t *testing.T) map[string]http.Handler {
	t.Helper()
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Resource: "https://app.example/api", Scopes: []string{"deploy"}}))
	session := auth.Must(auth.NewSession(db, db, nil))
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	accounts := auth.Must(auth.NewAccounts(db, passwords, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), nil)
	stream := auth.Must(activity.NewStream(db, nil))
	list := make(map[string]http.Handler)
	for name, c := range map[string]httpapi.Config{
		"everything": {
			Passwords: passwords, Session: session, Tokens: tokens, Accounts: accounts, EmptyResources: true, Account: true, GatewayPaths: true,
			OAuth: auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://app.example", Devices: &oauth.DeviceOptions{}})),
		},
		"activity": {
			Tokens: tokens, Accounts: accounts, Activity: stream,
			OAuth: auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://app.example"})),
		},
		"activity alone":    {Activity: stream},
		"without an issuer": {Session: session, Passwords: passwords, Tokens: tokens, OAuth: auth.Must(oauth.NewServer(tokens, db, db, nil))},
		"tokens alone":      {Tokens: tokens},
		"sessions alone":    {Session: session, LoginPage: "/sso/", PageOptions: httpapi.PageOptions{Product: "Forms & <Reports>"}},
		"nothing":           {},
	} {
		c.Gate, c.Users = gate, db
		list[name] = auth.Must(httpapi.New(c))
	}
	return list
}

// TestValidators installs the packages of the lock file into a temporary folder,
// and runs check.mjs.
func TestValidators(t *testing.T) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", program)
			}
			t.Skipf("%s is missing: install it to validate the document of OpenAPI", program)
		}
	}
	dir := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(name, b)
	}
	run := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	args := []string{"check.mjs"}
	for name, h := range handlers(t) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v2/schema/", nil))
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %v", name, w.Code, w.Header())
		}
		file := strings.ReplaceAll(name, " ", "_") + ".json"
		write(file, w.Body.Bytes())
		args = append(args, file)
	}
	if out, err := run("node", args...); err != nil || !strings.HasSuffix(strings.TrimSpace(out), "all valid") {
		t.Errorf("%v\n%s", err, out)
	}
	// The validators do look: what is wrong is found.
	write("wrong.json", []byte(`{"openapi":"3.1.1","info":{"title":"x","version":"1"},"paths":{"/x/{id}/":{"get":{"responses":{}}}}}`))
	if out, err := run("node", "check.mjs", "wrong.json"); err == nil {
		t.Errorf("a wrong document is valid: %s", out)
	}
}
