package importer_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/sqlstore"
)

// A place is where a database is.
type place struct {
	name  string
	fresh func(t testing.TB) string // the data source name of an empty database
}

var places = []place{
	{"SQLite", func(t testing.TB) string {
		file := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}},
	{"PostgreSQL", func(t testing.TB) string { return dsn(newPostgres(t)) }},
}

// The start of all imports of made sources, and dates before it on which some of their
// tokens were issued and used.
var (
	start  = time.Now().UTC().Truncate(time.Second)
	recent = start.AddDate(0, 0, -10)
	used   = start.AddDate(0, 0, -29)
)

const sqlTime = "2006-01-02 15:04:05-07"

// source opens a source.
func source(t testing.TB, name string) *database.DB {
	t.Helper()
	db, err := database.Connect(name, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// sourceOf makes a source of statements.
func sourceOf(t testing.TB, p place, files ...string) (name string, db *database.DB) {
	t.Helper()
	name = p.fresh(t)
	db = source(t, name)
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		dated := strings.NewReplacer("@recent", recent.Format(sqlTime), "@used", used.Format(sqlTime)).Replace(string(text))
		for statement := range strings.SplitSeq(dated, ";\n") {
			if strings.TrimSpace(statement) != "" {
				run(t, db, statement)
			}
		}
	}
	return name, db
}

func run(t testing.TB, db *database.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// target makes an empty store.
func target(t testing.TB, name string) *database.DB {
	t.Helper()
	db := source(t, name)
	if err := sqlstore.Migrate(t.Context(), db.Pool, db.Dialect, &db.Options); err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(t.Context(), name, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.Pool.SetMaxOpenConns(10)
	db.Pool.SetMaxIdleConns(10)
	t.Cleanup(func() { db.Close() })
	return db
}

// mustImport imports and returns the report.
func mustImport(t testing.TB, from, to *database.DB, o importer.Options) *importer.Report {
	t.Helper()
	if o.NewSecrets == "" {
		o.NewSecrets = filepath.Join(t.TempDir(), "secrets")
	}
	report, err := importer.Run(t.Context(), from, to, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// remarked returns how many records a remark that begins so is about.
func remarked(r *importer.Report, act importer.Act, begin string) (n int64) {
	for _, m := range r.Remarks {
		if m.Act == act && strings.HasPrefix(m.What, begin) {
			n += m.Count
		}
	}
	return n
}

// A service is the handler of a host, on the store of a target.
type service struct {
	t       testing.TB
	handler http.Handler
}

func serve(t testing.TB, db *database.DB) service {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	st := db.Store
	passwords := auth.Must(auth.NewPasswords(st, st, &auth.PasswordsOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Imported: true, Logger: quiet, Organizations: auth.Organizations{
		ByID: func(_ context.Context, id int64) (auth.Organization, error) {
			return auth.Organization{ID: id, Name: "x"}, nil
		},
	}}))
	server := auth.Must(oauth.NewServer(tokens, st, st, &oauth.Options{Logger: quiet}))
	session := auth.Must(auth.NewSession(st, st, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, &auth.BasicOptions{Enabled: func() bool { return true }})), nil)
	api, err := httpapi.New(httpapi.Config{Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens, OAuth: server})
	if err != nil {
		t.Fatal(err)
	}
	return service{t, session.Handler(api)}
}

func (s service) do(r *http.Request) (status int, body map[string]any) {
	s.t.Helper()
	r.RemoteAddr = "192.0.2.1:1"
	r.Host = "example.org"
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	_ = json.Unmarshal(w.Body.Bytes(), &body) // pages are no JSON
	return w.Code, body
}

// me returns the name that a bearer token stands for, or "".
func (s service) me(token string) string {
	s.t.Helper()
	r := httptest.NewRequest("GET", "/api/v2/me/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	status, body := s.do(r)
	if status != 200 {
		return ""
	}
	name, _ := body["username"].(string)
	return name
}

// logsIn reports whether a password is right.
func (s service) logsIn(name, password string) bool {
	s.t.Helper()
	r := httptest.NewRequest("POST", "/api/login/", strings.NewReader(url.Values{"username": {name}, "password": {password}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _ := s.do(r)
	return status == 302 || status == 200
}

// token asks the token endpoint, and returns the new tokens.
func (s service) token(id, secret string, form url.Values) (status int, access, refresh string) {
	s.t.Helper()
	if secret == "" {
		form.Set("client_id", id)
	}
	r := httptest.NewRequest("POST", "/api/o/token/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		r.SetBasicAuth(id, secret)
	}
	status, body := s.do(r)
	access, _ = body["access_token"].(string)
	refresh, _ = body["refresh_token"].(string)
	return status, access, refresh
}

func refreshOf(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}
