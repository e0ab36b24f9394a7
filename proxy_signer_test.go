package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// gatewayKey is made once: it takes a while.
var gatewayKey = sync.OnceValue(func() *rsa.PrivateKey { return auth.Must(rsa.GenerateKey(rand.Reader, 2048)) })

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

func newGateway(t *testing.T, service string, signer *auth.ProxySigner) http.Handler {
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
		signer auth.ProxySignerOptions
		proof  auth.ProofOptions
		proven bool
	}{
		{"second version", auth.ProxySignerOptions{Audience: "svc"}, auth.ProofOptions{RequireV2: true, Audience: "svc"}, true},
		{"first version", auth.ProxySignerOptions{FirstVersion: true}, auth.ProofOptions{}, true},
		{"first version, each once", auth.ProxySignerOptions{FirstVersion: true, Reuse: -1}, auth.ProofOptions{RefuseReplay: true}, true},
		{"for another service", auth.ProxySignerOptions{Audience: "other"}, auth.ProofOptions{Audience: "svc"}, false},
		{"too old a version", auth.ProxySignerOptions{FirstVersion: true}, auth.ProofOptions{RequireV2: true, Audience: "svc"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			service, last := newService(t, &tt.proof)
			tt.signer.UserField = "X-Remote-User"
			gateway := newGateway(t, service, auth.Must(auth.NewProxySigner(gatewayKey(), &tt.signer)))
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
	signer := auth.Must(auth.NewProxySigner(gatewayKey(), &auth.ProxySignerOptions{Audience: "svc", UserField: "X-Remote-User"}))
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
		{"other fields are free", func(r *http.Request) { r.Header.Set("Accept", "text/html") }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The one on the way changes what the gateway has signed.
			onTheWay := roundTripper(func(r *http.Request) (*http.Response, error) {
				tt.change(r)
				return http.DefaultTransport.RoundTrip(r)
			})
			r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: target.Host, Path: "/probe/"}, Header: http.Header{"X-Forwarded-For": {" 203.0.113.7 "}}}
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
		signer := auth.Must(auth.NewProxySigner(key, &auth.ProxySignerOptions{FirstVersion: true}))
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

func TestUsersOfAGateway(t *testing.T) {
	db := memory.New()
	for _, u := range []store.User{
		{Name: "alice", Active: true}, {Name: "root", Active: true, Admin: true, Auditor: true}, {Name: "gone"},
	} {
		if _, err := db.InsertUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	create := func(ctx context.Context, name string) (store.User, error) {
		switch name {
		case "mallory":
			return store.User{}, store.ErrNotFound
		case "outage":
			return store.User{}, errors.New("down")
		case "changed":
			return store.User{ID: "9", Name: "root", Active: true, Admin: true}, nil
		case "raced":
			if _, err := db.InsertUser(ctx, store.User{Name: name, Active: true}); err != nil {
				return store.User{}, err
			}
			return store.User{}, store.ErrExists
		}
		return db.InsertUser(ctx, store.User{Name: name, Active: true})
	}
	const proxy, other = "10.0.0.1:1", "192.0.2.1:1"
	for _, tt := range []struct {
		name   string
		opts   auth.ProxyUsersOptions
		method string
		peer   string
		line   []string
		want   string
	}{
		{"user", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice"}, "200 alice"},
		{"an administrator has ordinary rights", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: root"}, "200 root"},
		{"unless the operator wants", auth.ProxyUsersOptions{Admins: true}, "GET", proxy, []string{"X-Remote-User: root"}, "200 root admin auditor"},
		{"nobody", auth.ProxyUsersOptions{}, "GET", proxy, nil, "401"},
		{"from anybody", auth.ProxyUsersOptions{}, "GET", other, []string{"X-Remote-User: alice"}, "401"},
		{"other spelling", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X_Remote_User: alice"}, "401"},
		{"two", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice", "X-Remote-User: root"}, "400"},
		{"two in one line", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice, root"}, "401"},
		{"empty", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: "}, "401"},
		{"invisible", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice\u200b"}, "401"},
		{"invalid UTF-8", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: alice\xff"}, "401"},
		{"disabled", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: gone"}, "401"},
		{"unknown", auth.ProxyUsersOptions{}, "GET", proxy, []string{"X-Remote-User: bob"}, "401"},
		{"created", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: bob"}, "200 bob"},
		{"created by another request", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: raced"}, "200 raced"},
		{"refused by the host", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: mallory"}, "401"},
		{"outage", auth.ProxyUsersOptions{Create: create}, "GET", proxy, []string{"X-Remote-User: outage"}, "503"},
		{"never another user than the one named", auth.ProxyUsersOptions{Create: create, Admins: true}, "GET", proxy, []string{"X-Remote-User: changed"}, "401"},
		{"page of another origin", auth.ProxyUsersOptions{}, "POST", proxy, []string{"X-Remote-User: alice", "Origin: https://evil.example"}, "403"},
		{"page of this origin", auth.ProxyUsersOptions{}, "POST", proxy, []string{"X-Remote-User: alice", "Origin: https://app.example", "X-Forwarded-Proto: https"}, "200 alice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "HTTP_X_REMOTE_USER", InsecureAddressAlone: true, Logger: quiet}))
			gate := auth.NewGate(auth.Must(auth.NewProxyUsers(p, db, &tt.opts)), &auth.GateOptions{Logger: quiet})
			r := from(tt.peer, tt.line...)
			r.Method = tt.method
			w := httptest.NewRecorder()
			p.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p, _ := auth.FromContext(r.Context())
				fmt.Fprint(w, " ", p.Name)
				if p.Admin {
					fmt.Fprint(w, " admin")
				}
				if p.Auditor {
					fmt.Fprint(w, " auditor")
				}
			}))).ServeHTTP(w, r)
			got := fmt.Sprint(w.Code)
			if w.Code == 200 {
				got += w.Body.String()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}

	t.Run("without the handler nothing is proven", func(t *testing.T) {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "X-Remote-User", InsecureAddressAlone: true}))
		if _, err := auth.Must(auth.NewProxyUsers(p, db, nil)).Authenticate(from(proxy, "X-Remote-User: alice")); !errors.Is(err, auth.ErrNoCredentials) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nor for a proxy that is believed but not proven", func(t *testing.T) {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UnixSocket: true, UserField: "X-Remote-User"}))
		r := seenBy(p, from(proxy, "X-Remote-User: alice"))
		r.Header.Set("X-Remote-User", "alice") // by some handler in between
		if _, err := auth.Must(auth.NewProxyUsers(p, db, nil)).Authenticate(r); !errors.Is(err, auth.ErrNoCredentials) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an address alone does not construct", func(t *testing.T) {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "X-Remote-User"}))
		if _, err := auth.NewProxyUsers(p, db, nil); err == nil {
			t.Error("no error")
		}
	})
}

func TestForwardAuth(t *testing.T) {
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Protected: []string{"X-Forwarded-Method"}, Logger: quiet}))
	reader := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		switch name := r.Header.Get("Authorization"); name {
		case "":
			return nil, auth.ErrNoCredentials
		case "outage":
			return nil, errors.New("down")
		default:
			return &auth.Principal{ID: "1", Name: name, Scopes: "read"}, nil
		}
	})
	gate := auth.NewGate(reader, &auth.GateOptions{Logger: quiet})
	signer := auth.Must(auth.NewProxySigner(gatewayKey(), &auth.ProxySignerOptions{FirstVersion: true}))
	h := p.Handler(auth.Must(auth.NewForwardAuth(p, gate, &auth.ForwardAuthOptions{Signer: signer})))
	for _, tt := range []struct {
		name string
		peer string
		line []string
		want string
	}{
		{"may read", "10.0.0.1:1", []string{"Authorization: alice", "X-Forwarded-Method: GET"}, "200 alice"},
		{"may not write", "10.0.0.1:1", []string{"Authorization: alice", "X-Forwarded-Method: DELETE"}, "403 "},
		{"method not told", "10.0.0.1:1", []string{"Authorization: alice"}, "403 "},
		{"method told twice", "10.0.0.1:1", []string{"Authorization: alice", "X-Forwarded-Method: GET", "X-Forwarded-Method: GET"}, "403 "},
		{"method told by anybody", "192.0.2.1:1", []string{"Authorization: alice", "X-Forwarded-Method: GET"}, "403 "},
		{"nobody", "10.0.0.1:1", []string{"X-Forwarded-Method: GET"}, "401 "},
		{"outage", "10.0.0.1:1", []string{"Authorization: outage", "X-Forwarded-Method: GET"}, "503 "},
		{"name that a field cannot convey", "10.0.0.1:1", []string{"Authorization: a, b", "X-Forwarded-Method: GET"}, "403 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, from(tt.peer, tt.line...))
			if got := fmt.Sprint(w.Code, " ", w.Header().Get("X-Remote-User")); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if signed := w.Header().Get("X-Trusted-Proxy") != ""; signed != (w.Code == 200) {
				t.Errorf("signed is %v", signed)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("may be stored")
			}
		})
	}
	open := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8")}))
	if _, err := auth.NewForwardAuth(open, gate, nil); err == nil {
		t.Error("a method that anybody can set was taken")
	}
}

func TestGatewayKeys(t *testing.T) {
	vectors := readVectors(t)
	text := vectors.PublicKeys["rsa2048"]
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/base/api/gateway/v1/jwt_key/" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	defer srv.Close()
	file := t.TempDir() + "/key.pem"
	writeFile(t, file, text)
	for _, tt := range []struct {
		name, setting string
		constructs    bool
		fetches       bool
	}{
		{"PEM", text, true, true},
		{"https", srv.URL + "/base/", true, true},
		{"https elsewhere", srv.URL, true, false},
		{"file", "file://" + file, true, true},
		{"file that is not there", "file://" + file + "x", true, false},
		{"http", "http://127.0.0.1/", false, false},
		{"password in the URL", "https://a:b@gateway/", false, false},
		{"weak key", vectors.PublicKeys["rsa1024"], false, false},
		{"nothing", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fetch, err := auth.GatewayKeys(tt.setting, srv.Client())
			if (err == nil) != tt.constructs {
				t.Fatalf("GatewayKeys: %v", err)
			}
			if err != nil {
				return
			}
			if keys, err := fetch(t.Context()); (err == nil) != tt.fetches || tt.fetches && len(keys) != 1 {
				t.Errorf("fetched %d keys, %v", len(keys), err)
			}
		})
	}
	if _, err := auth.ParseProxyKey([]byte(privatePEM(t, gatewayKey()))); err == nil || !strings.Contains(err.Error(), "private") {
		t.Errorf("a private key: %v", err)
	}
}

func exampleUsers() store.Users {
	db := memory.New()
	auth.Must(db.InsertUser(context.Background(), store.User{Name: "alice", Active: true}))
	return db
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
	client.Transport = auth.Must(auth.NewProxySigner(gatewayKey(), &auth.ProxySignerOptions{Audience: "svc"})).Transport(client.Transport)
	res, err := client.Get(srv.URL + "/a%2Fb?c=%20d")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "HTTP/2.0 true" {
		t.Errorf("got %s", body)
	}
}
