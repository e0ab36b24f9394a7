package sqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// benchRows returns how many tokens to measure with: OSTIARY_ROWS, as in
// "1000 100000 1000000", where it is set.
func benchRows() []int {
	var list []int
	for field := range strings.FieldsSeq(os.Getenv("OSTIARY_ROWS")) {
		if n, err := strconv.Atoi(field); err == nil {
			list = append(list, n)
		}
	}
	if list == nil {
		list = []int{1000}
	}
	return list
}

// benchStores runs a benchmark on each kind of database with each number of
// tokens.
func benchStores(b *testing.B, f func(b *testing.B, st *sqlstore.Store, db *sql.DB, p place, rows int)) {
	for _, d := range databases() {
		b.Run(d.name, func(b *testing.B) {
			for _, rows := range benchRows() {
				p := d.fresh(b)
				st, db := p.openDB(b)
				fill(b, st, db, p, rows)
				b.Run(fmt.Sprint(rows), func(b *testing.B) { f(b, st, db, p, rows) })
			}
		})
	}
}

// fill inserts rows tokens of one user, 500 at a time.
func fill(b testing.TB, st *sqlstore.Store, db *sql.DB, p place, rows int) {
	b.Helper()
	now := time.Now()
	u, err := st.InsertUser(b.Context(), store.User{Name: "bench", Email: "bench@example.com", Active: true, Created: now})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 500
	for from := 0; from < rows; from += batch {
		n := min(batch, rows-from)
		var args []any
		for i := range n {
			name := strconv.Itoa(from + i)
			access, refresh := accessOf(name), refreshOf(name)
			args = append(args, access[:], u.ID, 1, 0, from+i+1, "read write", "", "", 0, "", now.UnixMicro(), now.UnixMicro(),
				now.Add(24*hour).UnixMicro(), refresh[:], "read write", now.Add(24*hour).UnixMicro(), now.Add(24*hour).UnixMicro())
		}
		query := p.sql(`INSERT INTO auth_tokens (digest, user_id, application_id, parent_id, family, scopes, audience, addresses, epoch, description,
			created_at, modified_at, expires_at, refresh_digest, refresh_scopes, refresh_expires_at, successor_id, minted, ends_at, revision) VALUES `,
			strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, FALSE, ?, 1), ", n), ", "))
		if _, err := db.Exec(query, args...); err != nil {
			b.Fatal(err)
		}
	}
	if p.Dialect == sqlstore.Postgres {
		if _, err := db.Exec(p.sql("VACUUM ANALYZE auth_tokens")); err != nil {
			b.Fatal(err)
		}
	}
}

// randomDigest is an expression for a digest that no other row has.
func (p place) randomDigest() string {
	return map[sqlstore.Dialect]string{
		sqlstore.SQLite: "randomblob(32)", sqlstore.Postgres: "sha256(CAST(random() AS TEXT)::bytea)", sqlstore.MySQL: "UNHEX(SHA2(CONCAT(RAND(), UUID()), 256))",
	}[p.Dialect]
}

// sql adapts a statement to the place.
func (p place) sql(parts ...string) string {
	query := strings.Join(parts, "")
	if p.Prefix != "" {
		query = strings.ReplaceAll(query, "auth_", p.Prefix)
	}
	if p.Dialect != sqlstore.Postgres {
		return query
	}
	var b strings.Builder
	for n, part := range strings.Split(query, "?") {
		if n > 0 {
			fmt.Fprintf(&b, "$%d", n)
		}
		b.WriteString(part)
	}
	return b.String()
}

// once adapts a statement with values like $1, where PostgreSQL takes each once, and returns
// what puts its arguments into the order of the others.
func (p place) once(query string) (text string, order func([]any) []any) {
	if p.Dialect == sqlstore.Postgres {
		return p.sql(query), func(args []any) []any { return args }
	}
	value := regexp.MustCompile(`\$(\d+)`)
	var at []int
	for _, found := range value.FindAllStringSubmatch(query, -1) {
		n, _ := strconv.Atoi(found[1])
		at = append(at, n-1)
	}
	return p.sql(value.ReplaceAllString(query, "?")), func(args []any) (all []any) {
		for _, n := range at {
			all = append(all, args[n])
		}
		return all
	}
}

// requestContext can be cancelled, as that of a request can.
func requestContext(b *testing.B) context.Context {
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	return ctx
}

// A contestant is one of several ways to do the same.
type contestant struct {
	name string
	do   func(i int) error
}

// compare runs both and reports their medians and the ratio.
func compare(b *testing.B, bare, ours func(i int) error) {
	b.Helper()
	contest(b, contestant{"bare", bare}, contestant{"store", ours})
}

// contest runs all by turns, so that what else the machine does hits all, in an order
// of chance. Each runs some times in succession, and the first of them does not count: it
// finds the caches as another left them, and those that are written by hand share their code,
// so that they would find theirs. It reports the medians, and the ratio of the last to each
// of the others.
func contest(b *testing.B, all ...contestant) {
	b.Helper()
	const succession = 5
	times := make([][]time.Duration, len(all))
	for turn := 0; b.Loop(); turn++ {
		for _, k := range mathrand.Perm(len(all)) {
			for n := range succession {
				begun := time.Now()
				if err := all[k].do(turn*succession + n); err != nil {
					b.Fatal(all[k].name, err)
				}
				if n > 0 {
					times[k] = append(times[k], time.Since(begun))
				}
			}
		}
	}
	medians := make([]float64, len(all))
	for k, list := range times {
		slices.Sort(list)
		medians[k] = float64(list[len(list)/2].Nanoseconds())
		b.ReportMetric(medians[k], all[k].name+"-ns")
	}
	last := len(all) - 1
	for k := range last {
		b.ReportMetric(medians[last]/medians[k], "x-"+all[k].name)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkVerify compares a look-up of a token and its user with the bare
// prepared statement of the same shape, run as a handler would.
func BenchmarkVerify(b *testing.B) {
	benchStores(b, func(b *testing.B, st *sqlstore.Store, db *sql.DB, p place, rows int) {
		stmt, err := db.Prepare(p.sql(`SELECT t.id, t.user_id, t.application_id, t.scopes, t.audience, t.addresses, t.epoch, t.expires_at, t.revoked_at, t.last_used_at,
			u.id, u.name, u.email, u.first_name, u.last_name, u.is_admin, u.is_auditor, u.is_active, u.epoch, u.created_at
			FROM auth_tokens t LEFT JOIN auth_users u ON u.id = t.user_id WHERE t.digest = ?`))
		if err != nil {
			b.Fatal(err)
		}
		defer stmt.Close()
		ctx := requestContext(b)
		digest := func(i int) store.Digest { return accessOf(strconv.Itoa(i * 7919 % rows)) }
		compare(b, func(i int) error {
			d := digest(i)
			var a store.Access
			var u store.User
			var expires, created int64
			var revoked, used sql.NullInt64
			return stmt.QueryRowContext(ctx, d[:]).Scan(&a.TokenID, &a.UserID, &a.ApplicationID, &a.Scopes, &a.Audience, new(string), &a.Epoch,
				&expires, &revoked, &used, &u.ID, &u.Name, &u.Email, &u.FirstName, &u.LastName, &u.Admin, &u.Auditor, &u.Active, &u.Epoch, &created)
		}, func(i int) error {
			_, err := st.AccessByDigest(ctx, digest(i))
			return err
		})
	})
}

// BenchmarkInsertToken compares a new token, one of a user with a limit, and one that a
// personal token mints, with the bare statement for such a row. On PostgreSQL it also
// does with that statement where it returns the ID, and where somebody wrote the least
// into it that must be asked: the number of the newest cut-off, how many tokens the user
// has, whether the parent lives and is what was read of it, and how many others it minted.
// For a minted one it does so once more with the cut-offs, by which a parent may have ended
// whose record does not tell.
//
// What is written by hand is what a careful host would write. It gets the context of a
// request, which can end. Its arguments are what differs from token to token, each once, and
// what is the same for all tokens of a kind stands in the text. It is better off in one thing:
// the family is a number from outside, where it has to be the ID that the row gets.
func BenchmarkInsertToken(b *testing.B) {
	benchStores(b, func(b *testing.B, st *sqlstore.Store, db *sql.DB, p place, rows int) {
		const (
			columns = `INSERT INTO auth_tokens (digest, user_id, scopes, audience, addresses, epoch, description, family, created_at, modified_at,
				expires_at, ends_at, purge_at, application_id, refresh_scopes, successor_id, minted, revision, parent_id, root_id, ancestors, seq) `
			values  = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $10, $10, 0, '', 0, FALSE, 1, `
			alone   = `0, 0, '', `
			below   = `$11, $11, $12, `
			counter = `n.last_id FROM auth_counters n WHERE n.name = 'cutoffs'`
			quota   = ` AND (SELECT t.id FROM auth_tokens t WHERE t.revoked_at IS NULL AND t.user_id >= $2 AND t.user_id <= $2
				ORDER BY t.user_id, t.id LIMIT 1 OFFSET $11) IS NULL`
			alive = ` AND EXISTS (SELECT 1 FROM auth_tokens t WHERE t.family = $11 AND t.revoked_at IS NULL AND t.expires_at >= $10
					AND t.digest = $13 AND t.scopes = $14`
			uncut = ` AND NOT EXISTS (SELECT 1 FROM auth_cutoffs c
				WHERE c.seq > t.seq AND c.family = 0 AND c.user_id IN ('', t.user_id) AND c.application_id IN (0, t.application_id))`
			few = `) AND (SELECT 1 FROM auth_tokens d WHERE d.root_id = $11 AND d.root_id <> 0 AND d.revoked_at IS NULL AND d.expires_at > $9
				ORDER BY d.revoked_at, d.expires_at LIMIT 1 OFFSET 999) IS NULL`
		)
		ctx, now := requestContext(b), time.Now()
		for _, kind := range []string{"plain", "quota", "minted"} {
			b.Run(kind, func(b *testing.B) {
				run := rand.Text() // a benchmark may run more than once
				user, own := "1", limits
				var parent store.Token
				if kind == "quota" {
					own.Owned = 10_000
				}
				personal := func(name string) store.Token {
					tok := tokenNamed(run+name, now)
					tok.UserID, tok.ApplicationID, tok.Refresh = user, 0, store.Refresh{}
					return tok
				}
				// after prepares for a round: every twentieth has another user or parent,
				// which costs somebody a time that the median does not see.
				from := -1
				after := func(i int) (err error) {
					if i == from || i%20 != 0 {
						return nil
					}
					from = i
					switch kind {
					case "quota":
						user = fmt.Sprint(run, i)
					case "minted":
						parent, err = st.InsertToken(ctx, personal(fmt.Sprint("parent", i)), limits)
						own.ParentDigest, own.ParentScopes = parent.Digest, parent.Scopes
					}
					return err
				}
				place := alone
				var placed func() []any
				if kind == "minted" {
					place = below
					placed = func() []any { return []any{parent.Family, strconv.FormatInt(parent.Family, 10)} }
				}
				statement := func(name, query string, returning bool, more func() []any) contestant {
					if returning {
						query += " RETURNING id"
					}
					text, order := p.once(query)
					stmt, err := db.Prepare(text)
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { stmt.Close() })
					return contestant{name, func(i int) error {
						if err := after(i); err != nil {
							return err
						}
						tok := personal(fmt.Sprint(name, i))
						args := []any{tok.Digest[:], tok.UserID, tok.Scopes, tok.Audience, "", tok.Epoch, tok.Description, -i - 1, tok.Created.UnixMicro(), tok.Expires.UnixMicro()}
						if more != nil {
							args = append(args, more()...)
						}
						args = order(args)
						if returning {
							return stmt.QueryRowContext(ctx, args...).Scan(new(int64))
						}
						_, err := stmt.ExecContext(ctx, args...)
						return err
					}}
				}
				all := []contestant{statement("bare", columns+"VALUES ("+values+place+"0)", false, placed)}
				if p.Dialect == sqlstore.Postgres {
					checked := columns + "SELECT " + values + place + counter
					all = append(all, statement("returning", columns+"VALUES ("+values+place+"0)", true, placed))
					switch kind {
					case "plain":
						all = append(all, statement("checked", checked, true, nil))
					case "quota":
						all = append(all, statement("checked", checked+quota, true, func() []any { return []any{own.Owned - 1} }))
					case "minted":
						known := func() []any { return append(placed(), parent.Digest[:], parent.Scopes) }
						all = append(all, statement("checked", checked+alive+few, true, known), statement("uncut", checked+alive+uncut+few, true, known))
					}
				}
				contest(b, append(all, contestant{"store", func(i int) error {
					if err := after(i); err != nil {
						return err
					}
					tok := personal(fmt.Sprint("store", i))
					tok.ParentID = parent.Family
					_, err := st.InsertToken(ctx, tok, own)
					return err
				}})...)
			})
		}
	})
}

// BenchmarkRotate compares a rotation with a bare transaction that reads,
// spends and inserts.
func BenchmarkRotate(b *testing.B) {
	benchStores(b, func(b *testing.B, st *sqlstore.Store, db *sql.DB, p place, rows int) {
		var stmts []*sql.Stmt
		for _, query := range []string{
			"SELECT id, family, expires_at FROM auth_tokens WHERE refresh_digest = ?",
			"UPDATE auth_tokens SET revoked_at = ?, refresh_spent_at = ? WHERE id = ? AND refresh_spent_at IS NULL",
			`INSERT INTO auth_tokens (digest, user_id, application_id, parent_id, family, scopes, audience, addresses, epoch, description,
				created_at, modified_at, expires_at, refresh_digest, refresh_scopes, refresh_expires_at, successor_id, minted, ends_at, revision)
				VALUES (?, '1', 1, 0, ?, 'read', '', '', 0, '', ?, ?, ?, ?, 'read', ?, 0, FALSE, ?, 1)`,
		} {
			stmt, err := db.Prepare(p.sql(query))
			if err != nil {
				b.Fatal(err)
			}
			defer stmt.Close()
			stmts = append(stmts, stmt)
		}
		ctx := requestContext(b)
		now := time.Now()
		run := rand.Text() // a benchmark may run more than once
		names := [2]string{"bare" + run, "store" + run}
		token := func(name string) store.Token {
			tok := tokenNamed(name, now)
			tok.Refresh.Grant = store.DigestOf(run)
			return tok
		}
		for _, name := range names {
			if _, err := st.InsertToken(ctx, token(name), limits); err != nil {
				b.Fatal(err)
			}
		}
		turn := func(k, i int, f func(refresh store.Digest, next store.Token) error) error {
			next := names[k][:5] + run + strconv.Itoa(i)
			err := f(refreshOf(names[k]), token(next))
			names[k] = next
			return err
		}
		compare(b, func(i int) error {
			return turn(0, i, func(refresh store.Digest, next store.Token) error {
				return bareRotation(ctx, db, stmts, refresh, next)
			})
		}, func(i int) error {
			return turn(1, i, func(refresh store.Digest, next store.Token) error {
				_, err := st.Rotate(ctx, store.Rotation{Refresh: refresh, ApplicationID: 1, Revision: 1, At: now, Token: next})
				return err
			})
		})
	})
}

func bareRotation(ctx context.Context, db *sql.DB, stmts []*sql.Stmt, refresh store.Digest, next store.Token) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var id, family, expires int64
	if err := tx.StmtContext(ctx, stmts[0]).QueryRowContext(ctx, refresh[:]).Scan(&id, &family, &expires); err != nil {
		return err
	}
	now := next.Created.UnixMicro()
	if _, err := tx.StmtContext(ctx, stmts[1]).ExecContext(ctx, now, now, id); err != nil {
		return err
	}
	until := next.Expires.UnixMicro()
	_, err = tx.StmtContext(ctx, stmts[2]).ExecContext(ctx, next.Digest[:], family, now, now, until, next.Refresh.Digest[:], until, until)
	if err != nil {
		return err
	}
	return tx.Commit()
}
