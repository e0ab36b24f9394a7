package grpcauth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/observe"
)

// maxToken is the length of the longest token, in bytes. Verifiers of this module
// take less.
const maxToken = 8 << 10

var (
	errMissing   = &auth.Error{Status: http.StatusUnauthorized, Detail: "Authentication credentials were not provided."}
	errDoubled   = &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "The call carries more than one credential."}
	errMalformed = &auth.Error{Status: http.StatusUnauthorized, Code: "invalid_token", Detail: "The access token is malformed."}
	errScheme    = &auth.Error{Status: http.StatusUnauthorized, Detail: "The scheme of the authorization is not supported."}
	errExpired   = &auth.Error{Status: http.StatusUnauthorized, Code: "invalid_token", Detail: "The access token has expired."}
	errNoRule    = &auth.Error{Status: http.StatusForbidden, Detail: "Nobody may call this method.", Err: errors.New("the method has no rule; see Interceptors.Audit")}
	errAlone     = &auth.Error{Status: http.StatusForbidden, Detail: "The method is for users.", Err: errors.New("the token acts for an application alone, see Options.ApplicationTokens")}
)

// A call is a call of a method, or a stream.
type call struct {
	ctx       context.Context // with the address of the client
	method    string          // the full name
	rule      Rule
	kind      observe.Kind    // of the credential that it carries
	token     string          // "" if it carries none
	principal *auth.Principal // nil if nobody is known
}

// admit returns the call if its rule lets it in, or the status that refuses it.
func (i *Interceptors) admit(ctx context.Context, method string) (call, error) {
	began := i.hook.Now()
	if _, known := client.From(ctx); !known {
		ctx = auth.WithClientAddr(ctx, peerAddr(ctx))
	}
	c := call{ctx: ctx, method: method}
	err := i.check(&c)
	if err != nil {
		return c, i.refuse(&c, err)
	}
	if c.principal != nil {
		i.allowed(&c, began)
		c.ctx = auth.NewContext(ctx, c.principal)
	}
	return c, nil
}

// check finds the rule, the token and the principal of a call.
func (i *Interceptors) check(c *call) (err error) {
	var ok bool
	if c.rule, ok = i.rules[c.method]; !ok {
		return errNoRule
	}
	err = c.bearer()
	switch {
	case err == errMissing && c.rule == Public:
		return nil
	case err != nil:
		return err
	}
	return i.verify(c.ctx, c)
}

// verify sets the principal that the token of a call has now. Streams call it
// again.
func (i *Interceptors) verify(ctx context.Context, c *call) error {
	p, err := i.verifier.Verify(ctx, c.token)
	switch {
	case err != nil:
		return err
	case p == nil:
		return errors.New("grpcauth: the Verifier returned neither a principal nor an error")
	}
	c.principal = p
	scope, scoped := strings.CutPrefix(string(c.rule), scoped)
	switch {
	case !p.Expires.IsZero() && !time.Now().Before(p.Expires):
		return errExpired
	case p.ID == "" && p.ApplicationID != 0 && !i.applications:
		return errAlone
	case scoped && !p.Scopes.Has(scope):
		return &auth.Error{
			Status: http.StatusForbidden, Code: "insufficient_scope", Scope: scope,
			Detail: "The access token lacks the scope " + strconv.Quote(scope) + ".",
		}
	}
	return nil
}

// bearer reads the one token in the metadata of a call.
func (c *call) bearer() error {
	scheme, token, err := header.Credentials(metadata.ValueFromIncomingContext(c.ctx, "authorization"))
	if err == header.ErrAbsent {
		return errMissing
	}
	c.kind = observe.KindOther
	switch {
	case err != nil:
		return errDoubled
	case scheme == "":
		return errMalformed // an empty value is a failed attempt
	case !header.IsScheme(scheme, "bearer"):
		return errScheme
	}
	c.kind = observe.KindBearer
	if len(token) > maxToken || !ascii.Token68(token) {
		return errMalformed
	}
	c.token = token
	return nil
}

// peerAddr returns the address of the other end of the connection, or the zero
// Addr, as for a Unix socket.
func peerAddr(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return netip.Addr{}
	}
	if tcp, ok := p.Addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return client.Peer(p.Addr.String())
}
