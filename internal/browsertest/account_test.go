package browsertest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tabTo presses Tab until an element has the focus.
func tabTo(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	shown(t, ctx, selector)
	for range 80 {
		var there bool
		run(t, ctx, chromedp.Evaluate(fmt.Sprintf(`document.activeElement.matches(%q)`, selector), &there))
		if there {
			return
		}
		run(t, ctx, chromedp.KeyEvent(kb.Tab))
	}
	t.Fatalf("the keyboard does not reach %s", selector)
}

// press goes to a link or a button with the keyboard, presses Enter, and waits for
// the heading of the page that follows.
func press(t *testing.T, ctx context.Context, selector, heading string) {
	t.Helper()
	tabTo(t, ctx, selector)
	// The page that follows may have the heading of this one.
	run(t, ctx, chromedp.Evaluate(`document.documentElement.dataset.left = "1"`, nil), chromedp.KeyEvent(kb.Enter))
	until(t, ctx, `!document.documentElement.dataset.left`)
	headed(t, ctx, heading)
}

func headed(t *testing.T, ctx context.Context, heading string) {
	t.Helper()
	until(t, ctx, fmt.Sprintf(`document.querySelector("h1").innerText === %q`, heading))
}

// fill replaces what a field has, with the keyboard.
func fill(t *testing.T, ctx context.Context, selector, text string) {
	t.Helper()
	tabTo(t, ctx, selector)
	run(t, ctx, chromedp.Evaluate(`document.activeElement.select()`, nil), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(text))
}

func nav(path string) string { return `nav a[href="/api/account/` + path + `"]` }

// copied returns what a person copies who goes to the field with Tab.
func copied(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	run(t, ctx, chromedp.Evaluate(`document.activeElement.blur()`, nil))
	tabTo(t, ctx, selector)
	var text string
	run(t, ctx, chromedp.Evaluate(`getSelection().toString()`, &text))
	return text
}

// whoami returns the name that a token is good for, "" for none.
func (s *site) whoami(t *testing.T, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/v2/me/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, name, _ := strings.Cut(string(b), `"username":"`)
	name, _, _ = strings.Cut(name, `"`)
	return name
}

// enter logs in without a page to go to, and is in the account.
func enter(t *testing.T, ctx context.Context, s *site, name string) {
	t.Helper()
	visit(t, ctx, s.url+"/api/login/")
	login(t, ctx, name, password)
	headed(t, ctx, "Profile")
}

func says(t *testing.T, ctx context.Context, parts ...string) {
	t.Helper()
	var text string
	run(t, ctx, chromedp.Evaluate(`document.body.innerText`, &text))
	if !contains(text, parts...) {
		t.Errorf("the page says %q, want %q", text, parts)
	}
}

// TestOwnTokens has a person create a token, use it, see its last use and revoke
// it, with the keyboard alone and no documentation.
func TestOwnTokens(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	enter(t, ctx, s, user)
	inspect(t, ctx, "profile")
	press(t, ctx, nav("tokens/"), "Access tokens")
	inspect(t, ctx, "tokens-none")
	press(t, ctx, ".empty .button", "Create a token")
	inspect(t, ctx, "token-new")
	fill(t, ctx, "#description", "backup on <b>db1</b>")
	fill(t, ctx, "#addresses", "127.0.0.1 nowhere")
	press(t, ctx, "form.stack button", "Create a token")
	until(t, ctx, `document.activeElement.id === "addresses"`) // the field that is wrong
	says(t, ctx, `"nowhere" is neither an IP address nor a network`)
	inspect(t, ctx, "token-new-error")
	fill(t, ctx, "#addresses", "127.0.0.0/8")
	press(t, ctx, "form.stack button", "Token created")
	inspect(t, ctx, "token-created")
	token := copied(t, ctx, "#token")
	if got := s.whoami(t, token); got != user {
		t.Fatalf("the token %q is good for %q", token, got)
	}

	// To load the answer again makes no other token.
	run(t, ctx, chromedp.ActionFunc(func(ctx context.Context) error { return page.Reload().Do(ctx) }))
	headed(t, ctx, "backup on <b>db1</b>")
	says(t, ctx, "sent twice")
	press(t, ctx, nav("tokens/"), "Access tokens")
	says(t, ctx, "backup on <b>db1</b>", "read", "Last used just now", "Expires in 30 days", "Only from 127.0.0.0/8")
	inspect(t, ctx, "tokens")

	press(t, ctx, ".list h2 a", "backup on <b>db1</b>")
	inspect(t, ctx, "token")
	fill(t, ctx, "#description", "backup")
	press(t, ctx, "form.stack button", "backup")
	says(t, ctx, "The token was changed.")
	press(t, ctx, "button[name=rotate]", "New secret")
	if got := s.whoami(t, token); got != "" {
		t.Error("the old secret is still good")
	}
	if token = copied(t, ctx, "#token"); s.whoami(t, token) != user {
		t.Errorf("the new secret %q is not good", token)
	}
	press(t, ctx, "main .button", "Access tokens")
	press(t, ctx, ".list .danger", "Revoke a token")
	inspect(t, ctx, "token-revoke")
	press(t, ctx, "button.danger", "Access tokens")
	says(t, ctx, "The token was revoked.", "You have no access tokens yet")
	if got := s.whoami(t, token); got != "" {
		t.Error("the token is still good")
	}
}

// TestOwnApplications registers an application, connects to it, withdraws the
// access and deletes it, with the keyboard alone.
func TestOwnApplications(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	enter(t, ctx, s, user)
	press(t, ctx, nav("applications/"), "Your applications")
	inspect(t, ctx, "applications-none")
	press(t, ctx, ".empty .button", "Register an application")
	inspect(t, ctx, "application-new")
	fill(t, ctx, "#name", "Night Reports")
	fill(t, ctx, "#redirect_uris", "nonsense")
	press(t, ctx, "form.stack button", "Register an application")
	until(t, ctx, `document.activeElement.id === "redirect_uris"`)
	inspect(t, ctx, "application-new-error")
	fill(t, ctx, "#redirect_uris", s.client+"/cb")
	press(t, ctx, "form.stack button", "Application created")
	inspect(t, ctx, "application-created")
	id := copied(t, ctx, "#client_id")
	if secret := copied(t, ctx, "#client_secret"); secret == "" || id == "" {
		t.Fatalf("client ID %q, secret %q", id, secret)
	}
	press(t, ctx, "main .button", "Night Reports")
	inspect(t, ctx, "application")
	fill(t, ctx, "#name", "Reports")
	press(t, ctx, "form.stack button", "Reports")
	says(t, ctx, "The application was changed.")
	press(t, ctx, "button[name=rotate]", "New client secret")
	press(t, ctx, "main .button", "Reports")
	press(t, ctx, nav("applications/"), "Your applications")
	inspect(t, ctx, "applications")

	press(t, ctx, `.list li:last-child h2 a`, "Reports")
	press(t, ctx, ".button.danger", "Delete an application")
	inspect(t, ctx, "application-delete")
	press(t, ctx, "button.danger", "Your applications")
	says(t, ctx, "The application was deleted.")
}

// TestConnections withdraws what an application was given, with the keyboard
// alone.
func TestConnections(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	enter(t, ctx, s, user)
	press(t, ctx, nav("connections/"), "Connected applications")
	inspect(t, ctx, "connections-none")
	app := s.register(t, "Daily <i>news</i>", false)
	visit(t, ctx, s.request(app))
	click(t, ctx, allow)
	wantAt(t, ctx, s.client+"/cb?")
	visit(t, ctx, s.url+"/api/account/connections/")
	says(t, ctx, "Daily <i>news</i>", "read everything that you can read", "Never used")
	inspect(t, ctx, "connections")
	press(t, ctx, ".list .danger", "Withdraw access")
	inspect(t, ctx, "connection-withdraw")
	press(t, ctx, "button.danger", "Connected applications")
	says(t, ctx, "The application has no access any more.", "No application has access")
}

// TestOwnProfile changes the profile and the password and ends sessions, with the
// keyboard alone.
func TestOwnProfile(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	enter(t, ctx, s, user)
	inspect(t, ctx, "profile")
	fill(t, ctx, "#first_name", "Alicia")
	fill(t, ctx, "#email", "a@b@c")
	run(t, ctx, chromedp.Evaluate(`document.querySelector("form.stack").noValidate = true`, nil)) // or the browser refuses it first
	press(t, ctx, "form.stack button", "Profile")
	until(t, ctx, `document.activeElement.id === "email"`)
	inspect(t, ctx, "profile-error")
	fill(t, ctx, "#email", "alicia@example.com")
	press(t, ctx, "form.stack button", "Profile")
	says(t, ctx, "Your profile was changed.")
	inspect(t, ctx, "profile-changed")

	elsewhere := browser(t)
	enter(t, elsewhere, s, user)
	press(t, ctx, nav("sessions/"), "Sessions")
	says(t, ctx, "this browser", "Chrome", "From 127.0.0.1")
	inspect(t, ctx, "sessions")
	tabTo(t, ctx, ".list button")
	run(t, ctx, chromedp.KeyEvent(kb.Enter))
	until(t, ctx, `document.body.innerText.includes("The session has ended.")`)
	if got := s.me(t, elsewhere); got != "" {
		t.Errorf("elsewhere still logged in as %q", got)
	}
	enter(t, elsewhere, s, user)

	press(t, ctx, nav("password/"), "Password")
	inspect(t, ctx, "password")
	const next = "another long enough password"
	fill(t, ctx, "#current_password", "guess")
	fill(t, ctx, "#password", next)
	fill(t, ctx, "#password_again", next)
	press(t, ctx, "form.stack button", "Password")
	until(t, ctx, `document.activeElement.id === "current_password"`)
	inspect(t, ctx, "password-error")
	fill(t, ctx, "#current_password", password)
	fill(t, ctx, "#password", next)
	fill(t, ctx, "#password_again", next)
	press(t, ctx, "form.stack button", "Profile")
	says(t, ctx, "Your password was changed. All other sessions have ended.")
	if got := s.me(t, elsewhere); got != "" {
		t.Errorf("elsewhere still logged in as %q", got)
	}
	if got := s.me(t, ctx); got != user {
		t.Errorf("logged in as %q", got)
	}
}

// TestLoggedOut ends the session by the keyboard, and goes back to what only a
// user who is logged in may see.
func TestLoggedOut(t *testing.T) {
	s := start(t)
	ctx := browser(t)
	strict(t, ctx)
	enter(t, ctx, s, user)
	press(t, ctx, nav("tokens/"), "Access tokens")
	press(t, ctx, "header button", "You are logged out")
	inspect(t, ctx, "logged-out")
	back(t, ctx)
	headed(t, ctx, "Log in")
	visit(t, ctx, s.url+"/api/account/logged_out/")
	press(t, ctx, "main .button", "Log in")
	login(t, ctx, user, password)
	headed(t, ctx, "Profile")
	visit(t, ctx, s.url+"/api/nothing/")
	headed(t, ctx, "There is no such page")
	inspect(t, ctx, "missing")
	press(t, ctx, "main .button", "Profile")
}
