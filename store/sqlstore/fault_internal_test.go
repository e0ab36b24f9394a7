package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/ostiary/auth/store"
)

// pgError and liteError look like the errors of drivers.
type (
	pgError   string
	liteError int
)

func (e pgError) Error() string    { return "ERROR: something (SQLSTATE " + string(e) + ")" }
func (e pgError) SQLState() string { return string(e) }
func (e liteError) Error() string  { return fmt.Sprintf("something (%d)", int(e)) }
func (e liteError) Code() int      { return int(e) }

func TestFaultOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    Dialect
		err  error
		want fault
	}{
		{"a unique value of PostgreSQL", Postgres, pgError("23505"), taken},
		{"another constraint is a bug, thus an outage", Postgres, pgError("23502"), outage},
		{"serialization failure", Postgres, pgError("40001"), beaten},
		{"deadlock", Postgres, pgError("40P01"), beaten},
		{"connection failure", Postgres, pgError("08006"), dropped},
		{"terminated by the administrator", Postgres, pgError("57P01"), dropped},
		{"cannot connect now", Postgres, pgError("57P03"), dropped},
		{"statement timeout", Postgres, pgError("57014"), outage},
		{"disk full", Postgres, pgError("53100"), outage},
		{"a cached plan whose result changed", Postgres, pgError("0A000"), useless},
		{"read-only since it was demoted", Postgres, pgError("25006"), useless},
		{"idle for too long in a transaction", Postgres, pgError("25P03"), dropped},
		{"too many connections", Postgres, pgError("53300"), full},
		{"a prepared statement is lost, see pooler.go", Postgres, pgError("26000"), outage},
		{"wrapped", Postgres, fmt.Errorf("x: %w", pgError("40001")), beaten},

		{"a unique value of MySQL", MySQL, errors.New("Error 1062 (23000): Duplicate entry 'x' for key 'y'"), taken},
		{"the same without a state", MySQL, errors.New("Error 1062: Duplicate entry"), taken},
		{"lock wait timeout", MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), beaten},
		{"deadlock", MySQL, fmt.Errorf("x: %w", errors.New("Error 1213 (40001): Deadlock found")), beaten},
		{"shutdown", MySQL, errors.New("Error 1053 (08S01): Server shutdown in progress"), dropped},
		{"read-only since it was demoted", MySQL, errors.New("Error 1290 (HY000): The MySQL server is running with the --read-only option"), useless},
		{"read-only mode", MySQL, errors.New("Error 1836 (HY000): Running in read-only mode"), useless},
		{"read-only session", MySQL, errors.New("Error 1792 (25006): Cannot execute statement in a READ ONLY transaction"), useless},
		{"a node that left its cluster", MySQL, errors.New("Error 1047 (08S01): WSREP has not yet prepared node for application use"), useless},
		{"a prepared statement is out of date", MySQL, errors.New("Error 1615 (HY000): Prepared statement needs to be re-prepared"), useless},
		{"too many connections", MySQL, errors.New("Error 1040 (08004): Too many connections"), full},
		{"too many connections of a user", MySQL, errors.New("Error 1226 (42000): User 'x' has exceeded the 'max_user_connections' resource"), full},
		{"too long", MySQL, errors.New("Error 1406 (22001): Data too long"), outage},
		{"a text that quotes another error", MySQL, errors.New("Error 1366 (HY000): Incorrect value: 'Error 1062 (23000)'"), outage},
		{"broken connection", MySQL, errors.New("invalid connection"), dropped},

		{"SQLITE_BUSY", SQLite, liteError(5), beaten},
		{"SQLITE_BUSY_SNAPSHOT", SQLite, liteError(517), beaten},
		{"SQLITE_LOCKED", SQLite, liteError(6), beaten},
		{"SQLITE_FULL", SQLite, liteError(13), outage},
		{"SQLITE_IOERR", SQLite, liteError(10), outage},
		{"a unique value of SQLite", SQLite, errors.New("constraint failed: UNIQUE constraint failed: auth_users.name (2067)"), taken},
		{"another constraint of SQLite", SQLite, errors.New("NOT NULL constraint failed: auth_users.name"), outage},
		{"busy in words", SQLite, errors.New("database is locked"), beaten},

		{"bad connection", Postgres, driver.ErrBadConn, dropped},
		{"end of file", MySQL, fmt.Errorf("x: %w", io.ErrUnexpectedEOF), dropped},
		{"reset", Postgres, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, dropped},
		{"refused", MySQL, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, dropped},
		{"gave up", Postgres, fmt.Errorf("x: %w", context.Canceled), decided},
		{"no rows", Postgres, sql.ErrNoRows, decided},
		{"a verdict", MySQL, store.ErrUsed, decided},
		{"anything else", Postgres, errors.New("boo"), outage},
	} {
		t.Run(tt.d.String()+" "+tt.name, func(t *testing.T) {
			if got := tt.d.faultOf(tt.err); got != tt.want {
				t.Errorf("faultOf(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

func TestFailTellsSentinelsAndOutages(t *testing.T) {
	s := &Store{dialect: Postgres}
	for _, tt := range []struct {
		name      string
		err, want error
	}{
		{"no rows", sql.ErrNoRows, store.ErrNotFound},
		{"taken", pgError("23505"), store.ErrExists},
		{"verdict", fmt.Errorf("x: %w", store.ErrConflict), store.ErrConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.fail("do", tt.err); !errors.Is(got, tt.want) {
				t.Errorf("fail = %v, want %v", got, tt.want)
			}
		})
	}
	err := s.fail("do", errUnknown{pgError("08006")})
	for _, sentinel := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed} {
		if errors.Is(err, sentinel) {
			t.Errorf("an outage is %v", sentinel)
		}
	}
}

func TestRepeat(t *testing.T) {
	for _, tt := range []struct {
		name   string
		resend bool
		err    error
		want   int // tries
	}{
		{"beaten goes on", false, pgError("40001"), beatenTimes},
		{"dropped is sent again a few times", true, pgError("08006"), 1 + droppedTimes},
		{"dropped is not sent again where that does harm", false, pgError("08006"), 1},
		{"a useless connection is replaced by a new one", false, pgError("0A000"), 2},
		{"a server that is full without a connection of ours", true, pgError("53300"), 1},
		{"an unknown commit is not repeated", true, errUnknown{pgError("40001")}, 1},
		{"an outage is not repeated", true, errors.New("boo"), 1},
		{"a verdict is not repeated", true, store.ErrConflict, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, _ := openMute(t)
				tries := 0
				err := s.repeat(t.Context(), "do", tt.resend, func() error {
					tries++
					return tt.err
				})
				if tries != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%d tries, %v; want %d", tries, err, tt.want)
				}
			})
		})
	}
	t.Run("a context ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		err := (&Store{dialect: Postgres}).repeat(ctx, "do", true, func() error {
			tries++
			cancel()
			return pgError("40001")
		})
		if tries != 1 || err == nil {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}
