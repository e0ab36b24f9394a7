package gatewayjwt_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/gatewayjwt"
	"github.com/ostiary/auth/store"
)

var quiet = slog.New(slog.DiscardHandler)

func claims(change func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": "ansible-issuer", "aud": "ansible-services", "sub": "6b6e9b2c", "exp": time.Now().Add(time.Minute).Unix(),
		"user_data": map[string]any{"username": "alice", "first_name": "", "last_name": "", "email": "", "is_superuser": true},
		"objects":   map[string]any{}, "object_roles": map[string]any{}, "global_roles": []any{}, "version": "1",
	}
	if change != nil {
		change(c)
	}
	return c
}

// present returns the claims of a present gateway, which has a digest of the roles
// in place of the roles.
func present(change func(map[string]any)) map[string]any {
	return claims(func(c map[string]any) {
		delete(c, "objects")
		delete(c, "object_roles")
		delete(c, "global_roles")
		c["service_id"], c["claims_hash"] = "97447387-8596-404f-b0d0-6429b04c8d22", strings.Repeat("ab", 32)
		if change != nil {
			change(c)
		}
	})
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, c map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGatewayToken(t *testing.T) {
	key := auth.Must(rsa.GenerateKey(rand.Reader, 2048))
	other := auth.Must(rsa.GenerateKey(rand.Reader, 2048))
	public := auth.Must(x509.MarshalPKIXPublicKey(&key.PublicKey))

	users := map[string]store.User{
		"6b6e9b2c": {ID: "1", Name: "alice", Active: true, Admin: true},
		"ordinary": {ID: "2", Name: "bob", Active: true},
		"disabled": {ID: "3", Name: "gone"},
		"machine":  {ID: "4", Name: "robot", Active: true, Service: true},
	}
	user := func(_ context.Context, c gatewayjwt.Claims) (store.User, error) {
		if c.Subject == "outage" {
			return store.User{}, errors.New("down")
		}
		u, ok := users[c.Subject]
		if !ok {
			return store.User{}, store.ErrNotFound
		}
		return u, nil
	}
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Logger: quiet,
		Proof: &auth.ProofOptions{Refresh: func(context.Context) ([]*rsa.PublicKey, error) {
			return []*rsa.PublicKey{&key.PublicKey}, nil
		}},
	}))
	proof := auth.Must(auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true})).Proof(time.Now()))
	gate := auth.NewGate(auth.Must(gatewayjwt.New(proxy, user, &gatewayjwt.Options{Logger: quiet})), &auth.GateOptions{Logger: quiet})
	h := proxy.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, p.Name, " ", p.Admin)
	})))

	good := sign(t, jose.RS256, key, claims(nil))
	part := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	set := func(name string, v any) string {
		return sign(t, jose.RS256, key, claims(func(c map[string]any) { c[name] = v }))
	}
	set2 := func(name string, v any, name2 string, v2 any) string {
		return sign(t, jose.RS256, key, claims(func(c map[string]any) { c[name], c[name2] = v, v2 }))
	}
	newer := func(change func(map[string]any)) string { return sign(t, jose.RS256, key, present(change)) }
	without := func(name string) string {
		return sign(t, jose.RS256, key, claims(func(c map[string]any) { delete(c, name) }))
	}
	userData := func(name string, v any) string {
		return sign(t, jose.RS256, key, claims(func(c map[string]any) {
			d := maps.Clone(c["user_data"].(map[string]any))
			if d[name] = v; v == nil {
				delete(d, name)
			}
			c["user_data"] = d
		}))
	}
	const unauthorized = "401"
	for _, tt := range []struct {
		name, token, want string
	}{
		{"good", good, "200 alice true"},
		{"administrator, but not for the gateway", userData("is_superuser", false), "200 alice false"},
		{"superuser for the gateway, but not here", set("sub", "ordinary"), "200 bob false"},
		{"one audience of several", set("aud", []string{"x", "ansible-services"}), "200 alice true"},
		{"unknown user", set("sub", "nobody"), unauthorized},
		{"service account", set("sub", "machine"), unauthorized},
		{"known name, unknown subject", set("sub", "1"), unauthorized},
		{"disabled user", set("sub", "disabled"), unauthorized},
		{"outage", set("sub", "outage"), "503"},
		{"no algorithm", none + "." + part[1] + ".", unauthorized},
		{"no algorithm, old signature", none + "." + part[1] + "." + part[2], unauthorized},
		{"HMAC with the public key", sign(t, jose.HS256, public, claims(nil)), unauthorized},
		{"RS512", sign(t, jose.RS512, key, claims(nil)), unauthorized},
		{"PS256", sign(t, jose.PS256, key, claims(nil)), unauthorized},
		{"other key", sign(t, jose.RS256, other, claims(nil)), unauthorized},
		{"changed payload", part[0] + "." + base64.RawURLEncoding.EncodeToString(auth.Must(json.Marshal(claims(nil)))) + "x." + part[2], unauthorized},
		{"other issuer", set("iss", "evil"), unauthorized},
		{"other audience", set("aud", "others"), unauthorized},
		{"expired", set("exp", time.Now().Add(-time.Second).Unix()), unauthorized},
		{"not yet valid", set("nbf", time.Now().Add(time.Minute).Unix()), unauthorized},
		{"expiry as text", set("exp", "never"), unauthorized},
		{"subject as number", set("sub", 1), unauthorized},
		{"user_data as text", set("user_data", "alice"), unauthorized},
		{"without exp", without("exp"), unauthorized},
		{"without sub", without("sub"), unauthorized},
		{"without iss", without("iss"), unauthorized},
		{"without aud", without("aud"), unauthorized},
		{"without user_data", without("user_data"), unauthorized},
		{"without objects", without("objects"), unauthorized},
		{"without object_roles", without("object_roles"), unauthorized},
		{"without global_roles", without("global_roles"), unauthorized},
		{"without version", without("version"), unauthorized},
		{"present form", newer(nil), "200 alice true"},
		{"present form, ordinary user", newer(func(c map[string]any) { c["sub"] = "ordinary" }), "200 bob false"},
		{"both forms", set2("service_id", "x", "claims_hash", "y"), "200 alice true"},
		{"present form without service_id", newer(func(c map[string]any) { delete(c, "service_id") }), unauthorized},
		{"present form without claims_hash", newer(func(c map[string]any) { delete(c, "claims_hash") }), unauthorized},
		{"present form without version", newer(func(c map[string]any) { delete(c, "version") }), unauthorized},
		{"present form without user_data", newer(func(c map[string]any) { delete(c, "user_data") }), unauthorized},
		{"present form without exp", newer(func(c map[string]any) { delete(c, "exp") }), unauthorized},
		{"present form of another issuer", newer(func(c map[string]any) { c["iss"] = "evil" }), unauthorized},
		{"present form for another audience", newer(func(c map[string]any) { c["aud"] = "others" }), unauthorized},
		{"present form, expired", newer(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Second).Unix() }), unauthorized},
		{"present form with some roles", newer(func(c map[string]any) { c["objects"] = map[string]any{} }), unauthorized},
		{"present form with roles that are null", newer(func(c map[string]any) { c["objects"] = nil }), "200 alice true"},
		{"present form with a null digest", newer(func(c map[string]any) { c["claims_hash"] = nil }), unauthorized},
		{"present form with an empty digest", newer(func(c map[string]any) { c["claims_hash"] = "" }), unauthorized},
		{"present form with an empty service", newer(func(c map[string]any) { c["service_id"] = "" }), unauthorized},
		{"present form with a number for a service", newer(func(c map[string]any) { c["service_id"] = 1 }), unauthorized},
		{"present form with a list for a digest", newer(func(c map[string]any) { c["claims_hash"] = []string{"x"} }), unauthorized},
		{"present form with a long digest", newer(func(c map[string]any) { c["claims_hash"] = strings.Repeat("a", 129) }), unauthorized},
		{"names in other letters", newer(func(c map[string]any) { delete(c, "service_id"); c["Service_ID"] = "x" }), unauthorized},
		{"older form with service_id, as gateways in between have it", set("service_id", "x"), "200 alice true"},
		{"older form with an empty service", set("service_id", ""), unauthorized},
		{"older form with a long service", set("service_id", strings.Repeat("a", 129)), unauthorized},
		{"older form with a digest alone", set("claims_hash", "x"), unauthorized},
		{"half of the older form with service_id", set2("service_id", "x", "objects", nil), unauthorized},
		{"neither form", newer(func(c map[string]any) { delete(c, "service_id"); delete(c, "claims_hash") }), unauthorized},
		{"without username", userData("username", nil), unauthorized},
		{"without is_superuser", userData("is_superuser", nil), unauthorized},
		{"is_superuser as text", userData("is_superuser", "true"), unauthorized},
		{"empty", "", unauthorized},
		{"junk", "a.b.c", unauthorized},
		{"dots", "..", unauthorized},
		{"too long", good + strings.Repeat("A", 64<<10), unauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://app.example/", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set("X-Trusted-Proxy", proof)
			r.Header.Set("X-DAB-JW-TOKEN", tt.token)
			if got := serve(h, r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}

	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"no proof", func(r *http.Request) { r.Header.Del("X-Trusted-Proxy") }, unauthorized},
		{"wrong proof", func(r *http.Request) { r.Header.Set("X-Trusted-Proxy", "1-00") }, unauthorized},
		{"other peer", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, unauthorized},
		{"no token", func(r *http.Request) { r.Header.Del("X-DAB-JW-TOKEN") }, unauthorized},
		{"other spelling", func(r *http.Request) {
			r.Header.Del("X-DAB-JW-TOKEN")
			r.Header["X_Dab_Jw_Token"] = []string{good}
		}, unauthorized},
		{"two tokens", func(r *http.Request) { r.Header.Add("X-DAB-JW-TOKEN", good) }, "400"},
		{"page of another origin", func(r *http.Request) {
			r.Method = "POST"
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, "403"},
		{"WebSocket of a page of another origin", func(r *http.Request) {
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, "403"},
		{"page of this origin", func(r *http.Request) {
			r.Method = "POST"
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}, "200 alice true"},
		{"WebSocket of another site", func(r *http.Request) {
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, "403"},
		{"WebSocket of another site, old browser, no Upgrade", func(r *http.Request) {
			r.Header.Set("Sec-WebSocket-Key", "x")
			r.Header.Set("Origin", "https://evil.example")
		}, "403"},
		{"WebSocket of another site, by its mode", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Mode", "websocket")
			r.Header.Set("Sec-Fetch-Site", "same-site")
		}, "403"},
		{"WebSocket of this origin", func(r *http.Request) {
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Origin", "http://App.example:80")
		}, "200 alice true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://app.example/", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set("X-Trusted-Proxy", proof)
			r.Header.Set("X-DAB-JW-TOKEN", good)
			tt.change(r)
			if got := serve(h, r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What a token says is what the function gets.
func TestClaims(t *testing.T) {
	key := auth.Must(rsa.GenerateKey(rand.Reader, 2048))
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Logger: quiet,
		Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}},
	}))
	proof := auth.Must(auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true})).Proof(time.Now()))
	var got gatewayjwt.Claims
	a := auth.Must(gatewayjwt.New(proxy, func(_ context.Context, c gatewayjwt.Claims) (store.User, error) {
		got = c
		return store.User{ID: "1", Name: "alice", Active: true}, nil
	}, nil))
	full := func(c map[string]any) {
		c["user_data"] = map[string]any{"username": "alice", "first_name": "A.", "last_name": "Liddell", "email": "a@example.org", "is_superuser": true}
	}
	want := gatewayjwt.Claims{Subject: "6b6e9b2c", Username: "alice", FirstName: "A.", LastName: "Liddell", Email: "a@example.org", Superuser: true}
	wantPresent := want
	wantPresent.ServiceID, wantPresent.ClaimsHash = "97447387-8596-404f-b0d0-6429b04c8d22", strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name   string
		claims map[string]any
		want   gatewayjwt.Claims
	}{
		{"older gateway", claims(full), want},
		{"present gateway", present(full), wantPresent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://app.example/", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set("X-Trusted-Proxy", proof)
			r.Header.Set("X-DAB-JW-TOKEN", sign(t, jose.RS256, key, tt.claims))
			if s := serve(proxy.Handler(auth.NewGate(a, &auth.GateOptions{Logger: quiet}).Require(http.NotFoundHandler())), r); s != "404" {
				t.Fatalf("status %s", s)
			}
			if got != tt.want {
				t.Errorf("got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// E7: a token in a request that the handler has not seen is warned of, once.
func TestWithoutTheHandler(t *testing.T) {
	var log bytes.Buffer
	key := auth.Must(rsa.GenerateKey(rand.Reader, 2048))
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Logger: quiet,
		Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}},
	}))
	a := auth.Must(gatewayjwt.New(proxy, func(context.Context, gatewayjwt.Claims) (store.User, error) { return store.User{}, nil },
		&gatewayjwt.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}))
	for range 2 {
		r := httptest.NewRequest("GET", "http://app.example/", nil)
		r.Header.Set("X-DAB-JW-TOKEN", sign(t, jose.RS256, key, claims(nil)))
		if _, err := a.Authenticate(r); !errors.Is(err, auth.ErrNoCredentials) {
			t.Errorf("got %v", err)
		}
	}
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "Proxy.Handler") {
		t.Errorf("logged %q", got)
	}
}

func TestNewNeedsKeys(t *testing.T) {
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{UnixSocket: true, Logger: quiet}))
	_, err := gatewayjwt.New(proxy, func(context.Context, gatewayjwt.Claims) (store.User, error) { return store.User{}, nil }, nil)
	if err == nil || !strings.Contains(err.Error(), "ProxyOptions.Proof") {
		t.Errorf("a Proxy without keys: %v", err)
	}
}

func serve(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	return "200 " + w.Body.String()
}
