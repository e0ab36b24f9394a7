package httpapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// BenchmarkRefresh is one rotation at the token endpoint, client authentication
// included, in memory: each answer pays for the next request.
func BenchmarkRefresh(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Logger: quiet}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: db, Tokens: tokens, OAuth: server}))
	admin := authtest.AddUser(b, db, store.User{Name: "admin", Admin: true}, "")
	by := &auth.Principal{ID: admin.ID, Admin: true, Scopes: auth.Unrestricted}
	app, err := server.CreateApplication(b.Context(), by, oauth.ApplicationRequest{
		Name: "bench", OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantPassword,
	})
	if err != nil {
		b.Fatal(err)
	}
	issued, err := server.IssueFor(b.Context(), by, app.ID, auth.TokenRequest{})
	if err != nil {
		b.Fatal(err)
	}
	refresh := issued.RefreshToken.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
		r := httptest.NewRequest(http.MethodPost, "/api/o/token/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(app.ClientID, app.ClientSecret.Reveal())
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		var answer struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.RefreshToken == "" {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
		refresh = answer.RefreshToken
	}
}
