package sqlstore_test

import (
	"context"
	"database/sql"
	"log"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store/sqlstore"
)

// A store in PostgreSQL. The program must import a driver, such as
// github.com/jackc/pgx/v5/stdlib for "pgx".
func ExampleOpen() {
	ctx := context.Background()
	db, err := sql.Open("pgx", "postgres://ostiary@127.0.0.1/ostiary")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)

	if err := sqlstore.Migrate(ctx, db, sqlstore.Postgres, nil); err != nil {
		log.Fatal(err)
	}
	st, err := sqlstore.Open(ctx, db, sqlstore.Postgres, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	tokens := auth.Must(auth.NewTokens(st, st, nil))
	log.Print(tokens.Prefix())
}
