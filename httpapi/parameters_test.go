package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// An endpointCase is a request of an OAuth endpoint that is good.
type endpointCase struct {
	name   string
	send   func(o *oauthSystem, v url.Values) reply
	params func(o *oauthSystem) url.Values // fresh ones, each time
	// free are the parameters whose text means nothing here.
	free []string
}

// posted sends v as a form, as a client that authenticates by Basic.
func posted(path string) func(*oauthSystem, url.Values) reply {
	return func(o *oauthSystem, v url.Values) reply {
		return o.do("POST", path, rawForm(v), basic(o.cc.name, o.cc.secret))
	}
}

// inBody sends v as a form that names the client itself.
func inBody(path string) func(*oauthSystem, url.Values) reply {
	return func(o *oauthSystem, v url.Values) reply { return o.do("POST", path, rawForm(v)) }
}

func rawForm(v url.Values) with { return body("application/x-www-form-urlencoded", v.Encode()) }

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func endpointCases() []endpointCase {
	authorizeParams := func(o *oauthSystem) url.Values {
		u, err := url.Parse(authorizeURL(o.cc, callback, "response_mode", "query", "resource", issuer+"/api", "approval_prompt", "force"))
		if err != nil {
			o.t.Fatal(err)
		}
		return u.Query()
	}
	return []endpointCase{
		{
			name: "authorize",
			send: func(o *oauthSystem, v url.Values) reply {
				return o.do("GET", "/api/o/authorize/?"+v.Encode(), cookie(o.login("alice", "alice-pw")))
			},
			params: authorizeParams,
			free:   []string{"state", "approval_prompt"},
		},
		{
			name: "authorization code",
			send: posted("/api/o/token/"),
			params: func(o *oauthSystem) url.Values {
				return values("grant_type", "authorization_code", "code", o.code(o.cc, callback), "redirect_uri", callback, "code_verifier", verifier, "resource", issuer+"/api", "client_id", o.cc.name)
			},
		},
		{
			name: "authorization code of a public client",
			send: inBody("/api/o/token/"),
			params: func(o *oauthSystem) url.Values {
				return values("grant_type", "authorization_code", "code", o.code(o.cp, "http://127.0.0.1/cb"), "redirect_uri", "http://127.0.0.1/cb", "code_verifier", verifier, "client_id", o.cp.name)
			},
		},
		{
			name: "public client with client_secret=, as Postman sends it",
			send: func(o *oauthSystem, v url.Values) reply {
				v.Set("client_secret", "")
				return inBody("/api/o/token/")(o, v)
			},
			params: func(o *oauthSystem) url.Values {
				return values("grant_type", "authorization_code", "code", o.code(o.cp, "http://127.0.0.1/cb"), "redirect_uri", "http://127.0.0.1/cb", "code_verifier", verifier, "client_id", o.cp.name)
			},
		},
		{
			name: "client in the body",
			send: inBody("/api/o/token/"),
			params: func(o *oauthSystem) url.Values {
				_, refresh := o.pair()
				return values("grant_type", "refresh_token", "refresh_token", refresh, "scope", "read", "client_id", o.cc.name, "client_secret", o.cc.secret)
			},
		},
		{
			name: "password",
			send: func(o *oauthSystem, v url.Values) reply {
				return o.do("POST", "/api/o/token/", rawForm(v), basic(o.pc.name, o.pc.secret))
			},
			params: func(*oauthSystem) url.Values {
				return values("grant_type", "password", "username", "alice", "password", "alice-pw", "scope", "read", "resource", issuer+"/api")
			},
		},
		{
			name: "revoke",
			send: posted("/api/o/revoke_token/"),
			params: func(o *oauthSystem) url.Values {
				access, _ := o.pair()
				return values("token", access, "token_type_hint", "access_token")
			},
			free: []string{"token", "token_type_hint"}, // RFC 7009 section 2.2: invalid tokens are no error
		},
		{
			name: "introspect",
			send: posted("/api/o/introspect/"),
			params: func(o *oauthSystem) url.Values {
				access, _ := o.pair()
				return values("token", access, "token_type_hint", "access_token")
			},
			free: []string{"token", "token_type_hint"}, // RFC 7662 section 2.2: not active
		},
		{
			name: "device authorization",
			send: inBody("/api/o/device_authorization/"),
			params: func(o *oauthSystem) url.Values {
				device := o.register(fmt.Sprint("device", o.devices()), "public", "urn:ietf:params:oauth:grant-type:device_code", "")
				return values("client_id", device.name, "scope", "read", "resource", issuer+"/api")
			},
		},
	}
}

// outcome is what two replies have in common that are the same answer.
func outcome(r reply) string {
	if to := r.header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil {
			return to
		}
		q := u.Query()
		return fmt.Sprint(r.status, u.Path, q.Get("error"), q.Get("error_description"), q.Has("code"))
	}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		return fmt.Sprint(r.status, " page, form: ", strings.Contains(string(r.body), "<form"))
	}
	doc := r.json()
	return fmt.Sprint(r.status, doc["error"], doc["error_description"], doc["active"], doc["scope"])
}

func (r reply) refuses() bool {
	if to := r.header.Get("Location"); to != "" {
		return strings.Contains(to, "error=")
	}
	return r.status >= 400 && r.status < 500
}

// Decision 35 and RFC 6749 sections 3.1 and 3.2, for every parameter of every
// endpoint: without a value it counts as absent, twice it is refused, even if one
// of the two has no value, and blank or far too long it is no value at all.
func TestParameters(t *testing.T) {
	o := newOAuth(t)
	for _, e := range endpointCases() {
		t.Run(e.name, func(t *testing.T) {
			if r := e.send(o, e.params(o)); r.refuses() || r.status >= 500 {
				t.Fatalf("the request is no good: %d %s", r.status, r.body)
			}
			for name := range e.params(o) {
				free := false
				for _, f := range e.free {
					free = free || f == name
				}
				with := func(change func(url.Values)) reply {
					v := e.params(o)
					change(v)
					return e.send(o, v)
				}
				absent := outcome(with(func(v url.Values) { v.Del(name) }))
				if empty := outcome(with(func(v url.Values) { v.Set(name, "") })); empty != absent {
					t.Errorf("%s without a value: %s, absent: %s", name, empty, absent)
				}
				if name != "resource" {
					for what, more := range map[string]string{"twice": "", "twice, once without a value": "x"} {
						r := with(func(v url.Values) {
							if more == "" {
								v.Add(name, v.Get(name))
							} else {
								v.Add(name, "")
							}
						})
						if !r.refuses() {
							t.Errorf("%s %s: %s", name, what, outcome(r))
						}
					}
				}
				for what, text := range map[string]string{"blank": " ", "too long": strings.Repeat("a", 20_000)} {
					if r := with(func(v url.Values) { v.Set(name, text) }); r.status >= 500 || !free && !r.refuses() {
						t.Errorf("%s %s: %s", name, what, outcome(r))
					}
				}
			}
		})
	}
}
