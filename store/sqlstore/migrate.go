package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// The schema of each dialect, in steps that are numbered without a gap. A step
// never changes once it was released.
//
//go:embed schema
var schema embed.FS

const createVersions = `CREATE TABLE IF NOT EXISTS auth_schema (version BIGINT NOT NULL PRIMARY KEY)`

// A migration is one step of the schema.
type migration struct {
	version int64
	text    string

	// compatible is the oldest version whose programs go on beside this one.
	compatible int64
}

// migrations returns the steps of a dialect, the first one first.
func migrations(d Dialect, prefix string) ([]migration, error) {
	files, err := fs.Glob(schema, "schema/"+d.String()+"/*.sql")
	if err != nil {
		return nil, err
	}
	list := make([]migration, len(files))
	for i, name := range files {
		text, err := schema.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list[i] = migration{version: int64(i + 1), text: strings.ReplaceAll(string(text), defaultPrefix, prefix)}
		if list[i].compatible, err = compatible(list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// compatible reads the first line of a step, which says "-- compatible: 1".
func compatible(m migration) (int64, error) {
	if m.version == 1 {
		return 1, nil // it began everything, and says nothing
	}
	line, _, _ := strings.Cut(m.text, "\n")
	digits, ok := strings.CutPrefix(line, "-- compatible: ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 || n > m.version {
		return 0, fmt.Errorf("sqlstore: step %d of the schema does not say with what it is compatible", m.version)
	}
	return n, nil
}

// statements cuts the text of a step into statements.
func (m migration) statements() []string {
	return strings.Split(strings.TrimSuffix(strings.TrimSpace(m.text), ";"), ";\n")
}

func (m migration) record(prefix string) string {
	if m.version > 1 {
		return fmt.Sprintf("INSERT INTO %sschema (version, compatible) VALUES (%d, %d)", prefix, m.version, m.compatible)
	}
	return "INSERT INTO " + prefix + "schema (version) VALUES (" + strconv.FormatInt(m.version, 10) + ")"
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// currentVersion returns the version of the schema in the database, 0 for none.
func currentVersion(ctx context.Context, q queryer, d Dialect, prefix string) (version int64, err error) {
	tables := 0
	if err := q.QueryRowContext(ctx, d.tableExists(), prefix+"schema").Scan(&tables); err != nil {
		return 0, fmt.Errorf("sqlstore: look for the schema: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var newest sql.Null[int64]
	if err := q.QueryRowContext(ctx, d.rewrite(schemaVersion, prefix)).Scan(&newest); err != nil {
		return 0, fmt.Errorf("sqlstore: read the schema version: %w", err)
	}
	return newest.V, nil
}

// checkVersion refuses a schema that this package cannot work with: one that is
// older, and one that is newer and not compatible.
func checkVersion(ctx context.Context, db *sql.DB, d Dialect, prefix string) error {
	steps, err := migrations(d, prefix)
	if err != nil {
		return err
	}
	current, err := currentVersion(ctx, db, d, prefix)
	if err != nil {
		return err
	}
	if err := refuseNewer(ctx, db, d, prefix, current, steps); err != nil {
		return err
	}
	if want := int64(len(steps)); current < want {
		return schemaError(fmt.Sprintf("sqlstore: the schema has version %d and this program needs %d: call Migrate first", current, want))
	}
	return nil
}

// ErrSchema is wrapped by the errors of [Open], [Migrate] and [Store.Ready] that say
// that the database answers, and that its schema does not fit this package.
var ErrSchema = errors.New("sqlstore: the schema does not fit this program")

// A schemaError says how a schema does not fit.
type schemaError string

func (e schemaError) Error() string { return string(e) }
func (e schemaError) Unwrap() error { return ErrSchema }

// checkFixedRows refuses a database that has lost rows which came with the schema,
// such as one that somebody emptied table by table: without them a step would
// take what is there for missing.
func checkFixedRows(ctx context.Context, db *sql.DB, d Dialect, prefix string) error {
	found := 0
	if err := db.QueryRowContext(ctx, d.rewrite(fixedRows, prefix)).Scan(&found); err != nil {
		return fmt.Errorf("sqlstore: count the rows of the schema: %w", err)
	}
	if found != 2*allSlots {
		return fmt.Errorf("sqlstore: rows of the schema are gone: %[1]slocks must have the slots 0 to %[2]d, and %[1]scounters the names users and cutoffs", prefix, allSlots-1)
	}
	return nil
}

// refuseNewer refuses a schema that is newer than this package knows, unless it
// says that this version goes on beside it.
func refuseNewer(ctx context.Context, q queryer, d Dialect, prefix string, current int64, steps []migration) error {
	known := int64(len(steps))
	if current <= known {
		return nil
	}
	var from int64
	if err := q.QueryRowContext(ctx, d.rewrite(schemaCompatible, prefix), current).Scan(&from); err != nil {
		return fmt.Errorf("sqlstore: read with what the schema is compatible: %w", err)
	}
	if known < from {
		return schemaError(fmt.Sprintf("sqlstore: the schema has version %d, which programs from version %d on can use, and this program knows %d", current, from, known))
	}
	return nil
}

// missing returns the steps that a schema lacks.
func missing(current int64, steps []migration) []migration {
	return steps[min(current, int64(len(steps))):]
}

// Plan returns the SQL that [Migrate] would run, "" if there is nothing to do. It
// changes nothing. A database administrator may run the text instead,
// on SQLite and PostgreSQL with each step in a transaction of its own.
func Plan(ctx context.Context, db *sql.DB, d Dialect, opts *Options) (string, error) {
	o, err := settle(d, opts)
	if err != nil {
		return "", err
	}
	if err := checkDialect(ctx, db, d); err != nil {
		return "", err
	}
	steps, err := migrations(d, o.Prefix)
	if err != nil {
		return "", err
	}
	current, err := currentVersion(ctx, db, d, o.Prefix)
	if err != nil {
		return "", err
	}
	if err := refuseNewer(ctx, db, d, o.Prefix, current, steps); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, m := range missing(current, steps) {
		if m.version == 1 {
			b.WriteString(d.rewrite(createVersions, o.Prefix) + ";\n\n")
		}
		b.WriteString(m.text + "\n" + m.record(o.Prefix) + ";\n")
	}
	return b.String(), nil
}

// Migrate brings the schema in db to the version of this package. Nil options
// mean the defaults. It goes forward only, and does nothing if the schema is up
// to date. It refuses a newer schema, unless that one is compatible with this
// version. Any number of processes may call it at the same time. SQLite and
// PostgreSQL make a new schema in one transaction, and each step of an older one in a
// transaction of its own, so that an interrupted call leaves whole steps. MySQL has no
// such transactions. Repeat an interrupted call. Migrate puts a SQLite file in WAL mode.
func Migrate(ctx context.Context, db *sql.DB, d Dialect, opts *Options) error {
	o, err := settle(d, opts)
	if err != nil {
		return err
	}
	if err := checkDialect(ctx, db, d); err != nil {
		return err
	}
	steps, err := migrations(d, o.Prefix)
	if err != nil {
		return err
	}
	s := &Store{db: db, dialect: d, prefix: o.Prefix}
	return s.repeat(ctx, "migrate", true, func() error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if d == SQLite {
			var mode string
			if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
				return err
			}
		}
		current, err := currentVersion(ctx, conn, d, o.Prefix)
		if err != nil {
			return err
		}
		if err := refuseNewer(ctx, conn, d, o.Prefix, current, steps); err != nil || len(missing(current, steps)) == 0 {
			return err
		}
		if d == MySQL {
			return migrateLocked(ctx, conn, steps, o.Prefix)
		}
		for more := true; more && err == nil; {
			more, err = migrateTransaction(ctx, conn, d, steps, o.Prefix)
		}
		return err
	})
}

type execQueryer interface {
	queryer
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// upgrade runs the steps that are missing. Nobody else does meanwhile.
func upgrade(ctx context.Context, q execQueryer, d Dialect, steps []migration, prefix string) error {
	current, err := currentVersion(ctx, q, d, prefix)
	if err != nil {
		return err
	}
	if err := refuseNewer(ctx, q, d, prefix, current, steps); err != nil {
		return err
	}
	for _, m := range missing(current, steps) {
		for _, statement := range append(m.statements(), m.record(prefix)) {
			_, err := q.ExecContext(ctx, statement)
			switch {
			case err == nil || d.alreadyDone(err):
			case d == MySQL && mysqlNumber(err) == 1317: // interrupted, by another node of a cluster that migrates
				return fmt.Errorf("schema %d: %w: %w", m.version, errBeaten, err)
			default:
				return fmt.Errorf("schema %d: %w", m.version, err)
			}
		}
	}
	return nil
}

// migrateTransaction makes all of a new schema, and of another the next step alone: locks on
// a table stay until the transaction ends, and whoever took a weak one in a step and wants a
// strong one in the next would wait for those who wait for it. It reports whether steps are left.
func migrateTransaction(ctx context.Context, conn *sql.Conn, d Dialect, steps []migration, prefix string) (more bool, err error) {
	tx, err := conn.BeginTx(ctx, d.txOptions())
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	// The first statement lets one process at a time through. SQLite takes the
	// write lock for the second where the first has nothing to do.
	first := []string{createVersions, "DELETE FROM auth_schema WHERE version < 0"}
	if d == Postgres {
		first = []string{fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lockNumber(prefix)), createVersions}
	}
	for _, statement := range first {
		if _, err := tx.ExecContext(ctx, d.rewrite(statement, prefix)); err != nil {
			return false, err
		}
	}
	current, err := currentVersion(ctx, tx, d, prefix)
	if err != nil {
		return false, err
	}
	upTo := int64(len(steps))
	if current > 0 {
		upTo = min(current+1, upTo)
	}
	if err := upgrade(ctx, tx, d, steps[:upTo], prefix); err != nil {
		return false, err
	}
	return upTo < int64(len(steps)), tx.Commit()
}

// lockNumber is the same for all processes that migrate the same tables.
func lockNumber(name string) int64 {
	sum := sha256.Sum256([]byte("github.com/ostiary/auth/store/sqlstore " + name))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 1)
}

// migrateLocked is for MySQL, where the schema is not part of a transaction and
// a lock belongs to the connection.
func migrateLocked(ctx context.Context, conn *sql.Conn, steps []migration, prefix string) error {
	var database sql.Null[string]
	if err := conn.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&database); err != nil {
		return err
	}
	if database.V == "" {
		return errors.New("sqlstore: no database is selected")
	}
	lock := fmt.Sprintf("ostiary_%d", lockNumber(database.V+"."+prefix))
	for got := (sql.Null[int64]{}); got.V != 1; {
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 5)", lock).Scan(&got); err != nil {
			return err
		}
	}
	defer func() { // also if ctx has ended: the connection goes back to the pool
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, _ = conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", lock)
	}()
	if _, err := conn.ExecContext(ctx, MySQL.rewrite(createVersions, prefix)+" ENGINE = InnoDB"); err != nil {
		return err
	}
	return upgrade(ctx, conn, MySQL, steps, prefix)
}
