package gateway_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
)

// newBodyService starts a service that answers whether a request is proven, and
// what it reads of its body.
func newBodyService(t *testing.T, proof auth.ProofOptions, h2 bool) *httptest.Server {
	t.Helper()
	proof.Keys, proof.Audience = []*rsa.PublicKey{&gatewayKey().PublicKey}, "svc"
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("127.0.0.1"), Proof: &proof, Logger: quiet}))
	srv := httptest.NewUnstartedServer(p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		again, errAgain := r.Body.Read(make([]byte, 1))
		if again > 0 || err != nil && errAgain == io.EOF {
			t.Errorf("the body goes on after %v: %d bytes, %v", err, again, errAgain)
		}
		fmt.Fprintf(w, "%v %s %v", auth.ProvenProxy(r.Context()), body, err != nil)
	})))
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// replaceBody gives r another body on the way.
func replaceBody(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if body == "" {
			r.Body = http.NoBody
		}
	}
}

// A12: the body is covered where the gateway adds its digest.
func TestBodyIsCovered(t *testing.T) {
	asRead := auth.ProofOptions{RequireV2: true}
	before := auth.ProofOptions{RequireV2: true, BufferBody: 64}
	required := auth.ProofOptions{RequireV2: true, RequireDigest: true}
	both := auth.ProofOptions{RequireV2: true, RequireDigest: true, BufferBody: 64}
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	nothing := func(*http.Request) {}
	for _, tt := range []struct {
		name   string
		proof  auth.ProofOptions
		digest int64
		body   string
		change func(*http.Request)
		want   string // proven, the body, an error at its end
	}{
		{"as it is read", asRead, 64, `{"a":1}`, nothing, `true {"a":1} false`},
		{"in chunks", asRead, 64, `{"a":1}`, chunked, `true {"a":1} false`},
		{"no body", asRead, 64, "", nothing, "true  false"},
		{"before", before, 64, `{"a":1}`, nothing, `true {"a":1} false`},
		{"before, in chunks", before, 64, `{"a":1}`, chunked, `true {"a":1} false`},
		{"before, no body", before, 64, "", nothing, "true  false"},
		{"before, just as long", before, 64, strings.Repeat("a", 64), nothing, "true " + strings.Repeat("a", 64) + " false"},
		{"before, longer", before, 100, strings.Repeat("a", 65), nothing, "false " + strings.Repeat("a", 65) + " false"},
		{"required", required, 64, "x", nothing, "true x false"},
		{"required, no body", required, 64, "", nothing, "true  false"},
		{"required of a gateway that adds none", required, 0, "x", nothing, "false x false"},
		{"required of a gateway that adds none, no body", both, 0, "", nothing, "false  false"},
		{"not required of a gateway that adds none", asRead, 0, "x", nothing, "true x false"},
		{"not covered by a gateway that adds none", asRead, 0, "x", replaceBody("evil"), "true evil false"},

		{"another body as it is read", asRead, 64, `{"a":1}`, replaceBody(`{"a":2}`), "true  true"},
		{"a longer one", asRead, 64, `{"a":1}`, replaceBody(`{"a":1} `), "true  true"},
		{"a shorter one", asRead, 64, `{"a":1}`, replaceBody(`{"a":1`), "true  true"},
		{"a body removed", asRead, 64, `{"a":1}`, replaceBody(""), "false  false"},
		{"a body added", asRead, 64, "", replaceBody(`{"a":2}`), "true  true"},
		{"another body, before", before, 64, `{"a":1}`, replaceBody(`{"a":2}`), `false {"a":2} false`},
		{"a longer one, before", before, 64, `{"a":1}`, replaceBody(`{"a":1} `), `false {"a":1}  false`},
		{"a body added, before", before, 64, "", replaceBody(`{"a":2}`), `false {"a":2} false`},
		{"a body removed, before", before, 64, `{"a":1}`, replaceBody(""), "false  false"},
		{"with its digest", asRead, 64, `{"a":1}`, func(r *http.Request) {
			replaceBody("evil")(r)
			r.Header.Set("Content-Digest", "sha-256=:"+"TvFQoRQw3wFWQPE0G1XNgUKyzDmKLr25DTKHhlBNVOc="+":")
		}, "false evil false"},
		{"the digest removed", asRead, 64, `{"a":1}`, func(r *http.Request) { r.Header.Del("Content-Digest") }, `false {"a":1} false`},
		{"a digest added", asRead, 64, `{"a":1}`, func(r *http.Request) { r.Header.Add("Content-Digest", "md5=:x:") }, `false {"a":1} false`},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " HTTP/2 ", h2), func(t *testing.T) {
				srv := newBodyService(t, tt.proof, h2)
				signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc", DigestBody: tt.digest}))
				onTheWay := roundTripper(func(r *http.Request) (*http.Response, error) {
					tt.change(r)
					return srv.Client().Transport.RoundTrip(r)
				})
				r, err := http.NewRequest("POST", srv.URL+"/x", strings.NewReader(tt.body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Cookie", "a=b;c=d;  e=f")
				r.Header.Add("Cookie", "g=h")
				res, err := signer.Transport(onTheWay).RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if got, _ := io.ReadAll(res.Body); string(got) != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if r.Header.Get("Content-Digest") != "" {
					t.Error("the caller's request was changed")
				}
			})
		}
	}
}

// closing tells that a body was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestBodyThatIsNotSigned(t *testing.T) {
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc", DigestBody: 4}))
	down := errors.New("the client is gone")
	for _, tt := range []struct {
		name string
		body io.Reader
		want error
	}{
		{"too long", strings.NewReader("12345"), new(http.MaxBytesError)},
		{"cannot be read", io.MultiReader(strings.NewReader("1"), failing{down}), down},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := &closing{Reader: tt.body}
			r := &http.Request{Method: "POST", URL: auth.Must(httptest.NewRequest("GET", "http://svc.example/", nil).URL.Parse("")), Body: body}
			_, err := signer.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
				t.Error("sent")
				return nil, io.EOF
			})).RoundTrip(r)
			tooLong := new(http.MaxBytesError)
			if !errors.Is(err, tt.want) && !(errors.As(tt.want, &tooLong) && errors.As(err, &tooLong) && tooLong.Limit == 4) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if !body.closed {
				t.Error("the body is open")
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A digest that a client made itself counts as well, as RFC 9530 has it.
func TestDigestOfAClient(t *testing.T) {
	sum := sha512.Sum512([]byte("hello"))
	good := "sha-512=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	const bad = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"good", []string{good}, "true hello false"},
		{"of another body", []string{bad}, "true  true"},
		{"the stronger one counts", []string{bad + ", " + good}, "true hello false"},
		{"in two lines", []string{"md5=:x:", good}, "true hello false"},
		{"unknown", []string{"md5=:XUFAKrxLKna5cZ2REBfFkg==:"}, "true hello false"},
		{"twice", []string{good, good}, "false hello false"},
		{"malformed", []string{"sha-256=x"}, "false hello false"},
		{"half", []string{"sha-256=:AAAA:"}, "false hello false"},
		{"left open", []string{strings.TrimSuffix(good, ":")}, "false hello false"},
		{"not canonical", []string{"sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=:"}, "false hello false"},
		{"with a parameter", []string{good + ";a=b"}, "false hello false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newBodyService(t, auth.ProofOptions{RequireV2: true}, false)
			signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc"}))
			r, err := http.NewRequest("POST", srv.URL, strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Content-Digest"] = tt.lines
			res, err := signer.Transport(srv.Client().Transport).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got, _ := io.ReadAll(res.Body); string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A decoder that stops at the end of a value does not get that end.
func TestDecoderOfAnotherBody(t *testing.T) {
	p := gatewayOf(&auth.ProofOptions{Keys: anyKey(), Audience: "svc"})
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc", DigestBody: 1 << 10}))
	var decoded any
	var err error
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "10.0.0.1:1"
		p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if !auth.ProvenProxy(r.Context()) {
				t.Error("not proven")
			}
			err = json.NewDecoder(r.Body).Decode(&decoded)
		})).ServeHTTP(nil, r)
	}))
	defer srv.Close()
	r := auth.Must(http.NewRequest("POST", srv.URL, bytes.NewReader([]byte(`{"admin":false}`))))
	res, sendErr := signer.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		replaceBody(`{"admin": true}`)(r)
		return http.DefaultTransport.RoundTrip(r)
	})).RoundTrip(r)
	if sendErr != nil {
		t.Fatal(sendErr)
	}
	res.Body.Close()
	if err == nil || decoded != nil {
		t.Errorf("decoded %v, %v", decoded, err)
	}
}

func TestSignerSettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts *gateway.SignerOptions
		want string // in the error, "" for none
	}{
		{"no audience", nil, "Audience"},
		{"first version", &gateway.SignerOptions{FirstVersion: true}, ""},
		{"body of the first version", &gateway.SignerOptions{FirstVersion: true, DigestBody: 1}, "DigestBody"},
		{"negative body", &gateway.SignerOptions{Audience: "svc", DigestBody: -1}, "DigestBody"},
		{"one proof for two minutes", &gateway.SignerOptions{FirstVersion: true, Reuse: 120e9}, "Reuse"},
		{"user where the address is", &gateway.SignerOptions{FirstVersion: true, UserField: "X-Forwarded-For"}, "UserField"},
		{"user among the fields", &gateway.SignerOptions{FirstVersion: true, UserField: "X-User", Fields: []string{"X-User"}}, "UserField"},
		{"no field", &gateway.SignerOptions{FirstVersion: true, Fields: []string{"X_User"}}, "Fields"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := gateway.NewSigner(gatewayKey(), tt.opts)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
