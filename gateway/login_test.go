package gateway_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/auth/gateway"
)

// C8: people are sent to the login and back; programs are refused.
func TestForwardAuthSendsPeopleToTheLogin(t *testing.T) {
	here := &gateway.ForwardAuthOptions{Login: "/api/login/"}
	nginx := &gateway.ForwardAuthOptions{Login: "/api/login/", LoginStatus: 401}
	sso := &gateway.ForwardAuthOptions{Login: "https://sso.example/in?theme=dark", ReturnHosts: []string{"App.example", "other.example:8443"}}
	const (
		get, uri, html = "X-Forwarded-Method: GET", "X-Forwarded-Uri: /jobs/?page=2&x=%2F", "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
		tls            = "X-Forwarded-Proto: https"
	)
	const back = "302 /api/login/?next=%2Fjobs%2F%3Fpage%3D2%26x%3D%252F"
	for _, tt := range []struct {
		name string
		opts *gateway.ForwardAuthOptions
		line []string
		want string
	}{
		{"a person", here, []string{get, uri, html}, back},
		{"a person with a session that ended", here, []string{get, uri, html, "Authorization: dead"}, back},
		{"the usual fields", here, []string{get, uri, html, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site"}, back},
		{"a person behind nginx", nginx, []string{get, uri, html}, "401 " + strings.TrimPrefix(back, "302 ")},
		{"a program", here, []string{get, uri, "Accept: application/json"}, "401 "},
		{"a program that takes anything", here, []string{get, uri, "Accept: */*"}, "401 "},
		{"a program that says nothing", here, []string{get, uri}, "401 "},
		{"a program behind nginx", nginx, []string{get, uri}, "401 "},
		{"a form", here, []string{"X-Forwarded-Method: POST", uri, html}, "401 "},
		{"method not told", here, []string{uri, html}, "401 "},
		{"a script", here, []string{get, uri, html, "Sec-Fetch-Mode: cors"}, "401 "},
		{"an old script", here, []string{get, uri, html, "X-Requested-With: XMLHttpRequest"}, "401 "},
		{"an image", here, []string{get, uri, html, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, "401 "},
		{"a frame", here, []string{get, uri, html, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, "401 "},
		{"a WebSocket", here, []string{get, uri, html, "Sec-Websocket-Key: x"}, "401 "},
		{"another type that looks alike", here, []string{get, uri, "Accept: text/html+x, x/text/html"}, "401 "},
		{"a person who may not", here, []string{"X-Forwarded-Method: DELETE", uri, html, "Authorization: alice"}, "403 "},
		{"an outage", here, []string{get, uri, html, "Authorization: outage"}, "503 "},
		{"a person who is logged in", here, []string{get, uri, html, "Authorization: alice"}, "200 "},

		{"no address", here, []string{get, html}, "401 "},
		{"the login itself", here, []string{get, "X-Forwarded-Uri: /api/login/?next=/x", html}, "401 "},
		{"the login, another spelling", here, []string{get, "X-Forwarded-Uri: /api/./login", html}, "401 "},
		{"two addresses", here, []string{get, uri, uri, html}, "302 /api/login/"},
		{"another host", here, []string{get, "X-Forwarded-Uri: //evil.example/", html}, "302 /api/login/"},
		{"another host with a backslash", here, []string{get, `X-Forwarded-Uri: /\evil.example/`, html}, "302 /api/login/"},
		{"another host with a tab", here, []string{get, "X-Forwarded-Uri: /\t/evil.example/", html}, "302 /api/login/"},
		{"a URL", here, []string{get, "X-Forwarded-Uri: https://evil.example/", html}, "302 /api/login/"},
		{"a script for an address", here, []string{get, "X-Forwarded-Uri: javascript:alert(1)", html}, "302 /api/login/"},
		{"a user for an address", here, []string{get, "X-Forwarded-Uri: @evil.example/", html}, "302 /api/login/"},
		{"letters that are none", here, []string{get, "X-Forwarded-Uri: /\u3000/evil.example", html}, "302 /api/login/"},
		{"a line break", here, []string{get, "X-Forwarded-Uri: /x\r\nSet-Cookie: a=b", html}, "302 /api/login/"},
		{"too long", here, []string{get, "X-Forwarded-Uri: /" + strings.Repeat("a", 4096), html}, "302 /api/login/"},
		{"a parameter of its own", here, []string{get, "X-Forwarded-Uri: /x?a&next=//evil.example", html}, "302 /api/login/?next=%2Fx%3Fa%26next%3D%2F%2Fevil.example"},

		{"elsewhere", sso, []string{get, uri, html, tls, "X-Forwarded-Host: app.example"}, "302 https://sso.example/in?theme=dark&next=https%3A%2F%2Fapp.example%2Fjobs%2F%3Fpage%3D2%26x%3D%252F"},
		{"elsewhere, the default port", sso, []string{get, "X-Forwarded-Uri: /", html, tls, "X-Forwarded-Host: APP.example:443"}, "302 https://sso.example/in?theme=dark&next=https%3A%2F%2FAPP.example%3A443%2F"},
		{"elsewhere, a port", sso, []string{get, "X-Forwarded-Uri: /", html, tls, "X-Forwarded-Host: other.example:8443"}, "302 https://sso.example/in?theme=dark&next=https%3A%2F%2Fother.example%3A8443%2F"},
		{"elsewhere, another port", sso, []string{get, uri, html, tls, "X-Forwarded-Host: other.example"}, "302 https://sso.example/in?theme=dark"},
		{"elsewhere, from a strange host", sso, []string{get, uri, html, tls, "X-Forwarded-Host: evil.example"}, "302 https://sso.example/in?theme=dark"},
		{"elsewhere, from a host that looks alike", sso, []string{get, uri, html, tls, "X-Forwarded-Host: app.example.evil.example"}, "302 https://sso.example/in?theme=dark"},
		{"elsewhere, with a user", sso, []string{get, uri, html, tls, "X-Forwarded-Host: app.example@evil.example"}, "302 https://sso.example/in?theme=dark&next=https%3A%2F%2Fapp.example%2Fjobs%2F%3Fpage%3D2%26x%3D%252F"},
		{"elsewhere, in clear", sso, []string{get, uri, html, "X-Forwarded-Proto: http", "X-Forwarded-Host: app.example"}, "302 https://sso.example/in?theme=dark"},
		{"elsewhere, a bad address", sso, []string{get, "X-Forwarded-Uri: @evil.example/", html, tls, "X-Forwarded-Host: app.example"}, "302 https://sso.example/in?theme=dark"},
		{"elsewhere, the page itself", sso, []string{get, "X-Forwarded-Uri: /in", html, tls, "X-Forwarded-Host: sso.example"}, "401 "},
		{"elsewhere, the same path", sso, []string{get, "X-Forwarded-Uri: /in", html, tls, "X-Forwarded-Host: app.example"}, "302 https://sso.example/in?theme=dark&next=https%3A%2F%2Fapp.example%2Fin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := reply(newQuestions().handler(tt.opts), from("10.0.0.1:1", tt.line...))
			if got := fmt.Sprint(w.Code, " ", w.Header().Get("Location")); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if w.Code != 200 && w.Header().Get("X-Remote-User") != "" {
				t.Error("a user is named")
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("may be stored")
			}
			if w.Header().Get("Location") != "" && w.Header().Get("Www-Authenticate") != "" {
				t.Error("the browser is challenged")
			}
		})
	}
	t.Run("by anybody", func(t *testing.T) {
		w := reply(newQuestions().handler(here), from("192.0.2.1:1", get, uri, html))
		if w.Code != 403 || w.Header().Get("Location") != "" {
			t.Errorf("status %d, %v", w.Code, w.Header())
		}
	})
}

// No address leads people anywhere but to the login and back to the host.
func FuzzLoginAndBack(f *testing.F) {
	for _, s := range []string{"/", "/x?y=1", "//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "/%2F/evil.example", "/.//evil.example", "/;@evil.example", "/x#//evil.example", "/?next=//evil.example"} {
		f.Add(s)
	}
	h := newQuestions().handler(&gateway.ForwardAuthOptions{Login: "/api/login/"})
	base, err := url.Parse("https://app.example/start")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		r := httptest.NewRequest("GET", "http://app.example/question", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-Method"], r.Header["Accept"], r.Header["X-Forwarded-Uri"] = []string{"GET"}, []string{"text/html"}, []string{uri}
		location := reply(h, r).Header().Get("Location")
		if location == "" {
			return
		}
		to, err := base.Parse(location)
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme || to.Path != "/api/login/" {
			t.Fatalf("%q leads to %q", uri, location)
		}
		next := to.Query()["next"]
		if len(next) == 0 {
			return
		}
		// As browsers read it: a backslash is a slash, and some characters are none.
		tidy := strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(next[0])
		back, err := base.Parse(tidy)
		if len(next) > 1 || err != nil || back.Host != base.Host || back.Scheme != base.Scheme || back.User != nil {
			t.Fatalf("%q leads back to %q", uri, next)
		}
	})
}
