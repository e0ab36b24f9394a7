package pgbus_test

import (
	"context"
	"database/sql"
	"log"

	"github.com/ostiary/auth/pgbus"
	"github.com/ostiary/auth/store/cached"
	"github.com/ostiary/auth/store/sqlstore"
)

func ExampleNew() {
	ctx := context.Background()
	const dsn = "postgres:///auth"
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		log.Fatal(err)
	}
	st, err := sqlstore.Open(ctx, db, sqlstore.Postgres, nil)
	if err != nil {
		log.Fatal(err)
	}
	bus, err := pgbus.New(db, dsn, nil)
	if err != nil {
		log.Fatal(err)
	}
	cache, err := cached.New(st, &cached.Options{Bus: bus})
	if err != nil {
		log.Fatal(err)
	}
	go cache.Run(ctx) // until the service ends
}
