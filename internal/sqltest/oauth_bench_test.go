package sqltest

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// accounts is a store with everything.
type accounts interface {
	store.OAuth
	store.Accounts
	store.Attempts
}

// BenchmarkTokenEndpoint is refreshing at the token endpoint, client
// authentication included: by one client, whose every answer pays for the next
// request, and by many at a time with a chain each.
func BenchmarkTokenEndpoint(b *testing.B) {
	on := func(name string, open func(b *testing.B) accounts) {
		b.Run(name, func(b *testing.B) {
			e := newTokenEndpoint(b, open(b))
			b.Run("one client", func(b *testing.B) {
				refresh := e.issue(b)
				b.ReportAllocs()
				for b.Loop() {
					refresh = e.rotate(b, refresh)
				}
				perSecond(b)
			})
			b.Run("16 clients", func(b *testing.B) {
				chains := make([]string, 16)
				for i := range chains {
					chains[i] = e.issue(b)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var left atomic.Int64
				left.Store(int64(b.N))
				var calls []func()
				for _, refresh := range chains {
					calls = append(calls, func() {
						for left.Add(-1) >= 0 && !b.Failed() {
							refresh = e.rotate(b, refresh)
						}
					})
				}
				together(calls...)
				perSecond(b)
			})
		})
	}
	on("memory", func(*testing.B) accounts { return memory.New() })
	for _, d := range databases() {
		on(d.name, func(b *testing.B) accounts { return d.fresh(b).open(b) })
	}
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

type tokenEndpoint struct {
	handler http.Handler
	server  *oauth.Server
	by      *auth.Principal
	app     oauth.IssuedApplication
}

func newTokenEndpoint(b *testing.B, st accounts) *tokenEndpoint {
	b.Helper()
	quiet := slog.New(slog.DiscardHandler)
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet}))
	server := auth.Must(oauth.NewServer(tokens, st, st, &oauth.Options{Logger: quiet}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: st, Tokens: tokens, OAuth: server}))
	u, err := st.InsertUser(b.Context(), store.User{Name: "bench", Admin: true, Active: true, Created: time.Now()})
	if err != nil {
		b.Fatal(err)
	}
	by := &auth.Principal{ID: u.ID, Admin: true, Scopes: auth.Unrestricted}
	app, err := server.CreateApplication(b.Context(), by, oauth.ApplicationRequest{
		Name: "bench", OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantPassword,
	})
	if err != nil {
		b.Fatal(err)
	}
	return &tokenEndpoint{api, server, by, app}
}

// issue starts a chain.
func (e *tokenEndpoint) issue(b *testing.B) string {
	b.Helper()
	issued, err := e.server.IssueFor(b.Context(), e.by, e.app.ID, auth.TokenRequest{})
	if err != nil {
		b.Fatal(err)
	}
	return issued.RefreshToken.Reveal()
}

// rotate is one request. It reports a failure and goes on.
func (e *tokenEndpoint) rotate(b *testing.B, refresh string) string {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	r := httptest.NewRequest(http.MethodPost, "/api/o/token/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(e.app.ClientID, e.app.ClientSecret.Reveal())
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.RefreshToken == "" {
		b.Errorf("status %d: %s", w.Code, w.Body)
	}
	return answer.RefreshToken
}
