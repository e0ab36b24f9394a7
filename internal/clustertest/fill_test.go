package clustertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/auth/internal/secret"
)

// A filling is what a table of tokens was filled with: users of their own, each with
// the same number of tokens, of which one in five is of the application, and one in
// ten ended so long ago that it is purged.
type filling struct {
	users, tokens    int
	personal, grants []string // some access tokens, and all refresh tokens, that are good
}

// sampled is how many personal tokens are kept to be presented, about.
const sampled = 20_000

// First IDs of what is filled in.
const (
	firstUser  = 1_000_000
	firstToken = 10_000_000
)

// fill copies the rows of a person and of two tokens, which the servers have
// written, so that it need not know what they mean.
func (c *cluster) fill(url string, users, tokens int) filling {
	t := c.t
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	f := filling{users: users, tokens: tokens}
	run("CREATE TEMPORARY TABLE secrets (n BIGINT, access BYTEA, refresh BYTEA)")
	rows := pgx.CopyFromSlice(tokens, func(n int) ([]any, error) {
		text, digest := newSecret(secret.Access)
		row := []any{n, digest, nil}
		keep := n/10%max(1, tokens/sampled) == 0 && !purged(n)
		if n%5 != 0 {
			if keep {
				f.personal = append(f.personal, text)
			}
			return row, nil
		}
		text, row[2] = newSecret(secret.Refresh)
		if !purged(n) {
			f.grants = append(f.grants, text)
		}
		return row, nil
	})
	if _, err := conn.CopyFrom(t.Context(), pgx.Identifier{"secrets"}, []string{"n", "access", "refresh"}, rows); err != nil {
		t.Fatal(err)
	}
	person := c.people[0]
	id := columnOf(t, conn, "SELECT id FROM auth_users WHERE name = $1", person.name)
	run(copyRow(t, conn, "auth_users", fmt.Sprintf("generate_series(0, %d) n", users-1), "t.id = '"+id+"'", map[string]string{
		"id": fmt.Sprintf("(%d + n)::text", firstUser), "id_number": fmt.Sprintf("%d + n", firstUser), "name": "'many' || n",
	}))
	long := time.Now().Add(-72 * time.Hour).UnixMicro()
	for _, kind := range []struct{ of, which string }{
		{"t.application_id = 0", "n.n % 5 <> 0"}, {"t.application_id <> 0", "n.n % 5 = 0"},
	} {
		row := columnOf(t, conn, "SELECT MAX(t.id)::text FROM auth_tokens t WHERE t.revoked_at IS NULL AND t.user_id = $1 AND "+kind.of, id)
		values := map[string]string{
			"id": fmt.Sprintf("%d + n.n", firstToken), "family": fmt.Sprintf("%d + n.n", firstToken),
			"digest": "n.access", "refresh_digest": "n.refresh", "user_id": fmt.Sprintf("(%d + n.n %% %d)::text", firstUser, users),
		}
		for _, end := range []string{"expires_at", "ends_at", "purge_at", "refresh_expires_at", "grant_expires_at"} {
			values[end] = fmt.Sprintf("CASE WHEN n.n %% 10 = 9 THEN %d ELSE t.%s END", long, end)
		}
		run(copyRow(t, conn, "auth_tokens", "secrets n", kind.which+" AND t.id = "+row, values))
	}
	run("DROP TABLE secrets")
	run("SELECT setval(pg_get_serial_sequence('auth_tokens', 'id'), $1)", firstToken+tokens)
	run("VACUUM ANALYZE auth_tokens")
	run("VACUUM ANALYZE auth_users")
	return f
}

func newSecret(kind byte) (text string, digest []byte) {
	text = secret.New("ost", kind)
	sum := sha256.Sum256([]byte(text))
	return text, sum[:]
}

// purged reports whether the n-th token ended long ago.
func purged(n int) bool { return n%10 == 9 }

func columnOf(t testing.TB, conn *pgx.Conn, query string, args ...any) (value string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

// copyRow returns a statement that inserts the row t of a table once for each row n
// of another, with other values in some columns.
func copyRow(t testing.TB, conn *pgx.Conn, table, each, which string, values map[string]string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT column_name FROM information_schema.columns WHERE table_name = $1", table)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(columns, name) {
			t.Fatalf("%s has no column %s", table, name)
		}
	}
	selected := slices.Clone(columns)
	for i, name := range columns {
		selected[i] = "t." + name
		if value, other := values[name]; other {
			selected[i] = value
		}
	}
	return fmt.Sprintf("INSERT INTO %[1]s (%[2]s) OVERRIDING SYSTEM VALUE SELECT %[3]s FROM %[1]s t, %[4]s WHERE %[5]s",
		table, strings.Join(columns, ", "), strings.Join(selected, ", "), each, which)
}
