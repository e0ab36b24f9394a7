package proxytest_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// forged is what clients send to be somebody else.
const forged = "6.6.6.6"

// forgeries are requests that must change nothing: each is the lines of one.
func forgeries() (list [][]string) {
	one := func(format string, names ...string) {
		for _, n := range names {
			list = append(list, []string{fmt.Sprintf(format, n)})
		}
	}
	// The name in every spelling.
	one("%s: "+forged,
		"X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR", "x-FoRwArDeD-fOr",
		"X_Forwarded_For", "X_FORWARDED_FOR", "x_forwarded_for", "X-Forwarded_For", "X_Forwarded-For",
		"HTTP_X_FORWARDED_FOR", "X.Forwarded.For", "X-Forwarded-For_", "X-Forwarded",
		"Forwarded-For", "X-Real-IP", "X_Real_IP", "x-real-ip", "X-Client-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP",
		"X-Cluster-Client-IP", "X-Envoy-External-Address", "X_Envoy_External_Address", "X-Original-Forwarded-For",
		"X-Remote-User", "X_Remote_User", "Remote-User", "X-WebAuth-User", "X-DAB-JW-TOKEN", "X_DAB_JW_TOKEN",
		"X-Trusted-Proxy", "X_Trusted_Proxy", "X-Forwarded-Host", "X-Forwarded-User", "X-Forwarded-Server")
	// The value in every spelling.
	one("X-Forwarded-For: %s",
		forged+", 127.0.0.1", "127.0.0.1, "+forged, forged+",", ","+forged, "::ffff:"+forged, forged+":80", "["+forged+"]", "unknown, "+forged,
		`"`+forged, "banana", strings.Repeat(forged+",", 400),
		// Longer than a field used to be read (A13).
		strings.Repeat(forged+",", 2200), strings.Repeat("127.0.0.1,", 1700), strings.Repeat("a", 17_000), strings.Repeat(`"`, 17_000), strings.Repeat(",", 17_000))
	one("Forwarded: %s",
		"for="+forged, `for="`+forged+`"`, `for=`+forged+`;by="`, `for=`+forged+`, for="`, `for=\`, `for=`+forged+`;x=",`,
		strings.Repeat("for="+forged+",", 1600), strings.Repeat(`"`, 17_001), `for="`+strings.Repeat(`\`, 17_001))
	// Twice, and hop by hop.
	list = append(list,
		[]string{"X-Forwarded-For: " + forged, "X-Forwarded-For: " + forged},
		[]string{"x-forwarded-for: " + forged, "X-Forwarded-For: 127.0.0.1", "X_Forwarded_For: " + forged},
		[]string{"X-Forwarded-For: " + forged, "Connection: X-Forwarded-For"},
		[]string{"Connection: close, x-forwarded-for, X-Real-Ip, forwarded"},
		[]string{"X-Forwarded-For: " + forged, "Connection: X-FORWARDED-FOR", "Connection: x-forwarded-proto, Forwarded"},
		[]string{"Keep-Alive: X-Forwarded-For", "Connection: keep-alive, X-Forwarded-For, X-Trusted-Proxy, X-Remote-User"},
		[]string{"X-Forwarded-For : " + forged},
		[]string{"X-Forwarded-For:", " " + forged},
		[]string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"},
	)
	return list
}

func TestProxies(t *testing.T) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			opts := &auth.ProxyOptions{}
			if p.forwarded {
				opts.AddressFields = []string{"Forwarded"}
			}
			at := p.start(t, newService(t, opts), "127.0.0.1:1")

			t.Run("client address", func(t *testing.T) {
				for _, useTLS := range []bool{false, true} {
					to := at.Plain
					if useTLS {
						to = at.TLS
					}
					if status, got := send(t, to, useTLS, "/x"); status != 200 || got.Client != clientAddr {
						t.Errorf("status %d, %v", status, got)
					}
				}
			})
			t.Run("forgeries", func(t *testing.T) {
				passed := 0
				for _, lines := range forgeries() {
					status, got := send(t, at.Plain, false, "/x", lines...)
					if status != 200 {
						if status >= 500 {
							t.Errorf("%.100q: status %d", lines, status)
						}
						continue // the proxy refused it
					}
					passed++
					if got.Client != clientAddr || got.Proven {
						t.Errorf("%.100q: %.300v", lines, got)
					}
					for name, values := range got.Header {
						all := strings.Join(values, ",")
						ours := name == "X-Forwarded-For" && !p.forwarded || name == "Forwarded" && p.forwarded
						if strings.Contains(all, forged) && !(ours && strings.Contains(all[strings.LastIndex(all, ",")+1:], clientAddr)) {
							t.Errorf("%.100q: the handler sees %s: %q", lines, name, all)
						}
						if strings.Contains(name, "_") || strings.Contains(name, ".") {
							t.Errorf("%.100q: the handler sees %s", lines, name)
						}
					}
				}
				if passed < 40 {
					t.Errorf("only %d forgeries reached the service", passed)
				}
			})
			t.Run("login behind TLS", func(t *testing.T) { login(t, at) })
		})
	}
}

// browser returns a client that reaches the proxy by its public name, and the
// origin of its pages. TLS ends at the proxy.
func browser(t *testing.T, at configData) (client *http.Client, origin string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(at.TLS)
	client = &http.Client{Jar: jar, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { // there is no DNS
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddr)}}
			return d.DialContext(ctx, "tcp", at.TLS)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // self-signed, made by this test
	}}
	t.Cleanup(client.CloseIdleConnections)
	return client, "https://" + publicHost + ":" + port
}

// postLogin sends the form of the login page as if from a page of the origin
// from.
func postLogin(t *testing.T, client *http.Client, origin, from string) (status int, cookies []*http.Cookie) {
	t.Helper()
	r, err := http.NewRequest("POST", origin+"/api/login/", strings.NewReader(url.Values{"username": {"alice"}, "password": {"correct horse battery"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Origin", from)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, res.Cookies()
}

// login logs in as a browser does, over TLS that ends at the proxy, and returns
// the cookies.
func login(t *testing.T, at configData) []*http.Cookie {
	t.Helper()
	client, origin := browser(t, at)
	if got, _ := postLogin(t, client, origin, "http"+strings.TrimPrefix(origin, "https")); got != 403 {
		t.Errorf("login from a page in clear: status %d", got)
	}
	got, cookies := postLogin(t, client, origin, origin)
	if got != 200 {
		t.Fatalf("login: status %d", got)
	}
	res, err := client.Get(origin + "/api/v2/me/")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 200 || !strings.Contains(string(body), `"alice"`) {
		t.Errorf("me: status %d, %s", res.StatusCode, body)
	}
	return cookies
}
