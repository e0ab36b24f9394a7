package auth

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
)

// Gate makes middleware of an [Authenticator]. It writes 401 and 403.
type Gate struct {
	auth         Authenticator
	parts        []Authenticator // of auth
	ours         bool            // all parts are types of this package
	basics       []*Basic        // among the parts
	first        *Bearer         // the first of the parts, or nil
	basic        *Basic          // the first of the parts that looks at a field of Basic while Basic is on, or nil
	bare         Authenticator   // auth for requests without an Authorization field
	challenge    challenge
	applications bool
	warnBefore   time.Duration
	log          *slog.Logger
	made         uintptr // where NewGate was called: the source of refusals, since a look at the stack takes time
	hook         *hook.Hook
	deny         func(http.ResponseWriter, *http.Request, *Error) // of the host, or nil
	prepared     map[*Error]*prepared
}

// GateOptions are the options of [NewGate].
// A zero GateOptions consists entirely of default values.
type GateOptions struct {
	// Realm is the name of the protected space in challenges (RFC 9110 section
	// 11.5). The default is "api".
	Realm string

	// Scope is the scope that a 401 tells clients to ask for, as words with
	// single spaces (RFC 6750 section 3). The default says nothing. A 403 names
	// the scope that is missing instead.
	Scope string

	// ResourceMetadata is the URL of the metadata of the protected resource, for
	// challenges (RFC 9728 section 5.1). The default says nothing.
	ResourceMetadata string

	// Basic advertises HTTP Basic in a challenge of its own. Browsers answer it
	// with a password prompt and keep the password.
	Basic bool

	// ApplicationTokens accepts tokens that act for an application alone and
	// for no user, see [Principal].ApplicationID. Otherwise they get 403.
	ApplicationTokens bool

	// WarnBefore is the time before the expiry of a personal access token in
	// which answers to its requests have the field X-Token-Expires. The field is
	// the expiry in UTC in the form of RFC 3339. Zero means that no answer has
	// the field. Answers to tokens of applications never have it, because
	// applications refresh their tokens.
	WarnBefore time.Duration

	// Logger receives the audit events. Nil means [slog.Default]. The event of a
	// refusal can have a group without a name, whose attributes a handler must
	// write as those of the event, see [slog.Handler]. The source of a refusal is the
	// call of NewGate.
	Logger *slog.Logger

	// Observe is called for the events RequestAllowed and RequestRefused, see package observe.
	// Nil costs nothing.
	Observe observe.Func

	// Deny writes the body of a refusal in place of the default, which is JSON
	// with a member "detail". It is called with a complete header, but for
	// Content-Type, and must write e.Status or a redirect. The gate replaces the
	// status of a success by e.Status, and writes the default body if Deny writes
	// nothing. E is the error of the authenticator, so that a login page can show
	// e.Detail. The default body of a 401 is the same for every cause. Deny must
	// not write e.Err.
	Deny func(w http.ResponseWriter, r *http.Request, e *Error)
}

// NewGate returns a gate that authenticates by a. Nil options mean the
// defaults. It panics if a is nil, if an option cannot stand in a challenge, if
// WarnBefore is negative, or if GateOptions.Basic is set and a certainly asks no
// [Basic].
func NewGate(a Authenticator, opts *GateOptions) *Gate {
	if opts == nil {
		opts = &GateOptions{}
	}
	if opts.WarnBefore < 0 {
		panic("auth: NewGate: GateOptions.WarnBefore is negative")
	}
	g := &Gate{
		auth:         notNil(a),
		challenge:    newChallenge(opts),
		applications: opts.ApplicationTokens,
		warnBefore:   opts.WarnBefore,
		log:          options.Logger(opts.Logger),
		deny:         opts.Deny,
	}
	var pcs [1]uintptr
	runtime.Callers(2, pcs[:])
	g.made = pcs[0]
	g.hook = hook.New(opts.Observe, g.log)
	g.prepared = prepare(&g.challenge)
	g.parts, g.ours = parts(a)
	g.basics = partsOf[*Basic](g.parts)
	g.first, _ = g.parts[0].(*Bearer)
	g.basic = firstForBasic(g.parts)
	g.bare = withoutField(a)
	if opts.Basic && g.ours && len(g.basics) == 0 {
		panic("auth: GateOptions.Basic asks for a password that nobody looks at: give NewGate a NewBasic, or leave Basic out")
	}
	for word := range strings.FieldsSeq(opts.Scope) {
		g.noteScope("GateOptions.Scope", word)
	}
	return g
}

// Excludes reports whether g certainly never asks a. It is for constructors
// that need a among the authenticators. It returns false if g asks a type of
// the host, because that type may ask a.
func (g *Gate) Excludes(a Authenticator) bool { return g.ours && !slices.Contains(g.parts, a) }

// ExcludesTokens reports whether g certainly asks no [Bearer] of t. It returns
// false if g asks a type of the host.
func (g *Gate) ExcludesTokens(t *Tokens) bool {
	return g.ours && !slices.ContainsFunc(partsOf[*Bearer](g.parts), func(b *Bearer) bool { return b.tokens == t })
}

// AcceptsBasic reports whether g asks a [Basic] of this module that is switched
// on. It does not know what a type of the host asks.
func (g *Gate) AcceptsBasic() bool { return len(g.basics) > 0 && !allOff(g.basics) }

// noteScope logs a warning if no token that g accepts can have the scope of that
// name, because the name is misspelt or missing in TokensOptions.Scopes. Such a
// gate keeps tokens out and lets nobody in, so it is no reason to refuse.
func (g *Gate) noteScope(where, name string) {
	bearers := partsOf[*Bearer](g.parts)
	if !g.ours || len(bearers) == 0 {
		return
	}
	for _, b := range bearers {
		if slices.Contains(b.tokens.ScopeNames(), name) {
			return
		}
	}
	g.log.Warn("auth: " + where + ": no token can have the scope " + strconv.Quote(name) + "; correct it, or add it to TokensOptions.Scopes")
}

// Check authenticates r, checks the scope for its method, and writes nothing.
// It is for code that is no http.Handler, such as a gRPC gateway. Its error is
// for [Gate.Deny].
func (g *Gate) Check(r *http.Request) (*Principal, error) {
	var p Principal
	return onHeap(&p, g.check(&incoming{Request: r}, authorizationOf(r), "", &p))
}

// anyScope is the argument scope of check for handlers that need none. It is no
// scope-token.
const anyScope = " "

// check authenticates r and compares the scopes of the credential with those in
// scope, or with the method of r if scope is "". It sets p, which must be zero, if the
// credential is good. It settles r before an authenticator of the host gets it.
func (g *Gate) check(r *incoming, field authorization, scope string, p *Principal) error {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return errMethod // they are for proxies; TRACE would echo credentials
	}
	began := g.hook.Now()
	err := ErrNoCredentials
	switch { // as ask would, but quicker
	case field.scheme == schemeAbsent:
		err = ask(g.bare, r, field, p)
	case field.scheme == schemeBearer && g.first != nil:
		err = g.first.authenticate(*r, field, p)
	case field.scheme == schemeBasic && g.basic != nil:
		err = g.basic.authenticate(r, field, p)
	}
	if err != nil && field.scheme != schemeAbsent && noCredentials(err) {
		err = g.ask(r, field, p)
	}
	switch {
	case err != nil:
		return err
	case p.ID == "" && p.ApplicationID != 0 && !g.applications:
		return errApplicationAlone
	case scope == anyScope:
	case scope != "":
		if !Scopes(scope).Within(p.Scopes) {
			return &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: scope}
		}
	case !p.Scopes.Permit(r.Method):
		if safeMethod(r.Method) {
			return errNeedsRead
		}
		return errNeedsWrite
	}
	g.eventRequest(*r, p)
	if g.hook != nil {
		g.hook.Took(r.Context(), observe.RequestAllowed, credentialKind(p.Credential), observe.ReasonNone, began)
	}
	return nil
}

// ask asks the authenticators. An Authorization field that none of them knows
// is a bad credential.
func (g *Gate) ask(r *incoming, field authorization, p *Principal) error {
	off, asked := false, r
	if field.scheme == schemeBasic {
		off = allOff(g.basics)
		asked = &incoming{Request: ignoreBasic(r.settle(), off)}
	}
	err := ask(g.auth, asked, field, p)
	if field.scheme != schemeAbsent && !off && noCredentials(err) {
		return errUnknownScheme
	}
	return err
}

// Recheck authenticates an accepted request again, with the present state of
// the store, and returns the principal as it is now. It returns an error for
// [Gate.Deny] if the credential has ended in the meantime. It does not check the
// scope: the principal can have fewer rights and scopes than before. A handler that
// changes something must call it after it has read a body, because the client
// decides how long that takes. Authenticators must accept a second call for a
// request.
func (g *Gate) Recheck(r *http.Request) (*Principal, error) {
	var p Principal
	ctx := context.WithValue(r.Context(), stores.RecheckKey{}, true)
	return onHeap(&p, g.ask(&incoming{Request: r.WithContext(ctx)}, authorizationOf(r), &p))
}

// Require returns a handler that calls next for requests whose credential is
// good and permits their method, see [Scopes.Permit]. It refuses all others.
func (g *Gate) Require(next http.Handler) http.Handler { return g.require(next, "") }

// RequireScope is [Gate.Require] with the scopes of these names in place of the
// scope for the request's method: a token for "deploy" needs no "write". A token
// without one of them gets a challenge that names all. It panics if a name is not a
// scope-token (RFC 6749 section 3.3). It logs a warning if no token that g accepts
// can have a scope.
func (g *Gate) RequireScope(name string, further ...string) func(http.Handler) http.Handler {
	scope := g.scopeOf("RequireScope", append([]string{name}, further...))
	return func(next http.Handler) http.Handler { return g.require(next, scope) }
}

// scopeOf returns the argument scope of check for handlers that need these.
func (g *Gate) scopeOf(where string, names []string) string {
	for _, name := range names {
		if !validScopeName(name) {
			panic("auth: " + where + ": " + strconv.Quote(name) + " is not a scope-token (RFC 6749 section 3.3): give each scope as an argument of its own")
		}
		g.noteScope(where, name)
	}
	return strings.Join(names, " ")
}

// RequireAnyScope is [Gate.Require] without a check of scopes. It is for handlers
// that show or end the token of the request itself. Such a handler must check the
// scopes before it does anything else.
func (g *Gate) RequireAnyScope(next http.Handler) http.Handler { return g.require(next, anyScope) }

func (g *Gate) require(next http.Handler, scope string) http.Handler {
	mustHandle("Gate", next)
	return g.handler(func(w http.ResponseWriter, r incoming, field authorization) {
		var p Principal
		if g.admit(w, &r, field, scope, &p) {
			next.ServeHTTP(w, carrying(r, &p))
		}
	})
}

// RequirePrincipal is [Gate.Require] for a handler that takes the principal as an
// argument. It allocates nothing, because no copy of the request has to carry the
// principal: next gets the request itself, and [FromContext] does not find the
// principal in it, but that of a gate further out if there is one. A method of this
// module that takes a context logs no address of the client unless the handler adds
// one, see [WithClientAddr].
//
// With the names of scopes it is [Gate.RequireScope]. It panics as that does, and if
// next is nil.
func (g *Gate) RequirePrincipal(next func(http.ResponseWriter, *http.Request, Principal), scopes ...string) http.Handler {
	if next == nil {
		panic("auth: Gate.RequirePrincipal: nil function: give it the handler to guard")
	}
	scope := g.scopeOf("RequirePrincipal", scopes)
	h := g.handler(func(w http.ResponseWriter, r incoming, field authorization) {
		var p Principal
		if g.admit(w, &r, field, scope, &p) {
			next(w, r.Request, p)
		}
	})
	return http.HandlerFunc(h.ServeHTTP) // without ServeIn: it makes no copy, for which a context would lend room
}

// admit reports whether check lets r in. It writes the fields of the answer that a
// handler does not write, or the refusal.
func (g *Gate) admit(w http.ResponseWriter, r *incoming, field authorization, scope string, p *Principal) bool {
	if err := g.check(r, field, scope, p); err != nil {
		g.refuse(w, r, p, err, g.deny)
		return false
	}
	h := w.Header()
	vary(h)
	g.warn(h, p)
	return true
}

// warn announces the expiry of a personal access token that is near.
func (g *Gate) warn(h http.Header, p *Principal) {
	if g.warnBefore > 0 && p.TokenID != 0 && p.ApplicationID == 0 && time.Until(p.Expires) < g.warnBefore {
		h["X-Token-Expires"] = []string{p.Expires.UTC().Format(time.RFC3339)}
	}
}

// Identify is [Gate.Require] that also calls next for requests without a
// credential. A bad credential is refused, so that clients notice a dead token.
// A request by a safe method with the cookie of a dead session is anonymous, unless
// it is an upgrade, because a browser cannot drop that cookie by itself.
func (g *Gate) Identify(next http.Handler) http.Handler {
	mustHandle("Gate.Identify", next)
	return g.handler(func(w http.ResponseWriter, r incoming, field authorization) {
		var p Principal
		var inner *http.Request
		err := g.check(&r, field, "", &p)
		switch {
		case err == nil:
			g.warn(w.Header(), &p)
			inner = carrying(r, &p)
		case noCredentials(err), sessionEnded(err) && safeMethod(r.Method) && !upgrade(r.Header):
			inner = withClient(r.settle())
		default:
			g.refuse(w, &r, &p, err, g.deny)
			return
		}
		vary(w.Header())
		next.ServeHTTP(w, inner)
	})
}

// handler returns a handler that calls serve with the Authorization field.
// [Session.Handler] does not read the session of a request with one. If the field
// counts as absent, the handler reads the session first.
func (g *Gate) handler(serve func(http.ResponseWriter, incoming, authorization)) http.Handler {
	return &gated{g, serve}
}

// A gated is a handler of a gate. It implements [incontext.Handler].
type gated struct {
	gate *Gate
	then func(http.ResponseWriter, incoming, authorization)
}

// ServeHTTP implements [http.Handler].
func (h *gated) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, incoming{Request: r}) }

// ServeIn implements [incontext.Handler].
func (h *gated) ServeIn(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	h.serve(w, incoming{r, ctx})
}

func (h *gated) serve(w http.ResponseWriter, r incoming) {
	var field authorization
	if _, read := r.beside.(*gatedState); !read { // its session is read because there is no field
		field = authorizationOf(r.Request)
	}
	if field.scheme == schemeBasic && allOff(h.gate.basics) {
		resumeSessions(r.Context(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.then(w, incoming{Request: r}, field)
		})).ServeHTTP(w, r.settle())
		return
	}
	h.then(w, r, field)
}

// Deny writes the refusal for err. An [*Error] has its own status, an error
// that wraps [ErrNoCredentials] is 401, and every other error is an outage,
// 503.
func (g *Gate) Deny(w http.ResponseWriter, r *http.Request, err error) {
	g.refuse(w, &incoming{Request: r}, nil, err, g.deny)
}

// HasDeny reports whether the host writes the bodies of refusals by
// [GateOptions].Deny. A handler with other bodies for some clients asks it first.
func (g *Gate) HasDeny() bool { return g.deny != nil }

// DenyWith is [Gate.Deny] with another body, such as a page. [GateOptions].Deny
// says what body must do.
func (g *Gate) DenyWith(w http.ResponseWriter, r *http.Request, err error, body func(http.ResponseWriter, *http.Request, *Error)) {
	g.refuse(w, &incoming{Request: r}, nil, err, body)
}

// refuse is DenyWith for a request whose principal is known. A nil body is the
// default one. It settles r before body, which is of the host, gets it.
func (g *Gate) refuse(w http.ResponseWriter, r *incoming, p *Principal, err error, body func(http.ResponseWriter, *http.Request, *Error)) {
	e, ready := g.report(*r, p, err)
	h := w.Header()
	switch {
	case ready != nil:
		h["Www-Authenticate"] = ready.challenge
	case e.Status == http.StatusUnauthorized || e.Code == "insufficient_scope":
		h["Www-Authenticate"] = g.challenge.with(e)
	case e == errMethod:
		h["Allow"] = allowed
	}
	if body != nil {
		writeRefusal(w, r.settle(), e, body)
		return
	}
	refusalFields(h, e)
	if ready != nil {
		ready.body.write(w, e.Status)
		return
	}
	bodyOf(e).write(w, e.Status)
}
