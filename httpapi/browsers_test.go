package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// TestLogoutByGET holds that a GET logs out only where it opens a page. What
// browsers load ahead, or into a page, does nothing.
func TestLogoutByGET(t *testing.T) { // C3
	s := newSystem(t)
	firefox, page := header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), header("Accept", "text/html,*/*;q=0.8")
	for name, tt := range map[string]struct {
		method string
		header []with
		ends   bool
	}{
		"no browser":              {"GET", nil, true},
		"a link":                  {"GET", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "document"), header("Sec-Fetch-User", "?1")}, true},
		"a typed address":         {"GET", []with{header("Sec-Fetch-Site", "none"), header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "document")}, true},
		"a prefetch":              {"GET", []with{header("Sec-Purpose", "prefetch")}, false},
		"a prerender":             {"GET", []with{header("Sec-Purpose", "prefetch;prerender"), header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "document")}, false},
		"a prefetch of a proxy":   {"GET", []with{header("Sec-Purpose", "prefetch;anonymous-client-ip")}, false},
		"a prefetch, older":       {"GET", []with{header("Purpose", "prefetch")}, false},
		"a prefetch, Firefox":     {"GET", []with{header("X-Moz", "prefetch")}, false},
		"a preview, Safari":       {"GET", []with{header("X-Purpose", "preview")}, false},
		"a picture":               {"GET", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "no-cors"), header("Sec-Fetch-Dest", "image")}, false},
		"a frame":                 {"GET", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "iframe")}, false},
		"an object":               {"GET", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "object")}, false},
		"fetch()":                 {"GET", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "cors"), header("Sec-Fetch-Dest", "empty")}, false},
		"a script":                {"GET", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "no-cors"), header("Sec-Fetch-Dest", "script")}, false},
		"a style, mode alone":     {"GET", []with{header("Sec-Fetch-Mode", "no-cors")}, false},
		"a WebSocket":             {"GET", []with{header("Sec-Fetch-Mode", "websocket")}, false},
		"two modes":               {"GET", []with{header("Sec-Fetch-Mode", "navigate", "no-cors")}, false},
		"an unknown destination":  {"GET", []with{header("Sec-Fetch-Dest", "Document")}, false},
		"a link of another site":  {"GET", []with{header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Dest", "document")}, false},
		"a script that posts":     {"POST", []with{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "cors"), header("Sec-Fetch-Dest", "empty")}, true},
		"HEAD":                    {"HEAD", nil, false},
		"OPTIONS":                 {"OPTIONS", nil, false},
		"a browser that is quiet": {"GET", []with{header("Accept", "text/html")}, true},

		// Over plain HTTP browsers send none of the fields above.
		"in clear, a link":                 {"GET", []with{firefox, page, header("Upgrade-Insecure-Requests", "1"), header("Referer", "http://app.example/api/account/")}, true},
		"in clear, a typed address":        {"GET", []with{firefox, page, header("Upgrade-Insecure-Requests", "1")}, true},
		"in clear, an old browser":         {"GET", []with{firefox, page}, true},
		"in clear, a picture":              {"GET", []with{firefox, header("Accept", "image/avif,image/webp,*/*;q=0.8")}, false},
		"in clear, fetch()":                {"GET", []with{firefox, header("Accept", "*/*")}, false},
		"in clear, a script":               {"GET", []with{firefox}, false},
		"in clear, a page of another host": {"GET", []with{firefox, page, header("Referer", "https://evil.example/")}, false},
		"in clear, a page beside":          {"GET", []with{firefox, page, header("Referer", "http://sub.app.example/x")}, false},
		"in clear, a page over TLS":        {"GET", []with{firefox, page, header("Referer", "https://app.example/")}, false},
		"a program with a Referer":         {"GET", []with{header("Referer", "http://app.example/api/")}, true},
		"a Referer that is no address":     {"GET", []with{header("Referer", "%")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.login("alice", "alice-pw")
			r := s.do(tt.method, "/api/logout/", append(tt.header, cookie(c))...)
			if ended := s.whoami(cookie(c)) == ""; ended != tt.ends {
				t.Errorf("the session ended: %t, want %t; status %d", ended, tt.ends, r.status)
			}
			if set := r.cookies(); !tt.ends && (set["userLoggedIn"] != nil || set["session"] != nil && set["session"].MaxAge < 0) {
				t.Errorf("cookies %v", set)
			}
			if !tt.ends && r.status < 400 && tt.method == "GET" {
				t.Errorf("status %d: a browser would keep the answer for the click", r.status)
			}
		})
	}
}

// TestAuthorizeByGET holds the same of the GET that gives a code away, where
// nobody has to be asked.
func TestAuthorizeByGET(t *testing.T) { // C3
	o := newOAuth(t)
	alice := cookie(o.login("alice", "alice-pw"))
	target := authorizeURL(o.cc, callback)
	o.do("PATCH", o.cc.path(), as("admin"), jsonBody(`{"skip_authorization":true}`)).wants(200)
	for name, h := range map[string]with{
		"a prefetch": header("Sec-Purpose", "prefetch"), "a picture": header("Sec-Fetch-Dest", "image"), "a frame": header("Sec-Fetch-Dest", "iframe"), "fetch()": header("Sec-Fetch-Mode", "cors"),
	} {
		if r := o.do("GET", target, alice, h); r.status != 403 || r.header.Get("Location") != "" {
			t.Errorf("%s: %d, %s", name, r.status, r.header.Get("Location"))
		}
	}
	for _, h := range []with{header("Accept", "*/*"), header("Sec-Fetch-Mode", "navigate")} {
		if _, v := o.do("GET", target, alice, h).location(); v.Get("code") == "" {
			t.Errorf("no code: %v", v)
		}
	}
	// A page that only asks does not mind.
	o.do("GET", authorizeURL(o.cp, "http://127.0.0.1:51004/cb"), alice, header("Sec-Purpose", "prefetch")).wants(200)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fields returns the hidden fields of a page's form, and the decision.
func (r reply) fields(decision string) []string {
	r.s.t.Helper()
	pairs := []string{decision, "x"}
	for _, m := range hidden.FindAllStringSubmatch(r.wants(200).body, -1) {
		pairs = append(pairs, m[1], htmlText(m[2]))
	}
	return pairs
}

func htmlText(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+", "&lt;", "<", "&gt;", ">", "&#39;", "'").Replace(s)
}

// TestConsentIsWhatThePageShowed sends a form as somebody else than it was shown
// to, and after what it showed has changed.
func TestConsentIsWhatThePageShowed(t *testing.T) { // C3
	o := newOAuth(t)
	alice, bob := cookie(o.login("alice", "alice-pw")), cookie(o.login("bob", "bob-pw"))
	target := authorizeURL(o.cc, callback)
	post := func(who with, pairs []string) reply { return o.do("POST", "/api/o/authorize/", form(pairs...), who) }
	asksAgain := func(what string, r reply, name string) []string {
		t.Helper()
		if r.status != 200 || !strings.Contains(r.body, "<strong>"+name+"</strong>") || !strings.Contains(r.body, `role="alert"`) {
			t.Fatalf("%s: %d %v\n%s", what, r.status, r.header, r.body)
		}
		return r.fields("allow")
	}
	code := func(what string, r reply) {
		t.Helper()
		if _, v := r.location(); v.Get("code") == "" {
			t.Errorf("%s: %v", what, v)
		}
	}
	shown := o.do("GET", target, alice).fields("allow")
	again := asksAgain("shown to alice, sent by bob", post(bob, shown), "bob")
	code("shown to bob, sent by bob", post(bob, again))
	asksAgain("shown to bob, sent by alice", post(alice, again), "alice")
	code("shown to alice, sent by alice", post(alice, shown))
	code("sent twice", post(alice, shown))
	// A denial gives nothing away.
	if _, v := post(bob, o.do("GET", target, alice).fields("deny")).location(); v.Get("error") != "access_denied" {
		t.Errorf("denied: %v", v)
	}

	for what, change := range map[string]string{
		"another name": `{"name":"renamed"}`, "another organization": `{"organization":2}`,
	} {
		shown = o.do("GET", target, alice).fields("allow")
		o.do("PATCH", o.cc.path(), as("admin"), jsonBody(change)).wants(200)
		code(what+", seen", post(alice, asksAgain(what, post(alice, shown), "alice")))
	}
	// A1: nor is the consent to an application that is not the one that was shown.
	for _, change := range [][3]string{
		{"PATCH", "", `{"redirect_uris":"` + callback + ` https://evil.example/"}`},
		{"PATCH", "", `{"redirect_uris":"` + callback + `"}`},
		{"POST", "rotate_secret/", `{"overlap":60}`},
		{"PATCH", "", `{"client_type":"public"}`},
	} {
		shown = o.do("GET", target, alice).fields("allow")
		o.do(change[0], o.cc.path()+change[1], as("admin"), jsonBody(change[2])).wants(200)
		code(change[2]+", seen", post(alice, asksAgain(change[2], post(alice, shown), "alice")))
	}
	// The request cannot be extended after the page was shown.
	for what, pair := range map[string][2]string{"scope": {"scope", "write"}, "resource": {"resource", issuer + "/api"}} {
		shown = o.do("GET", target, alice).fields("allow")
		replaced := false
		for i := 0; i < len(shown); i += 2 {
			if shown[i] == pair[0] {
				shown[i+1], replaced = pair[1], true
			}
		}
		if !replaced {
			shown = append(shown, pair[0], pair[1])
		}
		asksAgain("another "+what, post(alice, shown), "alice")
	}
	shown = o.do("GET", target, alice).fields("allow")
	for i := 0; i < len(shown); i += 2 {
		if shown[i] == "shown" {
			shown[i+1] = ""
		}
	}
	asksAgain("an empty field", post(alice, shown), "alice")
}

// TestDevicePageShowsWhatIsAskedFor holds that the page for devices shows what
// the page for applications shows, to the user who decides.
func TestDevicePageShowsWhatIsAskedFor(t *testing.T) { // D6
	o := newOAuth(t)
	tv := o.register("Television", "public", oauth.GrantDeviceCode, "")
	start := func(pairs ...string) string {
		return tv.post(o, "/api/o/device_authorization/", append([]string{"scope", "read"}, pairs...)...).wants(200).json()["user_code"].(string)
	}
	alice, bob := cookie(o.login("alice", "alice-pw")), cookie(o.login("bob", "bob-pw"))
	post := func(who with, pairs ...string) reply { return o.do("POST", "/api/o/device/", form(pairs...), who) }
	page := post(alice, "user_code", start("resource", issuer+"/api")).wants(200)
	for _, part := range []string{"Television", "alice", " of Default", "read everything that you can read", issuer + "/api", "365 days at most"} {
		if !strings.Contains(page.body, part) {
			t.Errorf("the page does not show %q:\n%s", part, page.body)
		}
	}
	if page := post(alice, "user_code", start()).wants(200); strings.Contains(page.body, "only at") {
		t.Errorf("the page shows resources that were not asked for:\n%s", page.body)
	}

	shown := page.fields("allow")
	again := post(bob, shown...)
	if again.status != 200 || !strings.Contains(again.body, "<strong>bob</strong>") || !strings.Contains(again.body, `role="alert"`) {
		t.Fatalf("shown to alice, sent by bob: %d\n%s", again.status, again.body)
	}
	if r := post(bob, again.fields("allow")...).wants(200); !strings.Contains(r.body, "Device connected") {
		t.Errorf("shown to bob, sent by bob:\n%s", r.body)
	}

	// A1: the application became another one meanwhile.
	shown = post(alice, "user_code", start()).fields("allow")
	o.do("PATCH", tv.path(), as("admin"), jsonBody(`{"client_type":"confidential"}`)).wants(200)
	again = post(alice, shown...)
	if !strings.Contains(again.body, `role="alert"`) {
		t.Fatalf("public, then confidential: %d\n%s", again.status, again.body)
	}
	if r := post(alice, again.fields("allow")...).wants(200); !strings.Contains(r.body, "Device connected") {
		t.Errorf("public, then confidential, seen:\n%s", r.body)
	}
}

// TestDeviceDecisionTwice clicks twice: both answers are the same, until the
// device has what it waits for, and nobody else learns of it.
func TestDeviceDecisionTwice(t *testing.T) {
	o := newOAuth(t)
	tv := o.register("Television", "public", oauth.GrantDeviceCode, "")
	alice, bob := cookie(o.login("alice", "alice-pw")), cookie(o.login("bob", "bob-pw"))
	post := func(who with, pairs ...string) reply { return o.do("POST", "/api/o/device/", form(pairs...), who) }
	for decision, title := range map[string]string{"allow": "Device connected", "deny": "Device not connected"} {
		doc := tv.post(o, "/api/o/device_authorization/", "scope", "read").wants(200).json()
		code, other := doc["user_code"].(string), map[string]string{"allow": "deny", "deny": "allow"}[decision]
		shown := post(alice, "user_code", code).fields(decision)
		for range 2 {
			if r := post(alice, shown...).wants(200); !strings.Contains(r.body, title) {
				t.Errorf("%s:\n%s", decision, r.body)
			}
		}
		post(alice, "user_code", code, other, "x").wants(400)
		post(alice, "user_code", code).wants(400)
		post(bob, "user_code", code, decision, "x").wants(400)
		if decision == "allow" {
			tv.token(o, "grant_type", oauth.GrantDeviceCode, "device_code", doc["device_code"].(string)).wants(200)
			post(alice, shown...).wants(400)
		}
	}
}

// TestNameOfALoginForm has blanks that people do not see.
func TestNameOfALoginForm(t *testing.T) { // E11
	s := newSystem(t)
	for _, name := range []string{"alice ", " alice", "  alice  ", "alice\u00a0"} {
		s.do("POST", "/api/login/", form("username", name, "password", "alice-pw")).wants(302)
	}
	for _, odd := range []with{
		form("username", "alice", "password", "alice-pw "), form("username", "al ice", "password", "alice-pw"),
		form("username", " ", "password", "alice-pw"), form("username", "alice\n", "password", "alice-pw"),
		jsonBody(`{"username":"alice ","password":"alice-pw"}`), // a program means what it sends
	} {
		s.do("POST", "/api/login/", odd).is401()
	}
	s.do("GET", "/api/v2/me/", basic("alice ", "alice-pw")).is401()
}

// TestCSRFCookie looks for the cookie where AWX's manuals take it from.
func TestCSRFCookie(t *testing.T) { // G2
	s := newSystem(t)
	have := cookie(&http.Cookie{Name: "csrftoken", Value: "x"})
	login := form("username", "alice", "password", "alice-pw")
	for name, r := range map[string]reply{
		"root":                      s.do("GET", "/api/"),
		"login page":                s.do("GET", "/api/login/"),
		"login page, with a cookie": s.do("GET", "/api/login/", have),
		"login":                     s.do("POST", "/api/login/", login),
		"login, with a cookie":      s.do("POST", "/api/login/", login, have),
		"login by JSON":             s.do("POST", "/api/login/", jsonBody(`{"username":"alice","password":"alice-pw"}`)),
	} {
		c := r.cookies()["csrftoken"]
		if c == nil || c.Value == "" || c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s: csrftoken %+v", name, c)
		}
	}
	// It proves nothing, and its absence nothing either.
	c := cookie(s.login("alice", "alice-pw"))
	s.do("POST", "/api/v2/tokens/", c, jsonBody("{}")).wants(201)
	s.do("POST", "/api/v2/tokens/", c, have, header("X-Csrftoken", "x"), header("Sec-Fetch-Site", "cross-site"), jsonBody("{}")).wants(403)
}

// TestUserIDsOnTheWire has IDs around the largest number that JavaScript, jq and
// Python's floats keep.
func TestUserIDsOnTheWire(t *testing.T) { // E11
	s := newSystem(t)
	for id, want := range map[string]string{
		"9007199254740991": "9007199254740991", "9007199254740992": "9007199254740992",
		"9007199254740993": `"9007199254740993"`, "900719925474099267": `"900719925474099267"`,
		"9223372036854775807": `"9223372036854775807"`, "18446744073709551616": `"18446744073709551616"`,
		"007": `"007"`, "+8": `"+8"`, "-9": `"-9"`, "1e3": `"1e3"`,
	} {
		if _, err := s.db.InsertUser(t.Context(), store.User{ID: id, Name: "user " + id, Active: true}); err != nil {
			t.Fatal(err)
		}
		r := s.do("GET", "/api/v2/users/"+url.PathEscape(id)+"/", basic("admin", "admin-pw")).wants(200)
		if !strings.HasPrefix(r.body, fmt.Sprintf(`{"id":%s,`, want)) {
			t.Errorf("%s: %.60s, want %s", id, r.body, want)
		}
	}
}
