package auth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// serve returns the status of a request to h, and the body.
func serve(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprint(w.Code, " ", w.Body)
}

// Tokens with a scope and a lifetime of the host.
func ExampleNewTokens() {
	db := memory.New()
	tokens, err := auth.NewTokens(db, db, &auth.TokensOptions{
		Prefix:           "acme",
		Scopes:           []string{"deploy"},
		PersonalLifetime: 7 * 24 * time.Hour,
		MaxPerUser:       50,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tokens.ScopeNames())

	_, err = auth.NewTokens(db, db, &auth.TokensOptions{PersonalLifetime: -time.Hour})
	fmt.Println(err)
	// Output:
	// [read write deploy]
	// auth: TokensOptions.PersonalLifetime -1h0m0s is not between a second and MaxPersonalLifetime, 8760h0m0s
}

// A gate that accepts access tokens alone.
func ExampleNewBearer() {
	db := memory.New()
	ctx := context.Background()
	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	issued := auth.Must(tokens.Issue(ctx, &auth.Principal{ID: alice.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{}))

	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
	hello := gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "hello, ", p.Name)
	}))

	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+issued.AccessToken.Reveal())
	fmt.Println(serve(hello, r))
	r.Header.Set("Authorization", "Bearer wrong")
	fmt.Println(serve(hello, r))
	// Output:
	// 200 hello, alice
	// 401 {"detail":"Authentication credentials were not provided."}
}

// A gate with a challenge of its own. It refuses a method that the scopes of the
// credential do not permit.
func ExampleNewGate() {
	reader := auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) {
		return &auth.Principal{ID: "1", Name: "alice", Scopes: auth.ScopeRead}, nil
	})
	gate := auth.NewGate(reader, &auth.GateOptions{Realm: "jobs", Logger: quiet})
	jobs := gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "jobs") }))

	for _, method := range []string{"GET", "POST"} {
		w := httptest.NewRecorder()
		jobs.ServeHTTP(w, httptest.NewRequest(method, "/jobs/", nil))
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 200 ""
	// 403 "Bearer realm=\"jobs\", error=\"insufficient_scope\", scope=\"write\""
}

// Sessions that end after ten minutes without a request, one for each user.
func ExampleNewSession() {
	db := memory.New()
	session, err := auth.NewSession(db, db, &auth.SessionOptions{IdleTimeout: 10 * time.Minute, PerUser: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.CookieName(), session.IdleTimeout(), session.Secure())

	_, err = auth.NewSession(db, db, &auth.SessionOptions{CookieName: "__Host-id", InsecureCookie: true})
	fmt.Println(err)
	// Output:
	// __Host-session 10m0s true
	// auth: SessionOptions.CookieName "__Host-id" promises Secure, which InsecureCookie omits
}

// The first authenticator with an answer decides.
func ExampleFirstOf() {
	never := auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) { return nil, auth.ErrNoCredentials })
	always := auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) { return &auth.Principal{Name: "alice"}, nil })

	p, err := auth.FirstOf(never, always).Authenticate(httptest.NewRequest("GET", "/", nil))
	fmt.Println(p.Name, err)
	// Output: alice <nil>
}

// The addresses of AWX's setting for proxies.
func ExampleParsePeers() {
	peers, err := auth.ParsePeers([]string{"10.0.0.0/8", "192.0.2.7", "::ffff:192.0.2.8"})
	fmt.Println(peers, err)
	_, err = auth.ParsePeers([]string{"proxy.example"})
	fmt.Println(err)
	// Output:
	// [10.0.0.0/8 192.0.2.7/32 192.0.2.8/32] <nil>
	// auth: PROXY_IP_ALLOWED_LIST: "proxy.example" is not an address; host names are not looked up, list the addresses behind the name
}

// A handler in a test: no gate and no store are needed.
func ExampleNewContext() {
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(auth.NewContext(r.Context(), &auth.Principal{ID: "1", Name: "alice"}))
	p, ok := auth.FromContext(r.Context())
	fmt.Println(p.Name, ok)

	// Package authtest does the same in one call.
	p, ok = auth.FromContext(authtest.WithPrincipal(httptest.NewRequest("GET", "/", nil), &auth.Principal{Name: "bob"}).Context())
	fmt.Println(p.Name, ok)
	// Output:
	// alice true
	// bob true
}
