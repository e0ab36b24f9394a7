package gatewayjwt_test

import (
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
	proof := auth.Must(auth.Must(auth.NewProxySigner(key, &auth.ProxySignerOptions{FirstVersion: true})).Proof(time.Now()))
	gate := auth.NewGate(gatewayjwt.New(proxy, user, &gatewayjwt.Options{Logger: quiet}), &auth.GateOptions{Logger: quiet})
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
		{"page of this origin", func(r *http.Request) {
			r.Method = "POST"
			r.Header.Set("Sec-Fetch-Site", "same-origin")
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

func serve(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	return "200 " + w.Body.String()
}
