package importer_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store/sqlstore"
)

// killedPatience is how long a test waits for an import that it killed.
const killedPatience = 200 * time.Millisecond

var kills = flag.Int("kills", 4, "how often TestKilled kills an import")

// indexesOf returns the definitions of all indexes.
var indexesOf = map[sqlstore.Dialect]string{
	sqlstore.SQLite:   `SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'auth_%' AND name NOT LIKE '%import%' ORDER BY name`,
	sqlstore.Postgres: `SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'auth_%' AND indexname NOT LIKE '%import%' ORDER BY indexname`,
}

// dump returns the rows of the tables that an import writes, without the numbers that
// depend on how often something was tried.
func dump(t testing.TB, db *database.DB) (lines []string) {
	t.Helper()
	for _, query := range []string{
		`SELECT 'user', id, name, email, first_name, last_name, is_admin, is_auditor, is_active, epoch, password_hash, created_at FROM auth_users ORDER BY id`,
		`SELECT 'application', client_id, name, description, organization_id, confidential, grant_type, redirect_uris, skip_consent, require_pkce, created_at, modified_at, revision FROM auth_applications ORDER BY client_id`,
		`SELECT 'token', t.digest, t.user_id, COALESCE(a.client_id, ''), t.family = t.id, t.scopes, t.epoch, t.description, t.created_at, t.modified_at, t.expires_at, COALESCE(t.last_used_at, 0),
			t.revoked_at IS NULL, t.refresh_digest, t.refresh_scopes, COALESCE(t.refresh_expires_at, 0), COALESCE(t.grant_expires_at, 0), t.ends_at, t.purge_at, COALESCE(t.grant_created_at, 0), t.revision
			FROM auth_tokens t LEFT JOIN auth_applications a ON a.id = t.application_id ORDER BY t.digest`,
	} {
		lines = append(lines, rowsOf(t, db, query)...)
	}
	return lines
}

// rowsOf returns the rows of a query as texts.
func rowsOf(t testing.TB, db *database.DB, query string) (lines []string) {
	t.Helper()
	rows, err := db.Pool.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// outcome is a report without what depends on how many runs there were.
func outcome(r *importer.Report) string {
	for _, c := range r.Counts {
		c.Stored, c.Before = c.Stored+c.Before, 0
	}
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		return err.Error()
	}
	return b.String()
}

// An import that is killed at any row, and run again until it ends, leaves the same
// rows, the same secrets and the same report as one that is not.
func TestKilled(t *testing.T) {
	for _, p := range places {
		t.Run("into "+p.name, func(t *testing.T) {
			name, from := sourceOf(t, places[0], "awx.sql")
			addMany(t, from, 300, 3000)
			run(t, from, "UPDATE main_oauth2application SET client_secret = '$encrypted$UTF8$AESCBC$' || client_secret WHERE id = 3")
			run(t, from, "UPDATE main_oauth2accesstoken SET scope = 'read write more' WHERE id % 7 = 0")
			secrets := filepath.Join(t.TempDir(), "secrets")
			o := importer.Options{Kind: importer.AWX, Now: start, NewSecrets: secrets, Batch: 50, Workers: 3, Patience: killedPatience, RebuildIndexes: p.name == "PostgreSQL"}

			whole := target(t, p.fresh(t))
			want := outcome(mustImport(t, from, whole, o)) // the secrets are now decided
			all := func(db *database.DB) []string { return append(dump(t, db), rowsOf(t, db, indexesOf[db.Dialect])...) }
			rows := all(whole)
			decided, err := os.ReadFile(secrets)
			if err != nil {
				t.Fatal(err)
			}
			for left := *kills; left > 0; {
				to := p.fresh(t)
				db := target(t, to)
				for left > 0 && killed(t, childArgs{From: name, To: to, Options: o}) {
					left--
				}
				report := mustImport(t, from, db, o)
				if diff := cmp.Diff(want, outcome(report)); diff != "" {
					t.Fatalf("report (-whole +killed):\n%s", diff)
				}
				if diff := cmp.Diff(rows, all(db)); diff != "" {
					t.Fatalf("rows (-whole +killed):\n%s", diff)
				}
				if now, err := os.ReadFile(secrets); err != nil || string(now) != string(decided) {
					t.Fatalf("secrets changed from %q to %q, %v", decided, now, err)
				}
			}
		})
	}
}

// killed starts an import and kills it after a number of its lines. It reports whether
// the import was killed before its end.
func killed(t *testing.T, args childArgs) bool {
	t.Helper()
	text, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range rand.IntN(75) {
		if !lines.Scan() {
			break
		}
	}
	cmd.Process.Kill()
	return cmd.Wait() != nil
}
