package auth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// plainOrigin is a simple reference for canonicalOrigin, by net/url.
func plainOrigin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return ""
	}
	host, port := strings.ToLower(u.Hostname()), strings.TrimLeft(u.Port(), "0")
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	return u.Scheme + " " + host + " " + port
}

// FuzzOrigin holds Origins.Check against http.CrossOriginProtection and net/url:
// it allows nothing that they refuse, and refuses no page of the very origin.
func FuzzOrigin(f *testing.F) {
	for _, origin := range []string{"https://app.example", "", "null", "http://app.example", "https://app.example:8443", "HTTPS://APP.EXAMPLE", "https://app.example\\.evil.example", "https://app.example/", "https://evil.app.example", "https://[::1]:443"} {
		for _, site := range []string{"", "same-origin", "same-site", "cross-site", "none", "banana"} {
			f.Add(origin, site, origin != "", site != "", "app.example")
			f.Add(origin, site, origin != "", site != "", "[0::1]")
		}
	}
	f.Fuzz(func(t *testing.T, origin, site string, hasOrigin, hasSite bool, host string) {
		r := httptest.NewRequest("POST", "https://app.example/", nil)
		r.Host = host
		if hasOrigin {
			r.Header["Origin"] = []string{origin}
		}
		if hasSite {
			r.Header["Sec-Fetch-Site"] = []string{site}
		}
		var none *Origins
		err := none.Check(r)
		if hasSite || !hasOrigin {
			if std := http.NewCrossOriginProtection().Check(r); err == nil && std != nil && host != "" {
				t.Fatalf("origin %q, site %q, host %q is allowed; net/http: %v", origin, site, host, std)
			}
			return
		}
		own := plainOrigin("https://" + host)
		if err == nil && (own == "" || plainOrigin(origin) != own) {
			t.Fatalf("origin %q, host %q is allowed: %q and %q", origin, host, plainOrigin(origin), own)
		}
		if _, ok := canonicalOrigin("https://" + host); ok && err != nil && origin == "https://"+host {
			t.Fatalf("origin %q, host %q: %v", origin, host, err)
		}
	})
}

// FuzzCanonicalOrigin: a canonical origin is one as browsers write it, and is its
// own canonical form.
func FuzzCanonicalOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://127.0.0.1:8080", "https://*.example", "https://a.example/", "a.example", "https://[::1]:8443", "HTTPS://A.example", "https://u@a.example", "null", "https://a.example?x", "https://a.example#", "https://", "https://a.example:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		origin, ok := canonicalOrigin(s)
		if !ok {
			return
		}
		again, ok := canonicalOrigin(origin)
		scheme, host, _ := strings.Cut(origin, "://")
		if !ok || again != origin || scheme != "https" && scheme != "http" || host == "" ||
			strings.ContainsAny(host, "/?#@*\\% \t\r\n\x00") || origin != strings.ToLower(origin) || plainOrigin(origin) != plainOrigin(s) {
			t.Fatalf("%q has the canonical form %q, and that %q", s, origin, again)
		}
	})
}
