package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Gate turns the answers of an [Authenticator] into middleware. It is the only
// code that writes 401 and 403.
type Gate struct {
	auth       valuer
	challenges []string // the first one takes error parameters
	log        *slog.Logger
	deny       func(http.ResponseWriter, *http.Request, *Error)
}

// GateOptions are the options of [NewGate].
// A zero GateOptions consists entirely of default values.
type GateOptions struct {
	// Challenge is the WWW-Authenticate value of a 401, without error
	// parameters; they are added where RFC 6750 section 3 has them. The
	// default is
	//
	//	Bearer realm="api"
	//
	// Basic is advertised only if it is written here, behind a comma: browsers
	// answer it with a password prompt and keep the password.
	Challenge string

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger

	// Deny replaces the body of refusals, which is JSON with a member "detail".
	// The header is complete, but for Content-Type, when it is called; it must
	// write e.Status. Never write e.Err.
	Deny func(w http.ResponseWriter, r *http.Request, e *Error)
}

// NewGate returns a gate that asks a. Nil options mean the defaults. It panics
// if a is nil.
func NewGate(a Authenticator, opts *GateOptions) *Gate {
	if opts == nil {
		opts = &GateOptions{}
	}
	g := &Gate{auth: byValue(a), log: logger(opts.Logger), deny: opts.Deny}
	if g.deny == nil {
		g.deny = denyJSON
	}
	challenge := opts.Challenge
	if challenge == "" {
		challenge = `Bearer realm="api"`
	}
	// Parameters belong to the challenge before them, so whatever follows the
	// Bearer challenge gets a field line of its own (RFC 9110 section 11.6.1).
	if i := strings.Index(challenge, ", Basic "); i >= 0 {
		g.challenges = []string{challenge[:i], challenge[i+2:]}
	} else {
		g.challenges = []string{challenge}
	}
	return g
}

// The two sentences that AWX documents; clients compare them.
const (
	detailUnauthorized = "Authentication credentials were not provided."
	detailForbidden    = "You do not have permission to perform this action."
)

var (
	errUnauthorized = &Error{Status: http.StatusUnauthorized, Detail: detailUnauthorized}
	errForbidden    = &Error{Status: http.StatusForbidden, Detail: detailForbidden}
	errMethod       = &Error{Status: http.StatusMethodNotAllowed, Detail: "This method is never allowed."}
	errNeedsRead    = &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: ScopeRead}
	errNeedsWrite   = &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: ScopeWrite}
)

// Check decides about r and writes nothing, for requests that no handler serves:
// websockets, gRPC gateways. The error is one for [Gate.Deny].
func (g *Gate) Check(r *http.Request) (*Principal, error) {
	return onHeap(g.check(r, ""))
}

// check authenticates r and holds its method, and scope unless that is "",
// against the scopes of the credential.
func (g *Gate) check(r *http.Request, scope string) (Principal, error) {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return Principal{}, errMethod // they are for proxies; TRACE would echo credentials
	}
	p, err := g.auth.authenticate(r)
	if err != nil {
		return Principal{}, err
	}
	if !p.Scopes.Permit(r.Method) {
		if safeMethod(r.Method) {
			return p, errNeedsRead
		}
		return p, errNeedsWrite
	}
	if scope != "" && !p.Scopes.Has(scope) {
		return p, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: scope}
	}
	g.eventRequest(r, &p)
	return p, nil
}

// Recheck authenticates a request that was let in once more, by what the store
// has now, and returns an error for [Gate.Deny] if its credential has ended
// since. It is for handlers that give something lasting away and had to wait
// before, such as for a body: whoever holds a stolen credential decides how long
// that takes. Authenticators must not mind to be asked twice.
func (g *Gate) Recheck(r *http.Request) error {
	_, err := g.auth.authenticate(r.WithContext(reread{r.Context()}))
	return err
}

// reread is the context of a request whose session is read again.
type reread struct{ context.Context }

func (c reread) Value(key any) any {
	if key == (sessionStateKey{}) {
		return nil
	}
	return c.Context.Value(key)
}

// Require lets requests with a good credential pass that may use the request's
// method, see [Scopes.Permit], and refuses all others.
func (g *Gate) Require(next http.Handler) http.Handler { return g.require(next, "") }

// RequireScope is [Gate.Require] with one scope more, for handlers that need it
// whatever the method. It panics if name is not a scope-token.
func (g *Gate) RequireScope(name string) func(http.Handler) http.Handler {
	if !validScopeName(name) {
		panic("auth: RequireScope: " + strconv.Quote(name) + " is not a scope-token (RFC 6749 section 3.3)")
	}
	return func(next http.Handler) http.Handler { return g.require(next, name) }
}

func (g *Gate) require(next http.Handler, scope string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.check(r, scope)
		if err != nil {
			g.refuse(w, r, &p, err, g.deny)
			return
		}
		vary(w.Header())
		next.ServeHTTP(w, withPrincipal(r, p))
	})
}

// Identify lets anonymous requests pass, too. It refuses a bad credential and
// one that may not use the request's method: a client must find out that its
// token is dead.
func (g *Gate) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := g.check(r, "")
		switch {
		case err == nil:
			r = withPrincipal(r, p)
		case !errors.Is(err, ErrNoCredentials):
			g.refuse(w, r, &p, err, g.deny)
			return
		}
		vary(w.Header())
		next.ServeHTTP(w, r)
	})
}

// Header fields that are shared by all replies; their capacity makes an append
// copy them.
var (
	varies  = []string{"Authorization, Cookie"}
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
	isJSON  = []string{"application/json"}
	// What may be allowed, where the gate decides for all resources behind it
	// (RFC 9110 section 15.5.6).
	allowed = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
)

// vary says that a reply depends on the credentials (RFC 9110 section 12.5.5).
func vary(h http.Header) {
	switch v := h["Vary"]; {
	case len(v) == 0:
		h["Vary"] = varies
	case !slices.Contains(v, varies[0]):
		h["Vary"] = append(slices.Clip(v), varies...)
	}
}

// Deny refuses a request because of err: an [*Error] as it says, an error that
// wraps [ErrNoCredentials] with 401, anything else with 503, because a store
// that is down has not said no.
func (g *Gate) Deny(w http.ResponseWriter, r *http.Request, err error) {
	g.refuse(w, r, nil, err, g.deny)
}

// DenyWith is [Gate.Deny] with another body, such as a page; see
// [GateOptions].Deny for what body must do.
func (g *Gate) DenyWith(w http.ResponseWriter, r *http.Request, err error, body func(http.ResponseWriter, *http.Request, *Error)) {
	g.refuse(w, r, nil, err, body)
}

// refuse is DenyWith for a principal that was found but may not go on.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, p *Principal, err error, body func(http.ResponseWriter, *http.Request, *Error)) {
	e := refusal(err)
	g.eventRefused(r, p, e)

	shown := e
	if e.Status == http.StatusUnauthorized {
		// The sentence says nothing about the cause: the challenge does.
		shown = errUnauthorized
		if e.Code != "" {
			shown = &Error{Status: e.Status, Code: e.Code, Detail: detailUnauthorized}
		}
	}
	if e.Status == http.StatusUnauthorized || e.Code == "insufficient_scope" {
		w.Header()["Www-Authenticate"] = g.challenge(e)
	}
	if e == errMethod {
		w.Header()["Allow"] = allowed
	}
	writeRefusal(w, r, shown, body)
}

// writeRefusal writes what all refusals have in common, and lets body do the
// rest.
func writeRefusal(w http.ResponseWriter, r *http.Request, e *Error, body func(http.ResponseWriter, *http.Request, *Error)) {
	h := w.Header()
	vary(h)
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(e.RetryAfter))) // RFC 9110 section 10.2.3
	}
	body(w, r, e)
}

// refusal says what the client may know about err.
func refusal(err error) *Error {
	// An Error without the status of a refusal is a mistake of its author, and
	// no permission to go on.
	if e, ok := errors.AsType[*Error](err); ok && e.Status >= 400 && e.Status <= 599 {
		return e
	}
	if errors.Is(err, ErrNoCredentials) {
		return errUnauthorized
	}
	return &Error{
		Status:     http.StatusServiceUnavailable,
		Detail:     "The service is temporarily unavailable.",
		RetryAfter: time.Second,
		Err:        err,
	}
}

// challenge adds the parameters of RFC 6750 section 3 to the first challenge.
func (g *Gate) challenge(e *Error) []string {
	if e.Code == "" {
		return g.challenges
	}
	c := g.challenges[0]
	if strings.Contains(c, " ") {
		c += "," // behind the parameters it has
	}
	c += ` error="` + quotable(e.Code) + `"`
	if e.Status == http.StatusUnauthorized && e.Detail != detailUnauthorized {
		c += `, error_description="` + quotable(e.Detail) + `"`
	}
	if e.Scope != "" {
		c += `, scope="` + quotable(e.Scope) + `"`
	}
	return append([]string{c}, g.challenges[1:]...)
}

// quotable replaces what may not stand in the parameters of RFC 6750 section 3.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}

// denyJSON writes the body that AWX's clients read.
func denyJSON(w http.ResponseWriter, _ *http.Request, e *Error) {
	body := unauthorizedJSON
	if e.Detail != detailUnauthorized {
		body = detailJSON(e.Detail)
	}
	w.Header()["Content-Type"] = isJSON
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
}

var unauthorizedJSON = detailJSON(detailUnauthorized)

func detailJSON(detail string) []byte {
	body, err := json.Marshal(struct {
		Detail string `json:"detail"`
	}{detail})
	if err != nil { // a string always encodes
		panic(err)
	}
	return body
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}

// isNil reports whether v is nil or an interface that holds a nil pointer, map
// or function: either is a bug at construction, not something to find out while
// serving.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan:
		return rv.IsNil()
	}
	return false
}

// background returns the values of ctx without its cancellation, for a write
// that must not be lost because the client hung up.
func background(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
}

// storeTimeout bounds one store operation that outlives its request.
const storeTimeout = 2 * time.Second
