package httpapi_test

import (
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

// The tags of a page, and the values of attributes in a tag.
var (
	tagsOnly   = regexp.MustCompile(`(?s)<[a-z][^>]*>`)
	quotedText = regexp.MustCompile(`(?s)"[^"]*"`)
)

// markupOf returns the tags of a page and their attributes without values, each
// once. A text that is no markup changes none of them.
func (r reply) markupOf() map[string]bool {
	found := make(map[string]bool)
	for _, tag := range tagsOnly.FindAllString(r.body, -1) {
		for _, word := range strings.Fields(quotedText.ReplaceAllString(tag, `""`)) {
			found[word] = true
		}
	}
	return found
}

// hasNoScript checks that no tag is or has anything that runs.
func (r reply) hasNoScript(target string) {
	r.s.t.Helper()
	for word := range r.markupOf() {
		if word == "<img" || word == "<b>" || strings.HasPrefix(word, "<script") || strings.HasPrefix(word, "on") {
			r.s.t.Errorf("%s has %s", target, word)
		}
	}
}

// The names of people, programs and browsers are text on every page.
func TestNamesAreText(t *testing.T) {
	for _, evil := range []string{
		`"><img src=x onerror=alert(1)>`, `' onfocus=alert(1) autofocus='`, `</title></textarea><script>alert(1)</script>`,
		"{{.User}}%s%!s(MISSING)%[9]d", `javascript:alert(1)`, "&lt;script&gt;&#x3c;b&#62;", `\u003cb>`, "`onx=1`",
	} {
		t.Run(evil, func(t *testing.T) {
			s := newPages(t, httpapi.PageOptions{})
			admin := s.as("admin")
			name := func(u store.User, first string) {
				if _, err := s.db.ChangeUser(t.Context(), u.ID, store.UserChange{FirstName: &first, LastName: &first, Email: &first}); err != nil {
					t.Fatal(err)
				}
			}
			admin.session = s.login("admin", "admin-pw", header("User-Agent", "Mozilla/5.0 ("+evil+") "+evil))
			s.login("admin", "admin-pw", header("User-Agent", evil+"/1.0"))
			token := auth.Must(s.tokens.Issue(t.Context(), &auth.Principal{ID: s.admin.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{Description: evil, Scopes: "write"}))
			minted := s.do("POST", "/api/v2/tokens/", bearer(token.AccessToken.Reveal()), object("description", evil)).wants(201).json()["id"].(float64)
			app := s.do("POST", "/api/v2/applications/", as("admin"), object("name", evil, "description", evil, "organization", 1, "client_type", "confidential",
				"authorization_grant_type", "authorization-code", "redirect_uris", callback)).wants(201).json()
			id := strconv.Itoa(int(app["id"].(float64)))
			c := client{name: app["client_id"].(string)}
			targets := []string{
				"/api/account/", "/api/account/sessions/", "/api/account/password/", "/api/account/tokens/", "/api/account/tokens/new/",
				"/api/account/tokens/" + strconv.FormatInt(token.ID, 10) + "/", "/api/account/tokens/" + strconv.FormatInt(token.ID, 10) + "/revoke/",
				"/api/account/tokens/" + strconv.Itoa(int(minted)) + "/", "/api/account/applications/", "/api/account/applications/" + id + "/",
				"/api/account/applications/" + id + "/delete/", "/api/account/applications/new/", authorizeURL(c, callback),
				"/api/account/connections/", "/api/account/connections/" + id + "/", "/api/account/" + url.PathEscape(evil) + "/",
				"/api/account/tokens/" + url.PathEscape(evil) + "/", "/api/login/?next=/" + url.QueryEscape(evil), "/api/account/?done=" + url.QueryEscape(evil),
				"/api/account/tokens/?page=" + url.QueryEscape(evil), "/api/o/device/?user_code=" + url.QueryEscape(evil), "/api/v2/users/?" + url.QueryEscape(evil) + "=1",
			}
			consent := s.do("GET", authorizeURL(c, callback), browser, cookie(admin.session)).wants(200)
			fields := []string{"allow", "Authorize"}
			for _, m := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(consent.body, -1) {
				fields = append(fields, html.UnescapeString(m[1]), html.UnescapeString(m[2]))
			}
			s.do("POST", "/api/o/authorize/", browser, cookie(admin.session), form(fields...)).wants(302)

			harmless := make(map[string]map[string]bool)
			name(s.admin, "x")
			for _, first := range []string{"harmless", evil} {
				name(s.admin, first)
				description, title := first, first
				if _, err := s.tokens.Change(t.Context(), &auth.Principal{ID: s.admin.ID, Admin: true, Scopes: auth.Unrestricted}, token.ID, auth.TokenChange{Description: &description}); err != nil {
					t.Fatal(err)
				}
				s.do("PATCH", "/api/v2/tokens/"+strconv.Itoa(int(minted))+"/", as("admin"), object("description", title)).wants(200)
				s.do("PATCH", "/api/v2/applications/"+id+"/", as("admin"), object("name", title, "description", title)).wants(200)
				for _, target := range targets {
					r := s.do("GET", target, browser, cookie(admin.session))
					if r.status >= 500 {
						t.Errorf("%s: %d", target, r.status)
					}
					if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
						t.Errorf("%s: %d, %s", target, r.status, r.header.Get("Content-Type"))
					}
					r.hasNoScript(target)
					markup := r.markupOf()
					if first == "harmless" {
						harmless[target] = markup
						continue
					}
					for word := range markup {
						if !harmless[target][word] {
							t.Errorf("%s has %s", target, word)
						}
					}
					if strings.Contains(r.body, "%!") && !strings.Contains(evil, "%!") {
						t.Errorf("%s takes a text for a format", target)
					}
				}
			}
			// Forms that are refused show what was typed in.
			for target, pairs := range map[string][]string{
				"":                                 {"first_name", evil + strings.Repeat("x", 151), "last_name", evil, "email", evil + "@ "},
				"tokens/new/":                      {"description", evil, "addresses", evil, "expires", evil, "scope", evil},
				"applications/new/":                {"name", evil, "description", evil, "organization", evil, "client_type", evil, "authorization_grant_type", evil, "redirect_uris", evil},
				"applications/" + id + "/":         {"name", evil, "redirect_uris", evil + " x"},
				"password/":                        {"current_password", evil, "password", evil, "password_again", evil},
				"applications/" + id + "/?x=" + id: {"rotate", evil, "overlap", evil},
			} {
				r := admin.send(target, pairs...)
				if r.status < 400 || r.status >= 500 {
					t.Errorf("a form to %s: %d", target, r.status)
				}
				r.hasNoScript(target)
			}
		})
	}
}
