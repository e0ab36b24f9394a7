package sqltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// An archive saves the database of one place to a file, while that is in use, and
// loads the file into an empty place.
type archive struct {
	name          string
	from, to      func(t *testing.T) place
	save, restore func(t *testing.T, p place, file string)
}

// archives are what doc/backup.md tells operators to run.
func archives() []archive {
	list := []archive{
		{"SQLite, VACUUM INTO", backupFile, backupFile,
			func(t *testing.T, p place, file string) {
				runProgram(t, "sqlite3", sqliteFile(p), "VACUUM INTO '"+file+"'")
			}, restoreFile},
		{"SQLite, .backup", backupFile, backupFile,
			func(t *testing.T, p place, file string) {
				runProgram(t, "sqlite3", sqliteFile(p), ".backup '"+file+"'")
			}, restoreFile},
		{"PostgreSQL", backupIn(sharedPostgres), backupIn(sharedPostgres),
			func(t *testing.T, p place, file string) {
				runProgram(t, "pg_dump", "--format=custom", "--file="+file, "--dbname="+p.DSN)
			},
			func(t *testing.T, p place, file string) {
				runProgram(t, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--dbname="+p.DSN, file)
			}},
		{"MariaDB", backupIn(sharedMariaDB), backupIn(sharedMariaDB), dumpMySQL, loadMySQL},
	}
	if mysqlProgram() != "" {
		list = append(list, archive{"MySQL", backupIn(sharedMySQL), backupIn(sharedMySQL), dumpMySQL, loadMySQL})
	}
	return list
}

func backupFile(t *testing.T) place { return freshSQLite(t) }

func sqliteFile(p place) string {
	file, _, _ := strings.Cut(strings.TrimPrefix(p.DSN, "file:"), "?")
	return file
}

func restoreFile(t *testing.T, p place, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(sqliteFile(p), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// backupIn returns a function that makes an empty database on a server.
func backupIn(shared func() (*server, error)) func(t *testing.T) place {
	return func(t *testing.T) place {
		p := need(t, shared).place
		name := "backup_" + strings.TrimSuffix(freshPrefix(), "_")
		db := p.pool(t)
		if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
		if p.Dialect == sqlstore.Postgres {
			p.DSN = strings.Replace(p.DSN, "dbname=postgres", "dbname="+name, 1)
		} else {
			p.DSN = p.DSN[:strings.LastIndex(p.DSN, "/")+1] + name
		}
		return p
	}
}

// mysqlPlace returns the arguments for a client program, and the database.
func mysqlPlace(p place) (args []string, name string) {
	_, rest, _ := strings.Cut(p.DSN, "unix(")
	socket, name, _ := strings.Cut(rest, ")/")
	return []string{"--no-defaults", "--user=root", "--socket=" + socket}, name
}

func dumpMySQL(t *testing.T, p place, file string) {
	t.Helper()
	args, name := mysqlPlace(p)
	runProgram(t, "mariadb-dump", append(args, "--single-transaction", "--hex-blob", "--result-file="+file, name)...)
}

func loadMySQL(t *testing.T, p place, file string) {
	t.Helper()
	args, name := mysqlPlace(p)
	runProgram(t, "mariadb", append(args, "--execute=source "+file, name)...)
}

// runProgram runs a program of the database. The databases come with theirs; only
// that of SQLite may be missing.
func runProgram(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip(servertest.Missing(name))
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// TestBackupAndRestore takes a backup beside a writer, as doc/backup.md says, and
// goes on with what was restored: what was good is good, and what had ended stays
// ended. What ended after the backup is alive again until everything is revoked.
func TestBackupAndRestore(t *testing.T) {
	for _, a := range archives() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			from, to := a.from(t), a.to(t)
			file := filepath.Join(t.TempDir(), "archive")
			before := newBackedUp(t, from.open(t))
			kept, gone := before.issue(t), before.issue(t)
			before.end(t, gone)
			later := before.issue(t)
			spent := before.login(t)
			if _, err := before.store.EndSessions(t.Context(), store.SessionSelection{Digest: spent}, store.EndedLogout, time.Now()); err != nil {
				t.Fatal(err)
			}
			session := before.login(t)

			written := before.writeMeanwhile(t, func() { a.save(t, from, file) })
			before.end(t, later)
			after := before.issue(t)

			a.restore(t, to, file)
			restored := newBackedUp(t, to.open(t))
			restored.by = before.by
			for name, tt := range map[string]struct {
				token auth.IssuedToken
				lives bool
			}{
				"issued before the backup":                    {kept, true},
				"issued before it, during other writes":       {written, true},
				"revoked before the backup":                   {gone, false},
				"revoked after the backup":                    {later, true}, // which doc/backup.md warns of
				"issued after the backup, which nobody knows": {after, false},
			} {
				if got := restored.accepts(t, tt.token); got != tt.lives {
					t.Errorf("a token %s: accepted %t, want %t", name, got, tt.lives)
				}
			}
			for name, tt := range map[string]struct {
				session store.Digest
				lives   bool
			}{"live": {session, true}, "ended before the backup": {spent, false}} {
				found, _, err := restored.store.SessionByDigest(t.Context(), tt.session)
				if got := err == nil && found.Ended.IsZero(); got != tt.lives {
					t.Errorf("a session, %s: alive %t (%v), want %t", name, got, err, tt.lives)
				}
			}

			// ostiary token revoke --all
			if _, err := restored.store.RevokeTokens(t.Context(), store.Selection{All: true}, time.Now()); err != nil {
				t.Fatal(err)
			}
			for _, tok := range []auth.IssuedToken{kept, written, gone, later, after} {
				if restored.accepts(t, tok) {
					t.Errorf("the token %d is accepted after all were revoked", tok.ID)
				}
			}
			if fresh := restored.issue(t); !restored.accepts(t, fresh) || fresh.ID <= later.ID {
				t.Errorf("a new token is refused, or has an ID from before: %d", fresh.ID)
			}
		})
	}
}

// backedUp is a service whose database is backed up.
type backedUp struct {
	store  *sqlstore.Store
	tokens *auth.Tokens
	by     *auth.Principal
	logins int
}

func newBackedUp(t *testing.T, st *sqlstore.Store) *backedUp {
	t.Helper()
	b := &backedUp{store: st, tokens: auth.Must(auth.NewTokens(st, st, nil))}
	u, err := st.UserByName(t.Context(), "alice")
	if errors.Is(err, store.ErrNotFound) {
		u, err = st.InsertUser(t.Context(), store.User{Name: "alice", Active: true, Created: time.Now()})
	}
	if err != nil {
		t.Fatal(err)
	}
	b.by = &auth.Principal{ID: u.ID, Name: u.Name, Scopes: auth.Unrestricted}
	return b
}

func (b *backedUp) issue(t *testing.T) auth.IssuedToken {
	t.Helper()
	tok, err := b.tokens.Issue(t.Context(), b.by, auth.TokenRequest{Description: "naïve ✓ '\"\\"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func (b *backedUp) end(t *testing.T, tok auth.IssuedToken) {
	t.Helper()
	if err := b.tokens.End(t.Context(), b.by, tok.ID); err != nil {
		t.Fatal(err)
	}
}

func (b *backedUp) accepts(t *testing.T, tok auth.IssuedToken) bool {
	t.Helper()
	_, err := b.tokens.Verify(t.Context(), tok.AccessToken.Reveal())
	if _, refused := errors.AsType[*auth.Error](err); err != nil && !refused {
		t.Fatal(err)
	}
	return err == nil
}

// login stores a session and returns its digest.
func (b *backedUp) login(t *testing.T) store.Digest {
	t.Helper()
	b.logins++
	now := time.Now()
	row := store.Session{Digest: store.DigestOf(fmt.Sprint("session ", b.logins)), UserID: b.by.ID, Data: []byte{0, 1, 0x27, 0xff},
		Address: netip.MustParseAddr("192.0.2.1"), Created: now, Seen: now, Expires: now.Add(hour)}
	if _, _, err := b.store.InsertSession(t.Context(), row, store.Digest{}, 0); err != nil {
		t.Fatal(err)
	}
	return row.Digest
}

// writeMeanwhile runs f while tokens are issued and revoked, and returns one that
// was issued before f began.
func (b *backedUp) writeMeanwhile(t *testing.T, f func()) auth.IssuedToken {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	first, ended := make(chan auth.IssuedToken, 1), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			tok, err := b.tokens.Issue(ctx, b.by, auth.TokenRequest{})
			if err == nil && i > 0 {
				err = b.tokens.End(ctx, b.by, tok.ID)
			}
			if err != nil {
				close(first)
				if ctx.Err() != nil {
					err = nil
				}
				ended <- err
				return
			}
			if i == 0 {
				first <- tok
			}
		}
	}()
	tok := <-first
	func() {
		defer stop() // also where f ends the test
		f()
	}()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return tok
}
