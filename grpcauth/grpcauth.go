// Package grpcauth authenticates the calls of a gRPC server by the access token in
// their metadata.
//
//	calls, err := grpcauth.New(auth.NewBearer(tokens), map[string]grpcauth.Rule{
//		"/jobs.v1.Jobs/Watch":          grpcauth.Scope(auth.ScopeRead),
//		"/jobs.v1.Jobs/Launch":         grpcauth.Scope(auth.ScopeWrite),
//		"/grpc.health.v1.Health/Check": grpcauth.Public,
//	}, nil)
//	server := grpc.NewServer(calls.ServerOptions()...)
//	jobs.RegisterJobsServer(server, …)
//	err = calls.Audit(server) // names the methods without a rule
//
// A handler gets its principal from [auth.FromContext], as behind an [auth.Gate].
// The audit events and the events of package observe are those of a gate, with
// the full name of the method as the path.
//
// # Calls
//
// A call carries its token as one value "Bearer TOKEN" of the metadata key
// authorization (RFC 6750 section 2.1). Cookies and other schemes are no
// credential here. Each call is answered with one of these codes:
//
//	Unauthenticated      no token, a bad one, an expired one, two values
//	PermissionDenied     the scope is missing; no rule; an application alone
//	ResourceExhausted    the verifier returned status 429
//	Unavailable          the store or the authorization server does not answer
//	Canceled, DeadlineExceeded    the client gave up, or its deadline passed
//
// A refusal that says when to try again has a RetryInfo among its details, as
// that of an outage does.
//
// # Streams
//
// A stream is checked again while it lives, see Options.Recheck, and at the
// expiry of its token. It ends with the code of the refusal when the token
// is revoked, expires or loses the scope, also while its handler waits for a
// message, and with Unavailable if the check cannot be made.
//
// The handler of a stream with a token runs in a goroutine of its own, because a
// stream of gRPC ends when its interceptor returns. The context of the handler
// ends then, and so do Recv and Send. A handler that ignores them goes on without a
// client, as after a broken connection, and [grpc.WaitForHandlers] does not wait
// for it. A panic of the handler reaches the interceptors in front, as text with
// its stack, as long as the stream lives. Afterwards it ends the process. So
// interceptors that recover panics belong behind these.
//
// # Addresses
//
// The address of the client is the peer of the connection. Behind a proxy this is
// the proxy: tokens that are bound to addresses are refused there, unless the
// proxy is among the addresses. An interceptor in front that has proof of the
// address passes it on by [auth.WithClientAddr]. A header is no proof.
//
// # What is not protected
//
// The server does not know whether the connection was encrypted all the way, so
// nothing refuses a token that came in clear. Clients of grpc-go refuse to send
// PerRPCCredentials in clear, if RequireTransportSecurity says so. A server
// reads 16 MiB of metadata by default; [grpc.MaxHeaderListSize] with 16 KiB
// is enough for most.
package grpcauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/observe"
)

// A Verifier knows the principal of an access token. [auth.Bearer] and
// remote.Authenticator are verifiers. It must be safe for concurrent use.
type Verifier interface {
	// Verify returns the principal, or an error. An [*auth.Error] is a refusal
	// that the client may see. Any other error is an outage. The context carries
	// the address of the client, see [auth.WithClientAddr]. Verify must check
	// the addresses that the token is bound to, and must return soon after the
	// context has ended.
	Verify(ctx context.Context, token string) (*auth.Principal, error)
}

// A Rule says who may call a method.
type Rule string

// The rules of methods. See [Scope] for another one.
const (
	// Public lets calls without a token in, too. A bad token is refused.
	Public Rule = "public"

	// Authenticated lets every live token in, whatever its scopes.
	Authenticated Rule = "authenticated"
)

const scoped = "scope:"

// Scope returns the rule for tokens that have the scope of that name.
func Scope(name string) Rule { return Rule(scoped + name) }

// Options are the options of [New].
// A zero Options consists entirely of default values.
type Options struct {
	// Recheck is the time between two checks of a stream. Zero means 30 seconds.
	// New refuses other times below a millisecond, negative ones included, and
	// those above an hour. A check that takes more than ten seconds is an outage.
	Recheck time.Duration

	// ApplicationTokens accepts tokens that act for an application alone and
	// for no user. Otherwise they get PermissionDenied.
	ApplicationTokens bool

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events RequestAllowed and RequestRefused, see
	// package observe. Nil costs nothing.
	Observe observe.Func
}

// maxRecheck is the longest time between two checks of a stream.
const maxRecheck = time.Hour

// Interceptors guard the methods of a server. They are safe for concurrent use.
type Interceptors struct {
	verifier     Verifier
	rules        map[string]Rule
	recheck      time.Duration
	applications bool
	log          *slog.Logger
	hook         *hook.Hook
}

// New returns interceptors with the rules of methods by their full names, such as
// "/jobs.v1.Jobs/Watch". Methods without a rule are refused. Nil options mean the
// defaults.
//
// New returns an error for a rule or a name that is malformed, for a Recheck out
// of range, and for the Verifier [auth.Tokens], which does not check addresses:
// give it an [auth.Bearer]. It panics if v is nil.
func New(v Verifier, rules map[string]Rule, opts *Options) (*Interceptors, error) {
	if options.IsNil(v) {
		panic("grpcauth: New: nil Verifier")
	}
	if _, bare := v.(*auth.Tokens); bare {
		return nil, errors.New("grpcauth: New: auth.Tokens does not check the addresses of tokens; use auth.NewBearer(tokens)")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Recheck = cmp.Or(o.Recheck, 30*time.Second)
	if o.Recheck < time.Millisecond || o.Recheck > maxRecheck {
		return nil, fmt.Errorf("grpcauth: New: Options.Recheck %v is not between a millisecond and %v", o.Recheck, maxRecheck)
	}
	for method, rule := range rules {
		if service, name, ok := strings.Cut(strings.TrimPrefix(method, "/"), "/"); !ok || service == "" || name == "" || method[0] != '/' || strings.Contains(name, "/") {
			return nil, fmt.Errorf("grpcauth: New: %q is no full name of a method, such as /package.Service/Method", method)
		}
		scope, isScope := strings.CutPrefix(string(rule), scoped)
		if rule != Public && rule != Authenticated && !(isScope && scope != string(auth.Unrestricted) && ascii.Scope(scope)) {
			return nil, fmt.Errorf("grpcauth: New: the rule %q of %s is unknown, or its scope is no scope-token (RFC 6749 section 3.3)", rule, method)
		}
	}
	i := &Interceptors{
		verifier:     v,
		rules:        maps.Clone(rules),
		recheck:      o.Recheck,
		applications: o.ApplicationTokens,
		log:          options.Logger(o.Logger),
	}
	i.hook = hook.New(o.Observe, i.log)
	return i, nil
}

// ServerOptions returns the options of [grpc.NewServer] that put the interceptors
// into its chains, in the order of the options. Interceptors in front see calls of
// everybody.
func (i *Interceptors) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(i.unary), grpc.ChainStreamInterceptor(i.stream)}
}

// Audit returns an error that names the methods of s without a rule, which are
// refused, and the rules for methods that s has not, whose names are perhaps
// misspelt. Call it after all services are registered, before s serves.
func (i *Interceptors) Audit(s interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
}) error {
	var faults []error
	unused := maps.Clone(i.rules)
	for service, info := range s.GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			if _, ok := i.rules[name]; !ok {
				faults = append(faults, errors.New("grpcauth: "+name+" has no rule"))
			}
			delete(unused, name)
		}
	}
	for name := range unused {
		faults = append(faults, errors.New("grpcauth: there is a rule for "+name+", which the server has not"))
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}
