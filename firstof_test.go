package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/ostiary/auth"
)

var errStricter = &auth.Error{Status: http.StatusUnauthorized, Detail: "The host refuses."}

func refuseAll(*http.Request) (*auth.Principal, error) { return nil, errStricter }

// Types of a host that embed one of ours, by pointer, and whose Authenticate is
// stricter.
type (
	strictBearer  struct{ *auth.Bearer }
	strictSession struct{ *auth.Session }
	strictBasic   struct{ *auth.Basic }
	strictProxy   struct{ *auth.ProxyUsers }
	strictChain   struct{ auth.Authenticator }
)

func (strictBearer) Authenticate(r *http.Request) (*auth.Principal, error)  { return refuseAll(r) }
func (strictSession) Authenticate(r *http.Request) (*auth.Principal, error) { return refuseAll(r) }
func (strictBasic) Authenticate(r *http.Request) (*auth.Principal, error)   { return refuseAll(r) }
func (strictProxy) Authenticate(r *http.Request) (*auth.Principal, error)   { return refuseAll(r) }
func (strictChain) Authenticate(r *http.Request) (*auth.Principal, error)   { return refuseAll(r) }

// The same, by value.
type (
	valueBearer  struct{ auth.Bearer }
	valueSession struct{ auth.Session }
	valueBasic   struct{ auth.Basic }
	valueProxy   struct{ auth.ProxyUsers }
)

func (*valueBearer) Authenticate(r *http.Request) (*auth.Principal, error)  { return refuseAll(r) }
func (*valueSession) Authenticate(r *http.Request) (*auth.Principal, error) { return refuseAll(r) }
func (*valueBasic) Authenticate(r *http.Request) (*auth.Principal, error)   { return refuseAll(r) }
func (*valueProxy) Authenticate(r *http.Request) (*auth.Principal, error)   { return refuseAll(r) }

// deeper embeds a type that embeds one of ours.
type deeper struct{ strictBearer }

// anonymous types are types of a host, too.
type bearerOrNothing = struct{ *auth.Bearer }

// Decision 24: the method of the host decides, for every type of ours, however it
// is embedded and wherever it stands. An embedded type of ours that the host does
// not narrow decides as it always does.
func TestEmbeddedAuthenticators(t *testing.T) {
	s := newSystem(t, nil)
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, InsecureAddressAlone: true, UserField: "X-Remote-User", Logger: quiet,
	}))
	proxyUsers := auth.Must(auth.NewProxyUsers(proxy, s.db, nil))
	bearers, basic := auth.NewBearer(s.tokens), auth.NewBasic(s.passwords, nil)
	token, password, cookie, named := bearer(s.issue(s.alice, "write")), basicLine("alice", goodPassword), s.login(s.alice), "X-Remote-User: alice"
	for _, tt := range []struct {
		name, line     string
		ours, stricter auth.Authenticator
	}{
		{"bearer", token, bearers, strictBearer{bearers}},
		{"bearer, pointer to the host's type", token, bearers, &strictBearer{bearers}},
		{"bearer by value", token, bearers, &valueBearer{*bearers}},
		{"bearer, two levels down", token, bearerOrNothing{bearers}, deeper{strictBearer{bearers}}},
		{"session", cookie, s.session, strictSession{s.session}},
		{"session by value", cookie, s.session, &valueSession{*s.session}},
		{"basic", password, basic, strictBasic{basic}},
		{"basic by value", password, basic, &valueBasic{*basic}},
		{"proxy users", named, proxyUsers, strictProxy{proxyUsers}},
		{"proxy users by value", named, proxyUsers, &valueProxy{*proxyUsers}},
		{"chain", token, auth.FirstOf(bearers, s.session), strictChain{auth.FirstOf(bearers, s.session)}},
		{"chain of one", cookie, auth.FirstOf(s.session), strictChain{auth.FirstOf(s.session)}},
		{"function", token, auth.AuthenticatorFunc(bearers.Authenticate), auth.AuthenticatorFunc(refuseAll)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			around := func(a auth.Authenticator) map[string]auth.Authenticator {
				none := says(nil, auth.ErrNoCredentials)
				return map[string]auth.Authenticator{
					"alone":               a,
					"in a chain":          auth.FirstOf(a),
					"behind another":      auth.FirstOf(none, a),
					"before another":      auth.FirstOf(a, none),
					"in a chain's chain":  auth.FirstOf(none, auth.FirstOf(none, a)),
					"behind an interface": struct{ auth.Authenticator }{auth.FirstOf(a)},
				}
			}
			answers := func(a auth.Authenticator) (code int, err error) {
				gate := auth.NewGate(a, &auth.GateOptions{Logger: quiet})
				h := proxy.Handler(s.session.Handler(gate.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
				_, err = a.Authenticate(httptest.NewRequest("GET", "/", nil))
				return send(h, "GET", "/", tt.line).Code, err
			}
			for where, a := range around(tt.ours) {
				if code, _ := answers(a); code != http.StatusOK {
					t.Errorf("%s: ours answers %d", where, code)
				}
			}
			for where, a := range around(tt.stricter) {
				if code, err := answers(a); code != http.StatusUnauthorized || err != errStricter {
					t.Errorf("%s: the host's method is not asked: %d, %v", where, code, err)
				}
			}
		})
	}
}

// A gate leaves out who knows no credential but an Authorization field, for a request
// without one. The others are asked once, and what they say is what the gate says.
func TestRequestWithoutField(t *testing.T) {
	s := newSystem(t, nil)
	bearers, basic := auth.NewBearer(s.tokens), auth.NewBasic(s.passwords, nil)
	nothing := fmt.Errorf("no certificate: %w", auth.ErrNoCredentials)
	var host hostAsked
	for _, tt := range []struct {
		name string
		auth auth.Authenticator
		says error
		want error
	}{
		{"the host alone", &host, nothing, nothing},
		{"the host last", auth.FirstOf(bearers, s.session, basic, &host), nothing, auth.ErrNoCredentials},
		{"the host first", auth.FirstOf(&host, bearers, s.session), nothing, auth.ErrNoCredentials},
		{"within a chain", auth.FirstOf(bearers, auth.FirstOf(basic, &host)), nothing, auth.ErrNoCredentials},
		{"refused", auth.FirstOf(bearers, auth.FirstOf(basic, &host), s.session), errStricter, errStricter},
		{"let in", auth.FirstOf(bearers, basic, &host), nil, nil},
	} {
		host = hostAsked{err: tt.says}
		p, err := auth.NewGate(tt.auth, &auth.GateOptions{Logger: quiet}).Check(httptest.NewRequest("GET", "/", nil))
		if err != tt.want || (err == nil) != (p != nil) || host.asked != 1 {
			t.Errorf("%s: %v, %v, asked %d times; want %v, once", tt.name, p, err, host.asked, tt.want)
		}
	}
	for name, a := range map[string]auth.Authenticator{"bearer": bearers, "basic": basic, "both": auth.FirstOf(bearers, basic)} {
		if _, err := auth.NewGate(a, &auth.GateOptions{Logger: quiet}).Check(httptest.NewRequest("GET", "/", nil)); err != auth.ErrNoCredentials {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hostAsked is an authenticator of a host that counts how often it is asked.
type hostAsked struct {
	err   error
	asked int
}

func (a *hostAsked) Authenticate(*http.Request) (*auth.Principal, error) {
	if a.asked++; a.err != nil {
		return nil, a.err
	}
	return &auth.Principal{ID: "1", Name: "alice", Scopes: auth.Unrestricted}, nil
}

// A chain that asks nobody is a mistake, and so is one that has a nil in it.
func TestFirstOfNobody(t *testing.T) {
	var none *auth.Bearer
	for name, f := range map[string]func(){
		"empty":             func() { auth.FirstOf() },
		"empty list":        func() { auth.FirstOf([]auth.Authenticator{}...) },
		"nil":               func() { auth.FirstOf(nil) },
		"nil pointer":       func() { auth.FirstOf(none) },
		"nil behind others": func() { auth.FirstOf(says(nil, auth.ErrNoCredentials), none) },
		"nil function":      func() { auth.FirstOf(auth.AuthenticatorFunc(nil)) },
		"gate of nil":       func() { auth.NewGate(nil, nil) },
		"gate of a nil one": func() { auth.NewGate(none, nil) },
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); len(v) < 5 || v[:5] != "auth:" {
					t.Errorf("%s: %v", name, v)
				}
			}()
			f()
			t.Errorf("%s is accepted", name)
		}()
	}
}

// TestExcludes tells a gate that certainly does not ask an authenticator.
func TestExcludes(t *testing.T) {
	s := newSystem(t, nil)
	bearer, other := auth.NewBearer(s.tokens), auth.NewBearer(s.tokens)
	type hosts struct{ auth.Authenticator }
	for name, tt := range map[string]struct {
		gate auth.Authenticator
		want bool
	}{
		"itself":                    {bearer, false},
		"another one":               {other, true},
		"another kind":              {s.session, true},
		"in a chain":                {auth.FirstOf(s.session, bearer), false},
		"in a chain of chains":      {auth.FirstOf(other, auth.FirstOf(s.session, auth.FirstOf(bearer))), false},
		"not in a chain":            {auth.FirstOf(s.session, other), true},
		"behind a type of a host":   {hosts{other}, false},
		"with a host's in a chain":  {auth.FirstOf(s.session, hosts{other}), false},
		"behind a function":         {auth.AuthenticatorFunc(other.Authenticate), false},
		"embedded by one in itself": {hosts{bearer}, false},
	} {
		if got := auth.NewGate(tt.gate, nil).Excludes(bearer); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
