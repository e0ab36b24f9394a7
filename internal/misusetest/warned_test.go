package misusetest

import (
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

// A warned mistake works to some extent, so it is in the log, once.
type warned struct {
	mistake string
	make    func(h *host) // with what shows it, more than once
	says    string        // with the option and the remedy; "" if it is no mistake
}

// browser is what a login form of a browser sends.
const browser = "Accept: text/html"

// TestWarned: E7. The mistakes are made twice and logged once.
func TestWarned(t *testing.T) {
	for _, tt := range []warned{
		{"nothing wrong", func(h *host) { h.login(h.session, "https://app.example/login", browser) }, ""},

		{"a misspelt RequireScope", func(h *host) { h.gate.RequireScope("deplyo") }, `"deplyo"; correct it, or add it to TokensOptions.Scopes`},
		{"a scope for challenges that no token has", func(h *host) {
			auth.NewGate(h.bearer, &auth.GateOptions{Scope: "read deplyo", Logger: h.logger})
		}, `"deplyo"; correct it, or add it to TokensOptions.Scopes`},
		{"scopes with a comma between them", func(h *host) {
			auth.NewGate(h.bearer, &auth.GateOptions{Scope: "read,write", Logger: h.logger})
		}, `"read,write"; correct it`},
		{"a good RequireScope", func(h *host) { h.gate.RequireScope("deploy") }, ""},
		{"a RequireScope of a gate that asks the host", func(h *host) {
			foreign := auth.AuthenticatorFunc(h.session.Authenticate)
			auth.NewGate(auth.FirstOf(h.bearer, foreign), &auth.GateOptions{Logger: h.logger}).RequireScope("theirs")
		}, ""},

		{"a Secure cookie over plain HTTP", func(h *host) {
			h.login(h.session, "http://app.lan:8080/login", browser)
			h.login(h.session, "http://app.lan:8080/login", "Origin: http://app.lan:8080")
		}, "SessionOptions.InsecureCookie for development"},
		{"a Secure cookie over plain HTTP on this machine", func(h *host) {
			h.login(h.session, "http://localhost:8080/login", browser)
			h.login(h.session, "http://127.0.0.1:8080/login", browser)
		}, ""},
		{"an insecure cookie over HTTPS", func(h *host) {
			s := auth.Must(auth.NewSession(h.db, h.db, &auth.SessionOptions{InsecureCookie: true, Logger: h.logger}))
			h.login(s, "https://app.example/login", browser)
			h.login(s, "https://app.example/login", browser)
		}, "SessionOptions.InsecureCookie is set although"},
		{"an insecure cookie in development", func(h *host) {
			s := auth.Must(auth.NewSession(h.db, h.db, &auth.SessionOptions{InsecureCookie: true, Logger: h.logger}))
			h.login(s, "http://app.lan:8080/login", browser)
		}, ""},
		{"Session.Handler around the API only", func(h *host) {
			cookie := h.login(h.session, "https://app.example/login")
			for range 2 {
				ask(h.gate.Require(ok), "GET", "https://app.example/jobs/", cookie)
			}
		}, "wrap the whole mux"},
		{"Session.Handler around everything", func(h *host) {
			cookie := h.login(h.session, "https://app.example/login")
			ask(h.session.Handler(h.gate.Require(ok)), "GET", "https://app.example/jobs/", cookie)
			ask(h.gate.Require(ok), "GET", "https://app.example/jobs/") // nobody's
		}, ""},

		{"tokens with users of another store", func(h *host) {
			tokens := auth.Must(auth.NewTokens(memory.New(), h.db, &auth.TokensOptions{Logger: h.logger}))
			gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: h.logger})
			for range 2 {
				ask(gate.Require(ok), "GET", "/", "Authorization: Bearer "+authtest.AddToken(h.t, tokens, h.alice, "read"))
			}
		}, "memory.NewWithUsers"},
		{"sessions with users of another store", func(h *host) {
			s := auth.Must(auth.NewSession(memory.New(), h.db, &auth.SessionOptions{Logger: h.logger}))
			for range 2 {
				ask(s.Handler(ok), "GET", "/", h.login(s, "https://app.example/login"))
			}
		}, "memory.NewWithUsers"},
		{"tokens of a user who was deleted", func(h *host) {
			db := memory.NewWithUsers(h.db)
			tokens := auth.Must(auth.NewTokens(db, h.db, &auth.TokensOptions{Logger: h.logger}))
			token := authtest.AddToken(h.t, tokens, h.alice, "read")
			if err := h.db.DeleteUser(h.t.Context(), h.alice.ID, time.Now()); err != nil {
				h.t.Fatal(err)
			}
			ask(auth.NewGate(auth.NewBearer(tokens), nil).Require(ok), "GET", "/", "Authorization: Bearer "+token)
		}, ""},

		{"a proxy in front that nobody knows", func(h *host) {
			for range 2 {
				r := httptest.NewRequest("POST", "/login", nil)
				r.Header.Set("X-Forwarded-For", "203.0.113.7")
				_, _ = h.passwords.VerifyRequest(r, "alice", "wrong")
			}
		}, "ProxyOptions.Peers around the mux"},
		{"a proxy in front that is known", func(h *host) {
			proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("192.0.2.0/24"), Logger: h.logger}))
			ask(proxy.Handler(h.verifies()), "POST", "/login", "X-Forwarded-For: 203.0.113.7")
		}, ""},
		{"forged fields and no proxy", func(h *host) {
			proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{Logger: h.logger}))
			ask(proxy.Handler(h.verifies()), "POST", "/login", "X-Forwarded-For: 203.0.113.7")
		}, ""},
		{"a login that knows no client", func(h *host) {
			for range 2 {
				_, _ = h.passwords.Verify(h.t.Context(), "alice", "wrong")
			}
		}, "VerifyRequest"},
		{"AWX's defaults behind a proxy", func(h *host) {
			auth.Must(auth.NewProxy(&auth.ProxyOptions{
				Peers: peers("10.0.0.1/32"), AddressFields: []string{"REMOTE_ADDR", "HTTP_X_FORWARDED_FOR"}, Logger: h.logger,
			}))
		}, "X-Forwarded-For before REMOTE_ADDR"},
		{"fields of a proxy that is not listed", func(h *host) {
			auth.Must(auth.NewProxy(&auth.ProxyOptions{AddressFields: []string{"X-Real-Ip"}, Logger: h.logger}))
		}, "ProxyOptions.Peers"},
		{"a field with users that nobody proves", func(h *host) {
			auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.1/32"), UserField: "X-Remote-User", Logger: h.logger}))
		}, "ProxyOptions.Proof"},
		{"users of a gateway without Proxy.Handler", func(h *host) {
			proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{UnixSocket: true, UserField: "X-Remote-User", Logger: h.logger}))
			users := auth.NewGate(auth.Must(auth.NewProxyUsers(proxy, h.db, nil)), &auth.GateOptions{Logger: h.logger})
			for range 2 {
				ask(users.Require(ok), "GET", "/", "X-Remote-User: alice")
			}
		}, "put the handler around the gate"},

		{"the API below a prefix", func(h *host) {
			mux := http.NewServeMux()
			mux.Handle("/auth/", h.api())
			ask(mux, "GET", "/auth/api/v2/me/")
			ask(mux, "GET", "/auth/api/")
		}, "mount it at the root of the host"},
		{"the API below a prefix that is cut off", func(h *host) {
			mux := http.NewServeMux()
			mux.Handle("/auth/", http.StripPrefix("/auth", h.api()))
			ask(mux, "GET", "/auth/api/v2/me/")
			ask(mux, "GET", "/auth/api/?x=/api/")
		}, "mount it at the root of the host"},
		{"the API at the root", func(h *host) {
			ask(h.api(), "GET", "/api/v2/me/?x=1")
			ask(h.api(), "GET", "/api/v2/users/al%2Fice/")
			ask(h.api(), "GET", "/nope/api/nope/")
			ask(h.api(), "GET", "/api/v2")
		}, ""},
	} {
		t.Run(tt.mistake, func(t *testing.T) {
			h := newHost(t)
			tt.make(h)
			got := h.warnings()
			if tt.says == "" && len(got) > 0 {
				t.Errorf("logged %q", got)
			}
			if tt.says != "" && (len(got) != 1 || !strings.Contains(strings.ReplaceAll(got[0], `\"`, `"`), tt.says)) {
				t.Errorf("logged %q, want one warning with %q", got, tt.says)
			}
		})
	}
}

func (h *host) verifies() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = h.passwords.VerifyRequest(r, "alice", "wrong") })
}

func (h *host) api() http.Handler {
	return auth.Must(httpapi.New(httpapi.Config{
		Gate: h.gate, Users: h.db, Session: h.session, Passwords: h.passwords, Tokens: h.tokens, OAuth: h.server, Logger: h.logger,
	}))
}

// TestNeverPurged: E7. A process that goes on for a week without a Purge is warned
// once for each part, and one that purges is not.
func TestNeverPurged(t *testing.T) {
	work := func(h *host) {
		for range 2 {
			cookie := h.login(h.session, "https://app.example/login", browser)
			ask(h.session.Handler(ok), "GET", "https://app.example/", cookie)
			if _, err := h.tokens.Issue(h.t.Context(), &auth.Principal{ID: h.alice.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{}); err != nil {
				h.t.Error(err)
			}
			ask(h.verifies(), "POST", "/login")
			time.Sleep(8 * 24 * time.Hour)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		work(h)
		work(h)
		got := strings.Join(h.warnings(), "")
		for _, part := range []string{"Session", "Tokens", "Passwords"} {
			if n := strings.Count(got, "has not called "+part+".Purge for a week"); n != 1 {
				t.Errorf("%d warnings about %s.Purge in\n%s", n, part, got)
			}
		}
		h = newHost(t)
		now := time.Now()
		_, err1 := h.session.Purge(t.Context(), now)
		_, err2 := h.tokens.Purge(t.Context(), now)
		_, err3 := h.passwords.Purge(t.Context(), now)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		work(h)
		if got := h.warnings(); len(got) > 0 {
			t.Errorf("logged %q", got)
		}
	})
}

// TestOptionsAreCopied: R-222. What the host does with its options after a
// constructor changes nothing.
func TestOptionsAreCopied(t *testing.T) {
	proof := &auth.ProofOptions{}
	opts := signedBy(proof)
	proxy := auth.Must(auth.NewProxy(opts))
	proof.InsecureAnyPeer = true
	proof.Keys[0] = &rsa.PublicKey{}
	opts.Protected = []string{"X-Forwarded-Uri"}
	proved := false
	handler := proxy.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { proved = auth.ProvenProxy(r.Context()) }))
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "203.0.113.9:1"
	r.Header.Set("X-Trusted-Proxy", proofNow(t))
	if handler.ServeHTTP(httptest.NewRecorder(), r); proved {
		t.Error("a stranger is believed")
	}
	r.RemoteAddr = "10.0.0.1:1"
	if handler.ServeHTTP(httptest.NewRecorder(), r); !proved {
		t.Error("the gateway is not believed any more")
	}
}
