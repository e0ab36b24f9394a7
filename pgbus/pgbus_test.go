package pgbus_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/ostiary/auth/pgbus"
)

// The bus itself is tested with servers, in internal/sqltest.
func TestOptions(t *testing.T) {
	const dsn = "postgres://ostiary:correcthorse@localhost/auth"
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := pgbus.New(db, dsn, nil); err != nil {
		t.Error(err)
	}
	for name, create := range map[string]func() (*pgbus.Bus, error){
		"pool":             func() (*pgbus.Bus, error) { return pgbus.New(nil, dsn, nil) },
		"no name":          func() (*pgbus.Bus, error) { return pgbus.New(db, "", nil) },
		"another database": func() (*pgbus.Bus, error) { return pgbus.New(db, "mysql://root:correcthorse@localhost/auth", nil) },
		"bad port": func() (*pgbus.Bus, error) {
			return pgbus.New(db, "postgres://ostiary:correcthorse@localhost:x/auth", nil)
		},
		"channel, statement": func() (*pgbus.Bus, error) { return pgbus.New(db, dsn, &pgbus.Options{Channel: "a; DROP TABLE b"}) },
		"channel, capital":   func() (*pgbus.Bus, error) { return pgbus.New(db, dsn, &pgbus.Options{Channel: "Ostiary"}) },
		"channel, digit":     func() (*pgbus.Bus, error) { return pgbus.New(db, dsn, &pgbus.Options{Channel: "1"}) },
		"channel, line":      func() (*pgbus.Bus, error) { return pgbus.New(db, dsn, &pgbus.Options{Channel: "a\n"}) },
		"channel, long": func() (*pgbus.Bus, error) {
			return pgbus.New(db, dsn, &pgbus.Options{Channel: strings.Repeat("a", 64)})
		},
		"check, negative": func() (*pgbus.Bus, error) { return pgbus.New(db, dsn, &pgbus.Options{Check: -1}) },
		"check, too long": func() (*pgbus.Bus, error) { return pgbus.New(db, dsn, &pgbus.Options{Check: time.Hour}) },
	} {
		if _, err := create(); err == nil {
			t.Errorf("%s is accepted", name)
		} else if strings.Contains(err.Error(), "correcthorse") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
}
