// Package twoservices is two services that share one PostgreSQL: one has the users
// and their tokens, the other one accepts the tokens.
package twoservices

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/sqlstore"
)

// NewAccounts returns the service with the users. It owns the tables, so it alone
// creates and updates them. Its program calls passwords to set the first one.
func NewAccounts(ctx context.Context, db *sql.DB) (h http.Handler, st *sqlstore.Store, err error) {
	if err := sqlstore.Migrate(ctx, db, sqlstore.Postgres, nil); err != nil {
		return nil, nil, err
	}
	if st, err = sqlstore.Open(ctx, db, sqlstore.Postgres, nil); err != nil {
		return nil, nil, err
	}
	passwords := auth.Must(auth.NewPasswords(st, st, nil))
	tokens := auth.Must(auth.NewTokens(st, st, nil))
	session := auth.Must(auth.NewSession(st, st, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)
	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	return session.Handler(mux), st, nil
}

// NewJobs returns the other service. What the first one has revoked is refused here
// at the next request, because both read the same row. Its database user needs
// SELECT on the tables, and UPDATE on the tokens for their last use. A schema that
// it does not know is an error of Open, so upgrade this service first.
func NewJobs(ctx context.Context, db *sql.DB) (http.Handler, error) {
	st, err := sqlstore.Open(ctx, db, sqlstore.Postgres, nil)
	if err != nil {
		return nil, err
	}
	// The options must be those of the first service, the prefix and the scopes
	// above all.
	tokens := auth.Must(auth.NewTokens(st, st, nil))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Realm: "jobs"})
	mux := http.NewServeMux()
	mux.Handle("/jobs/", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "jobs of ", p.Name)
	})))
	return mux, nil
}
