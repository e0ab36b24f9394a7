package check_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/check"
	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A system is a database in which nothing is wrong until a test plants it.
type system struct {
	t   *testing.T
	dir string
	env map[string]string
	db  *database.DB
	check.Target
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, dir: t.TempDir(), env: make(map[string]string)}
	name := filepath.Join(s.dir, "ostiary.db")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Target = check.Target{DSN: name, Env: func(name string) string { return s.env[name] }, Client: http.DefaultClient, Now: time.Now}
	db, err := database.Connect(name, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.Migrate(t.Context(), db.Pool, db.Dialect, nil); err != nil {
		t.Fatal(err)
	}
	if db.Store, err = sqlstore.Open(t.Context(), db.Pool, db.Dialect, &db.Options); err != nil {
		t.Fatal(err)
	}
	s.db = db
	t.Cleanup(func() {
		_ = s.db.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	s.user(store.User{Name: "root", Admin: true, Active: true}, "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$AAAA")
	return s
}

func (s *system) user(u store.User, hash string) store.User {
	s.t.Helper()
	u, err := s.db.Store.InsertUser(s.t.Context(), u)
	s.must(err)
	s.must(s.db.Store.SetPasswordHash(s.t.Context(), u.ID, hash))
	return u
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) exec(query string) {
	s.t.Helper()
	_, err := s.db.Pool.ExecContext(s.t.Context(), query)
	s.must(err)
}

func (s *system) application(app store.Application) {
	s.t.Helper()
	app.Name, app.ClientID = "app", "app"
	if app.GrantType == "" {
		app.GrantType = oauth.GrantAuthorizationCode
	}
	_, err := s.db.Store.InsertApplication(s.t.Context(), app)
	s.must(err)
}

func (s *system) tokenAt(created, expires time.Time) {
	s.t.Helper()
	_, err := s.db.Store.InsertToken(s.t.Context(), store.Token{Digest: store.DigestOf(expires.String()), UserID: "1", Scopes: "read", Created: created, Expires: expires}, store.InsertLimits{})
	s.must(err)
}

// serve makes the service answer in a certain way.
func (s *system) serve(answer http.HandlerFunc) {
	server := httptest.NewServer(answer)
	s.t.Cleanup(server.Close)
	s.URL = server.URL
}

// found returns the findings that are not in order.
func (s *system) found() (list []string) {
	s.t.Helper()
	for _, f := range check.Run(s.t.Context(), s.Target) {
		if f.Level != check.OK {
			list = append(list, string(f.Level)+" "+f.Subject+": "+f.Text)
			if f.Remedy == "" {
				s.t.Errorf("%s has no remedy", f.Text)
			}
		}
	}
	return list
}

func TestNothingIsWrong(t *testing.T) {
	s := newSystem(t)
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
		case "/.well-known/oauth-authorization-server":
			_, _ = w.Write([]byte(`{"issuer":"http://` + r.Host + `"}`))
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s.application(store.Application{Confidential: true, Secret: store.DigestOf("x"), RedirectURIs: []string{"https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]/cb"}})
	s.tokenAt(time.Now().Add(-time.Hour), time.Now().AddDate(0, 1, 0))
	if found := s.found(); found != nil {
		t.Errorf("found %q", found)
	}
	subjects := 0
	for _, f := range check.Run(t.Context(), s.Target) {
		if f.Level == check.OK {
			subjects++
		}
	}
	if subjects != 10 {
		t.Errorf("%d subjects are in order, want 10", subjects)
	}
}

// secretFile plants a file with a secret that others read, and returns its name.
func (s *system) secretFile() string {
	name := filepath.Join(s.dir, "secret")
	s.must(os.WriteFile(name, []byte("x"), 0o600))
	s.must(os.Chmod(name, 0o640))
	return name
}

// Every file with a secret that a variable or the data source name has is looked at.
func TestSecretFiles(t *testing.T) {
	for _, name := range []string{"OSTIARY_SOURCE_DSN_FILE", "OSTIARY_AWX_SECRET_KEY_FILE", "OSTIARY_DB_FILE", "OSTIARY_ADMIN_PASSWORD_FILE", "OSTIARY_USERS", "OSTIARY_TLS_KEY"} {
		s := newSystem(t)
		s.env[name] = s.secretFile()
		if found := s.found(); len(found) != 1 || !strings.HasPrefix(found[0], "warning settings: others than its owner can read") {
			t.Errorf("%s: found %q", name, found)
		}
		s.must(os.Chmod(s.env[name], 0o600))
		if found := s.found(); found != nil {
			t.Errorf("%s with the mode 0600: found %q", name, found)
		}
	}
	for _, parameter := range []string{"passfile", "sslkey"} {
		s := newSystem(t)
		s.DSN = "postgres://u:p@127.0.0.1:1/x?" + parameter + "=" + s.secretFile()
		if found := s.found(); !strings.HasPrefix(found[0], "warning settings: others than its owner can read") {
			t.Errorf("%s: found %q", parameter, found)
		}
	}
}

// planted are mistakes, each with the one finding that it must make.
var planted = map[string]struct {
	plant func(*system)
	want  string
}{
	"a file of the data source name that others read": {func(s *system) {
		s.DSNFile = filepath.Join(s.dir, "dsn")
		s.must(os.WriteFile(s.DSNFile, []byte(s.DSN), 0o600))
		s.must(os.Chmod(s.DSNFile, 0o644))
	}, "error settings: others than its owner may use the file with the data source name"},
	"a database that others read":        {func(s *system) { s.must(os.Chmod(s.DSN, 0o640)) }, "error settings: others than its owner may use the database"},
	"a journal that others write":        {func(s *system) { s.must(os.Chmod(s.DSN+"-wal", 0o622)) }, "error settings: others than its owner may use the database"},
	"a folder that everybody writes":     {func(s *system) { s.must(os.Chmod(s.dir, 0o777)) }, "error settings: everybody may put another file"},
	"a password in the environment":      {func(s *system) { s.env["OSTIARY_ADMIN_PASSWORD"] = "x" }, "warning settings: OSTIARY_ADMIN_PASSWORD is still set"},
	"another prefix":                     {func(s *system) { s.Prefix = "other_" }, "error schema: the database has no schema with this prefix"},
	"a bad prefix":                       {func(s *system) { s.Prefix = "Other" }, "error schema: sqlstore: Options.Prefix"},
	"an old schema":                      {func(s *system) { s.exec("DELETE FROM auth_schema WHERE version > 1") }, "error schema: the database has no schema with this prefix, or an old one"},
	"a schema from the future":           {func(s *system) { s.exec("INSERT INTO auth_schema (version, compatible) VALUES (999, 999)") }, "error schema: sqlstore: the schema has version 999"},
	"rows that are gone":                 {func(s *system) { s.exec("DELETE FROM auth_locks WHERE slot = 7") }, "error schema: the service cannot start: sqlstore: rows of the schema are gone"},
	"a journal without WAL":              {func(s *system) { s.journal("DELETE") }, "error schema: the service cannot start: sqlstore: the journal mode"},
	"a file that is no database":         {func(s *system) { s.garbage() }, "error "},
	"a file that is gone":                {func(s *system) { s.DSN += "x" }, "error database: "},
	"a server that is not there":         {func(s *system) { s.DSN = "postgres://u:p@127.0.0.1:1/x" }, "error database: it does not answer"},
	"a MySQL that is not there":          {func(s *system) { s.DSN = "mysql://u:p@127.0.0.1:1/x" }, "error database: it does not answer"},
	"a server of another kind":           {func(s *system) { s.DSN = "oracle://u:p@db/x" }, "error database: the data source name begins with no scheme"},
	"no superuser":                       {func(s *system) { s.exec("UPDATE auth_users SET is_admin = FALSE") }, "error superusers: there is no active superuser"},
	"a disabled superuser":               {func(s *system) { s.exec("UPDATE auth_users SET is_active = FALSE") }, "error superusers: there is no active superuser"},
	"no superuser but a service account": {func(s *system) { s.exec("UPDATE auth_users SET is_service = TRUE") }, "error superusers: there is no active superuser"},
	"a superuser without a password":     {func(s *system) { s.exec("UPDATE auth_users SET password_hash = ''") }, "warning superusers: no active superuser has a password"},
	"an old hash":                        {func(s *system) { s.user(store.User{Name: "erika", Active: true}, "pbkdf2_sha256$1$x$y") }, "warning passwords: erika has a hash from another system"},
	"an unreadable hash":                 {func(s *system) { s.user(store.User{Name: "erika", Active: true}, "md5$x$y") }, "error passwords: erika has a hash that the library cannot read"},
	"a token for years":                  {func(s *system) { s.tokenAt(time.Now(), time.Now().AddDate(3, 0, 0)) }, "warning tokens: some tokens live for more than a year"},
	"a token that nobody uses":           {func(s *system) { s.tokenAt(time.Now().AddDate(0, 0, -100), time.Now().AddDate(0, 1, 0)) }, "warning tokens: some personal tokens have not been used"},
	"no purge":                           {func(s *system) { s.tokenAt(time.Now().AddDate(0, 0, -60), time.Now().AddDate(0, 0, -31)) }, "warning tokens: tokens that expired a month ago"},
	"a redirect in clear": {func(s *system) {
		s.application(store.Application{Confidential: true, Secret: store.DigestOf("x"), RedirectURIs: []string{"http://app.example/"}})
	}, "error applications: app: codes are sent in clear"},
	"a public client without consent":  {func(s *system) { s.application(store.Application{SkipConsent: true}) }, "error applications: app: a public client skips consent"},
	"a client without its secret":      {func(s *system) { s.application(store.Application{Confidential: true}) }, "error applications: app: a confidential client has no secret"},
	"the password grant":               {func(s *system) { s.application(store.Application{GrantType: oauth.GrantPassword}) }, "warning applications: app: it sees the passwords"},
	"an address without a host":        {func(s *system) { s.URL = "api.example" }, "error address: --url is not the address"},
	"an address where nobody is":       {func(s *system) { s.URL = "http://127.0.0.1:1" }, "error address: it does not answer"},
	"a service that is not ready":      {func(s *system) { s.serve(status(503)) }, "error address: it is not ready: 503"},
	"a service without a gate":         {func(s *system) { s.serve(status(200)) }, "error address: it answers /api/v2/me/ without a credential"},
	"metadata of another issuer":       {func(s *system) { s.serve(issuer("https://other.example")) }, `error address: its OAuth metadata is of the issuer "https://other.example"`},
	"metadata that are none":           {func(s *system) { s.serve(issuer("\"")) }, `error address: its OAuth metadata is of the issuer ""`},
	"a service with another clock":     {func(s *system) { s.serve(dated(time.Minute)) }, "error clock: this clock and that of the service are"},
	"a service with a clock a bit off": {func(s *system) { s.serve(dated(-10 * time.Second)) }, "warning clock: this clock and that of the service are"},
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if code != 200 && r.URL.Path != "/readyz" {
			code = http.StatusUnauthorized
		}
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(code)
	}
}

func issuer(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/.well-known/"):
			_, _ = w.Write([]byte(`{"issuer":"` + name + `"}`))
		case r.URL.Path != "/readyz":
			w.WriteHeader(401)
		}
	}
}

func dated(ahead time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		if r.URL.Path != "/readyz" {
			http.Error(w, "", http.StatusUnauthorized)
		}
	}
}

// journal changes the journal of SQLite, for which nobody else may have it open.
func (s *system) journal(mode string) {
	s.t.Helper()
	s.db.Pool.SetMaxOpenConns(1)
	s.exec("PRAGMA journal_mode = " + mode)
}

// garbage writes over the file.
func (s *system) garbage() {
	s.t.Helper()
	s.must(s.db.Close())
	s.must(os.WriteFile(s.DSN, []byte(strings.Repeat("no database ", 1000)), 0o600))
}

func TestPlantedMistakes(t *testing.T) {
	for name, tt := range planted {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			tt.plant(s)
			found := s.found()
			if len(found) != 1 || !strings.HasPrefix(found[0], tt.want) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
	t.Logf("%d planted mistakes", len(planted))
}

// Of many mistakes at once none hides another.
func TestPlantedTogether(t *testing.T) {
	s := newSystem(t)
	var want []string
	for _, name := range []string{
		"a file of the data source name that others read", "a database that others read", "a folder that everybody writes",
		"a password in the environment", "a superuser without a password", "an old hash", "a token for years",
		"a token that nobody uses", "no purge", "a redirect in clear", "metadata of another issuer",
	} {
		planted[name].plant(s)
		want = append(want, planted[name].want)
	}
	for _, of := range []struct{ variable, what string }{
		{"OSTIARY_AWX_SECRET_KEY_FILE", "the file with SECRET_KEY of AWX"}, {"OSTIARY_ADMIN_PASSWORD_FILE", "the file with the password of admin"},
		{"OSTIARY_USERS", "the file of users"}, {"OSTIARY_TLS_KEY", "the private key"},
	} {
		s.env[of.variable] = s.secretFile()
		want = append(want, "warning settings: others than its owner can read "+of.what)
	}
	found := s.found()
	for _, w := range want {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, w) }) {
			t.Errorf("not found: %s", w)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d mistakes, found %d: %q", len(want), len(found), found)
	}
	t.Logf("%d mistakes at once", len(want))
}

// What is wrong about a data source name needs no server to be seen.
func TestSettings(t *testing.T) {
	for name, want := range map[string]string{
		"postgres://u:p@db.example/x":                               "error settings: the connection to the database may be in clear (sslmode=)",
		"postgres://u:p@db.example/x?sslmode=disable":               "error settings: the connection to the database may be in clear (sslmode=disable)",
		"postgres://u:p@db.example/x?sslmode=prefer":                "error settings: the connection to the database may be in clear (sslmode=prefer)",
		"postgres://u:p@db.example/x?sslmode=require":               "warning settings: the host of the database is not verified",
		"postgres://u:p@db.example/x?sslmode=verify-full":           "",
		"postgres://u@db.example/x?sslmode=verify-full":             "warning settings: the data source name has no password",
		"postgres://u@db.example/x?sslmode=verify-full&passfile=/x": "",
		"postgres://u:p@127.0.0.1:1/x":                              "",
		"postgres:///x?host=/run/postgresql":                        "",
		"mysql://u:p@db.example/x":                                  "error settings: the connection to the database may be in clear (tls=)",
		"mysql://u:p@db.example/x?tls=preferred":                    "error settings: the connection to the database may be in clear (tls=preferred)",
		"mysql://u:p@db.example/x?tls=skip-verify":                  "warning settings: the certificate of the database is not verified",
		"mysql://u:p@db.example/x?tls=true":                         "",
		"mysql://u@db.example/x?tls=true":                           "warning settings: the data source name has no password",
		"mysql://u@/x?socket=/run/mysqld/mysqld.sock":               "",
	} {
		u, err := url.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		// A name that cannot be looked up keeps the test off the network.
		s := check.Target{DSN: strings.Replace(name, "db.example", "db.invalid", 1), Env: func(string) string { return "" }, Now: time.Now}
		got := slices.DeleteFunc(check.Run(t.Context(), s), func(f check.Finding) bool { return f.Level == check.OK || f.Subject != "settings" })
		if len(got) > 1 || (len(got) == 0) != (want == "") || len(got) == 1 && !strings.HasPrefix(string(got[0].Level)+" "+got[0].Subject+": "+got[0].Text, want) {
			t.Errorf("%s (%s): %+v, want %q", name, u.Scheme, got, want)
		}
	}
}

// After an import, check says what the service needs for it.
func TestImportIsSaid(t *testing.T) {
	s := newSystem(t)
	said := func() bool {
		return slices.ContainsFunc(check.Run(t.Context(), s.Target), func(f check.Finding) bool {
			return f.Level == check.OK && f.Subject == "import" && strings.Contains(f.Text, "-awx-tokens")
		})
	}
	if said() {
		t.Error("before any import")
	}
	s.exec("CREATE TABLE auth_import_marks (source TEXT, step TEXT, mark BIGINT)")
	s.exec("INSERT INTO auth_import_marks VALUES ('awx', 'users', 7)")
	if said() {
		t.Error("after an import without tokens")
	}
	s.exec("INSERT INTO auth_import_marks VALUES ('awx', 'tokens', 7)")
	if !said() {
		t.Error("after an import of tokens")
	}
}

// The hashes that the library makes are of the present kind.
func TestOwnHashesAreFine(t *testing.T) {
	s := newSystem(t)
	hash, err := auth.Argon2id{}.Hash("correct horse battery")
	s.must(err)
	s.user(store.User{Name: "erika", Active: true}, hash)
	s.user(store.User{Name: "max", Active: true}, "")
	s.user(store.User{Name: "unusable", Active: true}, "!django")
	s.user(store.User{Name: "gone"}, "md5$x$y")
	if found := s.found(); found != nil {
		t.Errorf("found %q", found)
	}
}
