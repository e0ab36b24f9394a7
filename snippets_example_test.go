package auth_test

import (
	"context"
	"database/sql"
	"log"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/sqlstore"
)

// A pooler that gives each transaction another connection. See doc/databases.md.
func Example_pooler() {
	ctx := context.Background()
	db := auth.Must(sql.Open("pgx", "postgres://user@pooler:6432/app?default_query_exec_mode=exec"))
	st := auth.Must(sqlstore.Open(ctx, db, sqlstore.Postgres, &sqlstore.Options{NoPreparedStatements: true}))
	defer st.Close()
}

// Tools of the Model Context Protocol that need a token of their own. See doc/mcp.md.
func Example_tools() {
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	people := auth.NewGate(session, nil)
	documents := auth.Must(clientdoc.New(&clientdoc.Options{AllowHosts: []string{"*"}}))
	mux, handler := http.NewServeMux(), http.NotFoundHandler()

	tools := "https://api.example/mcp"
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{
		Resource: "https://api.example/api/", Scopes: []string{"notes", "notes:write"},
	}))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer: "https://api.example", Resources: []string{tools},
		Documents: &oauth.DocumentOptions{Fetcher: documents},
	}))
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: people, Users: db, Passwords: passwords, Session: session, Tokens: tokens, OAuth: server,
		Resources: []httpapi.Resource{{URI: tools, Scopes: []string{"notes"}, Name: "Notes"}},
	}))
	gate := auth.NewGate(auth.NewBearer(tokens).Only(tools), &auth.GateOptions{
		ResourceMetadata: "https://api.example/.well-known/oauth-protected-resource/mcp",
		Scope:            "notes",
	})
	mux.Handle("/api/", session.Handler(api))
	mux.Handle("/.well-known/", api)
	mux.Handle("/mcp", gate.RequireScope("notes")(handler))
	log.Fatal(http.ListenAndServe("localhost:8080", mux))
}

// A tool that needs more than its endpoint. See doc/mcp.md.
func ExampleGate_Deny() {
	gate := auth.NewGate(auth.NewBearer(auth.Must(auth.NewTokens(memory.New(), memory.New(), nil))), nil)
	http.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		gate.Deny(w, r, &auth.Error{
			Status: http.StatusForbidden, Code: "insufficient_scope", Scope: "notes notes:write",
			Detail: "The tool needs a scope that the access token does not have.",
		})
	})
}

// Clients that nobody has registered, by their documents. See doc/running.md.
func Example_documents() {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	documents := auth.Must(clientdoc.New(&clientdoc.Options{AllowHosts: []string{"client.example", ".house.example"}}))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer:    "https://api.example",
		Documents: &oauth.DocumentOptions{Fetcher: documents},
	}))
	log.Print(server.HasDevices())
}

// A login of a host that gives the browser a device cookie. See doc/throttle.md.
func ExamplePasswords_RememberBrowser() {
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	login := func(w http.ResponseWriter, r *http.Request, name, password string) (store.User, error) {
		u, err := passwords.VerifyRequest(r, name, password)
		if err == nil {
			err = passwords.RememberBrowser(w, r, u)
		}
		if err == nil {
			err = session.Login(r, u)
		}
		return u, err
	}
	http.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if _, err := login(w, r, r.FormValue("name"), r.FormValue("password")); err != nil {
			http.Error(w, "no", http.StatusUnauthorized)
		}
	})
}
