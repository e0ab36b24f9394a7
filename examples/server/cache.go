package main

import (
	"github.com/ostiary/auth/pgbus"
	"github.com/ostiary/auth/store/cached"
	"github.com/ostiary/auth/store/sqlstore"
)

// newCache returns a cache in front of the database, or nil without -cache. Servers on
// one PostgreSQL tell each other what has changed, unless their connections go
// through a pooler, on which nobody can listen.
func newCache(c config, db *database) (*cached.Store, error) {
	if c.cache == 0 {
		return nil, nil
	}
	o := cached.Options{MaxAge: c.cache}
	if listens(c, db) {
		bus, err := pgbus.New(db.DB, c.db, nil)
		if err != nil {
			return nil, err
		}
		o.Bus = bus
	}
	cache, err := cached.New(db.store, &o)
	return cache, c.settings.blame(err)
}

// listens reports whether the servers on a database tell each other about changes.
func listens(c config, db *database) bool {
	return c.cache > 0 && db.dialect == sqlstore.Postgres && !unprepared(c.db)
}
