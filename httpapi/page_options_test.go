package httpapi_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

func TestPageOptionsRefused(t *testing.T) {
	o := newOAuth(t)
	with := func(look httpapi.PageOptions, file, content string) error {
		c := httpapi.Config{
			Gate: o.gate, Users: o.db, Passwords: o.passwords, Session: o.session, Tokens: o.tokens, OAuth: o.server,
			Accounts: o.accounts, Account: true, PageOptions: look,
		}
		if file != "" {
			c.Pages = fstest.MapFS{file: {Data: []byte(content)}}
		}
		_, err := httpapi.New(c)
		return err
	}
	main := func(content string) string {
		return `{{define "title"}}t{{end}}{{define "main"}}` + content + `<input type="hidden" name="shown" value="{{.Shown}}">{{end}}`
	}
	for name, tt := range map[string]struct {
		look          httpapi.PageOptions
		file, content string
		says          string
	}{
		"a long product":           {httpapi.PageOptions{Product: strings.Repeat("x", 61)}, "", "", "Product"},
		"a product of other bytes": {httpapi.PageOptions{Product: "a\xff"}, "", "", "Product"},
		"a logo elsewhere":         {httpapi.PageOptions{Product: "x", Logo: "https://cdn.example/logo.svg"}, "", "", "Logo"},
		"a logo of a host":         {httpapi.PageOptions{Product: "x", Logo: "//cdn.example/logo.svg"}, "", "", "Logo"},
		"a logo without a name":    {httpapi.PageOptions{Logo: "/logo.svg"}, "", "", "Product"},
		"no language":              {httpapi.PageOptions{Language: `"><script>`}, "", "", "Language"},
		"a language with a blank":  {httpapi.PageOptions{Language: "de DE"}, "", "", "Language"},
		"an unknown text":          {httpapi.PageOptions{Texts: map[string]string{"Log inn": "Anmelden"}}, "", "", `"Log inn"`},
		"a text without its name":  {httpapi.PageOptions{Texts: map[string]string{"Token %s": "Marke"}}, "", "", `"Marke"`},
		"a text with two names":    {httpapi.PageOptions{Texts: map[string]string{"Token %s": "Marke %s %s"}}, "", "", `"Marke`},
		"a misspelt field":         {httpapi.PageOptions{}, "profile.html", main("{{.Mail}}"), "Mail"},
		"a misspelt form field":    {httpapi.PageOptions{}, "profile.html", main(`{{.Problem "mail"}}`), "mail"},
		"a misspelt description":   {httpapi.PageOptions{}, "profile.html", main(`<input {{.Describe "mail"}}>`), "mail"},
		"one in a list":            {httpapi.PageOptions{}, "tokens.html", main("{{range .Tokens}}{{.Title}}{{end}}"), "Title"},
		"one in the frame":         {httpapi.PageOptions{}, "account.html", `{{define "body"}}{{.Visitor}}{{end}}`, "Visitor"},
		"one in the parts":         {httpapi.PageOptions{}, "application_form.html", `{{define "about"}}{{.Title}}{{end}}{{define "redirects"}}{{end}}`, "Title"},
		"a form without its user":  {httpapi.PageOptions{}, "password.html", `{{define "title"}}t{{end}}{{define "main"}}{{end}}`, "password.html"},
		"no secret":                {httpapi.PageOptions{}, "secret.html", main(""), "secret.html"},
		"no session to end":        {httpapi.PageOptions{}, "sessions.html", main(""), "sessions.html"},
	} {
		if err := with(tt.look, tt.file, tt.content); err == nil || !strings.HasPrefix(err.Error(), "httpapi: ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tt.says)
		}
	}
	if err := with(httpapi.PageOptions{}, "profile.html", main("{{.User}}")); err != nil {
		t.Error(err)
	}
	_, err := httpapi.New(httpapi.Config{Gate: auth.NewGate(auth.NewBearer(o.tokens), nil), Users: o.db, Tokens: o.tokens, Account: true})
	if err == nil || !strings.Contains(err.Error(), "Config.Account needs Config.Session") {
		t.Errorf("pages without a session: %v", err)
	}
}

// TestPageTexts has every text of the pages replaced, and looks for one that is
// still English.
func TestPageTexts(t *testing.T) {
	texts := make(map[string]string)
	for _, text := range httpapi.PageTexts() {
		texts[text] = "<" + strings.Map(func(r rune) rune {
			if r < 0x80 && r != 's' && r >= 'a' && r <= 'z' {
				return 'x'
			}
			return r
		}, text) + ">"
	}
	delete(texts, "%s to %s of %s")
	texts["%s to %s of %s"] = "%[3]s: %[1]s-%[2]s"
	s := newPages(t, httpapi.PageOptions{Product: "Pro<duct", Logo: "/logo.svg", Language: "de-CH", Texts: texts})
	s.pair()
	s.token(s.alice, "write")
	english := []string{"Access", "token", "Revoke", "Create", "Profile", "Log out", "Used", "used", "Expires", "the ", " you"}
	for _, path := range slices.Sorted(maps.Keys(accountForms)) {
		r := s.as("admin").get(path)
		if strings.HasPrefix(path, "tokens/") || path == "connections/3/" {
			r = s.get(path)
		}
		text := r.text()
		for _, word := range english {
			if strings.Contains(text, word) {
				t.Errorf("%s still says %q:\n%s", path, word, text)
			}
		}
		for _, want := range []string{`<html lang="de-CH">`, `<img src="/logo.svg" alt="Pro&lt;duct">`, "· Pro&lt;duct</title>"} {
			if !strings.Contains(r.body, want) {
				t.Errorf("%s lacks %s:\n%s", path, want, r.body)
			}
		}
		if csp := r.header.Get("Content-Security-Policy"); !strings.Contains(csp, "img-src 'self';") {
			t.Errorf("policy %s", csp)
		}
	}
}

// Refusals of the library are said in the language of the pages, with what differs.
func TestRefusalsInAnotherLanguage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{Language: "de", Texts: map[string]string{
		"Must have at least %s characters.":                  "Braucht mindestens %s Zeichen.",
		"Not the current password.":                          "Das ist nicht das jetzige Passwort.",
		"Enter a valid email address.":                       "Das ist keine E-Mail-Adresse.",
		"Control characters are not allowed.":                "Steuerzeichen sind nicht erlaubt.",
		"Must not be later than %s.":                         "Spätestens %s.",
		"The name must not begin or end with a blank.":       "Der Name darf nicht mit Leerzeichen beginnen oder enden.",
		"Redirect URIs must not contain fragments":           "Umleitungen dürfen keine Fragmente haben",
		"Unauthorized redirect scheme: %s":                   "Unerlaubtes Schema: %s",
		"An application of the organization has this name.":  "Die Organisation hat schon eine Anwendung dieses Namens.",
		"Incorrect user name or password.":                   "Falscher Name oder falsches Passwort.",
		"You do not have permission to perform this action.": "Das dürfen Sie nicht.",
		"Not found.": "Das gibt es nicht.",
	}})
	admin := s.as("admin")
	app := []string{"description", "", "organization", "1", "client_type", "confidential", "authorization_grant_type", "authorization-code"}
	for _, tt := range []struct {
		reply reply
		says  string
	}{
		{s.send("password/", "current_password", "alice-pw", "password", "short", "password_again", "short"), "Braucht mindestens 15 Zeichen."},
		{s.send("", "first_name", "", "last_name", "", "email", "nowhere"), "Das ist keine E-Mail-Adresse."},
		{s.send("", "first_name", "a\u0085b", "last_name", "", "email", ""), "Steuerzeichen sind nicht erlaubt."},
		{admin.send("applications/new/", append(app, "name", "x", "redirect_uris", "https://a.example/#f")...), "Umleitungen dürfen keine Fragmente haben"},
		{admin.send("applications/new/", append(app, "name", "x", "redirect_uris", "javascript:alert(1)")...), "Unerlaubtes Schema: javascript"},
		{s.do("POST", "/api/login/", browser, form("username", "alice", "password", "wrong")), "Falscher Name oder falsches Passwort."},
		{s.get("tokens/99999/"), "Das gibt es nicht."},
	} {
		if text := tt.reply.text(); tt.reply.status < 400 || !strings.Contains(text, tt.says) {
			t.Errorf("status %d, which does not say %q:\n%s", tt.reply.status, tt.says, text)
		}
	}
}
