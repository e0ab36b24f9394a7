package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/ostiary/auth/store"
)

// A fault is the meaning of a driver's error for the step that got it.
type fault uint8

const (
	outage  fault = iota // nothing known, nothing to be done
	taken                // a unique value exists
	beaten               // another transaction was in the way; nothing was done
	dropped              // the connection is lost; the statement may have been executed
	useless              // the connection cannot do it any more, another may; nothing was done
	full                 // the server takes no further connection; nothing was done
	decided              // not the database's: a verdict of this package, or a context
)

// faultOf returns the meaning of err. No driver is known here: PostgreSQL's
// tell the SQLSTATE through a method, SQLite's a result code or at least
// SQLite's own words, MySQL's begin their text with the number.
func (d Dialect) faultOf(err error) fault {
	for _, sentinel := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed, errText,
		sql.ErrNoRows, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			return decided
		}
	}
	if errors.Is(err, errBeaten) {
		return beaten
	}
	switch d {
	case SQLite:
		return sqliteFault(err)
	case Postgres:
		var e interface{ SQLState() string }
		if errors.As(err, &e) {
			return postgresFault(e.SQLState())
		}
	case MySQL:
		if n := mysqlNumber(err); n != 0 {
			return mysqlFault(n)
		}
	}
	return networkFault(err)
}

func sqliteFault(err error) fault {
	text := err.Error()
	if strings.Contains(text, "UNIQUE constraint failed") {
		return taken
	}
	var e interface{ Code() int }
	if errors.As(err, &e) {
		if code := e.Code() & 0xff; code == 5 || code == 6 { // SQLITE_BUSY, SQLITE_LOCKED
			return beaten
		}
		return outage
	}
	if strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked") {
		return beaten
	}
	return networkFault(err)
}

func postgresFault(state string) fault {
	switch {
	case state == "23505":
		return taken
	case state == "40001", state == "40P01", state == "55P03": // serialization, deadlock, lock timeout
		return beaten
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"), // connection, shutdown
		state == "25P03", state == "25P04": // ended for having taken too long
		return dropped
	case state == "0A000", state == "25006": // the cached plan has another type; read-only
		return useless
	case state == "53300":
		return full
	}
	return outage
}

// mysqlNumber returns the server's error number, 0 if err has none. The text is
// "Error 1062 (23000): Duplicate entry …".
func mysqlNumber(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		if rest, ok := strings.CutPrefix(err.Error(), "Error "); ok {
			digits, _, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(strings.TrimSuffix(digits, ":"))
			return n
		}
	}
	return 0
}

// alreadyDone reports whether a change of the schema failed because it was made
// before. Only MySQL commits each change by itself.
func (d Dialect) alreadyDone(err error) bool {
	if d != MySQL {
		return false
	}
	switch mysqlNumber(err) {
	case 1060, 1061, 1091, // duplicate column, duplicate key, no such key to drop
		1062: // the rows of a table, by another node of a cluster at the same time
		return true
	}
	return false
}

func mysqlFault(n int) fault {
	switch n {
	case 1062:
		return taken
	case 1020, 1205, 1213: // record changed, lock wait timeout, deadlock
		return beaten
	case 1053, 1079, 1080, 1152, 1927, 2006, 2013: // shutdown, killed, aborted
		return dropped
	case 1290, 1836, 1792, // read-only, as a server or as a session
		1047,       // the node of a cluster is not ready
		1243, 1615: // the prepared statement is gone, or out of date
		return useless
	case 1040, 1203, 1226: // of the server, of a user by the server's settings or its own
		return full
	}
	return outage
}

func networkFault(err error) fault {
	for _, e := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED,
	} {
		if errors.Is(err, e) {
			return dropped
		}
	}
	text := err.Error()
	for _, part := range []string{"invalid connection", "bad connection", "conn closed"} {
		if strings.Contains(text, part) {
			return dropped
		}
	}
	return outage
}

// unsent reports whether the driver says that nothing was sent to the server.
func unsent(err error) bool {
	var e interface{ SafeToRetry() bool } // of pgx
	return errors.As(err, &e) && e.SafeToRetry()
}
