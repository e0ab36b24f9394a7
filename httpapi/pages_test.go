package httpapi_test

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/memory"
)

func TestConfigRefused(t *testing.T) { // E7
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	others := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	another := auth.Must(auth.NewSession(db, db, nil))
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Hasher: cheap{}}))
	bearer := auth.NewBearer(tokens)
	gate, bearers := auth.NewGate(auth.FirstOf(bearer, session), nil), auth.NewGate(bearer, nil)
	plain := auth.Must(oauth.NewServer(tokens, db, db, nil))
	devices := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://api.example", Devices: &oauth.DeviceOptions{}}))
	page := func(name, content string) httpapi.Config {
		return httpapi.Config{Gate: gate, Users: db, Pages: fstest.MapFS{name: {Data: []byte(content)}}}
	}
	main := func(content string) string {
		return `{{define "title"}}t{{end}}{{define "main"}}` + content + `{{end}}`
	}
	for name, tt := range map[string]struct {
		c    httpapi.Config
		says string // which option, and what to do
	}{
		"no gate":                     {httpapi.Config{Users: db}, "Config.Gate"},
		"no users":                    {httpapi.Config{Gate: gate}, "Config.Users"},
		"a nil pointer as users":      {httpapi.Config{Gate: gate, Users: (*memory.Store)(nil)}, "Config.Users"},
		"a link that is taken":        {httpapi.Config{Gate: gate, Users: db, Links: map[string]string{"me": "/me/"}}, "Config.Links"},
		"a link to elsewhere":         {httpapi.Config{Gate: gate, Users: db, Links: map[string]string{"jobs": "jobs/"}}, "Config.Links"},
		"a link without a name":       {httpapi.Config{Gate: gate, Users: db, Links: map[string]string{"": "/jobs/"}}, "Config.Links"},
		"applications without tokens": {httpapi.Config{Gate: gate, Users: db, OAuth: plain}, "Config.Tokens"},
		"applications with others":    {httpapi.Config{Gate: gate, Users: db, Tokens: others, OAuth: plain}, "Config.Tokens"},
		"devices without a session":   {httpapi.Config{Gate: gate, Users: db, Tokens: tokens, OAuth: devices}, "Config.Session"},
		"passwords without a session": {httpapi.Config{Gate: gate, Users: db, Passwords: passwords}, "Config.Session"},
		"a session without a login":   {httpapi.Config{Gate: gate, Users: db, Session: session}, "Config.Passwords, for /api/login/, or Config.LoginPage"},
		"a gate without the session":  {httpapi.Config{Gate: bearers, Users: db, Session: session, Passwords: passwords}, "Config.Gate does not ask Config.Session"},
		"a gate with another session": {httpapi.Config{Gate: gate, Users: db, Session: another, Passwords: passwords}, "Config.Gate does not ask Config.Session"},
		"two gateways":                {httpapi.Config{Gate: gate, Users: db, GatewayPaths: true, Platform: true}, "Config.GatewayPaths and Platform"},
		"a login page elsewhere":      {httpapi.Config{Gate: gate, Users: db, Session: session, LoginPage: "https://sso.example/"}, "Config.LoginPage"},
		"a login page of a host":      {httpapi.Config{Gate: gate, Users: db, Session: session, LoginPage: "//sso.example/"}, "Config.LoginPage"},
		"a login page with a target":  {httpapi.Config{Gate: gate, Users: db, Session: session, LoginPage: "/sso#login"}, "Config.LoginPage"},
		"a login page alone":          {httpapi.Config{Gate: gate, Users: db, LoginPage: "/sso/"}, "Config.Session"},

		"a malformed page":             {page("login.html", "{{"), "login.html"},
		"a misspelt file":              {page("login.htm", main("x")), `"login.htm"; the files of pages are account.html, application.html, application_form.html, application_new.html, applications.html, confirm.html, connections.html, consent.html, device.html, layout.html, login.html, message.html, password.html, profile.html, schema.html, secret.html, sessions.html, style.css, token.html, token_new.html, tokens.html`},
		"files in a folder":            {page("pages/login.html", main("x")), `"pages"`},
		"another case":                 {page("Login.html", main("x")), `"Login.html"`},
		"a misspelt field":             {page("login.html", main("{{.UserName}}")), "UserName"},
		"one that is shown seldom":     {page("login.html", main("{{if .Error}}{{.Eror}}{{end}}")), "Eror"},
		"one in a list":                {page("consent.html", main("{{range .Resources}}{{.URI}}{{end}}")), "URI"},
		"one behind a condition":       {page("device.html", main("{{if .Application}}{{.Organisation}}{{end}}")), "Organisation"},
		"one of another page":          {page("message.html", main("{{.Next}}")), "Next"},
		"one in the frame":             {page("layout.html", "{{.Language}}"), "Language"},
		"a misspelt part":              {page("login.html", `{{define "titel"}}{{end}}{{define "main"}}{{end}}`), "title"},
		"a page that fails":            {page("message.html", main("{{index .Title 99}}")), "message.html"},
		"a function that is not there": {page("login.html", main("{{upper .Username}}")), "upper"},
		"consent without its fields":   {page("consent.html", main(`<form>{{.User}}<button name="allow">`)), ".Parameters"},
		"devices without their fields": {page("device.html", main(`<form>{{.UserCode}}<input name="user_code" value="{{.UserCode}}">`)), ".Parameters"},
		"a folder that is not there":   {httpapi.Config{Gate: gate, Users: db, Pages: os.DirFS(filepath.Join(t.TempDir(), "pages"))}, "Config.Pages"},
	} {
		if _, err := httpapi.New(tt.c); err == nil || !strings.HasPrefix(err.Error(), "httpapi: ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tt.says)
		}
	}
	type hosts struct{ auth.Authenticator }
	for name, c := range map[string]httpapi.Config{
		"a session behind a type of the host's": {Gate: auth.NewGate(hosts{session}, nil), Users: db, Session: session, Passwords: passwords},
		"a session deep in the chain":           {Gate: auth.NewGate(auth.FirstOf(auth.FirstOf(bearer, auth.FirstOf(session)), bearer), nil), Users: db, Session: session, Passwords: passwords},
		"a login of the host's":                 {Gate: gate, Users: db, Session: session, LoginPage: "/sso/?to=api"},
		"both logins":                           {Gate: gate, Users: db, Session: session, Passwords: passwords, LoginPage: "/sso/"},
		"files that hide":                       page(".gitkeep", ""),
		"a style":                               page("style.css", "h1 {}"),
	} {
		if _, err := httpapi.New(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLoginPageOfTheHost checks redirects to the host's own login page.
func TestLoginPageOfTheHost(t *testing.T) {
	o := newOAuth(t)
	for page, want := range map[string]string{"/sso/": "/sso/?next=", "/sso/?to=api": "/sso/?to=api&next="} {
		api := auth.Must(httpapi.New(httpapi.Config{
			Gate: o.gate, Users: o.db, Session: o.session, LoginPage: page, Tokens: o.tokens, OAuth: o.server,
		}))
		o.document.Store(nil)
		o.handler = o.session.Handler(api)
		target := authorizeURL(o.cc, callback)
		if got := o.do("GET", target).wants(302).header.Get("Location"); got != want+url.QueryEscape(target) {
			t.Errorf("sent to %s", got)
		}
		o.do("GET", "/api/login/").wants(404)
		if got := o.do("GET", "/api/").wants(200).json()["login_redirect_override"]; got != page {
			t.Errorf("login_redirect_override is %v", got)
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
