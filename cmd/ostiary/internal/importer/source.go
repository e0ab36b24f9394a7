package importer

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store/sqlstore"
)

// A source is the database that is read, in one snapshot.
type source struct {
	tx      *sql.Tx
	dialect sqlstore.Dialect
	kind    Kind
	name    string
	tables  Tables
	columns map[string]map[string]bool // by table; a table without columns does not exist
}

// openSource begins the snapshot and looks at the tables.
func openSource(ctx context.Context, db *database.DB, o Options) (*source, error) {
	opts := &sql.TxOptions{ReadOnly: true}
	switch db.Dialect {
	case sqlstore.SQLite:
	case sqlstore.Postgres:
		opts.Isolation = sql.LevelRepeatableRead
	default:
		return nil, errors.New("the source must be PostgreSQL or a SQLite file")
	}
	tx, err := db.Pool.BeginTx(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	s := &source{tx: tx, dialect: db.Dialect, kind: o.Kind, name: o.Name, columns: map[string]map[string]bool{}}
	if err := s.findTables(ctx, o.Tables); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) close() { _ = s.tx.Rollback() } // which only ends reading

// tablesOf are the names of tables that each kind has.
var tablesOf = map[Kind]Tables{
	AWX:    {"auth_user", "main_oauth2application", "main_oauth2accesstoken", "oauth2_provider_refreshtoken"},
	Django: {"", "oauth2_provider_application", "oauth2_provider_accesstoken", "oauth2_provider_refreshtoken"},
	DAB:    {"", "dab_oauth2_provider_oauth2application", "dab_oauth2_provider_oauth2accesstoken", "dab_oauth2_provider_oauth2refreshtoken"},
}

// findTables sets the names of the tables and refuses a database of another kind.
func (s *source) findTables(ctx context.Context, named Tables) error {
	usual := tablesOf[s.kind]
	s.tables = Tables{
		Users:         cmp.Or(named.Users, usual.Users),
		Applications:  cmp.Or(named.Applications, usual.Applications),
		AccessTokens:  cmp.Or(named.AccessTokens, usual.AccessTokens),
		RefreshTokens: cmp.Or(named.RefreshTokens, usual.RefreshTokens),
	}
	for _, t := range []*string{&s.tables.Applications, &s.tables.AccessTokens, &s.tables.RefreshTokens} {
		exists, err := s.has(ctx, *t)
		if err != nil {
			return err
		}
		if !exists && (s.kind != Django || *t != tableOf(usual, *t)) {
			return s.missing(*t)
		}
	}
	if s.tables.Users == "" {
		referred, err := s.refersTo(ctx, s.tables.AccessTokens, "user_id")
		if err != nil {
			return err
		}
		if referred != "" && !goodTable.MatchString(referred) {
			return fmt.Errorf("the users are in a table with the name %q, which is not read: name a view of it with --users-table", referred)
		}
		s.tables.Users = cmp.Or(referred, "auth_user")
	}
	if exists, err := s.has(ctx, s.tables.Users); err != nil || !exists {
		return cmp.Or(err, s.missing(s.tables.Users))
	}
	if err := s.checkColumns(); err != nil {
		return err
	}
	return s.checkKeys(ctx)
}

// tableOf returns name if it is one of the usual names.
func tableOf(usual Tables, name string) string {
	for _, u := range []string{usual.Applications, usual.AccessTokens, usual.RefreshTokens} {
		if u == name {
			return u
		}
	}
	return ""
}

func (s *source) missing(table string) error {
	return fmt.Errorf("the source has no table %s: is it a database of another kind than %s, or does the user not see its schema?", table, s.kind)
}

// needed are the columns without which nothing can be read.
var needed = map[string][]string{
	"users":        {"id", "username", "password", "is_superuser", "is_active", "date_joined"},
	"applications": {"id", "client_id", "client_secret", "client_type", "authorization_grant_type", "name", "redirect_uris"},
	"accesses":     {"id", "token", "expires", "scope", "user_id", "application_id"},
	"refreshes":    {"id", "token", "access_token_id"},
}

func (s *source) checkColumns() error {
	for what, table := range map[string]string{
		"users": s.tables.Users, "applications": s.tables.Applications, "accesses": s.tables.AccessTokens, "refreshes": s.tables.RefreshTokens,
	} {
		for _, column := range needed[what] {
			if len(s.columns[table]) > 0 && !s.columns[table][column] {
				return fmt.Errorf("the table %s has no column %s: this version of the source is not known", table, column)
			}
		}
	}
	return nil
}

// checkKeys refuses keys that are no numbers: users have numbers here, because AWX's
// clients take an ID for one.
func (s *source) checkKeys(ctx context.Context) error {
	for _, key := range [][2]string{
		{s.tables.Users, "id"}, {s.tables.Applications, "id"}, {s.tables.AccessTokens, "id"}, {s.tables.AccessTokens, "user_id"}, {s.tables.RefreshTokens, "id"},
	} {
		if !s.columns[key[0]][key[1]] {
			continue
		}
		var value any
		err := s.tx.QueryRowContext(ctx, "SELECT t."+key[1]+" FROM "+key[0]+" t WHERE t."+key[1]+" IS NOT NULL LIMIT 1").Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the keys of the table %s: %w", key[0], err)
		}
		if _, ok := value.(int64); !ok {
			return fmt.Errorf("the column %s of the table %s has no numbers, as with UUIDs for keys: number the users by views, as doc/moving-in.md shows", key[1], key[0])
		}
	}
	return nil
}

// has reports whether a table exists, and remembers its columns.
func (s *source) has(ctx context.Context, table string) (bool, error) {
	if known, ok := s.columns[table]; ok {
		return len(known) > 0, nil
	}
	query := `SELECT name FROM pragma_table_info(?)`
	if s.dialect == sqlstore.Postgres {
		query = `SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped`
	}
	found := map[string]bool{}
	rows, err := s.tx.QueryContext(ctx, query, table)
	if err != nil {
		return false, fmt.Errorf("look for the table %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			return false, err
		}
		found[column] = true
	}
	s.columns[table] = found
	return len(found) > 0, rows.Err()
}

// hasAll reports whether all of the tables exist.
func (s *source) hasAll(ctx context.Context, tables ...string) (bool, error) {
	for _, t := range tables {
		if ok, err := s.has(ctx, t); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// refersTo returns the table that a foreign key refers to, "" for none.
func (s *source) refersTo(ctx context.Context, table, column string) (to string, err error) {
	query := `SELECT "table" FROM pragma_foreign_key_list(?) WHERE "from" = ?`
	if s.dialect == sqlstore.Postgres {
		query = `SELECT f.relname FROM pg_catalog.pg_constraint c
			JOIN pg_catalog.pg_class f ON f.oid = c.confrelid
			JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
			WHERE c.contype = 'f' AND c.conrelid = to_regclass(quote_ident($1)) AND a.attname = $2`
	}
	err = s.tx.QueryRowContext(ctx, query, table, column).Scan(&to)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return to, err
}

// column returns an expression for a column, and a constant where there is none.
func (s *source) column(table, alias, name, otherwise string) string {
	if s.columns[table][name] {
		return alias + "." + name
	}
	return otherwise
}

// clipped returns an expression for the beginning of a text, in characters, or in
// bytes in SQLite, where SUBSTR would end a text at a NUL.
func (s *source) clipped(column string, most int) string {
	if s.dialect == sqlstore.SQLite {
		return fmt.Sprintf("CAST(SUBSTR(CAST(%s AS BLOB), 1, %d) AS TEXT)", column, most)
	}
	return fmt.Sprintf("SUBSTR(%s, 1, %d)", column, most)
}

// count returns the number of rows.
func (s *source) count(ctx context.Context, from string) (n int64, err error) {
	err = s.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+from).Scan(&n)
	return n, err
}

// twins are names that several records of the source have, with the first ID of each.
type twins map[string]int64

// maxTwins is how many such names there may be.
const maxTwins = 100_000

// other reports whether the record is not the first one that has the name.
func (t twins) other(name words, id int64) bool {
	first, ok := t[string(name)]
	return ok && id != first
}

// twins looks for them, because a custom model need not forbid them.
func (s *source) twins(ctx context.Context, table, column string, most int) (twins, error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT "+s.clipped("t."+column, most)+", MIN(t.id) FROM "+table+" t GROUP BY 1 HAVING COUNT(*) > 1 LIMIT "+fmt.Sprint(maxTwins+1))
	if err != nil {
		return nil, fmt.Errorf("look for doubled names in the table %s: %w", table, err)
	}
	defer rows.Close()
	found := twins{}
	for rows.Next() {
		var name words
		var id number
		if err := rows.Scan(&name, &id); err != nil {
			return nil, err
		}
		found[string(name)] = int64(id)
	}
	if len(found) > maxTwins {
		return nil, fmt.Errorf("more than %d names in the table %s are doubled", maxTwins, table)
	}
	return found, rows.Err()
}

// origin returns the name by which the target remembers the source: that of the
// operator, or one made of the first migration of the database, which happened once.
func (s *source) origin(ctx context.Context) (string, error) {
	if s.name != "" {
		return s.name, nil
	}
	if ok, err := s.has(ctx, "django_migrations"); err != nil || !ok {
		return "", cmp.Or(err, errors.New("the source has no table django_migrations to tell it from others: give it a name"))
	}
	var at when
	err := s.tx.QueryRowContext(ctx, "SELECT m.applied FROM django_migrations m ORDER BY m.id LIMIT 1").Scan(&at)
	if err != nil || at.bad || at.IsZero() {
		return "", cmp.Or(err, errors.New("the first row of django_migrations has no time: give the source a name"))
	}
	return string(s.kind) + " " + at.UTC().Format("2006-01-02T15:04:05.999999Z"), nil
}

// pages reads rows in the order of the column id, a bounded number at a time.
// Query has the placeholder $1 for the last ID. Scan reads a row and returns its ID.
// Done gets what was read.
func pages(ctx context.Context, s *source, query string, most int, scan func(rows *sql.Rows) (int64, error), done func() error) error {
	// The number of rows is no parameter: PostgreSQL would plan for a tenth of all, and
	// join whole tables for each page.
	query += fmt.Sprint(" LIMIT ", most)
	if s.dialect == sqlstore.SQLite {
		query = strings.ReplaceAll(query, "$1", "?1")
	}
	for last, n := int64(math.MinInt64), most; n == most; {
		rows, err := s.tx.QueryContext(ctx, query, last)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		n = 0
		for rows.Next() {
			if last, err = scan(rows); err != nil {
				return errors.Join(fmt.Errorf("read the source behind the ID %d: %w", last, err), rows.Close())
			}
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if n > 0 {
			if err := done(); err != nil {
				return err
			}
		}
	}
	return nil
}
