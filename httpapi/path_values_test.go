package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
)

// A mux of the host may call the variable segments of its patterns as the routes do.
// Neither sees the segments of the other.
func TestPathValuesOfTheHost(t *testing.T) {
	s := newSystem(t)
	api := auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Tokens: s.tokens}))
	token := authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	for pattern, name := range map[string]string{"/api/{user...}": "user", "/api/v2/{id}/": "id", "/{user}/v2/{id}/{app...}": "app", "/api/{organization...}": "organization"} {
		var after string
		mux := http.NewServeMux()
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			before := r.PathValue(name)
			api.ServeHTTP(w, r)
			if after = r.PathValue(name); after != before {
				t.Errorf("%s: %s: {%s} is %q, and was %q", pattern, r.URL.Path, name, after, before)
			}
		})
		for path, want := range map[string]string{
			"/api/v2/tokens/1/":                      `"id":1,`,
			"/api/v2/users/alice/":                   `"username":"alice"`,
			"/api/v2/users/alice/personal_tokens/1/": `"id":1,`,
		} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) || after == "" {
				t.Errorf("%s: %s: %d %s, {%s} is %q", pattern, path, w.Code, w.Body, name, after)
			}
		}
	}
}
