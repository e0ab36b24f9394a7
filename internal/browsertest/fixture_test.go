package browsertest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

const (
	user     = "alice"
	other    = "bob"
	password = "a long enough password"
	// A code challenge, and what it is the challenge of (RFC 7636 appendix B).
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// A site is the API behind a server that a browser can reach.
type site struct {
	url     string // of the API and the host's pages
	client  string // of the application, at another origin
	page    string // what /page/ shows, at the API's origin
	tokens  *auth.Tokens
	server  *oauth.Server
	session *auth.Session
	root    *auth.Principal
}

// start serves on loopback addresses, where plain HTTP is as good as TLS for
// browsers.
func start(t *testing.T) *site { return startAt(t, "127.0.0.1", "localhost") }

// startAt serves under the given names of this host and of the client's; see
// browser for names that lead here.
func startAt(t *testing.T, host, client string) *site {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	manager := authtest.AddUser(t, db, store.User{Name: user, FirstName: "Alice", LastName: "Liddell", Email: "alice@example.com"}, password)
	authtest.AddUser(t, db, store.User{Name: other}, password)
	root := authtest.AddUser(t, db, store.User{Name: "root", Admin: true}, "")

	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<title>client</title>back at the client")
	}))
	t.Cleanup(application.Close)
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	s := &site{
		url:    strings.Replace(srv.URL, "127.0.0.1", host, 1),
		client: strings.Replace(application.URL, "127.0.0.1", client, 1),
		tokens: auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{
			Logger: quiet, Resource: "https://api.example/",
			Organizations: auth.Organizations{Of: func(_ context.Context, id string) (m auth.Memberships, err error) {
				if id == manager.ID {
					m.Admin = []int64{1}
				}
				return m, nil
			}},
		})),
		session: session,
		root:    &auth.Principal{ID: root.ID, Admin: true, Scopes: auth.Unrestricted},
	}
	o := oauth.Options{InsecureHTTPRedirects: true, Logger: quiet}
	if host == "127.0.0.1" { // elsewhere an issuer has https
		o.Issuer, o.Devices = s.url, &oauth.DeviceOptions{}
	}
	s.server = auth.Must(oauth.NewServer(s.tokens, db, db, &o))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(s.tokens), session), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: s.tokens, OAuth: s.server,
		Accounts: auth.Must(auth.NewAccounts(db, passwords, &auth.AccountsOptions{Logger: quiet})),
		Account:  true, PageOptions: httpapi.PageOptions{Product: "Ostiary"},
	}))
	mux.Handle("/api/", session.Handler(api))
	mux.HandleFunc("/home/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>home</title>home") })
	mux.HandleFunc("/page/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>page</title>"+s.page) })
	mux.HandleFunc("/cb", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>client</title>back at the client") })
	return s
}

// register adds an application that comes back to the client's origin.
func (s *site) register(t *testing.T, name string, skipConsent bool) oauth.IssuedApplication {
	t.Helper()
	app, err := s.server.CreateApplication(t.Context(), s.root, oauth.ApplicationRequest{
		Name: name, OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantAuthorizationCode,
		RedirectURIs: []string{s.client + "/cb"}, SkipConsent: skipConsent,
	})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// request is the address where app asks for access.
func (s *site) request(app oauth.IssuedApplication) string {
	return s.url + "/api/o/authorize/?" + url.Values{
		"response_type": {"code"}, "client_id": {app.ClientID}, "redirect_uri": {s.client + "/cb"}, "scope": {"read"}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}.Encode()
}

// owner waits until the browser is back at the client, and returns whose access
// the code there is good for.
func (s *site) owner(t *testing.T, ctx context.Context, app oauth.IssuedApplication) string {
	t.Helper()
	location, _ := wantAt(t, ctx, s.client+"/cb?")
	u, err := url.Parse(location)
	if err != nil || u.Query().Get("state") != "s" {
		t.Fatalf("called back at %s", location)
	}
	issued, err := s.server.Exchange(t.Context(), app.Application, oauth.CodeExchange{Code: u.Query().Get("code"), RedirectURI: s.client + "/cb", Verifier: verifier})
	if err != nil {
		t.Fatalf("%s: %v", location, err)
	}
	p, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return p.Name
}

// me returns who the browser is logged in as, "" if nobody is.
func (s *site) me(t *testing.T, ctx context.Context) string {
	t.Helper()
	_, text := visit(t, ctx, s.url+"/api/v2/me/")
	_, name, _ := strings.Cut(text, `"username":"`)
	name, _, _ = strings.Cut(name, `"`)
	return name
}

// browser starts a browser with an empty profile, for which every name below lan
// is this machine. It fails the test on every message of a script.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is missing")
		}
		t.Skip("chromium is missing: install Debian's package to try the pages")
	}
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU,
		chromedp.WindowSize(720, 640), chromedp.WSURLReadTimeout(2 * time.Minute),
		chromedp.Flag("host-resolver-rules", "MAP *.lan 127.0.0.1"),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(tab, 8*time.Minute) // machines are busy; a browser that hangs ends nevertheless
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(ev any) {
		if e, ok := ev.(*runtime.EventConsoleAPICalled); ok {
			t.Errorf("console: %s %v", e.Type, e.Args)
		}
	})
	return ctx
}

// strict fails the test if a page does what its policy forbids.
func strict(t *testing.T, ctx context.Context) {
	t.Helper()
	chromedp.ListenTarget(ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && e.Entry.Source == log.SourceSecurity {
			t.Errorf("%s: %s", e.Entry.URL, e.Entry.Text)
		}
	})
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// until waits for an expression to be true. The page may be on its way to another
// one meanwhile: errors are tried again.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		var ok bool
		if last = chromedp.Run(ctx, chromedp.Evaluate(`document.readyState === "complete" && `+expression, &ok)); last == nil && ok {
			return
		}
		time.Sleep(20 * time.Millisecond) // the browser is another process
	}
	var location, text string
	_ = chromedp.Run(ctx, chromedp.Location(&location), chromedp.Evaluate(`document.body.innerText`, &text))
	t.Fatalf("%s is not true (%v); the browser is at %s:\n%s", expression, last, location, text)
}

// shown waits for an element.
func shown(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	until(t, ctx, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
}

// wantAt waits until the browser is where it should be, and returns the address
// and the text of the page.
func wantAt(t *testing.T, ctx context.Context, prefix string) (location, text string) {
	t.Helper()
	until(t, ctx, fmt.Sprintf(`location.href.startsWith(%q)`, prefix))
	run(t, ctx, chromedp.Location(&location), chromedp.Evaluate(`document.body.innerText`, &text))
	return location, text
}

// login fills the form in with the keyboard alone: the cursor is in the first
// field.
func login(t *testing.T, ctx context.Context, name, password string) {
	t.Helper()
	shown(t, ctx, "#password")
	run(t, ctx, chromedp.KeyEvent(name), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter))
}

// shoot keeps pictures of the page in both colour schemes, if asked to.
func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		var png []byte
		run(t, ctx,
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
			chromedp.CaptureScreenshot(&png))
		if err := os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), png, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// accessible checks what assistive technology needs of a page, and that it loads
// nothing.
func accessible(t *testing.T, ctx context.Context) {
	t.Helper()
	for what, expression := range map[string]string{
		"standards mode":     `document.compatMode === "CSS1Compat"`,
		"a language":         `document.documentElement.lang === "en"`,
		"a title":            `document.title !== ""`,
		"one main part":      `document.querySelectorAll("main").length === 1 && document.querySelectorAll("h1").length === 1`,
		"a label each":       `[...document.querySelectorAll("input:not([type=hidden])")].every(e => e.labels.length === 1)`,
		"unique ids":         `new Set([...document.querySelectorAll("[id]")].map(e => e.id)).size === document.querySelectorAll("[id]").length`,
		"no other resources": `performance.getEntriesByType("resource").length === 0`,
		"no overflow":        `document.documentElement.scrollWidth <= innerWidth`,
	} {
		var ok bool
		run(t, ctx, chromedp.Evaluate(expression, &ok))
		if !ok {
			t.Errorf("the page lacks %s", what)
		}
	}
}

func visit(t *testing.T, ctx context.Context, link string) (location, text string) {
	t.Helper()
	run(t, ctx, chromedp.Navigate(link))
	return wantAt(t, ctx, "http")
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
