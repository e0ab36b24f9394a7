package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ForwardAuth answers the questions of proxies that ask before they pass a
// request on: auth_request of nginx, forward_auth of Caddy, ForwardAuth of
// Traefik. It belongs behind the Handler of its [Proxy].
type ForwardAuth struct {
	gate *Gate
	opts ForwardAuthOptions
}

// ForwardAuthOptions are the options of [NewForwardAuth].
// A zero ForwardAuthOptions consists entirely of default values.
type ForwardAuthOptions struct {
	// UserField is the field of the answer with the name of the user, which the
	// proxy copies into the request. The default is X-Remote-User.
	UserField string

	// MethodField is the field in which the proxy gives the method of the
	// request that it asks about. The default is X-Forwarded-Method, which Caddy
	// and Traefik set; nginx must be told to set one, and whichever it is has to
	// overwrite what the client sends. It must be in [ProxyOptions].Protected.
	MethodField string

	// Signer adds X-Trusted-Proxy, in its first version, for the proxy to copy
	// into the request. Nil means none.
	Signer *ProxySigner
}

// NewForwardAuth returns a handler that asks g and believes the proxies of p. It
// returns an error if p does not protect the MethodField. It panics if p or g is
// nil.
func NewForwardAuth(p *Proxy, g *Gate, opts *ForwardAuthOptions) (*ForwardAuth, error) {
	if p == nil || g == nil {
		panic("auth: NewForwardAuth: nil Proxy or Gate")
	}
	f := &ForwardAuth{gate: g}
	if opts != nil {
		f.opts = *opts
	}
	var err error
	if f.opts.UserField, err = parseFieldName(cmp.Or(f.opts.UserField, "X-Remote-User")); err != nil {
		return nil, fmt.Errorf("auth: ForwardAuthOptions.UserField: %w", err)
	}
	if f.opts.MethodField, err = parseFieldName(cmp.Or(f.opts.MethodField, "X-Forwarded-Method")); err != nil {
		return nil, fmt.Errorf("auth: ForwardAuthOptions.MethodField: %w", err)
	}
	if p.fields.byName[strings.ToLower(f.opts.MethodField)].pass != passTrusted {
		return nil, fmt.Errorf("auth: ForwardAuthOptions.MethodField: %q is not in ProxyOptions.Protected, so that anybody could set it", f.opts.MethodField)
	}
	return f, nil
}

// ServeHTTP implements [http.Handler]. It answers 200 with the name of the user,
// or refuses as [Gate.Require] would refuse the request that the proxy asks
// about. Where the method is not known for sure, only a credential that may do
// anything passes.
func (f *ForwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := r.WithContext(r.Context())
	asked.Method = http.MethodPost
	if methods := r.Header[f.opts.MethodField]; len(methods) == 1 && forwardedOf(r.Context()) != nil {
		// An unknown or odd method is as unsafe as POST to Scopes.Permit.
		asked.Method = methods[0]
	}
	p, err := f.gate.Check(asked)
	if err == nil && !validIdentity(p.Name) {
		err = &Error{Status: http.StatusForbidden, Detail: detailForbidden, Err: errors.New("the name of the user does not fit into a header field")}
	}
	proof := ""
	if err == nil && f.opts.Signer != nil {
		proof, err = f.opts.Signer.Proof(time.Now())
	}
	if err != nil {
		f.gate.Deny(w, asked, err)
		return
	}
	h := w.Header()
	vary(h)
	h.Set("Cache-Control", "no-store")
	h.Set(f.opts.UserField, p.Name)
	if proof != "" {
		h.Set(fieldProof, proof)
	}
	w.WriteHeader(http.StatusOK)
}
