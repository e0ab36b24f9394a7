package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/remote"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Two services: one issues tokens, and the other one asks it about them. An
// application of the first one stands for the second one.
func ExampleNew() {
	const jobs = "https://jobs.example/"
	ctx := context.Background()

	// The first service.
	var api http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { api.ServeHTTP(w, r) }))
	defer srv.Close()
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer: srv.URL, Resources: []string{jobs}, IntrospectUnbound: true, Logger: quiet,
	}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
	api = auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: db, Tokens: tokens, OAuth: server}))
	system := &auth.Principal{ID: "system", Admin: true, Scopes: auth.Unrestricted}
	app := auth.Must(server.CreateApplication(ctx, system, oauth.ApplicationRequest{
		Name: "jobs", OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantClientCredentials, Resource: jobs,
	}))

	// The second one. Unbound: personal tokens are good here, too.
	bearer := auth.Must(remote.New(srv.URL, &remote.Options{
		ClientID: app.ClientID, Secret: app.ClientSecret, Resource: jobs, Unbound: true,
	}))
	second := auth.NewGate(bearer, &auth.GateOptions{Logger: quiet}).Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "jobs of ", p.Name)
	}))

	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted}
	issued := auth.Must(tokens.Issue(ctx, by, auth.TokenRequest{Scopes: auth.ScopeRead}))
	for _, token := range []string{issued.AccessToken.Reveal(), "unknown"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		second.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 jobs of alice
	// 401 {"detail":"Authentication credentials were not provided."}
}
