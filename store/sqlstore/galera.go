package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// galeraRemedy is the setting of a driver for a node of a Galera cluster.
const galeraRemedy = "set interpolateParams=true in the data source name, and no maxAllowedPacket, whose default is enough"

// galeraLongest is how long an argument of a statement can be without being prepared,
// in bytes.
const galeraLongest = 256 << 10

// inGalera reports whether the server is a node of a Galera cluster. Such a node
// was seen to acknowledge a commit and to undo it, where another node's commit
// came between the prepared statements of a transaction. With statements that
// are sent as text it returns an error, as it should. So nothing is prepared
// there, and a driver that prepares by itself is refused.
func inGalera(ctx context.Context, db *sql.DB, d Dialect, log *slog.Logger) (bool, error) {
	if d != MySQL {
		return false, nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("sqlstore: ask for the settings: %w", err)
	}
	defer conn.Close()
	if on, err := variable(ctx, conn, "VARIABLES", "wsrep_on"); err != nil || on != "ON" {
		return false, err
	}
	before, err := variable(ctx, conn, "SESSION STATUS", "Com_stmt_prepare")
	if err != nil {
		return false, err
	}
	// The driver prepares a statement that is longer than its maxAllowedPacket. With
	// every byte escaped the values of a session take 128 KiB.
	n := 0
	if err := conn.QueryRowContext(ctx, "SELECT LENGTH(?) + ?", strings.Repeat("x", galeraLongest), 1).Scan(&n); err != nil {
		return false, fmt.Errorf("sqlstore: try a statement that is not prepared: %w", err)
	}
	after, err := variable(ctx, conn, "SESSION STATUS", "Com_stmt_prepare")
	if err != nil {
		return false, err
	}
	if before != after {
		return false, errors.New("sqlstore: a node of a Galera cluster may undo an acknowledged commit of prepared statements: " + galeraRemedy)
	}
	wait, err := variable(ctx, conn, "SESSION VARIABLES", "wsrep_sync_wait")
	if err != nil {
		return false, err
	}
	if n, _ = strconv.Atoi(wait); n&galeraWait != galeraWait {
		log.Warn("a node of a Galera cluster that is read by other nodes' clients needs wsrep_sync_wait=7 in the data source name: "+
			"otherwise it may answer from before a revocation that another node acknowledged", "wsrep_sync_wait", wait)
	}
	return true, nil
}

// galeraWait makes reads, updates and inserts wait for acknowledged changes of
// other nodes.
const galeraWait = 7

// variable returns a variable of the server, "" for none.
func variable(ctx context.Context, conn *sql.Conn, kind, name string) (value string, err error) {
	err = conn.QueryRowContext(ctx, "SHOW "+kind+" LIKE '"+name+"'").Scan(&name, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("sqlstore: ask for the settings: %w", err)
	}
	return value, nil
}
