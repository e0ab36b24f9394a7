package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/internal/uri"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Tokens issues personal access tokens, and verifies and ends all access
// tokens. Package oauth issues the tokens of applications.
type Tokens struct {
	store store.Tokens
	users store.Users
	opts  TokensOptions
	log   *slog.Logger
	hook  *hook.Hook

	// touching holds the tokens whose last use is being written, so that a
	// burst of requests makes one write.
	touching sync.Map // int64 -> struct{}
	uses     uses

	purge     *unpurged
	strangers *strangers

	// memory is the store if that is a [memory.Store] itself, whose answers need not be
	// copied. A type of the host that embeds one is asked as any store is: it may have
	// its own AccessByDigest.
	memory *memory.Store
}

// Minting is the fate of minted tokens, which were issued by a request with a
// token, when that token ends. In every mode the scopes, the addresses and the
// expiry of a minted token are within those of its parent.
type Minting uint8

const (
	// MintChildren ends minted tokens with their parent, and when the owner
	// narrows or rotates the parent. A stolen token leaves nothing behind.
	MintChildren Minting = iota
	// InsecureMintIndependent lets minted tokens outlive their parent, as AWX
	// does and its Ansible collection needs. A stolen token can leave such
	// tokens behind until they expire.
	InsecureMintIndependent
)

// TokensOptions are the options of [NewTokens].
// A zero TokensOptions consists entirely of default values.
type TokensOptions struct {
	// Prefix starts every token, so that secret scanners recognise it: one to
	// four letters and digits, of which the first is a letter. The default is
	// "ost". Tokens with another prefix stop working.
	Prefix string

	// Scopes are names that tokens may carry besides read and write. A name that
	// is there twice counts once.
	Scopes []string

	// PersonalLifetime is the lifetime of a personal access token whose request
	// has no expiry, and MaxPersonalLifetime the longest that a request may ask
	// for. Zero means 30 days, and 365 days or PersonalLifetime if that is longer.
	// The minimum is a second, the maximum 36,500 days.
	PersonalLifetime, MaxPersonalLifetime time.Duration

	// MaxPerUser is the number of tokens that a user can have. At the limit,
	// further tokens and consents to applications are refused. Expired tokens
	// count until they are purged, and the token of a consent counts once its
	// code is redeemed. Concurrent requests may each take the last place. A
	// refresh adds no token. A limit costs a count for each new token. Zero
	// means 10,000, and a negative number means no limit.
	MaxPerUser int

	// TouchInterval is the precision of the last use of a token, which is
	// written at most once in it. Zero means a minute, the minimum is a
	// millisecond. See [Tokens.Run].
	TouchInterval time.Duration

	// Minting is the mode of tokens that are issued by a token. The zero value
	// is MintChildren.
	Minting Minting

	// MaxDepth is the number of ancestors that a minted token can have. Zero
	// means 8, which is the maximum. MaxMinted is the number of live
	// descendants of a token that a user made. Concurrent requests may each
	// take the last place. Zero means 1,000.
	MaxDepth, MaxMinted int

	// MayIssue is called before a token is issued for u, perhaps more than once,
	// for rules of the host, such as one about users of another login service. An
	// error refuses with 403, and with its Detail if it is an [*Error]. Nil allows
	// all active users. It must be safe for concurrent use.
	MayIssue func(ctx context.Context, u store.User) error

	// EndWithPassword ends the tokens of a user when the epoch of the user
	// changes, as it does with the password.
	EndWithPassword bool

	// Resource is the address of this API as a protected resource, an absolute
	// URI without a fragment (RFC 8707). A token that was issued for other
	// resources is refused. If Resource is empty, every token that was issued
	// for a resource is refused.
	Resource string

	// Organizations looks up organizations and members, for applications and
	// their tokens. Package oauth uses it, too.
	Organizations Organizations

	// Imported also accepts access and refresh tokens in AWX's format, 30
	// letters and digits, whose digests were imported into the store. They have
	// no checksum, so every text of that form is looked up.
	Imported bool

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events TokenIssued, TokenChanged, TokenRotated,
	// TokenRevoked and Purged, see package observe.
	// Nil costs nothing.
	Observe observe.Func
}

const (
	day = 24 * time.Hour
	// maxLifetime bounds every lifetime. It catches overflows: the
	// 31,536,000,000 seconds of AWX do not fit a time.Duration.
	maxLifetime = 100 * 365 * day
)

// NewTokens returns the tokens in st for the users in u. Nil options mean the
// defaults. It panics if st or u is nil.
func NewTokens(st store.Tokens, u store.Users, opts *TokensOptions) (*Tokens, error) {
	if options.IsNil(st) || options.IsNil(u) {
		panic("auth: NewTokens: nil store")
	}
	var o TokensOptions
	if opts != nil {
		o = *opts
	}
	o.Prefix = cmp.Or(o.Prefix, "ost")
	o.PersonalLifetime = cmp.Or(o.PersonalLifetime, 30*day)
	o.MaxPersonalLifetime = cmp.Or(o.MaxPersonalLifetime, max(365*day, o.PersonalLifetime))
	o.TouchInterval = cmp.Or(o.TouchInterval, time.Minute)
	o.MaxPerUser = cmp.Or(o.MaxPerUser, 10_000)
	o.MaxDepth = cmp.Or(o.MaxDepth, store.MaxDepth)
	o.MaxMinted = cmp.Or(o.MaxMinted, 1000)
	o.Scopes = append([]string(nil), o.Scopes...)
	switch {
	case !ascii.Alphanumeric(o.Prefix) || len(o.Prefix) > secret.MaxPrefix || o.Prefix[0] < 'A':
		return nil, fmt.Errorf("auth: TokensOptions.Prefix %q is not 1 to %d letters and digits that start with a letter", o.Prefix, secret.MaxPrefix)
	case o.MaxPersonalLifetime > maxLifetime:
		return nil, fmt.Errorf("auth: TokensOptions.MaxPersonalLifetime %v is above %v", o.MaxPersonalLifetime, maxLifetime)
	case o.PersonalLifetime < time.Second || o.PersonalLifetime > o.MaxPersonalLifetime:
		return nil, fmt.Errorf("auth: TokensOptions.PersonalLifetime %v is not between a second and MaxPersonalLifetime, %v", o.PersonalLifetime, o.MaxPersonalLifetime)
	case o.MaxDepth < 1 || o.MaxDepth > store.MaxDepth:
		return nil, fmt.Errorf("auth: TokensOptions.MaxDepth %d is not between 1 and %d", o.MaxDepth, store.MaxDepth)
	case o.MaxMinted < 1:
		return nil, errors.New("auth: TokensOptions.MaxMinted is negative")
	case o.TouchInterval < time.Millisecond:
		return nil, fmt.Errorf("auth: TokensOptions.TouchInterval %v is below a millisecond", o.TouchInterval)
	case o.Minting > InsecureMintIndependent:
		return nil, fmt.Errorf("auth: TokensOptions.Minting %d is not one of the constants", o.Minting)
	case o.Resource != "" && !uri.Resource(o.Resource):
		return nil, fmt.Errorf("auth: TokensOptions.Resource %q is not an absolute URI without a fragment (RFC 8707 section 2)", o.Resource)
	}
	for _, name := range o.Scopes {
		if !validScopeName(name) {
			return nil, fmt.Errorf("auth: TokensOptions.Scopes: %q is not a scope-token (RFC 6749 section 3.3)", name)
		}
	}
	log := options.Logger(o.Logger)
	t := &Tokens{store: st, users: u, opts: o, log: log, hook: hook.New(o.Observe, log), purge: &unpurged{since: time.Now()}, strangers: &strangers{}}
	t.memory, _ = st.(*memory.Store)
	return t, nil
}

// ParseScopes is the function [ParseScopes] with the names that were given to
// [NewTokens]. The error is an [*Error] with status 400 and the field "Scopes".
func (t *Tokens) ParseScopes(s string) (Scopes, error) {
	scopes, err := ParseScopes(s, t.opts.Scopes...)
	if err != nil {
		return "", t.errScope()
	}
	return scopes, nil
}

// ScopeNames returns the names of all scopes: read, write and
// [TokensOptions].Scopes.
func (t *Tokens) ScopeNames() []string {
	names := []string{ScopeRead, ScopeWrite}
	for _, name := range t.opts.Scopes {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Prefix returns TokensOptions.Prefix.
func (t *Tokens) Prefix() string { return t.opts.Prefix }

// Lifetimes returns TokensOptions.PersonalLifetime and MaxPersonalLifetime.
func (t *Tokens) Lifetimes() (personal, most time.Duration) {
	return t.opts.PersonalLifetime, t.opts.MaxPersonalLifetime
}

// Resource returns TokensOptions.Resource.
func (t *Tokens) Resource() string { return t.opts.Resource }

// Organizations returns TokensOptions.Organizations.
func (t *Tokens) Organizations() Organizations { return t.opts.Organizations }

// TokenRequest describes an access token to issue.
type TokenRequest struct {
	// Scopes of the token. Empty means write.
	Scopes Scopes
	// Description is free text for the owner, of at most MaxDescription bytes. It
	// names the token of a service account, which must have one.
	Description string
	// Expires is the end of the token. Zero means
	// TokensOptions.PersonalLifetime from now, or AccessLifetime of package oauth
	// for a token of an application. It also means the end of the parent token if
	// that is earlier.
	Expires time.Time
	// Addresses are the client addresses that may use the token. None means those
	// of the parent token, and any without a parent.
	Addresses []netip.Prefix
}

// MaxDescription is the length of the longest description of a token, in bytes.
const MaxDescription = text.MaxDescription

// IssuedToken is a token with its secrets, which cannot be read again later.
type IssuedToken struct {
	store.Token
	AccessToken  Secret
	RefreshToken Secret // "" where there is none
}

// Issue makes a personal access token that belongs to by. A token that is
// minted by another stays within the rights of its parent, see
// [TokensOptions.Minting]. Refusals are an [*Error] that names the field.
func (t *Tokens) Issue(ctx context.Context, by *Principal, req TokenRequest) (IssuedToken, error) {
	return t.issue(ctx, by, by, req)
}

// issue makes a personal access token of owner, for by.
func (t *Tokens) issue(ctx context.Context, by, owner *Principal, req TokenRequest) (IssuedToken, error) {
	tok, parent, err := t.Prepare(ctx, owner, req, t.opts.PersonalLifetime, t.opts.MaxPersonalLifetime)
	if err != nil {
		return IssuedToken{}, err
	}
	issued := t.withSecret(tok)
	issued.Token, err = t.Insert(ctx, t.store, owner, issued.Token, parent)
	switch {
	case errors.Is(err, store.ErrLimit):
		return IssuedToken{}, errMintLimit
	case errors.Is(err, store.ErrConflict):
		return IssuedToken{}, errInvalidToken // the token that asked has just ended
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return IssuedToken{}, e
	}
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: store a new token: %w", err)
	}
	t.event(ctx, audit.TokenIssued, by, issued.Token)
	t.hook.One(ctx, observe.TokenIssued, observe.KindPersonal, observe.ReasonNone)
	return issued, nil
}

// Prepare returns the token that [Tokens.Issue] would store, without a secret.
// It stores nothing. Parent is the token of by, for [Tokens.Insert], and the zero Token
// if by has none. At parent.Expires all tokens that by may issue must end. A request
// without an expiry gets the lifetime; most bounds the lifetime that a request may ask
// for. Package oauth makes the tokens of applications from it.
func (t *Tokens) Prepare(ctx context.Context, by *Principal, req TokenRequest, lifetime, most time.Duration) (tok, parent store.Token, err error) {
	t.purge.note(ctx, t.log, "Tokens")
	now := time.Now()
	u, err := t.OwnerBy(ctx, by)
	if err != nil {
		return tok, parent, err
	}
	tok = store.Token{
		UserID:      u.ID,
		Epoch:       u.Epoch,
		Scopes:      string(cmp.Or(req.Scopes, ScopeWrite)),
		Description: req.Description,
		Addresses:   req.Addresses,
		Created:     now,
		Modified:    now,
		Expires:     req.Expires,
	}
	if _, err := t.ParseScopes(tok.Scopes); err != nil {
		return tok, parent, err
	}
	if err := checkDescription(tok.Description, u); err != nil {
		return tok, parent, err
	}
	if !Scopes(tok.Scopes).Within(by.Scopes) {
		why := fmt.Errorf("a Principal with the scopes %q issues no token for %q", by.Scopes, tok.Scopes)
		return tok, parent, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: tok.Scopes, Err: why}
	}
	if parent, err = t.adopt(ctx, by, &tok); err != nil {
		return tok, parent, err
	}
	latest := stores.Earlier(now.Add(most), parent.Expires)
	if tok.Expires.IsZero() {
		tok.Expires = stores.Earlier(now.Add(lifetime), latest)
	}
	if !tok.Expires.After(now) {
		return tok, parent, &Error{Status: http.StatusBadRequest, Field: "Expires", Detail: "This date is in the past."}
	}
	if tok.Expires.After(latest) {
		return tok, parent, &Error{Status: http.StatusBadRequest, Field: "Expires", Detail: "Must not be later than " + latest.UTC().Format(time.RFC3339) + "."}
	}
	return tok, parent, nil
}

// Owner returns the user with that ID, who must be active and accepted by
// TokensOptions.MayIssue. Otherwise it returns an [*Error] with status 403.
func (t *Tokens) Owner(ctx context.Context, id string) (store.User, error) {
	u, err := stores.RecheckedUser(ctx, t.users, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!u.Active || u.ID != id) {
		return store.User{}, errNoOwner
	}
	if err != nil {
		return store.User{}, fmt.Errorf("auth: look up the owner of a token: %w", err)
	}
	return u, t.mayIssue(ctx, u)
}

// OwnerBy is [Tokens.Owner] for the user of by. The Epoch of the user is the
// one that was verified with by, so that a token of an older epoch is dead from
// the start. A by whose epoch is known to be older is refused with status 401.
func (t *Tokens) OwnerBy(ctx context.Context, by *Principal) (store.User, error) {
	switch {
	case by == nil:
		return store.User{}, errNobody
	case by.ID == "":
		return store.User{}, errOwnsNothing
	}
	u, err := t.Owner(ctx, by.ID)
	if err == nil && by.HasEpoch && u.Epoch != by.Epoch {
		return store.User{}, errOwnerEpoch
	}
	return u, err
}

// CheckQuota returns an [*Error] with status 409 if the user has
// TokensOptions.MaxPerUser tokens or more. The limit is not exact: concurrent
// requests may exceed it.
func (t *Tokens) CheckQuota(ctx context.Context, userID string) error {
	if t.opts.MaxPerUser < 0 || userID == "" { // an application for itself
		return nil
	}
	_, n, err := t.store.ListTokens(ctx, store.TokenFilter{UserID: userID, OwnerID: userID}, store.Page{CountTo: t.opts.MaxPerUser})
	if err != nil {
		return fmt.Errorf("auth: count the tokens of a user: %w", err)
	}
	if n >= t.opts.MaxPerUser {
		return &Error{Status: http.StatusConflict, Detail: fmt.Sprintf("The user has %d tokens or more, and no more are allowed: delete some first.", t.opts.MaxPerUser)}
	}
	return nil
}

// mayIssue calls TokensOptions.MayIssue for u.
func (t *Tokens) mayIssue(ctx context.Context, u store.User) error {
	if t.opts.MayIssue == nil {
		return nil
	}
	err := t.opts.MayIssue(ctx, u)
	if err == nil {
		return nil
	}
	refusal := *errForbidden
	if e, ok := errors.AsType[*Error](err); ok {
		refusal.Detail = e.Detail
	}
	refusal.Err = err
	return &refusal
}

// withSecret gives tok the digest of a new secret.
func (t *Tokens) withSecret(tok store.Token) IssuedToken {
	s := Secret(secret.New(t.opts.Prefix, secret.Access))
	tok.Digest = store.DigestOf(s.Reveal())
	return IssuedToken{Token: tok, AccessToken: s}
}

func (t *Tokens) errScope() error {
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "invalid_scope",
		Field:  "Scopes",
		Detail: "Must be a list of " + strings.Join(t.ScopeNames(), ", ") + ", separated by single spaces.",
	}
}

// checkDescription refuses what cannot describe a token of u.
func checkDescription(s string, u store.User) error {
	if u.Service && strings.TrimSpace(s) == "" {
		return &Error{Status: http.StatusBadRequest, Field: "Description", Code: "required", Detail: "A token of a service account needs a name."}
	}
	if why := text.Description(s); why != "" {
		return &Error{Status: http.StatusBadRequest, Field: "Description", Detail: why}
	}
	return nil
}

// Purge deletes tokens and codes that ended before the given instant, in small
// steps, and returns their number. The host should call it from time to time,
// since nothing else does. The instant should be at least a day ago, so that a
// replayed refresh token is still recognised.
func (t *Tokens) Purge(ctx context.Context, endedBefore time.Time) (int, error) {
	t.purge.called.Store(true)
	return purge(ctx, t.hook, observe.KindTokens, endedBefore, t.store.Purge)
}
