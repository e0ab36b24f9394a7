package importer_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
)

// known is what the users and clients of a source know.
type known struct {
	Users []struct {
		ID             int
		Name, Password string
		Known          bool
	}
	Clients []struct{ Name, ID, Secret string }
	Tokens  []struct {
		Access, Refresh, Client, User string
		Expired                       bool
	}
	Spent []string
}

func (k known) secret(client string) (id, secret string) {
	for _, c := range k.Clients {
		if c.Name == client {
			return c.ID, c.Secret
		}
	}
	return "", ""
}

// python returns the interpreter that has Debian's packages.
func python() string {
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		return "/usr/bin/python3"
	}
	return "python3"
}

// byDjango makes a source by Django itself.
func byDjango(t *testing.T, args ...string) (k known) {
	t.Helper()
	cmd := exec.Command(python(), append([]string{"-B", filepath.Join("testdata", "source.py")}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		exit, _ := errors.AsType[*exec.ExitError](err)
		t.Fatalf("Django (Debian: python3-django-oauth-toolkit, python3-psycopg2, python3-argon2, python3-bcrypt): %v\n%s", err, exit.Stderr)
	}
	if err := json.Unmarshal(out, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// Users log in, tokens work and are refreshed, and clients authenticate, all as
// before, on databases that Django and django-oauth-toolkit made.
func TestDjango(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) (string, known)
		to   place
	}{
		{"from SQLite into PostgreSQL", func(t *testing.T) (string, known) {
			file := filepath.Join(t.TempDir(), "django.sqlite")
			k := byDjango(t, file)
			return file, k
		}, places[1]},
		{"from PostgreSQL into SQLite", func(t *testing.T) (string, known) {
			dir, name := newPostgres(t)
			return dsn(dir, name), byDjango(t, dir, name)
		}, places[0]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, k := tt.make(t)
			from, to := source(t, name), target(t, tt.to.fresh(t))
			id, secret := k.secret("hashed")
			o := importer.Options{Kind: importer.Django, ClientSecrets: map[string]string{id: secret}}
			dry := o
			dry.DryRun = true
			planned := mustImport(t, from, to, dry)
			report := mustImport(t, from, to, o)
			sameCounts(t, planned, report)
			checkKnown(t, serve(t, to), k)
			for begin, want := range map[string]int64{
				"password hashes of the kind md5": 1, "a redirect URI was left out": 1, "the grant type is": 1, "skip_authorization is off": 1,
				"another application of the organization has the name": 1, "the client has a new secret": 0, "scopes that are not known": 1,
				"the application has no organization": 6,
			} {
				if got := remarked(report, importer.Changed, begin); got != want {
					t.Errorf("%q is remarked %d times, want %d", begin, got, want)
				}
			}
			for begin, want := range map[string]int64{"expired": 1, "the token does not have the form": 1, "no scope": 1, "authorization codes": 1, "refresh tokens whose": 1} {
				if got := remarked(report, importer.LeftOut, begin); got != want {
					t.Errorf("%q is remarked %d times, want %d", begin, got, want)
				}
			}
		})
	}
}

// sameCounts compares a dry run with a run.
func sameCounts(t *testing.T, planned, done *importer.Report) {
	t.Helper()
	for step, want := range planned.Counts {
		if got := done.Counts[step]; got == nil || *got != *want {
			t.Errorf("%s: the dry run said %+v, and it was %+v", step, *want, got)
		}
	}
}

func checkKnown(t *testing.T, s service, k known) {
	t.Helper()
	for _, u := range k.Users {
		if got := s.logsIn(u.Name, u.Password); got != u.Known {
			t.Errorf("%s logs in: %v, want %v", u.Name, got, u.Known)
		}
		if s.logsIn(u.Name, u.Password+"x") {
			t.Errorf("%s logs in with another password", u.Name)
		}
	}
	if s.logsIn("ldap", "!") || s.logsIn("left", "gone") || !s.logsIn("argon2", "lower case") {
		t.Error("wrong people log in")
	}
	for _, tok := range k.Tokens {
		if got := s.me(tok.Access); tok.User != "" && (got == tok.User) == tok.Expired {
			t.Errorf("a token of %s by %q is that of %q", tok.User, tok.Client, got)
		}
		if tok.Refresh == "" {
			continue
		}
		id, secret := k.secret(tok.Client)
		if status, _, _ := s.token(id, secret+"x", refreshOf(tok.Refresh)); status != 401 {
			t.Errorf("%s with another secret: %d", tok.Client, status)
		}
		status, access, refresh := s.token(id, secret, refreshOf(tok.Refresh))
		if status != 200 || s.me(access) != tok.User || s.me(tok.Access) != "" {
			t.Errorf("a refresh of %s by %s: %d", tok.User, tok.Client, status)
			continue
		}
		if status, access, _ = s.token(id, secret, refreshOf(refresh)); status != 200 || s.me(access) != tok.User {
			t.Errorf("the second refresh of %s by %s: %d", tok.User, tok.Client, status)
		}
	}
	for _, text := range k.Spent {
		id, secret := k.secret("cli")
		if status, _, _ := s.token(id, secret, refreshOf(text)); status != 400 || s.me(text) != "" {
			t.Errorf("what was used up: %d", status)
		}
	}
	id, secret := k.secret("machine")
	if status, access, _ := s.token(id, secret, map[string][]string{"grant_type": {"client_credentials"}, "scope": {"read"}}); status != 200 || access == "" {
		t.Errorf("client credentials with the old secret: %d", status)
	}
}
