package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/forwarded"
)

// ForwardAuth is the handler for the questions that proxies ask before they
// forward a request: auth_request of nginx, forward_auth of Caddy, ForwardAuth
// of Traefik. It must be inside the Handler of its [auth.Proxy]. It is safe for
// concurrent use.
//
// Only proxies that the [auth.Proxy] trusts get an answer; all other clients
// get 403. The answer is for the proxy alone: with a Signer it has a proof that
// is good for any request. The proxy must therefore forward no request of a
// client to this handler. Give the handler an address of its own, or a location
// that is internal to the proxy.
//
// The proxy must send the fields of the request that it asks about, and Host. A
// request with any of the fields of a WebSocket counts as one; see the package
// documentation for nginx.
type ForwardAuth struct {
	proxy *auth.Proxy
	gate  *auth.Gate
	opts  ForwardAuthOptions
	login *login // nil for no redirects
}

// ForwardAuthOptions are the options of [NewForwardAuth].
// A zero ForwardAuthOptions consists entirely of default values.
type ForwardAuthOptions struct {
	// UserField is the field of the answer with the name of the user. The proxy
	// must copy it into the request. The default is X-Remote-User.
	UserField string

	// MethodField is the field in which the proxy gives the method of the
	// request that it asks about. The default is X-Forwarded-Method, which
	// Caddy and Traefik set. nginx must be configured to set it. The proxy must
	// overwrite the field of the client, and the field must be in
	// [auth.ProxyOptions].Protected.
	MethodField string

	// Signer adds X-Trusted-Proxy, in its first version, for the proxy to copy
	// into the request. It must have [SignerOptions].FirstVersion. Nil means
	// none.
	Signer *Signer

	// Login is the login page: a path on the requested host, such as
	// /api/login/, or an https URL on another host. A browser that opens a page
	// without a login, which is a GET for text/html outside of scripts and
	// frames, is redirected there, with the requested address in the parameter
	// next. The proxy must give that address in X-Forwarded-Uri, as Caddy and
	// Traefik do, and the field must be in [auth.ProxyOptions].Protected. All
	// other requests are refused with 401. "" redirects nobody.
	//
	// A login page on another host must check next itself before it redirects
	// there.
	Login string

	// LoginStatus is the status of a redirect to Login: 302, or 401 with a
	// Location for nginx, which accepts no redirect as an answer; see the
	// package documentation. Zero means 302.
	LoginStatus int

	// ReturnHosts are the hosts, as host or host:port, that a Login on another
	// host may redirect back to. They are required for such a Login and must be
	// empty for a path.
	ReturnHosts []string

	// Preflights accepts CORS preflights without credentials: OPTIONS with
	// Origin and Access-Control-Request-Method. The answer to them has no user
	// and no proof. The service must ignore the UserField of a request without
	// a proof, because a proxy may forward that of the client.
	Preflights bool
}

// NewForwardAuth returns a handler that authenticates by g and answers the
// proxies of p. Nil options mean the defaults. It returns an error if p does
// not protect the fields that the proxy must set, and for contradictory
// options. It panics if p or g is nil.
func NewForwardAuth(p *auth.Proxy, g *auth.Gate, opts *ForwardAuthOptions) (*ForwardAuth, error) {
	if p == nil || g == nil {
		panic("gateway: NewForwardAuth: nil Proxy or Gate")
	}
	f := &ForwardAuth{proxy: p, gate: g}
	if opts != nil {
		f.opts = *opts
	}
	var err error
	if f.opts.UserField, err = forwarded.ParseFieldName(cmp.Or(f.opts.UserField, "X-Remote-User")); err != nil {
		return nil, fmt.Errorf("gateway: ForwardAuthOptions.UserField: %w", err)
	}
	if f.opts.MethodField, err = forwarded.ParseFieldName(cmp.Or(f.opts.MethodField, "X-Forwarded-Method")); err != nil {
		return nil, fmt.Errorf("gateway: ForwardAuthOptions.MethodField: %w", err)
	}
	if !p.Protects(f.opts.MethodField) {
		return nil, unprotected("MethodField", f.opts.MethodField)
	}
	switch f.opts.UserField {
	case f.opts.MethodField, fieldURI, forwarded.FieldFor, forwarded.FieldForwarded, forwarded.FieldProto, forwarded.FieldHost:
		return nil, fmt.Errorf("gateway: ForwardAuthOptions.UserField: %q has another meaning; name a field of its own", f.opts.UserField)
	}
	if s := f.opts.Signer; s != nil && !s.opts.FirstVersion {
		return nil, errors.New("gateway: ForwardAuthOptions.Signer needs SignerOptions.FirstVersion: a proxy that asks does not sign its requests")
	}
	if f.login, err = newLogin(p, &f.opts); err != nil {
		return nil, err
	}
	return f, nil
}

func unprotected(option, field string) error {
	return fmt.Errorf("gateway: ForwardAuthOptions.%s: anybody could set %s; add it to ProxyOptions.Protected, and give the Proxy Peers, PeerCertificate or UnixSocket", option, field)
}

const detailForbidden = "You do not have permission to perform this action."

var (
	errStranger = &auth.Error{
		Status: http.StatusForbidden,
		Detail: detailForbidden,
		Err:    errors.New("the question does not come from a proxy that is believed"),
	}
	errNoHandler = &auth.Error{
		Status: http.StatusForbidden,
		Detail: detailForbidden,
		Err:    errors.New("the question has not passed Proxy.Handler; put the handler of the Proxy around ForwardAuth"),
	}
	errUserName = &auth.Error{
		Status: http.StatusForbidden,
		Detail: detailForbidden,
		Err:    errors.New("the name of the user does not fit into a header field"),
	}
)

// ServeHTTP implements [http.Handler]. It answers 200 with the name of the
// user, or the refusal of [auth.Gate.Require] for the request that the proxy
// asks about. If the method is not known, the credential must have the scope
// write.
func (f *ForwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if facts := forwarded.Of(r.Context()); facts == nil || facts.By != f.proxy {
		err := errStranger
		if len(r.Header[f.opts.MethodField]) > 0 { // the handler would have removed it
			err = errNoHandler
		}
		f.gate.Deny(w, r, err)
		return
	}
	asked := f.asked(r)
	if f.opts.Preflights && preflight(asked) {
		answer(w)
		return
	}
	p, err := f.gate.Check(asked)
	if err == nil && !forwarded.UserName(p.Name) {
		err = errUserName
	}
	proof := ""
	if err == nil && f.opts.Signer != nil {
		proof, err = f.opts.Signer.Proof(time.Now())
	}
	if err != nil {
		f.refuse(w, asked, err)
		return
	}
	w.Header().Set(f.opts.UserField, p.Name)
	if proof != "" {
		w.Header().Set(forwarded.FieldProof, proof)
	}
	answer(w)
}

// answer writes the answer for an accepted request.
func answer(w http.ResponseWriter) {
	w.Header().Add("Vary", "Authorization, Cookie")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// refuse refuses a request, or redirects the browser to the login.
func (f *ForwardAuth) refuse(w http.ResponseWriter, asked *http.Request, err error) {
	if f.login != nil && unauthorized(err) && navigation(asked) {
		if location := f.login.location(asked); location != "" {
			f.gate.DenyWith(w, asked, err, func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) {
				f.login.send(w, location)
			})
			return
		}
	}
	f.gate.Deny(w, asked, err)
}

// unauthorized reports whether a login could help.
func unauthorized(err error) bool {
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return e.Status == http.StatusUnauthorized
	}
	return errors.Is(err, auth.ErrNoCredentials)
}
