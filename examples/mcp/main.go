// The program mcp is a tool server for clients of the Model Context Protocol, and the
// authorization server that lets them in. It keeps everything in memory.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8081", "`address` to listen on")
	url := flag.String("url", "", "public `URL`, behind a proxy with TLS (default http:// and -addr)")
	access := flag.Duration("access-lifetime", time.Hour, "`time` that access tokens live")
	insecure := flag.Bool("insecure-client-documents", false, "accept clients whose metadata document is on this machine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *url, *access, *insecure); err != nil {
		slog.Error("mcp", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, url string, access time.Duration, insecure bool) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	handler, err := newHandler(ctx, cmp.Or(url, "http://"+listener.Addr().String()), access, insecure)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// newHandler puts the parts together: an API with login, consent and tokens at base,
// and tools at /mcp.
func newHandler(ctx context.Context, base string, access time.Duration, insecure bool) (http.Handler, error) {
	const reading, writing = "notes", "notes:write"
	tools := base + "/mcp"
	db := memory.New()
	tokens, err := auth.NewTokens(db, db, &auth.TokensOptions{Resource: base + "/api/", Scopes: []string{reading, writing}})
	if err != nil {
		return nil, err
	}
	documents, err := clientdoc.New(&clientdoc.Options{AllowHosts: []string{"*"}, InsecureLoopback: insecure})
	if err != nil {
		return nil, err
	}
	server, err := oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer: base, Resources: []string{tools}, AccessLifetime: access,
		Documents: &oauth.DocumentOptions{Fetcher: documents}, // clients that are registered nowhere
	})
	if err != nil {
		return nil, err
	}
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{InsecureCookie: strings.HasPrefix(base, "http:")}))
	api, err := httpapi.New(httpapi.Config{
		Gate:  auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil),
		Users: db, Passwords: passwords, Session: session, Tokens: tokens, OAuth: server, Account: true,
		Resources:   []httpapi.Resource{{URI: tools, Scopes: []string{reading}, Name: "Notes"}},
		PageOptions: httpapi.PageOptions{Product: "Notes"},
	})
	if err != nil {
		return nil, err
	}
	// A token of another resource, a personal token and a session do not pass.
	gate := auth.NewGate(auth.NewBearer(tokens).Only(tools), &auth.GateOptions{
		ResourceMetadata: base + "/.well-known/oauth-protected-resource/mcp",
		Scope:            reading,
	})
	n := &notes{needs: map[string]auth.Scopes{"list_notes": reading, "add_note": reading + " " + writing}}
	mux := http.NewServeMux()
	mux.Handle("/api/", session.Handler(api))
	mux.Handle("/.well-known/", api)
	mux.Handle("/mcp", gate.RequireScope(reading)(n.handler(gate)))
	return mux, addPeople(ctx, db, passwords, server, tools)
}

// addPeople adds the user alice, and an application for clients that have no metadata
// document of their own.
func addPeople(ctx context.Context, db *memory.Store, passwords *auth.Passwords, server *oauth.Server, tools string) error {
	system := &auth.Principal{ID: "system", Name: "system", Admin: true, Scopes: auth.Unrestricted}
	password := cmp.Or(os.Getenv("OSTIARY_MCP_PASSWORD"), rand.Text())
	accounts, err := auth.NewAccounts(db, passwords, nil)
	if err != nil {
		return err
	}
	if _, err := accounts.Create(ctx, system, store.User{Name: "alice", Active: true}, password); err != nil {
		return err
	}
	app, err := server.CreateApplication(ctx, system, oauth.ApplicationRequest{
		Name: "Notes client", OrganizationID: 1, ClientType: oauth.ClientPublic, GrantType: oauth.GrantAuthorizationCode,
		RedirectURIs: []string{"http://127.0.0.1/callback"}, // at any port (RFC 8252 section 7.3)
	})
	if err != nil {
		return err
	}
	fmt.Printf("Tools at %s, client_id %s, user alice, password %s\n", tools, app.ClientID, password)
	return nil
}
