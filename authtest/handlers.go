package authtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Guarded reports an error for each target that h does not answer with 401 and
// a challenge to a request without a credential, because its handler is outside
// the gate. A target is a method and a path, as in "POST /jobs/". H must be the
// handler of the server.
func Guarded(t testing.TB, h http.Handler, targets ...string) {
	t.Helper()
	for _, target := range targets {
		method, path, _ := strings.Cut(target, " ")
		if !strings.HasPrefix(path, "/") {
			t.Errorf("authtest: the target %q is not of the form \"GET /path\"", target)
			continue
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("authtest: %s without a credential is answered %d, want 401 with a challenge: put Gate.Require around its handler", target, w.Code)
		}
	}
}

// Mounted reports an error if the handler of package httpapi is not at /api/ in
// h, or if one of its own links is not found. H must be the handler of the
// server.
func Mounted(t testing.TB, h http.Handler) {
	t.Helper()
	get := func(path string) (links map[string]any, status int) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		_ = json.Unmarshal(w.Body.Bytes(), &links) // any other body has no links
		return links, w.Code
	}
	root, status := get("/api/")
	if root["current_version"] == nil {
		t.Errorf("authtest: GET /api/ is answered %d without links: mount the handler of httpapi at the root of the host, with the pattern /api/", status)
		return
	}
	paths := []string{"/api/v2/"}
	if list, ok := root["oauth2"].(string); ok {
		paths = append(paths, list)
	}
	for _, index := range paths {
		links, _ := get(index)
		for _, link := range links {
			path, _ := link.(string)
			if !strings.HasPrefix(path, "/api/") {
				continue
			}
			if _, status := get(path); status == http.StatusNotFound {
				t.Errorf("authtest: %s lists %s, which is not found: pass everything below /api/ to the handler of httpapi", index, path)
			}
		}
	}
}
