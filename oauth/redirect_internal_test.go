package oauth

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

var registered = []string{"https://client.example/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb", "http://localhost/cb", "com.example.app://host/cb"}

// The corpus of hostile redirect URIs, for R-076 at use and for R-077 at
// registration.
var redirectURIs = []struct {
	name, uri string
	use       bool // matches what is registered
	register  bool // can be registered
}{
	{"exact", "https://client.example/cb", true, true},
	{"dot segments", "https://client.example/cb/../evil", false, false},
	{"encoded dot segments", "https://client.example/cb/%2e%2e/evil", false, false},
	{"last slash", "https://client.example/cb/", false, true},
	{"case of the path", "https://client.example/CB", false, true},
	{"case of the host", "https://CLIENT.example/cb", false, false},
	{"case of the scheme", "HTTPS://client.example/cb", false, false},
	{"fragment", "https://client.example/cb#x", false, false},
	{"empty fragment", "https://client.example/cb#", false, false},
	{"user information", "https://client.example@evil.example/cb", false, false},
	{"empty user information", "https://@client.example/cb", false, false},
	{"backslash", `https://client.example\@evil.example/cb`, false, false},
	{"longer host", "https://evilclient.example/cb", false, true},
	{"query added", "https://client.example/cb?x=1", false, true},
	{"default port", "https://client.example:443/cb", false, true},
	{"empty port", "https://client.example:/cb", false, false},
	{"relative to the scheme", "//client.example/cb", false, false},
	{"relative", "/cb", false, false},
	{"empty", "", false, false},
	{"data", "data:text/html,<script>1</script>", false, false},
	{"javascript", "javascript:alert(1)", false, false},
	{"javascript with a host", "javascript://client.example/%0aalert(1)", false, false},
	{"ftp", "ftp://client.example/cb", false, false},
	{"line break", "https://client.example/cb\r\nX: y", false, false},
	{"NUL", "https://client.example/cb\x00", false, false},
	{"blank", "https://client.example/c b", false, false},
	{"Cyrillic letter", "https://\u0441lient.example/cb", false, false},
	{"http on a host", "http://client.example/cb", false, false},
	{"loopback by name with any port", "http://localhost:51004/cb", true, true},
	{"loopback by name without a port", "http://localhost/cb", true, true},
	{"loopback by name, another path", "http://localhost:51004/other", false, true},
	{"loopback by name in upper case", "http://LOCALHOST/cb", false, false},
	{"loopback by name with a last dot", "http://localhost./cb", false, false},
	{"loopback by name as the beginning of a host", "http://localhost.evil.example/cb", false, false},
	{"loopback by name with user information", "http://localhost:80@evil.example/cb", false, false},
	{"loopback by name with port zero", "http://localhost:0/cb", false, false},
	{"a name below localhost", "http://app.localhost/cb", false, false},
	{"https on localhost is exact", "https://localhost:51004/cb", false, true},
	{"loopback with any port, RFC 8252 7.3", "http://127.0.0.1:51004/cb", true, true},
	{"IPv6 loopback with any port", "http://[::1]:51004/cb", true, true},
	{"loopback without a port", "http://127.0.0.1/cb", true, true},
	{"loopback with user information", "http://127.0.0.1:80@evil.example/cb", false, false},
	{"loopback with a query", "http://127.0.0.1:51004/cb?x=1", false, true},
	{"loopback with another path", "http://127.0.0.1:51004/CB", false, true},
	{"loopback as the beginning of a host", "http://127.0.0.1.evil.example/cb", false, false},
	{"loopback with a port out of range", "http://127.0.0.1:99999/cb", false, false},
	{"loopback with port zero", "http://127.0.0.1:0/cb", false, false},
	{"loopback with a padded port", "http://127.0.0.1:0080/cb", false, false},
	{"loopback with an empty port", "http://127.0.0.1:/cb", false, false},
	{"loopback in short", "http://127.1/cb", false, false},
	{"loopback as a number", "http://2130706433/cb", false, false},
	{"loopback in hexadecimal", "http://0x7f000001/cb", false, false},
	{"another loopback address", "http://127.0.0.2:51004/cb", false, false},
	{"https on the loopback is exact", "https://127.0.0.1:51004/cb", false, true},
	{"private-use scheme", "com.example.app:/cb", true, true},
	{"private-use scheme with an authority", "com.example.app://host/cb", true, true},
	{"private-use scheme with an authority alone", "com.example.app://cb", false, true},
	{"private-use scheme with another authority", "com.example.app://other/cb", false, true},
	{"private-use scheme with an empty authority", "com.example.app:///cb", false, false},
	{"private-use scheme with user information", "com.example.app://a@cb/", false, false},
	{"private-use scheme with a port", "com.example.app://cb:80/", false, false},
	{"private-use scheme with an authority in upper case", "com.example.app://CB/", false, false},
	{"private-use scheme with dot segments", "com.example.app://cb/../x", false, false},
	{"private-use scheme, opaque", "com.example.app:cb", false, false},
	{"private-use scheme without a dot", "myapp:/cb", false, false},
	{"wildcard", "https://*.example/cb", false, false},
	{"wildcard in the path", "https://client.example/*", false, false},
}

//
func TestRedirectURIAtUse(t *testing.T) {
	for _, tt := range redirectURIs {
		t.Run(tt.name, func(t *testing.T) {
			if got := redirectRegistered(registered, tt.uri); got != tt.use {
				t.Errorf("%q matches: %v, want %v", tt.uri, got, tt.use)
			}
		})
	}
}

//
func TestRedirectURIAtRegistration(t *testing.T) {
	for _, tt := range redirectURIs {
		t.Run(tt.name, func(t *testing.T) {
			if why := checkRedirectURI(tt.uri, redirectRules{}); (why == "") != tt.register {
				t.Errorf("%q: %q, want it to be accepted: %v", tt.uri, why, tt.register)
			}
		})
	}
	if why := checkRedirectURI("http://client.example/cb", redirectRules{anyHTTP: true}); why != "" {
		t.Errorf("http, although it is allowed: %s", why)
	}
	if why := checkRedirectURI("ftp://client.example/cb", redirectRules{anyHTTP: true}); why == "" {
		t.Error("ftp is accepted where http is allowed")
	}
	if why := checkRedirectURI("https://client.example/"+strings.Repeat("a", maxRedirectURI), redirectRules{}); why == "" {
		t.Error("a very long URI is accepted")
	}
	named := redirectRules{schemes: []string{"myapp"}}
	for uri, want := range map[string]bool{
		"myapp:/cb": true, "myapp://cb": true, "myapp://host/cb?x=1": true,
		"myapp:cb": false, "myapp2:/cb": false, "MyApp:/cb": false, "myapp:/../cb": false, "javascript:/x": false,
	} {
		if why := checkRedirectURI(uri, named); (why == "") != want {
			t.Errorf("%q where the scheme myapp is named: %q, want it to be accepted: %v", uri, why, want)
		}
	}
}

// FuzzRedirectURI: what matches is byte for byte one of those that are
// registered, except for the port of a loopback address; and what can be
// registered leads a browser where it says.
func FuzzRedirectURI(f *testing.F) {
	for _, tt := range redirectURIs {
		f.Add(tt.uri)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if redirectRegistered(registered, s) {
			if err != nil {
				t.Fatalf("%q matches and is no URI", s)
			}
			if u.Scheme == "http" && u.Port() != "" {
				u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
			}
			if got := u.String(); !slices.Contains(registered, got) {
				t.Fatalf("%q matches", s)
			}
		}
		if checkRedirectURI(s, redirectRules{}) != "" {
			return
		}
		if !redirectRegistered([]string{s}, s) {
			t.Fatalf("%q can be registered and does not match itself", s)
		}
		switch {
		case err != nil || u.User != nil || strings.ContainsAny(s, "#\\*\r\n\t \x00"):
			t.Fatalf("%q can be registered", s)
		case u.Scheme == "https":
			if !strings.HasPrefix(s, "https://"+u.Host) || u.Host == "" {
				t.Fatalf("%q can be registered and names the host %q", s, u.Host)
			}
		case u.Scheme == "http":
			if h := u.Hostname(); h != "127.0.0.1" && h != "::1" && h != "localhost" {
				t.Fatalf("%q can be registered", s)
			}
		case !strings.Contains(u.Scheme, ".") || u.Host == "" && !strings.HasPrefix(u.Path, "/"):
			t.Fatalf("%q can be registered", s)
		}
	})
}

// whatever the state is, it comes back byte for byte, and the rest of the
// URI stays what it was.
func FuzzState(f *testing.F) {
	for _, s := range []string{"", "xyz", "a b+c", "&code=evil", "\x00\xff", "#", "%zz", "ü", strings.Repeat("a", 3000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, state string) {
		for _, uri := range registered {
			a := Authorization{RedirectURI: uri, State: state, issuer: "https://api.example"}
			got, ok := strings.CutPrefix(a.redirect("code", "c0de"), uri+"?")
			if !ok {
				t.Fatalf("the redirect does not begin with %q", uri)
			}
			v, err := url.ParseQuery(got)
			if err != nil || v.Get("state") != state || v.Get("code") != "c0de" || v.Get("iss") != "https://api.example" || v.Has("state") != (state != "") {
				t.Fatalf("state %q became %q (%v)", state, got, err)
			}
		}
	})
}

// verifiers are 43 to 128 unreserved characters and match one challenge.
func FuzzVerifier(f *testing.F) {
	good := strings.Repeat("aB3-._~", 7)
	f.Add(good, good)
	f.Add("short", good)
	f.Add(strings.Repeat("a", 129), "")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, verifier, challenge string) {
		if proves(verifier, challenge) && challenge != "" && (!validVerifier(verifier) || !validChallenge(challenge)) {
			t.Fatalf("%q proves %q", verifier, challenge)
		}
		if proves(verifier, "") != (verifier == "") {
			t.Fatalf("without a challenge, %q proves something", verifier)
		}
		if validVerifier(verifier) && (len(verifier) < 43 || len(verifier) > 128 || url.QueryEscape(verifier) != verifier) {
			t.Fatalf("%q is taken for a verifier", verifier)
		}
		if verifier == challenge && proves(verifier, challenge) && verifier != "" {
			t.Fatalf("the challenge %q is its own verifier: that is the method plain", challenge)
		}
	})
}

// The example of RFC 7636 appendix B.
func TestChallengeOfTheRFC(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if !validChallenge(challenge) || !proves(verifier, challenge) {
		t.Error("the verifier of RFC 7636 appendix B does not prove its challenge")
	}
	if proves(verifier+"A", challenge) || proves(challenge, challenge) {
		t.Error("another verifier proves the challenge")
	}
}

// user codes come from 20 letters, all of them, in one spelling.
func TestUserCodes(t *testing.T) {
	seen := make(map[byte]int)
	for range 2000 {
		code := newUserCode()
		d, ok := canonicalUserCode(code)
		if !ok || d != code || len(code) != userCodeLen+1 {
			t.Fatalf("%q is no user code", code)
		}
		if lower, ok := canonicalUserCode(" " + strings.ToLower(strings.ReplaceAll(code, "-", " ")) + " "); !ok || lower != d {
			t.Fatalf("%q in lower case is another code", code)
		}
		for i := range len(code) {
			seen[code[i]]++
		}
	}
	delete(seen, '-')
	for _, c := range []byte(userCodeLetters) {
		if n := seen[c]; n < 600 || n > 1000 { // 800 on average
			t.Errorf("the letter %c occurs %d times in 16000", c, n)
		}
	}
	if len(seen) != len(userCodeLetters) {
		t.Errorf("codes have %d letters", len(seen))
	}
	for _, s := range []string{"", "BCDF", "BCDF-GHJA", "BCDF-GHJ1", "BCDF-GHJKL", strings.Repeat("-", 100), "BCDF-GHJ\x00"} {
		if _, ok := canonicalUserCode(s); ok {
			t.Errorf("%q is taken for a user code", s)
		}
	}
}
