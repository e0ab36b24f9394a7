package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ostiary/auth/oauth"
)

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
	case <-time.After(5 * time.Minute):
		t.Error("the page can be framed")
	}
}

func TestConsent(t *testing.T) {
	s := start(t)
	app, err := s.server.CreateApplication(t.Context(), s.root, oauth.ApplicationRequest{
		Name: "Night <b>Reports</b>", OrganizationID: 1, ClientType: oauth.ClientPublic,
		GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"http://127.0.0.1/cb"},
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
	app, device := s.startDevice(t)
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
	if _, text := wantAt(t, ctx, s.url); !contains(text, "Television of Default", device.UserCode, user, "read everything that you can read", "https://api.example/", "365 days at most") {
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
	if _, err := s.server.ExchangeDevice(t.Context(), app.Application, device.DeviceCode.Reveal()); err != nil {
		t.Error(err)
	}
}
