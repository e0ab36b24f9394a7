package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// An oauthSystem is a system with applications, and with the people and the
// applications of sections H to K of the case catalogue.
type oauthSystem struct {
	*system
	server           *oauth.Server
	orgadmin, member store.User
	registered       int
	pc, pp, cc, cp   client
}

type client struct {
	id           int64
	name, secret string // client_id, "" for public ones
}

const (
	issuer   = "https://app.example"
	callback = "https://app.example/cb"
	verifier = "0123456789-abcdefghijklmnopqrstuvwxyz_ABCDEF"
)

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func newOAuth(t testing.TB, opts ...func(*options)) *oauthSystem {
	t.Helper()
	o := &oauthSystem{}
	o.system = newSystem(t, append([]func(*options){func(c *options) {
		c.tokens.Resource = issuer + "/api"
		c.oauth = oauth.Options{Issuer: issuer, Devices: &oauth.DeviceOptions{}}
		c.tokens.Organizations = auth.Organizations{
			ByID: func(_ context.Context, id int64) (auth.Organization, error) {
				switch id {
				case 1:
					return auth.Organization{ID: 1, Name: "Default"}, nil
				case 2:
					return auth.Organization{ID: 2, Name: "Other"}, nil
				}
				return auth.Organization{}, store.ErrNotFound
			},
			Of: func(_ context.Context, userID string) (auth.Memberships, error) {
				switch userID {
				case "6":
					return auth.Memberships{Admin: []int64{1}}, nil
				case "7":
					return auth.Memberships{Member: []int64{1}}, nil
				}
				return auth.Memberships{}, nil
			},
		}
	}}, opts...)...)
	add := func(name string) store.User {
		u := authtest.AddUser(t, o.db, store.User{Name: name}, "")
		if err := o.db.SetPasswordHash(t.Context(), u.ID, "cheap$"+name+"-pw"); err != nil {
			t.Fatal(err)
		}
		return u
	}
	o.orgadmin, o.member = add("orgadmin"), add("member")
	o.serve(auth.Must(oauth.NewServer(o.tokens, o.db, o.db, &o.oauth)))
	o.pc = o.register("pc", "confidential", "password", "")
	o.pp = o.register("pp", "public", "password", "")
	o.cc = o.register("cc", "confidential", "authorization-code", callback)
	o.cp = o.register("cp", "public", "authorization-code", "http://127.0.0.1/cb")
	return o
}

// serve builds the API with srv.
func (o *oauthSystem) serve(srv *oauth.Server) {
	o.server = srv
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: o.gate, Users: o.db, Passwords: o.passwords, Session: o.session, Tokens: o.tokens,
		OAuth: o.server, Accounts: o.accounts, Activity: o.stream,
	}))
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/.well-known/", api)
	mux.Handle("/probe/", o.gate.Require(http.HandlerFunc(probe)))
	o.document.Store(nil)
	o.handler = o.session.Handler(mux)
}

// devices counts up, for names of devices.
func (o *oauthSystem) devices() int {
	o.registered++
	return o.registered
}

// register creates an application of organization 1 as admin.
func (o *oauthSystem) register(name, clientType, grant, uris string) client {
	o.t.Helper()
	doc := o.do("POST", "/api/v2/applications/", basic("admin", "admin-pw"), jsonBody(fmt.Sprintf(
		`{"name":%q,"client_type":%q,"authorization_grant_type":%q,"redirect_uris":%q,"organization":1}`, name, clientType, grant, uris))).wants(201).json()
	secret, _ := doc["client_secret"].(string)
	return client{int64(doc["id"].(float64)), doc["client_id"].(string), secret}
}

func (c client) path() string { return "/api/v2/applications/" + strconv.FormatInt(c.id, 10) + "/" }

// auth authenticates as the client, by Basic or, a public one, with client_id.
func (c client) post(o *oauthSystem, path string, pairs ...string) reply {
	o.t.Helper()
	if c.secret == "" {
		return o.do("POST", path, form(append([]string{"client_id", c.name}, pairs...)...))
	}
	return o.do("POST", path, form(pairs...), basic(c.name, c.secret))
}

func (c client) token(o *oauthSystem, pairs ...string) reply {
	o.t.Helper()
	return c.post(o, "/api/o/token/", pairs...)
}

// authorizeURL is a request with PKCE; pairs replace parameters, and an empty
// value removes one.
func authorizeURL(c client, redirectURI string, pairs ...string) string {
	v := url.Values{
		"response_type": {"code"}, "client_id": {c.name}, "redirect_uri": {redirectURI}, "scope": {"read"}, "state": {"x y&z"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return "/api/o/authorize/?" + v.Encode()
}

// allow posts the consent form.
func (o *oauthSystem) allow(target string, c *http.Cookie, parts ...with) reply {
	o.t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		o.t.Fatal(err)
	}
	pairs := []string{"allow", "Authorize"}
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, name, v)
		}
	}
	return o.do("POST", "/api/o/authorize/", append([]with{form(pairs...), cookie(c)}, parts...)...)
}

// location returns the parameters of a redirect.
func (r reply) location() (to string, v url.Values) {
	r.s.t.Helper()
	to = r.wants(302).header.Get("Location")
	u, err := url.Parse(to)
	if err != nil {
		r.s.t.Fatal(err)
	}
	v = u.Query()
	u.RawQuery = ""
	return u.String(), v
}

// code takes alice through the authorization endpoint.
func (o *oauthSystem) code(c client, redirectURI string, pairs ...string) string {
	o.t.Helper()
	_, v := o.allow(authorizeURL(c, redirectURI, pairs...), o.login("alice", "alice-pw")).location()
	if v.Get("code") == "" {
		o.t.Fatalf("no code: %v", v)
	}
	return v.Get("code")
}

// pair takes alice through the code flow with APP-CC.
func (o *oauthSystem) pair(pairs ...string) (access, refresh string) {
	o.t.Helper()
	doc := o.cc.token(o, "grant_type", "authorization_code", "code", o.code(o.cc, callback, pairs...), "redirect_uri", callback, "code_verifier", verifier).wants(200).json()
	return doc["access_token"].(string), doc["refresh_token"].(string)
}

// fails checks for an error of RFC 6749 section 5.2.
func (r reply) fails(status int, code string) reply {
	r.s.t.Helper()
	doc := r.wants(status).json()
	if doc["error"] != code || doc["error_description"] == "" {
		r.s.t.Errorf("body %s, want the error %s", r.body, code)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Pragma") != "no-cache" {
		r.s.t.Errorf("header %v can be cached", r.header)
	}
	return r
}

func (o *oauthSystem) alive(access string) bool {
	o.t.Helper()
	r := o.do("GET", "/api/v2/me/", bearer(access))
	if r.status != 200 {
		r.is401()
	}
	return r.status == 200
}

func wait(d time.Duration) { <-time.After(d) }
