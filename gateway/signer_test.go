package gateway_test

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/gateway"
)

// A seenRequest is what the service behind a gateway gets and believes.
type seenRequest struct {
	Client, User string
	Proven       bool
	Fields       string // forwarding fields that handlers see
}

// newService starts a service that trusts the gateway, and returns its address and
// the last request that it got.
func newService(t *testing.T, proof *auth.ProofOptions) (address string, last func() (seenRequest, http.Header)) {
	t.Helper()
	proof.Keys = []*rsa.PublicKey{&gatewayKey().PublicKey}
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: peers("127.0.0.1"), ForwardedHost: true, UserField: "X-Remote-User", Proof: proof, Logger: quiet,
	}))
	var got seenRequest
	var raw http.Header
	service := p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = seenRequest{Client: auth.ClientAddr(r).String(), User: r.Header.Get("X-Remote-User"), Proven: auth.ProvenProxy(r.Context())}
		for name := range r.Header {
			if strings.HasPrefix(strings.ToLower(name), "x") && name != "X-Trusted-Proxy" {
				got.Fields += name + "=" + strings.Join(r.Header[name], "|") + " "
			}
		}
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw = r.Header.Clone()
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() (seenRequest, http.Header) { return got, raw }
}

func newGateway(t *testing.T, service string, signer *gateway.Signer) http.Handler {
	t.Helper()
	target := auth.Must(url.Parse(service))
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			signer.Rewrite(pr)
		},
		Transport: signer.Transport(nil),
	}
}

func TestSignedByGateway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signer gateway.SignerOptions
		proof  auth.ProofOptions
		proven bool
	}{
		{"second version", gateway.SignerOptions{Audience: "svc"}, auth.ProofOptions{RequireV2: true, Audience: "svc"}, true},
		{"first version", gateway.SignerOptions{FirstVersion: true}, auth.ProofOptions{}, true},
		{"first version, each once", gateway.SignerOptions{FirstVersion: true, Reuse: -1}, auth.ProofOptions{RefuseReplay: true}, true},
		{"for another service", gateway.SignerOptions{Audience: "other"}, auth.ProofOptions{Audience: "svc"}, false},
		{"too old a version", gateway.SignerOptions{FirstVersion: true}, auth.ProofOptions{RequireV2: true, Audience: "svc"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service, last := newService(t, &tt.proof)
			tt.signer.UserField = "X-Remote-User"
			gateway := newGateway(t, service, auth.Must(gateway.NewSigner(gatewayKey(), &tt.signer)))
			for range 2 {
				r := httptest.NewRequest("POST", "http://public.example/a%2Fb?q=1", strings.NewReader("body"))
				r.RemoteAddr = "203.0.113.7:4711"
				r = authtest.WithPrincipal(r, &auth.Principal{ID: "1", Name: "zoë"})
				for _, name := range []string{"X-Forwarded-For", "X-Remote-User", "X-Trusted-Proxy", "X-Real-Ip", "X-Forwarded-Prefix", "Forwarded"} {
					for _, s := range spellings(name) {
						r.Header[s] = []string{"6.6.6.6"}
					}
				}
				r.Header.Set("Connection", "X-Forwarded-For, X-Trusted-Proxy, x-remote-user")
				gateway.ServeHTTP(httptest.NewRecorder(), r)
				want := seenRequest{Client: "127.0.0.1"}
				if tt.proven {
					want = seenRequest{Client: "203.0.113.7", User: "zoë", Proven: true}
				}
				got, _ := last()
				fields := got.Fields
				got.Fields = ""
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("at the service (-want +got):\n%s", diff)
				}
				if strings.Contains(fields, "6.6.6.6") {
					t.Errorf("forged fields arrived: %s", fields)
				}
			}
		})
	}
}

func TestProofIsBoundToItsRequest(t *testing.T) {
	service, last := newService(t, &auth.ProofOptions{Audience: "svc"})
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc", UserField: "X-Remote-User"}))
	target := auth.Must(url.Parse(service))
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   bool
	}{
		{"untouched", func(*http.Request) {}, true},
		{"method", func(r *http.Request) { r.Method = "DELETE" }, false},
		{"path", func(r *http.Request) { r.URL.Path += "x" }, false},
		{"encoding of the path", func(r *http.Request) { r.URL.RawPath = "/%70robe/" }, false},
		{"query", func(r *http.Request) { r.URL.RawQuery = "a=1" }, false},
		{"host", func(r *http.Request) { r.Host = "other.example" }, false},
		{"address", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "6.6.6.6") }, false},
		{"address removed", func(r *http.Request) { r.Header.Del("X-Forwarded-For") }, false},
		{"address doubled", func(r *http.Request) { r.Header.Add("X-Forwarded-For", "6.6.6.6") }, false},
		{"scheme", func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, false},
		{"RFC 7239 added", func(r *http.Request) { r.Header.Set("Forwarded", "for=6.6.6.6") }, false},
		{"Envoy's address added", func(r *http.Request) { r.Header.Set("X-Envoy-External-Address", "6.6.6.6") }, false},
		{"user added", func(r *http.Request) { r.Header.Set("X-Remote-User", "admin") }, false},
		{"token added", func(r *http.Request) { r.Header.Set("X-Dab-Jw-Token", "e30.e30.") }, false},
		{"as if of the first version", func(r *http.Request) {
			ts, rest, _ := strings.Cut(r.Header.Get("X-Trusted-Proxy"), ".")
			_, sig, _ := strings.Cut(rest, "-")
			r.Header.Set("X-Trusted-Proxy", ts+"-"+sig)
		}, false},
		{"other key", func(r *http.Request) {
			parts := strings.SplitN(r.Header.Get("X-Trusted-Proxy"), ".", 5)
			parts[2] = "aaaaaaaa"
			r.Header.Set("X-Trusted-Proxy", strings.Join(parts, "."))
		}, false},
		{"other nonce", func(r *http.Request) {
			parts := strings.SplitN(r.Header.Get("X-Trusted-Proxy"), ".", 5)
			parts[3] = "aaaaaaaaaaaaaaaa"
			r.Header.Set("X-Trusted-Proxy", strings.Join(parts, "."))
		}, false},
		// A12: the fields of the credentials and the body.
		{"type of the content", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, false},
		{"type of the content removed", func(r *http.Request) { r.Header.Del("Content-Type") }, false},
		{"coding of the content added", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, false},
		{"digest of the content added", func(r *http.Request) { r.Header.Set("Content-Digest", "sha-256=:x:") }, false},
		{"credentials", func(r *http.Request) { r.Header.Set("Authorization", "Bearer other") }, false},
		{"credentials removed", func(r *http.Request) { r.Header.Del("Authorization") }, false},
		{"credentials doubled", func(r *http.Request) { r.Header.Add("Authorization", "Bearer other") }, false},
		{"cookie", func(r *http.Request) { r.Header.Set("Cookie", "session=other; csrf=y") }, false},
		{"cookie removed", func(r *http.Request) { r.Header.Del("Cookie") }, false},
		{"cookie added", func(r *http.Request) { r.Header.Add("Cookie", "admin=1") }, false},
		{"cookies in another order", func(r *http.Request) { r.Header.Set("Cookie", "csrf=y; session=x") }, false},
		{"cookies in two lines, as HTTP/2 may have them", func(r *http.Request) { r.Header["Cookie"] = []string{"session=x", "csrf=y"} }, true},
		{"other fields are free", func(r *http.Request) { r.Header.Set("Accept", "text/html") }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The one on the way changes what the gateway has signed.
			onTheWay := roundTripper(func(r *http.Request) (*http.Response, error) {
				tt.change(r)
				return http.DefaultTransport.RoundTrip(r)
			})
			r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: target.Host, Path: "/probe/"}, Header: http.Header{
				"X-Forwarded-For": {" 203.0.113.7 "}, "Content-Type": {"application/json"}, "Authorization": {"Bearer x"}, "Cookie": {"session=x; csrf=y"},
			}}
			res, err := signer.Transport(onTheWay).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", res.Status, body)
			}
			got, raw := last()
			if got.Proven != tt.want {
				t.Errorf("proven is %v: %s", got.Proven, got.Fields)
			}
			if r.Header.Get("X-Trusted-Proxy") != "" {
				t.Error("the caller's request was changed")
			}
			if !tt.want {
				return
			}
			// The very same request a second time.
			again, err := http.NewRequest("GET", r.URL.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			again.Header = raw
			if res, err = http.DefaultTransport.RoundTrip(again); err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if got, _ := last(); got.Proven {
				t.Error("a replay is proven")
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestProofOfTheFirstVersionIsReused(t *testing.T) {
	key := gatewayKey()
	synctest.Test(t, func(t *testing.T) {
		signer := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true}))
		first := auth.Must(signer.Proof(time.Now()))
		time.Sleep(time.Second - 1)
		if auth.Must(signer.Proof(time.Now())) != first {
			t.Error("signed again within a second")
		}
		time.Sleep(time.Nanosecond)
		if auth.Must(signer.Proof(time.Now())) == first {
			t.Error("used for more than a second")
		}
	})
}

func TestProofOverHTTP2(t *testing.T) {
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("127.0.0.1"), Logger: quiet,
		Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}, RequireV2: true, Audience: "svc"}}))
	srv := httptest.NewUnstartedServer(p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", auth.ProvenProxy(r.Context()))
	})))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	client := srv.Client()
	client.Transport = auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc"})).Transport(client.Transport)
	res, err := client.Get(srv.URL + "/a%2Fb?c=%20d")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "HTTP/2.0 true" {
		t.Errorf("got %s", body)
	}
}

// A11: what does not fit into the memory of used proofs is not good again.
func TestReplayWhenTheMemoryIsFull(t *testing.T) {
	key := gatewayKey()
	for _, version := range []struct {
		name   string
		signer gateway.SignerOptions
		proof  auth.ProofOptions
	}{
		{"first", gateway.SignerOptions{FirstVersion: true, Reuse: -1}, auth.ProofOptions{RefuseReplay: true}},
		{"second", gateway.SignerOptions{Audience: "svc"}, auth.ProofOptions{Audience: "svc"}},
	} {
		for _, tt := range []struct {
			entries, others int
			between         time.Duration
		}{
			{200, 250, time.Millisecond},
			{200, 199, time.Millisecond}, // all fit
			{200, 450, time.Second},
			{1, 3, time.Nanosecond},
			{7, 100, 0}, // all at once
		} {
			t.Run(fmt.Sprint(version.name, " version, ", tt.entries, " entries, ", tt.others, " others ", tt.between), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					signer := auth.Must(gateway.NewSigner(key, &version.signer))
					proof := version.proof
					proof.Keys, proof.ReplayEntries, proof.Past = []*rsa.PublicKey{&key.PublicKey}, tt.entries, time.Hour
					p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Proof: &proof, Logger: quiet}))
					proven := func(r *http.Request) bool { return auth.ProvenProxy(seenBy(p, r).Context()) }

					var sent []*http.Request
					for i := range 1 + tt.others {
						r := signed(t, signer)
						if !proven(r) && (tt.between > 0 || i < tt.entries) {
							t.Fatalf("request %d is not proven", i)
						}
						sent = append(sent, r)
						time.Sleep(tt.between)
					}
					for i, r := range sent {
						if proven(r) {
							t.Fatalf("the replay of request %d of %d is proven", i, len(sent))
						}
					}
					time.Sleep(time.Millisecond)
					if !proven(signed(t, signer)) {
						t.Error("a new request is not proven")
					}
				})
			})
		}
	}
}

// A proof that comes late counts while it is newer than all that were forgotten,
// and a clock that is set back by days does not end the service.
func TestMemoryThatIsFullGoesOn(t *testing.T) {
	key := gatewayKey()
	signer := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{Audience: "svc"}))
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Logger: quiet,
		Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}, Audience: "svc", ReplayEntries: 5}}))
	proven := func(r *http.Request) bool { return auth.ProvenProxy(seenBy(p, r).Context()) }
	at := func(t *testing.T, offset time.Duration, do func(*testing.T)) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(72*time.Hour + offset)
			do(t)
		})
	}
	at(t, 0, func(t *testing.T) {
		early := signed(t, signer)
		time.Sleep(time.Second)
		late := signed(t, signer)
		for range 5 {
			time.Sleep(time.Second)
			if !proven(signed(t, signer)) {
				t.Fatal("not proven")
			}
		}
		if !proven(late) { // there was room for one more that is older: itself
			t.Error("a late proof is refused although nothing was forgotten")
		}
		if proven(late) || proven(early) {
			t.Error("a proof is good although it is not known whether it was used")
		}
	})
	at(t, -48*time.Hour, func(t *testing.T) {
		if !proven(signed(t, signer)) {
			t.Error("nothing is proven after the clock was set back")
		}
	})
}

// signed returns a request from the gateway as it arrives.
func signed(t *testing.T, signer *gateway.Signer) *http.Request {
	t.Helper()
	r := from("10.0.0.1:1")
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = "http", r.Host
	_, err := signer.Transport(roundTripper(func(sent *http.Request) (*http.Response, error) {
		r.Header = sent.Header
		return nil, io.EOF
	})).RoundTrip(out)
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	r.RequestURI = r.URL.RequestURI()
	return r
}
