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

// A fault is what an error of a driver means for the step that got it.
type fault uint8

const (
	outage  fault = iota // nothing known, nothing to be done
	taken                // a unique value exists
	beaten               // another transaction was in the way; nothing was done
	dropped              // the connection is gone; what was in flight may have been done
	decided              // not the database's: a verdict of this package, or a context
)

// faultOf tells what err means. No driver is known here: PostgreSQL's tell the
// SQLSTATE through a method, SQLite's a result code or at least SQLite's own
// words, MySQL's begin their text with the number.
func (d Dialect) faultOf(err error) fault {
	for _, sentinel := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed, errText,
		sql.ErrNoRows, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			return decided
		}
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
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"): // connection, shutdown
		return dropped
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

func mysqlFault(n int) fault {
	switch n {
	case 1062:
		return taken
	case 1020, 1205, 1213: // record changed, lock wait timeout, deadlock
		return beaten
	case 1053, 1079, 1080, 1152, 1927, 2006, 2013: // shutdown, killed, aborted
		return dropped
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
