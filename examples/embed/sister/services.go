// Package sister is two services without a database in common: one has the users,
// and the other one asks it about their tokens.
package sister

import (
	"context"
	"fmt"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/remote"
	"github.com/ostiary/auth/store/memory"
)

// Jobs is the resource that the second service is.
const Jobs = "https://jobs.example/"

// NewAccounts returns the service with the users, at the URL issuer, and the
// credentials of the application that stands for the second service. A superuser
// makes that application by hand elsewhere: at /api/account/, or by the API.
func NewAccounts(ctx context.Context, db *memory.Store, issuer string) (http.Handler, oauth.IssuedApplication, error) {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer: issuer, Resources: []string{Jobs},
		IntrospectUnbound: true, // personal tokens are good at both services
	}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)
	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens, OAuth: server,
	})))
	system := &auth.Principal{ID: "system", Name: "system", Admin: true, Scopes: auth.Unrestricted}
	app, err := server.CreateApplication(ctx, system, oauth.ApplicationRequest{
		Name: "jobs", OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantClientCredentials, Resource: Jobs,
	})
	return session.Handler(mux), app, err
}

// NewJobs returns the second service. A token that is revoked at the first one is
// refused here after remote.Options.MaxAge, ten seconds, at the latest.
func NewJobs(issuer, clientID string, secret auth.Secret) (http.Handler, error) {
	bearer, err := remote.New(issuer, &remote.Options{ClientID: clientID, Secret: secret, Resource: Jobs, Unbound: true})
	if err != nil {
		return nil, err
	}
	gate := auth.NewGate(bearer, &auth.GateOptions{Realm: "jobs"})
	mux := http.NewServeMux()
	mux.Handle("/jobs/", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "jobs of ", p.Name)
	})))
	return mux, nil
}
