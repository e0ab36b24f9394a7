package auth_test

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/peertest"
	"github.com/ostiary/auth/store/memory"
)

var quiet = slog.New(slog.DiscardHandler)

var (
	from   = peertest.From
	seenBy = peertest.SeenBy
)

func peers(list ...string) []netip.Prefix { return auth.Must(auth.ParsePeers(list)) }

func TestClientAddressBehindProxies(t *testing.T) {
	const gateway = "10.0.0.1:4711"
	both := &auth.ProxyOptions{Peers: peers("10.0.0.0/8", "fd00::/8"), AddressFields: []string{"Forwarded", "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"}}
	xff := &auth.ProxyOptions{Peers: peers("10.0.0.0/8", "fd00::/8")}
	for _, tt := range []struct {
		name string
		opts *auth.ProxyOptions
		peer string
		line []string
		want string
	}{
		{"nothing said: the peer", xff, gateway, nil, "10.0.0.1"},
		{"one hop", xff, gateway, []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		{"what stands left of it is hearsay", xff, gateway, []string{"X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
		{"a client that names a proxy stays a client", xff, gateway, []string{"X-Forwarded-For: 10.9.9.9, 203.0.113.7"}, "203.0.113.7"},
		{"proxies all the way", xff, gateway, []string{"X-Forwarded-For: 10.0.0.5, 10.0.0.6"}, "10.0.0.5"},
		{"lines are one list", xff, gateway, []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		{"empty elements are none", xff, gateway, []string{"X-Forwarded-For: 203.0.113.7 ,, \t"}, "203.0.113.7"},
		{"garbage from the proxy itself: the proxy", xff, gateway, []string{"X-Forwarded-For: 203.0.113.7, banana"}, "10.0.0.1"},
		{"garbage further left is not read", xff, gateway, []string{"X-Forwarded-For: banana, 203.0.113.7"}, "203.0.113.7"},
		{"port", xff, gateway, []string{"X-Forwarded-For: 203.0.113.7:443"}, "203.0.113.7"},
		{"IPv6", xff, gateway, []string{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets, port", xff, gateway, []string{"X-Forwarded-For: [2001:db8::1]:443"}, "2001:db8::1"},
		{"IPv6 with a zone", xff, gateway, []string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1"},
		{"mapped IPv4 is IPv4", xff, gateway, []string{"X-Forwarded-For: ::ffff:203.0.113.7"}, "203.0.113.7"},
		{"mapped proxy is a proxy", xff, gateway, []string{"X-Forwarded-For: 203.0.113.7, ::ffff:10.0.0.9"}, "203.0.113.7"},
		{"mapped peer is a proxy", xff, "[::ffff:10.0.0.1]:4711", []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		{"peer with a zone", &auth.ProxyOptions{Peers: peers("fe80::1%lo")}, "[fe80::1%eth0]:1", []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		{"octal is garbage", xff, gateway, []string{"X-Forwarded-For: 0177.0.0.1"}, "10.0.0.1"},
		{"so is a short form", xff, gateway, []string{"X-Forwarded-For: 127.1"}, "10.0.0.1"},
		{"so are quotes", xff, gateway, []string{`X-Forwarded-For: "203.0.113.7"`}, "10.0.0.1"},
		{"more proxies in a row than are read: the last one read", xff, gateway, []string{"X-Forwarded-For: 203.0.113.7" + strings.Repeat(",10.0.0.5", 65)}, "10.0.0.5"},
		{"other fields do not count", xff, gateway, []string{"X-Real-Ip: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Envoy-External-Address: 6.6.6.6", "X_Forwarded_For: 6.6.6.6"}, "10.0.0.1"},
		{"other peers are not believed", xff, "192.0.2.1:1", []string{"X-Forwarded-For: 203.0.113.7"}, "192.0.2.1"},
		{"nobody is, by default", nil, "127.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.7"}, "127.0.0.1"},
		{"REMOTE_ADDR first: no field", &auth.ProxyOptions{Peers: peers("10.0.0.0/8"), AddressFields: []string{"REMOTE_ADDR", "HTTP_X_FORWARDED_FOR"}}, gateway, []string{"X-Forwarded-For: 203.0.113.7"}, "10.0.0.1"},
		{"peer that is no address", xff, "@", []string{"X-Forwarded-For: 203.0.113.7"}, "invalid IP"},

		{"RFC 7239", both, gateway, []string{`Forwarded: for=203.0.113.7;proto=https;by=10.0.0.1`}, "203.0.113.7"},
		{"first field with a value", both, gateway, []string{"Forwarded: for=203.0.113.7", "X-Forwarded-For: 6.6.6.6"}, "203.0.113.7"},
		{"next field without one", both, gateway, []string{"Forwarded: ,", "X-Forwarded-For: 203.0.113.7"}, "203.0.113.7"},
		{"IPv6 is quoted", both, gateway, []string{`Forwarded: For="[2001:db8::1]:4711"`}, "2001:db8::1"},
		{"commas and quotes in strings", both, gateway, []string{`Forwarded: for=6.6.6.6, for=203.0.113.7;by="a,\",b"`}, "203.0.113.7"},
		{"a quote left open cannot swallow the proxy's word", both, gateway, []string{`Forwarded: for=6.6.6.6;by=", for="203.0.113.7"`}, "203.0.113.7"},
		{"escapes", both, gateway, []string{`Forwarded: for="203.0.11\3.7"`}, "203.0.113.7"},
		{"unknown: the proxy", both, gateway, []string{"Forwarded: for=6.6.6.6, for=unknown"}, "10.0.0.1"},
		{"a pseudonym: the proxy", both, gateway, []string{"Forwarded: for=6.6.6.6, for=_gazonk"}, "10.0.0.1"},
		{"each parameter once", both, gateway, []string{"Forwarded: for=203.0.113.7;for=6.6.6.6"}, "10.0.0.1"},
		{"nobody named", both, gateway, []string{"Forwarded: for=6.6.6.6, proto=https"}, "10.0.0.1"},
		{"IPv6 needs brackets", both, gateway, []string{`Forwarded: for="2001:db8::1"`}, "10.0.0.1"},
		{"line that ends in a string", both, gateway, []string{`Forwarded: for=6.6.6.6, for="203.0.113.7`}, "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := from(tt.peer, tt.line...)
			got := auth.ClientAddr(seenBy(auth.Must(auth.NewProxy(tt.opts)), r)).String()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("client address (-want +got):\n%s", diff)
			}
			if r.RemoteAddr != tt.peer {
				t.Errorf("RemoteAddr became %q", r.RemoteAddr)
			}
		})
	}
}

// A13: whatever a client sends, the proxy's word about its address is found.
func TestNoClientIsWithoutAddress(t *testing.T) {
	const client = "203.0.113.7"
	lines := func(line string, n int) []string { return slices.Repeat([]string{line}, n) }
	sent := map[string][]string{
		"nothing":                   nil,
		"17,000 bytes":              {strings.Repeat("1.1.1.1,", 17_000/8)},
		"17,000 bytes, one element": {strings.Repeat("a", 17_000)},
		"10,000 elements":           {strings.Repeat("6.6.6.6,", 10_000)},
		"10,000 proxies":            {strings.Repeat("10.0.0.5,", 10_000)},
		"2,000 lines":               lines("6.6.6.6", 2_000),
		"2,000 lines of proxies":    lines("10.0.0.5", 2_000),
		"half a megabyte":           {strings.Repeat("[2001:db8::1]:4711, ", 25_000)},
		"broken elements":           {"for=;, for=[, =, ;, [::1, 1.1.1.1.1, for=\"x"},
		"a quote left open":         {`for=6.6.6.6;by="`},
		"an escape left open":       {`for=6.6.6.6;by="\`},
		"20,000 quotes":             {strings.Repeat(`"`, 20_000)},
		"20,001 quotes":             {strings.Repeat(`"`, 20_001)},
		"20,001 backslashes":        {`"` + strings.Repeat(`\`, 20_001)},
		"escaped quotes":            {strings.Repeat(`\"`, 9_000)},
		"commas":                    {strings.Repeat(",", 20_000)},
		"blanks":                    {strings.Repeat(" \t", 9_000)},
		"no text":                   {"\x00\xff\u202e"},
		"an unknown client":         {"unknown", "for=unknown", "for=_hidden"},
	}
	for _, field := range []struct {
		name  string
		opts  *auth.ProxyOptions
		write []string // by the proxy
	}{
		{"X-Forwarded-For", &auth.ProxyOptions{Peers: peers("10.0.0.0/8")}, []string{client, client + ":80", client + ", 10.0.0.2"}},
		{"Forwarded", &auth.ProxyOptions{Peers: peers("10.0.0.0/8"), AddressFields: []string{"Forwarded"}},
			[]string{"for=" + client, `for="` + client + `:80";proto=https`, "for=" + client + ", for=10.0.0.2"}},
	} {
		p := auth.Must(auth.NewProxy(field.opts))
		for name, lines := range sent {
			for _, written := range field.write {
				t.Run(field.name+"/"+name+"/"+written, func(t *testing.T) {
					own := append(slices.Clone(lines), written) // a line of its own
					var appended []string                       // to the client's line
					if n := len(lines); n > 0 {
						appended = append(slices.Clone(lines[:n-1]), lines[n-1]+", "+written)
					}
					for _, lines := range [][]string{own, appended} {
						r := from("10.0.0.1:4711")
						r.Header[field.name] = lines
						if got := auth.ClientAddr(seenBy(p, r)).String(); lines != nil && got != client {
							t.Errorf("%d lines, the last one %.60q: the client is %s", len(lines), lines[len(lines)-1], got)
						}
					}
				})
			}
		}
	}
}

// spellings are ways to write one name that some server takes for the same.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	list := []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		under, strings.ToLower(under), strings.ToUpper(under),
		strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."), "HTTP_" + strings.ToUpper(under),
	}
	return list
}

func TestForgedFieldsAreRemoved(t *testing.T) {
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers:         peers("10.0.0.0/8"),
		AddressFields: []string{"HTTP_X_FORWARDED_FOR", "X-Company-Client"},
		Protected:     []string{"X-Forwarded-Prefix", "X-Id"},
		UserField:     "X-Company-User",
	}))
	always := []string{"Forwarded", "X-Real-Ip", "X-Forwarded-Port", "X-Forwarded-Anything", "X-Forwarded-Host", "True-Client-Ip", "X-Trusted-Proxy",
		"X-Envoy-External-Address", "X-Dab-Jw-Token", "X-Company-User", "X-Webauth-User", "Remote-User"}
	kept := []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Company-Client", "X-Id"}
	other := http.Header{"Accept": {"*/*"}, "X-Requested-With": {"x"}, "X-Company-Other": {"x"}, "Cookie": {"a=b"}, "Cf-Ray": {"1"}}

	send := func(peer string, names ...string) http.Header {
		r := from(peer)
		for name, values := range other {
			r.Header[name] = values
		}
		for _, name := range names {
			for _, s := range spellings(name) {
				r.Header[s] = []string{"forged"}
			}
		}
		before := r.Header.Clone()
		got := seenBy(p, r).Header.Clone()
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("the caller's header changed (-want +got):\n%s", diff)
		}
		return got
	}
	all := append(append([]string(nil), always...), kept...)
	if diff := cmp.Diff(other, send("192.0.2.1:1", all...)); diff != "" {
		t.Errorf("from anybody (-want +got):\n%s", diff)
	}
	want := other.Clone()
	for _, name := range kept {
		want[name] = []string{"forged"}
	}
	if diff := cmp.Diff(want, send("10.0.0.1:1", all...)); diff != "" {
		t.Errorf("from a proxy (-want +got):\n%s", diff)
	}
}

func anyKey() []*rsa.PublicKey { return []*rsa.PublicKey{&gatewayKey().PublicKey} }

func noKeys(context.Context) ([]*rsa.PublicKey, error) { return nil, nil }

func TestProxySettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts auth.ProxyOptions
		ok   bool
	}{
		{"nothing", auth.ProxyOptions{}, true},
		{"AWX's defaults", auth.ProxyOptions{AddressFields: []string{"REMOTE_ADDR", "REMOTE_HOST"}}, true},
		{"everybody", auth.ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, false},
		{"everybody, IPv6", auth.ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("::/0")}}, false},
		{"everybody, mapped", auth.ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("::ffff:0.0.0.0/96")}}, false},
		{"half of everybody", auth.ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("128.0.0.0/1")}}, false},
		{"zero prefix", auth.ProxyOptions{Peers: make([]netip.Prefix, 1)}, false},
		{"credential as address", auth.ProxyOptions{AddressFields: []string{"HTTP_AUTHORIZATION"}}, false},
		{"cookie as address", auth.ProxyOptions{AddressFields: []string{"Cookie"}}, false},
		{"double underscore", auth.ProxyOptions{AddressFields: []string{"HTTP_X__FORWARDED_FOR"}}, false},
		{"underscore without HTTP_", auth.ProxyOptions{AddressFields: []string{"X_Real_IP"}}, false},
		{"empty name", auth.ProxyOptions{AddressFields: []string{""}}, false},
		{"no name", auth.ProxyOptions{AddressFields: []string{"HTTP_"}}, false},
		{"blank in a name", auth.ProxyOptions{AddressFields: []string{"X Real IP"}}, false},
		{"scheme as address", auth.ProxyOptions{AddressFields: []string{"X-Forwarded-Proto"}}, false},
		{"user and address in one field", auth.ProxyOptions{UserField: "X-Forwarded-For"}, false},
		{"proof without keys", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{}}, false},
		{"keys with an age, but never fetched", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Keys: anyKey(), MaxKeyAge: time.Hour}}, false},
		{"negative age of keys", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Refresh: noKeys, MaxKeyAge: -1}}, false},
		{"clock of the gateway ahead by too little", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Keys: anyKey(), Future: time.Millisecond - 1}}, false},
		{"by the least", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Keys: anyKey(), Future: time.Millisecond}}, true},
		{"by more than a day", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Keys: anyKey(), Future: 24*time.Hour + 1}}, false},
		{"negative", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Keys: anyKey(), Future: -1}}, false},
		{"age of keys below two minutes", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Refresh: noKeys, MaxKeyAge: time.Minute}}, false},
		{"each once, but of any age", auth.ProxyOptions{Peers: peers("10.0.0.1"), Proof: &auth.ProofOptions{Keys: anyKey(), RefuseReplay: true, InsecureStale: true}}, false},
		{"address alone without addresses", auth.ProxyOptions{InsecureAddressAlone: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := auth.NewProxy(&tt.opts); (err == nil) != tt.ok {
				t.Errorf("NewProxy: %v", err)
			}
		})
	}
	for _, tt := range []struct{ setting, want string }{
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.1", "10.0.0.1/32"},
		{"10.0.0.1:80", "10.0.0.1/32"},
		{"[2001:db8::1]:443", "2001:db8::1/128"},
		{"::ffff:10.0.0.1", "10.0.0.1/32"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"fe80::1%eth0", "fe80::1/128"},
		{"", "error"},
		{"*", "error"},
		{"10.0.0.*", "error"},
		{"proxy.example", "error"},
		{"0.0.0.0/0", "error"},
		{"10.0.0.0/33", "error"},
		{"10.0.0.1/8", "error"},
		{"010.0.0.1", "error"},
	} {
		got, err := auth.ParsePeers([]string{tt.setting})
		s := "error"
		if err == nil {
			s = got[0].String()
		} else if tt.setting != "" && !strings.Contains(err.Error(), strings.Split(tt.setting, "/")[0]) {
			t.Errorf("ParsePeers(%q): %v does not name the entry", tt.setting, err)
		}
		if s != tt.want {
			t.Errorf("ParsePeers(%q) = %s, %v, want %s", tt.setting, s, err, tt.want)
		}
	}
}

func TestForwardedSchemeAndHost(t *testing.T) {
	basic := func(opts *auth.ProxyOptions, r *http.Request) int {
		passwords := auth.Must(auth.NewPasswords(memory.New(), memory.New(), &auth.PasswordsOptions{Logger: quiet}))
		gate := auth.NewGate(auth.NewBasic(passwords, &auth.BasicOptions{RequireTLS: true}), &auth.GateOptions{Logger: quiet})
		w := httptest.NewRecorder()
		auth.Must(auth.NewProxy(opts)).Handler(gate.Require(http.NotFoundHandler())).ServeHTTP(w, r)
		return w.Code
	}
	const inClear, wrongOrigin, badPassword = 403, 403, 401
	xff := &auth.ProxyOptions{Peers: peers("10.0.0.0/8")}
	host := &auth.ProxyOptions{Peers: peers("10.0.0.0/8"), ForwardedHost: true}
	rfc := &auth.ProxyOptions{Peers: peers("10.0.0.0/8"), ForwardedHost: true, AddressFields: []string{"Forwarded"}}
	for _, tt := range []struct {
		name   string
		opts   *auth.ProxyOptions
		method string
		peer   string
		line   []string
		want   int
	}{
		{"clear", xff, "GET", "10.0.0.1:1", nil, inClear},
		{"TLS ends at the proxy", xff, "GET", "10.0.0.1:1", []string{"X-Forwarded-Proto: https"}, badPassword},
		{"anybody can say so", xff, "GET", "192.0.2.1:1", []string{"X-Forwarded-Proto: https"}, inClear},
		{"proxies disagree", xff, "GET", "10.0.0.1:1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, inClear},
		{"nonsense", xff, "GET", "10.0.0.1:1", []string{"X-Forwarded-Proto: ftp"}, inClear},
		{"RFC 7239", rfc, "GET", "10.0.0.1:1", []string{"Forwarded: for=1.1.1.1;proto=https"}, badPassword},
		{"the proxy's word, not the client's", rfc, "GET", "10.0.0.1:1", []string{"Forwarded: proto=https, for=1.1.1.1;proto=http"}, inClear},

		{"same origin", xff, "POST", "10.0.0.1:1", []string{"X-Forwarded-Proto: https", "Origin: https://app.example"}, badPassword},
		{"the scheme counts", xff, "POST", "10.0.0.1:1", []string{"X-Forwarded-Proto: https", "Origin: http://app.example"}, wrongOrigin},
		{"host not asked for", xff, "POST", "10.0.0.1:1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "Origin: https://evil.example"}, wrongOrigin},
		{"host", host, "POST", "10.0.0.1:1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: public.example", "Origin: https://public.example"}, badPassword},
		{"host of an unbelieved peer", host, "POST", "192.0.2.1:1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: public.example", "Origin: https://public.example"}, wrongOrigin},
		{"malformed host", host, "POST", "10.0.0.1:1", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a@b", "Origin: https://a@b"}, wrongOrigin},
		{"host, RFC 7239", rfc, "POST", "10.0.0.1:1", []string{`Forwarded: for=1.1.1.1;proto=https;host="public.example:8443"`, "Origin: https://public.example:8443"}, badPassword},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := from(tt.peer, tt.line...)
			r.Method = tt.method
			r.SetBasicAuth("nobody", "wrong")
			if got := basic(tt.opts, r); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
}

func TestProxyCertificate(t *testing.T) {
	cert := &x509.Certificate{Raw: []byte("gateway")}
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{PeerCertificate: func(c *x509.Certificate) bool { return c == cert }}))
	for _, tt := range []struct {
		name string
		tls  *tls.ConnectionState
		want string
	}{
		{"verified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}, "203.0.113.7 true"},
		{"not verified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}, "192.0.2.1 false"},
		{"of somebody else", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}, VerifiedChains: [][]*x509.Certificate{{{}}}}, "192.0.2.1 false"},
		{"none", &tls.ConnectionState{}, "192.0.2.1 false"},
		{"in clear", nil, "192.0.2.1 false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := from("192.0.2.1:1", "X-Forwarded-For: 203.0.113.7")
			r.TLS = tt.tls
			got := seenBy(p, r)
			if s := fmt.Sprint(auth.ClientAddr(got), auth.ProvenProxy(got.Context())); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestProxyOverUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	get := func(p *auth.Proxy) string {
		srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, auth.ClientAddr(r), auth.ProvenProxy(r.Context()))
		}))}}
		srv.Start()
		defer srv.Close()
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.0\r\nHost: app.example\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		_, body, _ := strings.Cut(b.String(), "\r\n\r\n")
		return body
	}
	if got := get(auth.Must(auth.NewProxy(&auth.ProxyOptions{UnixSocket: true}))); got != "203.0.113.7 true" {
		t.Errorf("with UnixSocket: %s", got)
	}
	if l, err = net.Listen("unix", socket); err != nil {
		t.Fatal(err)
	}
	if got := get(auth.Must(auth.NewProxy(nil))); got != "invalid IP false" {
		t.Errorf("without: %s", got)
	}
}

func TestProxyChangesNothingShared(t *testing.T) {
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8")}))
	for _, peer := range []string{"10.0.0.1:1", "192.0.2.1:1"} {
		r := from(peer, "X-Forwarded-For: 203.0.113.7", "X_Real_Ip: 6.6.6.6", "Accept: */*")
		before := r.Header.Clone()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					got := seenBy(p, r)
					got.Header.Set("X-Handler", "wrote this")
					got.Header.Add("Accept", "text/html")
				}
			})
		}
		wg.Wait()
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	}
}

// B7: a handler that hands on the context of its request gives the throttle and the
// events the address of the client, whoever the peer is.
func TestProxyPutsTheAddressIntoTheContext(t *testing.T) {
	for name, opts := range map[string]auth.ProxyOptions{
		"no proxy":       {Logger: quiet},
		"a proxy":        {Peers: peers("10.0.0.0/8"), Logger: quiet},
		"a signed proxy": {Peers: peers("10.0.0.0/8"), Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}}, Logger: quiet},
	} {
		for _, tt := range []struct{ peer, forwarded, want string }{
			{"192.0.2.1:1", "", "192.0.2.1"},
			{"[::ffff:192.0.2.1]:1", "6.6.6.6", "192.0.2.1"},
			{"[2001:db8::1]:1", "6.6.6.6, 10.0.0.1", "2001:db8::1"},
			{"10.0.0.1:1", "", "10.0.0.1"},
		} {
			r := httptest.NewRequest("POST", "/", nil)
			r.RemoteAddr = tt.peer
			if tt.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			before := r.Context()
			auth.Must(auth.NewProxy(&opts)).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				// As passwords.Verify(r.Context(), …) finds it.
				got, _ := client.From(r.Context())
				if got.String() != tt.want || auth.ClientAddr(r) != got {
					t.Errorf("%s, %s: context says %v, want %s", name, tt.peer, got, tt.want)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if r.Context() != before {
				t.Errorf("%s, %s: the caller's request changed", name, tt.peer)
			}
		}
	}
}

// A request costs one allocation, with its copy, whoever the peer is; a second handler
// costs none where it has nothing to say.
func TestProxyAllocations(t *testing.T) {
	var got *http.Request
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Logger: quiet}))
	other := auth.Must(auth.NewProxy(&auth.ProxyOptions{Logger: quiet}))
	for name, tt := range map[string]struct {
		h    http.Handler
		r    *http.Request
		want float64
	}{
		"from a client":             {p.Handler(next), from("192.0.2.1:1"), 1},
		"from a proxy":              {p.Handler(next), from("10.0.0.1:1"), 1},
		"from a client, nested":     {p.Handler(other.Handler(p.Handler(next))), from("192.0.2.1:1"), 1},
		"from a proxy, nested":      {p.Handler(other.Handler(p.Handler(next))), from("10.0.0.1:1"), 1},
		"from a client, with a lie": {p.Handler(next), from("192.0.2.1:1", "X-Forwarded-For: 6.6.6.6"), 4}, // three for the header
	} {
		w := httptest.NewRecorder()
		if n := testing.AllocsPerRun(100, func() { tt.h.ServeHTTP(w, tt.r) }); n > tt.want+2*raceAllocations {
			t.Errorf("%s: %v allocations, want %v", name, n, tt.want)
		}
		if got == tt.r {
			t.Errorf("%s: the request is not a copy", name)
		}
	}
}

// Of nested proxies, the one that trusts the peer says who the client is; one that
// trusts nobody neither hides that nor counts as a proxy.
func TestNestedProxies(t *testing.T) {
	near := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), InsecureAddressAlone: true, ForwardedHost: true, Logger: quiet}))
	far := auth.Must(auth.NewProxy(&auth.ProxyOptions{Logger: quiet}))
	for _, tt := range []struct {
		name, peer, want string
		h                func(http.Handler) http.Handler
	}{
		{"trust inside", "10.0.0.1:1", "203.0.113.7 true", func(h http.Handler) http.Handler { return near.Handler(h) }},
		{"trust outside", "10.0.0.1:1", "203.0.113.7 true", func(h http.Handler) http.Handler { return near.Handler(far.Handler(h)) }},
		{"a client, trust inside", "192.0.2.1:1", "192.0.2.1 false", func(h http.Handler) http.Handler { return far.Handler(near.Handler(h)) }},
		{"a client, trust outside", "192.0.2.1:1", "192.0.2.1 false", func(h http.Handler) http.Handler { return near.Handler(far.Handler(h)) }},
		{"a lie goes though the address is known", "192.0.2.1:1", "192.0.2.1 false", func(h http.Handler) http.Handler {
			return far.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("X-Forwarded-For", "6.6.6.6")
				near.Handler(h).ServeHTTP(w, r)
			}))
		}},
	} {
		tt.h(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			addr, _ := client.From(r.Context())
			if got := fmt.Sprint(addr, " ", auth.ProvenProxy(r.Context())); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
			if tt.want == "192.0.2.1 false" && r.Header.Get("X-Forwarded-For") != "" {
				t.Errorf("%s: X-Forwarded-For is left", tt.name)
			}
		})).ServeHTTP(httptest.NewRecorder(), from(tt.peer, "X-Forwarded-For: 203.0.113.7"))
	}
}
