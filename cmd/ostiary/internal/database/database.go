// Package database opens the database of a service from its data source name.
package database

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ostiary/auth/store/sqlstore"
)

// maxConns is how many connections a command has open. Commands work one step after
// the other; the importer sets its own number.
const maxConns = 4

// A DB is an open database. Store is nil after [Connect].
type DB struct {
	Pool    *sql.DB
	Dialect sqlstore.Dialect
	Options sqlstore.Options
	Store   *sqlstore.Store
	File    string // of SQLite, "" for a server
}

// An Opener opens the database that the operator named. The caller closes it.
type Opener func(ctx context.Context) (*DB, error)

// Connect returns the database of a data source name without a look at its tables.
// Nothing is dialled yet. A SQLite file must exist.
//
// The name is the path of a SQLite file, or a URL that begins with postgres://,
// postgresql:// or mysql://. The options may name the prefix of the tables. Nothing is
// prepared by name, so that every pooler will do and a command starts at once.
func Connect(name string, o sqlstore.Options) (*DB, error) {
	db, err := connect(name)
	if err != nil {
		return nil, err
	}
	db.Pool.SetMaxOpenConns(maxConns)
	db.Pool.SetMaxIdleConns(maxConns)
	db.Options = o
	db.Options.NoPreparedStatements = true
	return db, nil
}

// Open is [Connect] with the store in the database, whose schema must be current.
func Open(ctx context.Context, name string, o sqlstore.Options) (*DB, error) {
	db, err := Connect(name, o)
	if err != nil {
		return nil, Hint(err)
	}
	if db.Store, err = sqlstore.Open(ctx, db.Pool, db.Dialect, &db.Options); err != nil {
		return nil, errors.Join(err, db.Pool.Close())
	}
	return db, nil
}

// Close closes the store and the connections.
func (db *DB) Close() error {
	var err error
	if db.Store != nil {
		err = db.Store.Close()
	}
	return errors.Join(err, db.Pool.Close())
}
