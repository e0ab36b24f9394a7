package clientdoc

import (
	"net/url"
	"strings"
	"testing"
)

const goodURL = "https://client.example/client.json"

// urls are client identifiers in all spellings that were thought of, with their fault
// or the host.
var urls = []struct{ name, url, fault, host string }{
	{"good", goodURL, "", "client.example"},
	{"a deep path", "https://a.b-c.client.example/x/y.z/~u/;p", "", "a.b-c.client.example"},
	{"a last slash", "https://client.example/x/", "", "client.example"},
	{"an internationalized host in ASCII", "https://xn--bcher-kva.example/c", "", "xn--bcher-kva.example"},
	{"the longest", "https://client.example/" + strings.Repeat("x", 232), "", "client.example"},
	{"too long", "https://client.example/" + strings.Repeat("x", 233), faultLength, ""},

	{"http", "http://client.example/c", faultScheme, ""},
	{"upper case of the scheme", "HTTPS://client.example/c", faultScheme, ""},
	{"another scheme", "file:///etc/passwd", faultScheme, ""},
	{"gopher", "gopher://client.example/c", faultScheme, ""},
	{"one slash", "https:/client.example/c", faultScheme, ""},
	{"no authority", "https:///client.example/c", faultHost, ""},
	{"a leading blank", " https://client.example/c", faultScheme, ""},

	{"no path", "https://client.example", faultPath, ""},
	{"an empty path", "https://client.example/", faultPath, ""},
	{"a dot segment", "https://client.example/./c", faultPath, ""},
	{"two dots", "https://client.example/a/../c", faultPath, ""},
	{"two dots at the end", "https://client.example/a/..", faultPath, ""},
	{"encoded dots", "https://client.example/%2e%2e/c", faultChars, ""},
	{"an encoded slash", "https://client.example/a%2fc", faultChars, ""},
	{"an encoded letter", "https://client.example/%63", faultChars, ""},
	{"a query", "https://client.example/c?x=1", faultQuery, ""},
	{"an empty query", "https://client.example/c?", faultQuery, ""},
	{"a query without a path", "https://client.example?/c", faultQuery, ""},
	{"a fragment", "https://client.example/c#x", faultQuery, ""},
	{"an empty fragment", "https://client.example/c#", faultQuery, ""},
	{"user information", "https://user@client.example/c", faultUser, ""},
	{"user and password", "https://u:p@client.example/c", faultUser, ""},
	{"an empty user", "https://@client.example/c", faultUser, ""},
	{"a host as the user", "https://client.example@evil.example/c", faultUser, ""},
	{"a backslash", `https://client.example\@evil.example/c`, faultChars, ""},
	{"a backslash for a slash", `https:\\client.example/c`, faultScheme, ""},
	{"a quote", `https://client.example/"c`, faultChars, ""},
	{"a blank", "https://client.example/a c", faultChars, ""},
	{"a tab", "https://client.exa\tmple/c", faultChars, ""},
	{"a line break", "https://client.example/c\n", faultChars, ""},
	{"a null", "https://client.example/\x00", faultChars, ""},
	{"a letter outside of ASCII in the path", "https://client.example/é", faultChars, ""},

	{"port 443", "https://client.example:443/c", faultPort, ""},
	{"another port", "https://client.example:22/c", faultPort, ""},
	{"an empty port", "https://client.example:/c", faultPort, ""},
	{"two ports", "https://client.example:443:443/c", faultHost, ""},

	{"upper case of the host", "https://Client.example/c", faultHost, ""},
	{"an internationalized host", "https://bücher.example/c", faultChars, ""},
	{"full-width dots", "https://127。0。0。1/c", faultChars, ""},
	{"circled digits", "https://①②⑦.⓪.⓪.①/c", faultChars, ""},
	{"an encoded host", "https://%6c%6f%63alhost/c", faultChars, ""},
	{"one label", "https://intranet/c", faultHost, ""},
	{"a last dot", "https://client.example./c", faultHost, ""},
	{"a first dot", "https://.example/c", faultHost, ""},
	{"two dots in the host", "https://client..example/c", faultHost, ""},
	{"a first hyphen", "https://-client.example/c", faultHost, ""},
	{"an underscore", "https://_client.example/c", faultHost, ""},
	{"a wildcard", "https://*.example/c", faultHost, ""},
	{"a label of 64", "https://" + strings.Repeat("a", 64) + ".example/c", faultHost, ""},

	{"loopback", "https://127.0.0.1/c", faultHost, ""},
	{"loopback, short", "https://127.1/c", faultHost, ""},
	{"loopback, one number", "https://2130706433/c", faultHost, ""},
	{"loopback, hexadecimal", "https://0x7f000001/c", faultHost, ""},
	{"loopback, hexadecimal parts", "https://0x7f.0x0.0x0.0x1/c", faultHost, ""},
	{"loopback, octal", "https://0177.0.0.1/c", faultHost, ""},
	{"loopback, mixed", "https://127.0x0.1/c", faultHost, ""},
	{"the unspecified address", "https://0.0.0.0/c", faultHost, ""},
	{"zero", "https://0/c", faultHost, ""},
	{"a private address", "https://10.0.0.1/c", faultHost, ""},
	{"a public address", "https://93.184.216.34/c", faultHost, ""},
	{"metadata of clouds", "https://169.254.169.254/latest/meta-data", faultHost, ""},
	{"metadata as a number", "https://2852039166/latest", faultHost, ""},
	{"IPv6 loopback", "https://[::1]/c", faultHost, ""},
	{"IPv6 unspecified", "https://[::]/c", faultHost, ""},
	{"IPv4-mapped", "https://[::ffff:127.0.0.1]/c", faultHost, ""},
	{"IPv4-mapped, hexadecimal", "https://[::ffff:7f00:1]/c", faultHost, ""},
	{"metadata of AWS in IPv6", "https://[fd00:ec2::254]/c", faultHost, ""},
	{"a zone", "https://[fe80::1%25eth0]/c", faultChars, ""},
	{"IPv6 without brackets", "https://::1/c", faultHost, ""},
	{"a public IPv6 address", "https://[2606:2800:21f:cb07::1]/c", faultHost, ""},
	{"localhost", "https://localhost/c", faultHost, ""},
	{"a name below localhost", "https://client.localhost/c", faultHost, ""},
	{"mDNS", "https://printer.local/c", faultHost, ""},
	{"internal", "https://metadata.google.internal/c", faultHost, ""},
	{"home.arpa", "https://router.home.arpa/c", faultHost, ""},
	{"Tor", "https://client.onion/c", faultHost, ""},
	{"empty", "", faultScheme, ""},
}

func TestURL(t *testing.T) {
	for _, tt := range urls {
		host, fault := parseURL(tt.url, false)
		if host != tt.host || fault != tt.fault {
			t.Errorf("%s, %q: host %q, fault %q; want %q, %q", tt.name, tt.url, host, fault, tt.host, tt.fault)
		}
	}
	for _, tt := range []struct{ url, fault, host string }{
		{"https://localhost/c", "", "localhost"},
		{"https://127.0.0.1:8443/c", "", "127.0.0.1:8443"},
		{"https://[::1]:8443/c", "", "[::1]:8443"},
		{"https://client.example:1/c", "", "client.example:1"},
		{"https://127.0.0.2/c", faultHost, ""},
		{"https://10.0.0.1/c", faultHost, ""},
		{"https://localhost:0/c", faultPort, ""},
		{"https://localhost:080/c", faultPort, ""},
		{"https://localhost:65536/c", faultPort, ""},
		{"http://localhost/c", faultScheme, ""},
	} {
		if host, fault := parseURL(tt.url, true); host != tt.host || fault != tt.fault {
			t.Errorf("insecure, %q: host %q, fault %q; want %q, %q", tt.url, host, fault, tt.host, tt.fault)
		}
	}
}

// FuzzURL: what is accepted means the same to package url, and is one name of a
// public host at port 443.
func FuzzURL(f *testing.F) {
	for _, tt := range urls {
		f.Add(tt.url)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, fault := parseURL(s, false)
		if fault != "" {
			if host != "" {
				t.Errorf("%q has the fault %q and the host %q", s, fault, host)
			}
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.Host != host || u.Hostname() != host || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			u.String() != s || len(u.Path) < 2 || !strings.Contains(host, ".") || len(s) > 255 {
			t.Errorf("%q is accepted, and package url reads %+v, %v", s, u, err)
		}
	})
}
