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
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

const (
	user     = "alice"
	password = "a long enough password"
)

// A site is the API behind a server that a browser can reach.
type site struct {
	url     string
	tokens  *auth.Tokens
	apps    *auth.Applications
	devices *auth.Devices
	root    *auth.Principal
}

func start(t *testing.T) *site {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	authtest.AddUser(t, db, store.User{Name: user}, password)
	root := authtest.AddUser(t, db, store.User{Name: "root", Admin: true}, "")

	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	s := &site{
		url:    srv.URL,
		tokens: auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet, Issuer: srv.URL})),
		root:   &auth.Principal{ID: root.ID, Admin: true, Scopes: auth.Unrestricted},
	}
	s.apps = auth.Must(auth.NewApplications(s.tokens, db, nil))
	s.devices = auth.Must(auth.NewDevices(s.tokens, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(s.tokens), session), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: s.tokens, Applications: s.apps, Devices: s.devices,
	}))
	mux.Handle("/api/", session.Handler(api))
	mux.HandleFunc("/home/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>home</title>home") })
	mux.HandleFunc("/cb", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<title>client</title>back at the client") })
	return s
}

// browser starts a browser with an empty profile. It fails the test on every
// message of a script.
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
		chromedp.WindowSize(720, 640),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(tab, time.Minute)
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
	for range 500 {
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

func TestLoginAndLogout(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	run(t, ctx, chromedp.Navigate(s.url+"/api/login/?next=/home/"))
	shoot(t, ctx, "login")
	accessible(t, ctx)
	login(t, ctx, user, "wrong")
	shown(t, ctx, "#error")
	_, text := wantAt(t, ctx, s.url+"/api/login/")
	if !strings.Contains(text, "Incorrect user name or password.") {
		t.Errorf("the page says %q", text)
	}
	var name, focus, background string
	run(t, ctx,
		chromedp.Value("#username", &name),
		chromedp.Evaluate(`document.activeElement.id`, &focus),
		chromedp.Evaluate(`getComputedStyle(document.querySelector("button")).backgroundColor`, &background))
	if name != user || focus != "password" || background == "rgba(0, 0, 0, 0)" {
		t.Errorf("name %q is kept, focus is in %q, the button is %s: is the style blocked?", name, focus, background)
	}
	shoot(t, ctx, "login-error")
	accessible(t, ctx)

	run(t, ctx, chromedp.KeyEvent(password), chromedp.KeyEvent(kb.Enter))
	wantAt(t, ctx, s.url+"/home/")
	if _, text := visit(t, ctx, s.url+"/api/v2/me/"); !strings.Contains(text, `"username":"alice"`) {
		t.Errorf("me: %s", text)
	}
	visit(t, ctx, s.url+"/api/logout/")
	if _, text := visit(t, ctx, s.url+"/api/v2/me/"); !strings.Contains(text, "not provided") {
		t.Errorf("me after the logout: %s", text)
	}
}

func visit(t *testing.T, ctx context.Context, link string) (location, text string) {
	t.Helper()
	run(t, ctx, chromedp.Navigate(link))
	return wantAt(t, ctx, "http")
}

// TestOtherSites lets a page of another site try what the visitor would not want.
func TestOtherSites(t *testing.T) {
	s := start(t)
	page := ""
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	}))
	t.Cleanup(evil.Close)
	elsewhere := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)
	ctx := browser(t)
	me := func() string {
		_, text := visit(t, ctx, s.url+"/api/v2/me/")
		return text
	}

	// Log the visitor in as somebody else.
	page = `<form method="post" action="` + s.url + `/api/login/"><input name="username" value="alice"><input name="password" value="` + password + `"></form><script>document.forms[0].submit()</script>`
	visit(t, ctx, elsewhere)
	wantAt(t, ctx, s.url+"/api/login/")
	if text := me(); !strings.Contains(text, "not provided") {
		t.Errorf("another site logged the visitor in: %s", text)
	}

	visit(t, ctx, s.url+"/api/login/?next=/home/")
	login(t, ctx, user, password)
	wantAt(t, ctx, s.url+"/home/")

	// Log the visitor out, by a picture and by a form.
	page = `<img src="` + s.url + `/api/logout/" onerror="document.title='failed'"><form method="post" action="` + s.url + `/api/logout/"></form><script>setTimeout(() => document.forms[0].submit(), 300)</script>`
	visit(t, ctx, elsewhere)
	wantAt(t, ctx, s.url+"/api/logout/")
	if text := me(); !strings.Contains(text, `"username":"alice"`) {
		t.Errorf("another site logged the visitor out: %s", text)
	}

	// Show the login page in a frame. What is in the frame of another site no
	// script can see; the browser says why it is empty.
	refused := make(chan string, 1)
	chromedp.ListenTarget(ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && strings.Contains(e.Entry.Text, "frame-ancestors 'none'") {
			select {
			case refused <- e.Entry.Text:
			default:
			}
		}
	})
	page = `<iframe src="` + s.url + `/api/login/"></iframe>`
	visit(t, ctx, elsewhere)
	select {
	case <-refused:
	case <-time.After(10 * time.Second):
		t.Error("the page can be framed")
	}
}

func TestConsent(t *testing.T) {
	s := start(t)
	app, err := s.apps.Create(t.Context(), s.root, auth.ApplicationRequest{
		Name: "Night <b>Reports</b>", OrganizationID: 1, ClientType: auth.ClientPublic,
		GrantType: auth.GrantAuthorizationCode, RedirectURIs: []string{"http://127.0.0.1/cb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	request := s.url + "/api/o/authorize/?" + url.Values{
		"response_type": {"code"}, "client_id": {app.ClientID}, "redirect_uri": {s.url + "/cb"}, "scope": {"read write"}, "state": {`a "state" & more`},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode()
	ctx := browser(t)
	strict(t, ctx)
	for _, tt := range []struct{ button, want string }{{".secondary", "error=access_denied"}, {"button[name=allow]", "code="}} {
		if location, _ := visit(t, ctx, request); strings.Contains(location, "/api/login/") {
			login(t, ctx, user, password)
		}
		_, text := wantAt(t, ctx, s.url+"/api/o/authorize/")
		for _, part := range []string{"Night <b>Reports</b>", user, "change"} {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in the page:\n%s", part, text)
			}
		}
		shoot(t, ctx, "consent")
		accessible(t, ctx)
		run(t, ctx, chromedp.Click(tt.button, chromedp.ByQuery))
		location, _ := wantAt(t, ctx, s.url+"/cb?")
		u, err := url.Parse(location)
		if err != nil || !strings.Contains(location, tt.want) || u.Query().Get("state") != `a "state" & more` || u.Query().Get("iss") != s.url {
			t.Errorf("called back at %s", location)
		}
	}
}

func TestDevice(t *testing.T) {
	s := start(t)
	app, err := s.apps.Create(t.Context(), s.root, auth.ApplicationRequest{
		Name: "Television", OrganizationID: 1, ClientType: auth.ClientPublic, GrantType: auth.GrantDeviceCode,
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := auth.ScopeRead
	device, err := s.devices.Start(t.Context(), app.Application, &scope, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	strict(t, ctx)
	visit(t, ctx, s.url+"/api/o/device/")
	login(t, ctx, user, password)
	wantAt(t, ctx, s.url+"/api/o/device/")
	shown(t, ctx, "#user_code")
	run(t, ctx, chromedp.KeyEvent("wrong"), chromedp.KeyEvent(kb.Enter))
	shown(t, ctx, "#error")
	shoot(t, ctx, "device-error")
	accessible(t, ctx)
	run(t, ctx, chromedp.Evaluate(`document.getElementById("user_code").select()`, nil), chromedp.KeyEvent(strings.ToLower(device.UserCode)), chromedp.KeyEvent(kb.Enter))
	shown(t, ctx, "button[name=allow]")
	if _, text := wantAt(t, ctx, s.url); !strings.Contains(text, "Television") || !strings.Contains(text, device.UserCode) {
		t.Errorf("the page says %q", text)
	}
	shoot(t, ctx, "device")
	accessible(t, ctx)
	run(t, ctx, chromedp.Click("button[name=allow]", chromedp.ByQuery))
	until(t, ctx, `document.querySelector("button") === null`)
	if _, text := wantAt(t, ctx, s.url); !strings.Contains(text, "Device connected") {
		t.Errorf("the page says %q", text)
	}
	shoot(t, ctx, "device-done")
	if _, err := s.devices.Exchange(t.Context(), app.Application, device.DeviceCode.Reveal()); err != nil {
		t.Error(err)
	}
}
