package httpapi_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

func TestConfigRefused(t *testing.T) {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	gate := auth.NewGate(auth.NewBearer(tokens), nil)
	session := auth.Must(auth.NewSession(db, db, nil))
	apps := auth.Must(auth.NewApplications(tokens, db, nil))
	devices := auth.Must(auth.NewDevices(tokens, db, nil))
	for name, c := range map[string]httpapi.Config{
		"no gate":                      {Users: db},
		"no users":                     {Gate: gate},
		"a nil pointer as users":       {Gate: gate, Users: (*memory.Store)(nil)},
		"a link that is taken":         {Gate: gate, Users: db, Links: map[string]string{"me": "/me/"}},
		"a link to elsewhere":          {Gate: gate, Users: db, Links: map[string]string{"jobs": "jobs/"}},
		"a link without a name":        {Gate: gate, Users: db, Links: map[string]string{"": "/jobs/"}},
		"applications without tokens":  {Gate: gate, Users: db, Applications: apps},
		"devices without applications": {Gate: gate, Users: db, Tokens: tokens, Session: session, Devices: devices},
		"devices without an issuer":    {Gate: gate, Users: db, Tokens: tokens, Session: session, Applications: apps, Devices: devices},
		"malformed page":               {Gate: gate, Users: db, Pages: fstest.MapFS{"login.html": {Data: []byte("{{")}}},
	} {
		if _, err := httpapi.New(c); err == nil {
			t.Errorf("%s: constructs", name)
		}
	}
}

// The host's files stand in for those of this package, each on its own, under the
// same policy.
func TestPagesCanBeReplaced(t *testing.T) {
	db := memory.New()
	session := auth.Must(auth.NewSession(db, db, nil))
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: auth.NewGate(session, nil), Users: db, Session: session,
		Passwords: auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Hasher: cheap{}})),
		Pages: fstest.MapFS{
			"login.html": {Data: []byte(`{{define "title"}}Ours{{end}}{{define "main"}}<h1>Ours</h1>{{end}}`)},
			"style.css":  {Data: []byte("h1 { color: teal }")},
		},
	}))
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/api/login/", nil))
	csp := w.Header().Get("Content-Security-Policy")
	if body := w.Body.String(); !strings.Contains(body, "<h1>Ours</h1>") || !strings.Contains(body, "teal") || !strings.Contains(body, "<main>") {
		t.Errorf("page:\n%s", body)
	}
	// The digest of the style above.
	if !strings.Contains(csp, "style-src 'sha256-") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %s", csp)
	}
}
