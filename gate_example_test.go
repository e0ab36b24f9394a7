package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Pages send people to the login and back.
func ExampleGate_RequireLogin() {
	db := memory.New()
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	h := session.Handler(gate.RequireLogin("/login/")(http.HandlerFunc(hello)))

	r := httptest.NewRequest("GET", "/jobs/?page=2", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output:
	// 302 /login/?next=%2Fjobs%2F%3Fpage%3D2
}

// A handler can take the principal as an argument.
func ExampleGate_RequirePrincipal() {
	gate := auth.NewGate(auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) {
		return &auth.Principal{ID: "7", Name: "alice", Scopes: auth.Unrestricted}, nil
	}), &auth.GateOptions{Logger: quiet})
	h := gate.RequirePrincipal(func(w http.ResponseWriter, _ *http.Request, p auth.Principal) {
		_, _ = fmt.Fprint(w, "hello, ", p.Name)
	})

	fmt.Println(answer(h, httptest.NewRequest("GET", "/", nil)))
	// Output:
	// 200 hello, alice
}

// An authenticator of your own for a credential that browsers add by themselves
// refuses requests of other sites.
func ExampleNewOrigins() {
	origins := auth.Must(auth.NewOrigins("https://app.example"))
	kerberos := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Negotiate ") {
			return nil, auth.ErrNoCredentials
		}
		if err := origins.Check(r); err != nil {
			return nil, err
		}
		return &auth.Principal{ID: "7", Name: "alice", Scopes: auth.Unrestricted}, nil // once the ticket is verified
	})
	h := auth.NewGate(kerberos, &auth.GateOptions{Logger: quiet}).Require(http.HandlerFunc(hello))

	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Authorization", "Negotiate x")
	for _, origin := range []string{"https://app.example", "https://evil.example"} {
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		fmt.Println(answer(h, r))
	}
	// Output:
	// 200 hello, alice
	// 403 {"detail":"CSRF Failed: the request does not come from a page of this origin."}
}

// A page cannot add an Authorization field to a WebSocket. Where it has a token
// and no cookie, it can offer one as a subprotocol; the server must answer with
// another subprotocol of the list. Proxies may log that field, so issue
// short-lived tokens for it.
func ExampleAuthenticatorFunc_webSocket() {
	ctx := context.Background()
	db := memory.New()
	alice, _ := db.InsertUser(ctx, store.User{Name: "alice", Active: true})
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	bearer := auth.NewBearer(tokens)
	sockets := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		if len(r.Header["Authorization"]) > 0 {
			return nil, auth.ErrNoCredentials
		}
		for _, line := range r.Header["Sec-Websocket-Protocol"] {
			for name := range strings.SplitSeq(line, ",") {
				if token, ok := strings.CutPrefix(strings.TrimSpace(name), "bearer."); ok {
					r = r.Clone(r.Context())
					r.Header.Set("Authorization", "Bearer "+token)
					return bearer.Authenticate(r)
				}
			}
		}
		return nil, auth.ErrNoCredentials
	})
	gate := auth.NewGate(auth.FirstOf(sockets, bearer), &auth.GateOptions{Logger: quiet})
	h := gate.Require(http.HandlerFunc(hello))

	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted, Credential: auth.CredentialSession}
	issued := auth.Must(tokens.Issue(ctx, by, auth.TokenRequest{Scopes: auth.ScopeRead}))
	r := httptest.NewRequest("GET", "/events", nil)
	r.Header.Set("Sec-WebSocket-Protocol", "events, bearer."+issued.AccessToken.Reveal())
	fmt.Println(answer(h, r))
	r.Header.Set("Sec-WebSocket-Protocol", "events, bearer.nope")
	fmt.Println(answer(h, r))
	// Output:
	// 200 hello, alice
	// 401 {"detail":"Authentication credentials were not provided."}
}
