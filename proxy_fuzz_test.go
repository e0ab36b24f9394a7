package auth_test

import (
	"context"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
)

// slowClient is what Proxy does about addresses, written to be read.
func slowClient(trusted []netip.Prefix, peer string, lines []string, rfc bool) netip.Addr {
	at := netip.MustParseAddrPort(peer).Addr().Unmap()
	isProxy := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	if !isProxy(at) {
		return at
	}
	for hops := 0; hops < 64; hops++ {
		element, rest, ok := slowLast(lines, rfc)
		if !ok {
			return at
		}
		lines = rest
		addr, ok := slowElement(element, rfc)
		if !ok {
			return at
		}
		if at = addr; !isProxy(at) {
			return at
		}
	}
	return at
}

// slowLast finds the last element that is not empty, as the shortest part after a
// comma in which all quoted strings are whole.
func slowLast(lines []string, rfc bool) (element string, rest []string, ok bool) {
	for len(lines) > 0 {
		line := lines[len(lines)-1]
		i := len(line)
		for i >= 0 {
			i = strings.LastIndexByte(line[:i], ',')
			if !rfc || slowWhole.MatchString(line[i+1:]) {
				break
			}
			if i < 0 {
				return "", nil, false
			}
		}
		lines = append([]string(nil), lines[:len(lines)-1]...)
		if i >= 0 {
			lines = append(lines, line[:i])
		}
		if element = strings.Trim(line[i+1:], " \t"); element != "" {
			return element, lines, true
		}
	}
	return "", nil, false
}

var (
	slowWhole = regexp.MustCompile(`^(?s:[^"\\]|"(?:[^"\\]|\\.)*")*$`)
	slowPair  = regexp.MustCompile(`^[ \t]*([!#$%&'*+.^_|~0-9A-Za-z` + "`" + `-]+)[ \t]*=((?s)"(?:[^"\\]|\\.)*"|[!#-+\--:<>-\[\]-~]+)[ \t]*$`)
	slowPort  = regexp.MustCompile(`^(.*):([0-9]{1,5})$`)
)

func slowElement(element string, rfc bool) (netip.Addr, bool) {
	if !rfc {
		return slowNode(element)
	}
	var found netip.Addr
	seen := map[string]bool{}
	for _, part := range slowSemicolons(element) {
		m := slowPair.FindStringSubmatch(part)
		if m == nil || strings.Contains(m[2], "=") && m[2][0] != '"' {
			return found, false
		}
		name, value := strings.ToLower(m[1]), m[2]
		if value[0] == '"' {
			value = regexp.MustCompile(`(?s)\\(.)`).ReplaceAllString(value[1:len(value)-1], "$1")
		}
		switch name {
		case "for", "proto", "host":
			if seen[name] {
				return found, false
			}
			seen[name] = true
		}
		if name == "for" {
			var ok bool
			if found, ok = slowNode(value); !ok || strings.Count(value, ":") > 1 && value[0] != '[' {
				return found, false
			}
		}
	}
	return found, seen["for"]
}

func slowSemicolons(s string) (parts []string) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}

func slowNode(s string) (netip.Addr, bool) {
	if len(s) > 64 {
		return netip.Addr{}, false
	}
	host, bare := s, strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[")
	if m := slowPort.FindStringSubmatch(s); m != nil && !bare {
		host = m[1]
		if _, err := netip.ParseAddrPort("1.1.1.1:" + m[2]); err != nil {
			return netip.Addr{}, false
		}
	}
	if h, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(h, "]"); !ok || !strings.Contains(host, ":") {
			return netip.Addr{}, false
		}
	} else if strings.Contains(host, ":") && !bare {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.WithZone("").Unmap(), true
}

func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{
		"203.0.113.7", "6.6.6.6, 10.0.0.9", "10.0.0.9,[2001:db8::1]:443", "::ffff:10.0.0.1, 10.0.0.2", "fe80::1%eth0", "1.1.1.1:99999", "[1.1.1.1]:80", "unknown",
		`for=203.0.113.7;proto=https`, `for="[2001:db8::1]:4711", for=10.0.0.9`, `for=6.6.6.6;by=", for="203.0.113.7"`, `for="a\"b", for=1.1.1.1;x="\\"`, `for=1.1.1.1;for=2.2.2.2`,
		"203.0.113.7\n10.0.0.9", ",,\n,", `\"x"`, "for = 1.1.1.1", "for=1.1.1.1;", "[::1%]", "::1%a:80",
	} {
		f.Add(s, "6.6.6.6", "10.0.0.1:1")
		f.Add(s, `for="`, "10.0.0.1:1")
		f.Add(s, s, "[::ffff:10.0.0.1]:1")
		f.Add(s, "", "192.0.2.1:1")
	}
	trusted := peers("10.0.0.0/8", "fd00::/8")
	proxies := map[bool]*auth.Proxy{
		false: auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: trusted})),
		true:  auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: trusted, AddressFields: []string{"Forwarded"}})),
	}
	names := map[bool]string{false: "X-Forwarded-For", true: "Forwarded"}
	f.Fuzz(func(t *testing.T, field, left, peer string) {
		if ap, err := netip.ParseAddrPort(peer); err != nil || ap.Addr().Zone() != "" {
			return
		}
		for rfc, p := range proxies {
			client := func(lines ...string) netip.Addr {
				r := &http.Request{Header: http.Header{names[rfc]: lines}, RemoteAddr: peer}
				return auth.ClientAddr(seenBy(p, r))
			}
			lines := strings.Split(field, "\n")
			got := client(lines...)
			if want := slowClient(trusted, peer, lines, rfc); got != want {
				t.Fatalf("%s %q from %s: %v, want %v", names[rfc], lines, peer, got, want)
			}
			if again := client(lines...); again != got {
				t.Fatalf("%v and then %v", got, again)
			}
			// Text of a client to the left of the proxies' text changes
			// nothing.
			for _, p := range trusted {
				if p.Contains(got) {
					return
				}
			}
			if with := client(append([]string{left + "," + lines[0]}, lines[1:]...)...); with != got {
				t.Fatalf("%q left of %q: %v became %v", left, lines, got, with)
			}
			if with := client(append([]string{left}, lines...)...); with != got {
				t.Fatalf("line %q before %q: %v became %v", left, lines, got, with)
			}
		}
	})
}

func FuzzProof(f *testing.F) {
	vectors := readVectors(f)
	genuine := map[string]bool{}
	for _, v := range vectors.Vectors {
		f.Add(v.Header)
		// The clock does not count here, nor does the length of the salt.
		genuine[v.Header] = v.Name == "valid-now" || v.Name == "stale-301s" || v.Name == "skew-plus-20s" || v.Name == "ts-zero" || v.Name == "ts-seconds" || v.Name == "salt-0"
	}
	f.Add("1795000000000000000.2.aaaaaaaa.aaaaaaaaaaaaaaaa." + strings.Repeat("ab", 32) + "-" + strings.Repeat("cd", 256))
	p := gatewayOf(&auth.ProofOptions{InsecureStale: true, Keys: []*rsa.PublicKey{auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa2048"])))}})
	f.Fuzz(func(t *testing.T, value string) {
		if got := proven(p, "10.0.0.1:1", value); got != genuine[value] {
			t.Fatalf("%q: proven is %v", value, got)
		}
	})
}

func BenchmarkProxy(b *testing.B) {
	h := func(p *auth.Proxy) http.Handler {
		return p.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}
	usual := []string{"Accept: */*", "User-Agent: curl/8", "Authorization: Bearer x", "Accept-Encoding: gzip"}
	xff := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8", "fd00::/8")}))
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true}))
	run := func(name string, p *auth.Proxy, r *http.Request) {
		b.Run(name, func(b *testing.B) {
			h, w := h(p), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
	b.Run("floor", func(b *testing.B) { // a copy of the request with a value in its context
		type fact struct {
			context.Context
			request http.Request
		}
		r := from("10.0.0.1:4711", usual...)
		var last *fact
		b.ReportAllocs()
		for b.Loop() {
			c := &fact{Context: r.Context()}
			c.request = *r.WithContext(c)
			last = c
		}
		_ = last.request
	})
	run("direct", xff, from("192.0.2.1:4711", usual...))
	run("forwarded", xff, from("10.0.0.1:4711", append(usual, "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")...))
	run("forged", xff, from("192.0.2.1:4711", append(usual, "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")...))
	signed := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}, InsecureStale: true})
	run("signed", signed, from("10.0.0.1:4711", append(usual, "X-Forwarded-For: 203.0.113.7", "X-Trusted-Proxy: "+auth.Must(signer.Proof(time.Now())))...))
	wrong := auth.Must(signer.Proof(time.Now()))
	wrong = wrong[:len(wrong)-1] + string("0123456789abcdef1"[strings.IndexByte("0123456789abcdef", wrong[len(wrong)-1])+1])
	run("wrong signature", signed, from("10.0.0.1:4711", append(usual, "X-Trusted-Proxy: "+wrong)...))
	b.Run("sign", func(b *testing.B) {
		signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true, Reuse: -1}))
		for b.Loop() {
			auth.Must(signer.Proof(time.Now()))
		}
	})
}
