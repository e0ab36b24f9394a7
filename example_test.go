package auth_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A whole service: sessions, tokens and Basic in front of one handler, and the
// HTTP API beside it.
func Example() {
	jobs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintf(w, "jobs of %s\n", p.Name)
	})

	db := memory.New() // or sqlstore.Open(ctx, sqlDB, sqlstore.Postgres, nil)
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(
		auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil),
	), nil)

	mux := http.NewServeMux()
	mux.Handle("/jobs/", gate.Require(jobs))
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	log.Fatal(http.ListenAndServe("localhost:8080", session.Handler(mux)))
}

// The README shows the examples as they are compiled.
func TestReadme(t *testing.T) {
	sources := read(t, "example_test.go") + read(t, "accounts_example_test.go")
	shown := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(shown) != 3 {
		t.Fatalf("the README has %d examples", len(shown))
	}
	for _, m := range shown {
		indented := regexp.MustCompile(`(?m)^(.+)`).ReplaceAllString(m[1], "\t$1")
		if !strings.Contains(sources, indented) {
			t.Errorf("this is not in the examples:\n%s", indented)
		}
	}
	if lines := strings.Count(strings.ReplaceAll(shown[0][1], "\n\n", "\n"), "\n"); lines > 15 {
		t.Errorf("the first example has %d lines; it should stay within 15", lines)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Issue a personal access token, use it, and end it.
func ExampleTokens() {
	db := memory.New()
	ctx := context.Background()
	alice, err := db.InsertUser(ctx, store.User{Name: "alice", Active: true})
	if err != nil {
		log.Fatal(err)
	}
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted}

	issued, err := tokens.Issue(ctx, by, auth.TokenRequest{Scopes: auth.ScopeRead, Description: "nightly report"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("printed:", issued.AccessToken)

	p, err := tokens.Verify(ctx, issued.AccessToken.Reveal())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name, "may write:", p.Scopes.Has(auth.ScopeWrite))

	if err := tokens.End(ctx, by, issued.ID); err != nil {
		log.Fatal(err)
	}
	_, err = tokens.Verify(ctx, issued.AccessToken.Reveal())
	fmt.Println(err)
	// Output:
	// printed: [redacted]
	// alice may write: false
	// auth: The access token is invalid or revoked.
}

// Log a user in and out in a handler of your own.
func ExampleSession() {
	db := memory.New()
	alice, err := db.InsertUser(context.Background(), store.User{Name: "alice", Active: true})
	if err != nil {
		log.Fatal(err)
	}
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{PerUser: 3}))
	gate := auth.NewGate(session, nil)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// … after the password was right, see Passwords.Verify
		if err := session.Login(r, alice); err != nil {
			gate.Deny(w, r, err)
		}
	})
	mux.Handle("/hello", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "hello, ", p.Name)
	})))
	h := session.Handler(mux)

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/login", nil))
	cookie := w.Result().Cookies()[0]
	fmt.Println(cookie.Name, cookie.Secure, cookie.HttpOnly)

	r := httptest.NewRequest("GET", "/hello", nil)
	r.AddCookie(cookie)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output:
	// __Host-session true true
	// hello, alice
}

// Set a password, and check one. Every wrong login gets the same answer.
func ExampleNewPasswords() {
	db := memory.New()
	ctx := context.Background()
	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))

	fmt.Println(passwords.Set(ctx, alice.ID, "short"))
	if err := passwords.Set(ctx, alice.ID, "correct horse battery"); err != nil {
		log.Fatal(err)
	}
	u, err := passwords.Verify(ctx, "alice", "correct horse battery")
	fmt.Println(u.Name, err)
	_, err = passwords.Verify(ctx, "alice", "wrong")
	fmt.Println(err)
	_, err = passwords.Verify(ctx, "nobody", "wrong")
	fmt.Println(err)
	// Output:
	// auth: Password: Must have at least 15 characters.
	// alice <nil>
	// auth: Incorrect user name or password.
	// auth: Incorrect user name or password.
}

// HTTP Basic that an administrator can switch off while the service runs.
func ExampleNewBasic() {
	db := memory.New()
	ctx := context.Background()
	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	if err := passwords.Set(ctx, alice.ID, "correct horse battery"); err != nil {
		log.Fatal(err)
	}
	var enabled atomic.Bool
	enabled.Store(true)
	basic := auth.NewBasic(passwords, &auth.BasicOptions{Enabled: enabled.Load})
	h := auth.NewGate(basic, &auth.GateOptions{Logger: quiet}).Require(http.HandlerFunc(hello))

	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("alice", "correct horse battery")
	fmt.Println(answer(h, r))
	enabled.Store(false)
	fmt.Println(answer(h, r))
	// Output:
	// 200 hello, alice
	// 401 {"detail":"Authentication credentials were not provided."}
}

// A public page that knows its visitors. A token that is dead is not taken for
// none: its client must find out.
func ExampleGate_Identify() {
	db := memory.New()
	bearer := auth.NewBearer(auth.Must(auth.NewTokens(db, db, nil)))
	gate := auth.NewGate(bearer, &auth.GateOptions{Logger: quiet})
	h := gate.Identify(http.HandlerFunc(hello))

	r := httptest.NewRequest("GET", "/", nil)
	fmt.Println(answer(h, r))
	r.Header.Set("Authorization", "Bearer gone")
	fmt.Println(answer(h, r))
	// Output:
	// 200 hello, stranger
	// 401 {"detail":"Authentication credentials were not provided."}
}

// An authenticator of your own beside those of this package: here the machines
// that have a client certificate.
func ExampleAuthenticatorFunc() {
	db := memory.New()
	machines := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return nil, auth.ErrNoCredentials // another authenticator may know better
		}
		name := r.TLS.VerifiedChains[0][0].Subject.CommonName
		return &auth.Principal{ID: name, Name: name, Scopes: auth.ScopeRead}, nil
	})
	bearer := auth.NewBearer(auth.Must(auth.NewTokens(db, db, nil)))
	gate := auth.NewGate(auth.FirstOf(bearer, machines), &auth.GateOptions{Logger: quiet})
	h := gate.Require(http.HandlerFunc(hello))

	r := httptest.NewRequest("GET", "/", nil)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "robot"}}}}}
	fmt.Println(answer(h, r))
	r.Method = "DELETE"
	fmt.Println(answer(h, r))
	// Output:
	// 200 hello, robot
	// 403 {"detail":"You do not have permission to perform this action."}
}

// hello greets the principal of the request.
func hello(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if p, ok := auth.FromContext(r.Context()); ok {
		name = p.Name
	}
	fmt.Fprint(w, "hello, ", name)
}

// answer returns the status and the body of the answer to r.
func answer(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprint(w.Code, " ", w.Body)
}

// A handler that needs more than read or write.
func ExampleGate_RequireScope() {
	db := memory.New()
	ctx := context.Background()
	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Scopes: []string{"deploy"}, Logger: quiet}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})

	mux := http.NewServeMux()
	mux.Handle("/deploy", gate.RequireScope("deploy")(http.HandlerFunc(hello)))

	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted}
	for _, scopes := range []auth.Scopes{"write", "write deploy"} {
		issued := auth.Must(tokens.Issue(ctx, by, auth.TokenRequest{Scopes: scopes}))
		r := httptest.NewRequest("POST", "/deploy", nil)
		r.Header.Set("Authorization", "Bearer "+issued.AccessToken.Reveal())
		fmt.Println(answer(mux, r))
	}
	// Output:
	// 403 {"detail":"You do not have permission to perform this action."}
	// 200 hello, alice
}

// Read scopes that came from outside.
func ExampleParseScopes() {
	for _, s := range []string{"read write", "rainbow", "read read", ""} {
		_, err := auth.ParseScopes(s)
		fmt.Printf("%q known: %t\n", s, err == nil)
	}
	// Output:
	// "read write" known: true
	// "rainbow" known: false
	// "read read" known: false
	// "" known: false
}
