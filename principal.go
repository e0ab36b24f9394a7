package auth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// A Principal is the user or the application that a request acts as, with the
// proof of it.
type Principal struct {
	ID, Name string // of the resource owner; store.User
	Scopes   Scopes // what the credential permits; the zero value permits nothing
	TokenID  int64  // of the access token, 0 if none
	// TokenDigest is the digest of that access token when it was verified. What
	// the token asks for is refused if it has got another secret since. The zero
	// Digest means that the digest is not known.
	TokenDigest store.Digest
	// ApplicationID is the application that the token was issued to, 0 if none.
	// If ID is empty, the token acts for the application alone.
	ApplicationID int64
	// ViaApplicationID is the application that the right comes from: the
	// ApplicationID of the token, or that of a token above it in the minting
	// tree. It is 0 for a user, and for a token that a user made.
	ViaApplicationID int64

	Admin      bool // may do everything the scopes allow
	Auditor    bool // may read everything the scopes allow
	Credential Credential

	// Epoch is the Epoch of the user when the credential was verified, see
	// store.User. Tokens and sessions that are issued for the principal carry
	// it, so that they are dead if the password has changed in the meantime.
	// HasEpoch reports whether it is known.
	HasEpoch bool
	Epoch    int64

	// Proved is the time of the proof by the user: the login of a session, the
	// request for Basic. It is zero if it is not known, as for tokens and
	// gateways.
	Proved time.Time

	// Expires is the expiry of the access token, zero for other credentials.
	Expires time.Time
}

// onHeap returns what an [Authenticator] returns. P is on the stack, so that a
// refusal allocates nothing.
func onHeap(p *Principal, err error) (*Principal, error) {
	if err != nil {
		return nil, err
	}
	found := *p
	return &found, nil
}

// Credential is the kind of proof that a request brought.
type Credential uint8

// The kinds of credential. An [Authenticator] of a host whose credential is none
// of them leaves CredentialNone. Package httpapi asks for such a credential once,
// when the request begins. It asks for all others again when the body has arrived,
// see [Gate.Recheck].
const (
	CredentialNone Credential = iota
	CredentialSession
	CredentialBasic
	CredentialBearer
	CredentialProxy
)

// String returns the name of c as it stands in audit events.
func (c Credential) String() string {
	switch c {
	case CredentialSession:
		return "session"
	case CredentialBasic:
		return "basic"
	case CredentialBearer:
		return "bearer"
	case CredentialProxy:
		return "proxy"
	}
	return "none"
}

type principalKey struct{}

// NewContext returns a context that carries p. A [Gate] does this for the
// handlers behind it; package authtest does it for tests.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal that ctx carries, and false if there is
// none. The caller must not change it.
func FromContext(ctx context.Context) (*Principal, bool) {
	if c, ok := ctx.(*carrier); ok {
		return &c.principal, true
	}
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok && p != nil
}

// A carrier holds a principal, the context that carries it and the request that
// has this context, in one allocation. A pointer to the request outside would say context
// and peer in 24 bytes less, but some middleware overwrites that request with the one
// inside, and the context would then be its own parent.
type carrier struct {
	context.Context
	principal Principal
	peer      string // RemoteAddr
	request   http.Request
}

// Format keeps the credentials of the request out of logs that print contexts.
func (c *carrier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.principal") }

func (c *carrier) Value(key any) any {
	if key == (principalKey{}) {
		return &c.principal
	}
	return client.Value(c.Context, key, c.peer)
}

// rechecks reports whether ctx is one of [Gate.Recheck], by which it asks
// authenticators to read again what they have read for this request.
func rechecks(ctx context.Context) bool { return ctx.Value(stores.RecheckKey{}) != nil }
