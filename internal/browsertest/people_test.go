package browsertest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

const (
	allow = "button[name=allow]"
	deny  = ".secondary"
)

func click(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	shown(t, ctx, selector)
	run(t, ctx, chromedp.Click(selector, chromedp.ByQuery))
}

// loginAt logs in with the page and waits until that is done.
func (s *site) loginAt(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	visit(t, ctx, s.url+"/api/login/?next=/home/")
	run(t, ctx, page.BringToFront())
	login(t, ctx, name, password)
	wantAt(t, ctx, s.url+"/home/")
}

// TestHostNames uses every page with a form on loopback addresses and, over plain
// HTTP, at a host name, where browsers send no Sec-Fetch-Site and the origin of a
// form decides. Behind a form wait redirects to the client, at another origin.
func TestHostNames(t *testing.T) { // C1, C2
	for name, s := range map[string]*site{
		"loopback": start(t), "plain HTTP at a host name": startAt(t, "awx.lan", "client.lan"),
	} {
		t.Run(name, func(t *testing.T) {
			ask, skip := s.register(t, "asks", false), s.register(t, "skips", true)
			ctx := browser(t)
			strict(t, ctx)

			// Logged out, with an application that nobody is asked about.
			visit(t, ctx, s.request(skip))
			wantAt(t, ctx, s.url+"/api/login/")
			login(t, ctx, user, "wrong")
			shown(t, ctx, "#error")
			run(t, ctx, chromedp.SendKeys("#password", password+"\r", chromedp.ByQuery))
			if got := s.owner(t, ctx, skip); got != user {
				t.Errorf("the code is good for %q", got)
			}
			// Logged in, with one that asks.
			visit(t, ctx, s.request(ask))
			click(t, ctx, allow)
			if got := s.owner(t, ctx, ask); got != user {
				t.Errorf("the code is good for %q", got)
			}
			visit(t, ctx, s.request(ask))
			click(t, ctx, deny)
			wantAt(t, ctx, s.client+"/cb?error=access_denied")
			// Logged out by a link, and in again by the page behind it.
			s.page = `<a id="out" href="/api/logout/?next=/api/login/">log out</a>`
			visit(t, ctx, s.url+"/page/")
			click(t, ctx, "#out")
			wantAt(t, ctx, s.url+"/api/login/")
			if got := s.me(t, ctx); got != "" {
				t.Errorf("logged in as %q", got)
			}
			visit(t, ctx, s.request(ask))
			login(t, ctx, other, password)
			click(t, ctx, allow)
			if got := s.owner(t, ctx, ask); got != other {
				t.Errorf("the code is good for %q", got)
			}
		})
	}
}

// TestTwoTabs has one browser with two users: the last login counts in both tabs,
// but not for a page that was shown before.
func TestTwoTabs(t *testing.T) {
	s := start(t)
	app := s.register(t, "asks", false)
	first := browser(t)
	s.loginAt(t, first, user)
	second, cancel := chromedp.NewContext(first) // of the browser that runs now
	defer cancel()
	visit(t, first, s.request(app))
	shown(t, first, allow)
	s.loginAt(t, second, other)
	click(t, first, allow)
	shown(t, first, "#error")
	_, text := wantAt(t, first, s.url+"/api/o/authorize/")
	shoot(t, first, "consent-again")
	if !contains(text, "logged in as bob", "another user") {
		t.Errorf("the page says %q", text)
	}
	click(t, first, allow)
	if got := s.owner(t, first, app); got != other {
		t.Errorf("the code is good for %q", got)
	}

	// A login page that was opened before still logs in.
	visit(t, first, s.url+"/api/login/?next=/home/")
	s.loginAt(t, second, other)
	run(t, first, page.BringToFront()) // only that tab has the keyboard
	login(t, first, user, password)
	wantAt(t, first, s.url+"/home/")
	if got := s.me(t, second); got != user {
		t.Errorf("logged in as %q", got)
	}

	// The session ends while a page is open.
	visit(t, first, s.request(app))
	shown(t, first, allow)
	visit(t, second, s.url+"/api/logout/")
	click(t, first, allow)
	wantAt(t, first, s.url+"/api/login/")
	run(t, first, page.BringToFront())
	login(t, first, user, password)
	wantAt(t, first, s.url+"/api/o/authorize/")
	click(t, first, allow)
	if got := s.owner(t, first, app); got != user {
		t.Errorf("the code is good for %q", got)
	}
}

// TestLoadedAhead has a page of this origin load the addresses that act by GET, in
// every way but a click.
func TestLoadedAhead(t *testing.T) { // C3
	s := start(t)
	skip := s.register(t, "skips", true)
	ctx := browser(t)
	s.loginAt(t, ctx, user)
	for _, target := range []string{s.url + "/api/logout/", s.request(skip)} {
		s.page = `<link rel="prefetch" href="` + target + `">
<img src="` + target + `"><iframe src="` + target + `"></iframe><object data="` + target + `"></object>
<script type="speculationrules">{"prerender": [{"source": "list", "urls": ["` + target + `"]}], "prefetch": [{"source": "list", "urls": ["` + target + `"]}]}</script>
<script>Promise.allSettled([fetch("` + target + `"), fetch("` + target + `", {mode: "no-cors"}), new Promise(done => setTimeout(done, 500))]).then(() => document.title = "tried")</script>`
		visit(t, ctx, s.url+"/page/")
		until(t, ctx, `document.title === "tried"`)
		if got := s.me(t, ctx); got != user {
			t.Fatalf("logged in as %q after %s", got, target)
		}
	}
	s.page = `<a id="out" href="/api/logout/?next=/home/">log out</a>`
	visit(t, ctx, s.url+"/page/")
	click(t, ctx, "#out")
	wantAt(t, ctx, s.url+"/home/")
	if got := s.me(t, ctx); got != "" {
		t.Errorf("logged in as %q after a click", got)
	}
}

// TestBackAfterLogout goes back to what only a user who is logged in may see.
func TestBackAfterLogout(t *testing.T) {
	s := start(t)
	app := s.register(t, "asks", false)
	ctx := browser(t)
	s.loginAt(t, ctx, user)
	for _, private := range []string{s.request(app), s.url + "/api/v2/me/", s.url + "/api/account/"} {
		if _, text := visit(t, ctx, private); !contains(text, user) {
			t.Fatalf("%s shows %q", private, text)
		}
		visit(t, ctx, s.url+"/api/logout/?next=/home/")
		wantAt(t, ctx, s.url+"/home/")
		back(t, ctx)
		until(t, ctx, `location.pathname !== "/home/"`)
		if _, text := wantAt(t, ctx, s.url); contains(text, user) {
			t.Errorf("back at %s the page shows %q", private, text)
		}
		s.loginAt(t, ctx, user)
	}
}

// back goes back in the history.
func back(t *testing.T, ctx context.Context) {
	t.Helper()
	run(t, ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		at, entries, err := page.GetNavigationHistory().Do(ctx)
		if err != nil {
			return err
		}
		return page.NavigateToHistoryEntry(entries[at-1].ID).Do(ctx)
	}))
}

// TestSentTwice clicks on every button twice before the answer is there.
func TestSentTwice(t *testing.T) {
	s := start(t)
	app := s.register(t, "asks", false)
	ctx := browser(t)
	twice := func(selector string) {
		t.Helper()
		shown(t, ctx, selector)
		run(t, ctx, chromedp.Evaluate(`{ const b = document.querySelector(`+"`"+selector+"`"+`); b.click(); setTimeout(() => b.click(), 30); 0 }`, nil))
	}
	visit(t, ctx, s.url+"/api/login/?next=/home/")
	run(t, ctx, chromedp.SendKeys("#username", user, chromedp.ByQuery), chromedp.SendKeys("#password", password, chromedp.ByQuery))
	twice("button")
	wantAt(t, ctx, s.url+"/home/")
	if got := s.me(t, ctx); got != user {
		t.Errorf("logged in as %q", got)
	}
	visit(t, ctx, s.request(app))
	twice(allow)
	if got := s.owner(t, ctx, app); got != user {
		t.Errorf("the code is good for %q", got)
	}
	visit(t, ctx, s.url+"/api/account/tokens/new/")
	run(t, ctx, chromedp.SendKeys("#description", "clicked twice", chromedp.ByQuery))
	twice("form.stack button")
	until(t, ctx, `["Token created", "clicked twice"].includes(document.querySelector("h1").innerText)`)
	visit(t, ctx, s.url+"/api/account/tokens/")
	var tokens int
	run(t, ctx, chromedp.Evaluate(`document.querySelectorAll(".list li").length`, &tokens))
	if tokens != 1 {
		t.Errorf("%d tokens", tokens)
	}
	_, device := s.startDevice(t)
	visit(t, ctx, s.url+"/api/o/device/?user_code="+device.UserCode)
	click(t, ctx, "button")
	twice(allow)
	until(t, ctx, `document.querySelector("button") === null`)
	if _, text := wantAt(t, ctx, s.url); !contains(text, "Device connected") {
		t.Errorf("the page says %q", text)
	}
}

// startDevice starts a device that asks for everything that the page shows.
func (s *site) startDevice(t *testing.T) (oauth.IssuedApplication, oauth.DeviceAuthorization) {
	t.Helper()
	app, err := s.server.CreateApplication(t.Context(), s.root, oauth.ApplicationRequest{
		Name: "Television", OrganizationID: 1, ClientType: oauth.ClientPublic, GrantType: oauth.GrantDeviceCode,
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := auth.ScopeRead
	device, err := s.server.StartDevice(t.Context(), app.Application, scope, []string{"https://api.example/"})
	if err != nil {
		t.Fatal(err)
	}
	return app, device
}

// TestDeadCookie opens pages with the cookie of a session that has ended: a public
// one is as for anybody, one for users leads to the login and back.
func TestDeadCookie(t *testing.T) { // C6
	s := start(t)
	app := s.register(t, "asks", false)
	ctx := browser(t)
	for _, public := range []string{"/api/", "/api/login/", "/home/"} {
		s.loginAt(t, ctx, user)
		if _, err := s.session.End(t.Context(), store.SessionSelection{All: true}); err != nil {
			t.Fatal(err)
		}
		if _, text := visit(t, ctx, s.url+public); contains(text, "not provided") {
			t.Errorf("%s shows %q", public, text)
		}
	}
	s.loginAt(t, ctx, user)
	if _, err := s.session.End(t.Context(), store.SessionSelection{All: true}); err != nil {
		t.Fatal(err)
	}
	visit(t, ctx, s.request(app))
	wantAt(t, ctx, s.url+"/api/login/")
	login(t, ctx, user, password)
	click(t, ctx, allow)
	if got := s.owner(t, ctx, app); got != user {
		t.Errorf("the code is good for %q", got)
	}
}

// A page beside the service, at another origin of the same site, logs nobody out by
// loading the logout as a picture, a script or a frame. Over plain HTTP the cookie
// goes along, and the browser says little.
func TestPagesBesideLogNobodyOut(t *testing.T) {
	s := startAt(t, "awx.lan", "beside.awx.lan")
	ctx := browser(t)
	visit(t, ctx, s.url+"/api/login/")
	login(t, ctx, user, password)
	until(t, ctx, `!location.pathname.startsWith("/api/login/")`)
	for name, script := range map[string]string{
		"a picture":       `let e = new Image(); e.onload = e.onerror = window.done; e.src = %q`,
		"a script":        `let e = document.createElement("script"); e.onload = e.onerror = window.done; e.src = %q; document.body.append(e)`,
		"a frame":         `let e = document.createElement("iframe"); e.onload = window.done; e.src = %q; document.body.append(e)`,
		"fetch()":         `fetch(%q, {mode: "no-cors", credentials: "include"}).finally(window.done)`,
		"a quiet fetch()": `fetch(%q, {mode: "no-cors", credentials: "include", referrerPolicy: "no-referrer"}).finally(window.done)`,
	} {
		visit(t, ctx, s.client+"/cb")
		run(t, ctx, chromedp.Evaluate(fmt.Sprintf(`window.asked = false; window.done = () => { window.asked = true }; {`+script+`}`, s.url+"/api/logout/"), nil))
		until(t, ctx, `window.asked`)
		if got := s.me(t, ctx); got != user {
			t.Fatalf("%s: logged out", name)
		}
	}
	// A link there asks first, too: the click is on a page of somebody else.
	visit(t, ctx, s.client+"/cb")
	run(t, ctx, chromedp.Evaluate(fmt.Sprintf(`location.href = %q`, s.url+"/api/logout/"), nil))
	wantAt(t, ctx, s.url)
	if got := s.me(t, ctx); got != user {
		t.Error("a link of another origin logged out")
	}
	// The own address bar does.
	visit(t, ctx, s.url+"/api/logout/")
	if got := s.me(t, ctx); got != "" {
		t.Errorf("still %s after a logout", got)
	}
}
