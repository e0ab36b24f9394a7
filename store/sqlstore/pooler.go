package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// lostStatementRemedy explains an error of [lostStatement].
const lostStatementRemedy = "a prepared statement is not where it was prepared, which happens behind a connection pooler in transaction mode: " +
	"set Options.NoPreparedStatements, and a mode of the driver that prepares nothing by name, such as default_query_exec_mode=exec of pgx"

// lostStatement reports whether PostgreSQL does not know a prepared statement that
// the driver believes in (26000), or knows one already that the driver is about
// to prepare (42P05).
func lostStatement(err error) bool {
	var e interface{ SQLState() string }
	return errors.As(err, &e) && (e.SQLState() == "26000" || e.SQLState() == "42P05")
}

// explained adds the remedy to an error of [lostStatement].
func explained(d Dialect, err error) error {
	if d != Postgres || !lostStatement(err) {
		return err
	}
	return fmt.Errorf("%w (%s)", err, lostStatementRemedy)
}

// poolerTimeout bounds [checkPrepared], which must not delay a start for long.
const poolerTimeout = 2 * time.Second

// checkPrepared refuses a pooler in transaction mode, behind which prepared
// statements get lost. With little to do such a pooler gives every transaction
// the same connection, and nobody notices: so two transactions at once make it
// open two connections, after which a statement that was prepared on one of them
// comes to the other. A pooler that keeps track of statements passes.
func checkPrepared(ctx context.Context, db *sql.DB, d Dialect) error {
	if most := db.Stats().MaxOpenConnections; d != Postgres || most == 1 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, poolerTimeout)
	defer cancel()
	if err := swapConnections(ctx, db); lostStatement(err) {
		return fmt.Errorf("sqlstore: try a prepared statement: %w", err)
	}
	return nil // other faults show when the store is used
}

func swapConnections(ctx context.Context, db *sql.DB) (err error) {
	var conns [2]*sql.Conn
	var txs [2]*sql.Tx
	for i := range conns {
		if conns[i], err = db.Conn(ctx); err != nil {
			return err
		}
		defer conns[i].Close()
	}
	stmt, err := conns[0].PrepareContext(ctx, "SELECT 1 WHERE '"+rand.Text()+"' <> ''")
	if err != nil {
		return err
	}
	defer stmt.Close()
	for i := range txs {
		if txs[i], err = conns[i].BeginTx(ctx, nil); err != nil {
			return err
		}
		defer txs[i].Rollback() // does nothing after the commit
	}
	for _, tx := range txs {
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	// A pooler takes the connection that was given back last, or first.
	for range 2 {
		var one int
		if err := stmt.QueryRowContext(ctx).Scan(&one); err != nil {
			return err
		}
	}
	return nil
}

// checkNothingPrepared refuses a driver that sends a statement and its arguments
// in two steps. Behind a pooler the second step may meet another connection, and
// on it the statement of somebody else: that would not be an error but a wrong
// answer.
func checkNothingPrepared(ctx context.Context, db *sql.DB, d Dialect) error {
	if d != Postgres {
		return nil
	}
	// The word in quotes is understood in the first step, the function is called in
	// the second. Each has the time at which its transaction began. Nobody has
	// sent this text before.
	query := "SELECT 'now'::timestamptz = now() AND 0 < $1 /* " + rand.Text() + " */"
	var together bool
	if err := db.QueryRowContext(ctx, query, 1).Scan(&together); err != nil {
		return fmt.Errorf("sqlstore: try a statement that is not prepared: %w", err)
	}
	if !together {
		return errors.New("sqlstore: with Options.NoPreparedStatements the driver must not prepare statements either: set its mode, such as default_query_exec_mode=exec of pgx")
	}
	return nil
}
