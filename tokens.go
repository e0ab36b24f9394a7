package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth/store"
)

// Tokens issues access tokens, verifies them and ends them.
type Tokens struct {
	store store.OAuth
	users store.Users
	opts  TokensOptions
	log   *slog.Logger

	// touching holds the tokens whose last use is being written, so that a
	// burst of requests makes one write.
	touching sync.Map // int64 -> struct{}
}

// Minting says what a token may do to issue further tokens.
type Minting uint8

const (
	// MintChildren lets a token issue tokens within its own scopes, expiry and
	// addresses, which end when it does: a stolen token leaves nothing behind.
	MintChildren Minting = iota
	// MintRefused lets only sessions and Basic issue tokens.
	MintRefused
	// InsecureMintIndependent lets a token issue tokens that outlive it, within
	// its scopes, as AWX does.
	InsecureMintIndependent
)

// TokensOptions are the options of [NewTokens].
// A zero TokensOptions consists entirely of default values.
type TokensOptions struct {
	// Prefix starts every token, so that secret scanners recognise it: one to
	// four letters and digits, of which the first is a letter. The default is
	// "ost". Tokens with another prefix stop working.
	Prefix string

	// Scopes are names that tokens may carry besides read and write.
	Scopes []string

	// PersonalLifetime is how long a personal access token lives unless its
	// request says otherwise, and MaxPersonalLifetime the most it may ask for.
	// Zero means 30 days and 365 days.
	PersonalLifetime, MaxPersonalLifetime time.Duration

	// MaxPerUser is how many tokens a user can have; more are refused, and so is
	// consent to an application. Expired ones count until they are purged, what
	// a user consented to counts once it is redeemed, and requests at the same
	// time may each take the last place. Refreshing adds none. Each new token is
	// preceded by a count of those that there are. Zero means no limit.
	MaxPerUser int

	// TouchInterval is how exactly the last use of a token is known. Zero means
	// a minute. There is at most one write a token in it.
	TouchInterval time.Duration

	// Minting says what tokens may issue. The zero value is MintChildren.
	Minting Minting

	// MayIssue is asked before a token is issued for u, such as whether people
	// who log in elsewhere may have tokens; nil means yes. An error refuses
	// with 403, and with its Detail if it is an [*Error].
	MayIssue func(ctx context.Context, u store.User) error

	// EndWithPassword ends the tokens of a user when the user's epoch changes,
	// as it does with the password.
	EndWithPassword bool

	// AccessLifetime is how long the access token of an application lives, and
	// RefreshLifetime how long a refresh token waits to be used. GrantLifetime
	// is the end of the whole chain: no refresh moves it. Zero means an hour,
	// 30 days and 365 days.
	AccessLifetime, RefreshLifetime, GrantLifetime time.Duration

	// CodeLifetime is how long an authorization code is good for. Zero means a
	// minute; the most is ten (RFC 6749 section 4.1.2).
	CodeLifetime time.Duration

	// MaxCodes is how many authorization codes of one application a user can
	// have that are neither used nor expired; more are refused until one is.
	// Zero means 100; it is never unlimited.
	MaxCodes int

	// RefreshGrace is how long a refresh token that was used can be presented
	// again, as long as its successor has not been, to get the very same
	// successor: a client whose connection broke is not logged out. Zero means
	// never: whoever uses a refresh token twice ends everything that was issued
	// from it. The most is a minute.
	RefreshGrace time.Duration

	// RequirePKCE refuses authorization requests without a code challenge from
	// confidential applications, too. Public ones always need it.
	RequirePKCE bool

	// Issuer is the address of this server as an authorization server: an https
	// URL, or http on a loopback address, without query, fragment and last
	// slash, such as "https://api.example". With it every authorization
	// response says who gave it (RFC 9207).
	Issuer string

	// Resource is the address of this API as a protected resource, an absolute
	// URI without a fragment (RFC 8707). A token that was issued for other
	// resources is refused here, and without a Resource every token that was
	// issued for particular ones.
	Resource string
	// Resources are the addresses of further APIs that clients may ask tokens
	// for. See [Bearer.For].
	Resources []string

	// Organizations says who belongs to which organization, for applications
	// and their tokens.
	Organizations Organizations

	// Imported accepts, besides our own format, the tokens of AWX that were
	// imported into the store by their digest: 30 letters and digits.
	Imported bool

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger
}

const (
	day = 24 * time.Hour
	// maxLifetime bounds every lifetime. It catches what overflowed: the
	// 31,536,000,000 seconds of AWX do not fit a time.Duration.
	maxLifetime = 100 * 365 * day
)

// NewTokens returns the tokens of st for users of u. Nil options mean the
// defaults. It panics if st or u is nil.
func NewTokens(st store.OAuth, u store.Users, opts *TokensOptions) (*Tokens, error) {
	if isNil(st) || isNil(u) {
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
	o.Scopes = append([]string(nil), o.Scopes...)
	switch {
	case !alphanumeric(o.Prefix) || len(o.Prefix) > maxPrefix || o.Prefix[0] < 'A':
		return nil, fmt.Errorf("auth: TokensOptions.Prefix %q is not 1 to %d letters and digits that start with a letter", o.Prefix, maxPrefix)
	case o.MaxPersonalLifetime > maxLifetime:
		return nil, fmt.Errorf("auth: TokensOptions.MaxPersonalLifetime %v is above %v", o.MaxPersonalLifetime, maxLifetime)
	case o.PersonalLifetime < time.Second || o.PersonalLifetime > o.MaxPersonalLifetime:
		return nil, fmt.Errorf("auth: TokensOptions.PersonalLifetime %v is not between a second and MaxPersonalLifetime, %v", o.PersonalLifetime, o.MaxPersonalLifetime)
	case o.MaxPerUser < 0:
		return nil, errors.New("auth: TokensOptions.MaxPerUser is negative")
	case o.TouchInterval < 0:
		return nil, errors.New("auth: TokensOptions.TouchInterval is negative")
	case o.Minting > InsecureMintIndependent:
		return nil, fmt.Errorf("auth: TokensOptions.Minting %d is not one of the constants", o.Minting)
	}
	for _, name := range o.Scopes {
		if !validScopeName(name) {
			return nil, fmt.Errorf("auth: TokensOptions.Scopes: %q is not a scope-token (RFC 6749 section 3.3)", name)
		}
	}
	if err := o.completeOAuth(); err != nil {
		return nil, err
	}
	return &Tokens{store: st, users: u, opts: o, log: logger(o.Logger)}, nil
}

// ParseScopes is the function [ParseScopes] with the names that were given to
// [NewTokens]. The error is an [*Error] with status 400 for the field "scope".
func (t *Tokens) ParseScopes(s string) (Scopes, error) {
	scopes, err := ParseScopes(s, t.opts.Scopes...)
	if err != nil {
		return "", t.errScope()
	}
	return scopes, nil
}

// TokenRequest describes an access token to issue.
type TokenRequest struct {
	// ApplicationID is the application that will use the token; it gets a
	// refresh token, too. Zero is a personal access token.
	ApplicationID int64
	// Scopes of the token. Empty means write.
	Scopes Scopes
	// Description is free text for the owner, of at most MaxDescription bytes.
	Description string
	// Expires is when the token ends. Zero means after
	// TokensOptions.PersonalLifetime or, with an application, AccessLifetime,
	// or with the token that asks for it.
	Expires time.Time
	// Addresses from which alone the token is accepted; none means any.
	Addresses []netip.Prefix
}

// MaxDescription is the length of the longest description of a token, in bytes.
const MaxDescription = 4096

// IssuedToken is a token with its secret, which is known here and never again.
type IssuedToken struct {
	store.Token
	AccessToken  Secret
	RefreshToken Secret // "" where there is none
}

// Issue makes an access token that belongs to by, without asking the application
// that is to use it. What a token asks for stays within what it may do itself;
// see [TokensOptions.Minting]. Refusals are an [*Error] that names the field.
func (t *Tokens) Issue(ctx context.Context, by *Principal, req TokenRequest) (IssuedToken, error) {
	now := time.Now()
	if by.ID == "" {
		return IssuedToken{}, errForbidden // an application alone owns nothing
	}
	u, err := t.users.UserByID(ctx, by.ID)
	if errors.Is(err, store.ErrNotFound) {
		return IssuedToken{}, errForbidden // gone since the request was let in
	}
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: look up the owner of a new token: %w", err)
	}
	if !u.Active {
		return IssuedToken{}, errForbidden
	}
	if err := t.mayIssue(ctx, u); err != nil {
		return IssuedToken{}, err
	}
	lifetime, most := t.opts.PersonalLifetime, t.opts.MaxPersonalLifetime
	if req.ApplicationID != 0 {
		lifetime, most = t.opts.AccessLifetime, t.opts.AccessLifetime
		if err := t.mayUse(ctx, by, req.ApplicationID); err != nil {
			return IssuedToken{}, err
		}
	}
	tok := store.Token{
		UserID: u.ID,
		Epoch:  u.Epoch,

		ApplicationID: req.ApplicationID,
		Scopes:        string(cmp.Or(req.Scopes, ScopeWrite)),
		Description:   req.Description,
		Addresses:     req.Addresses,
		Created:       now,
		Modified:      now,
		Expires:       req.Expires,
	}
	if _, err := t.ParseScopes(tok.Scopes); err != nil {
		return IssuedToken{}, err
	}
	if err := checkDescription(tok.Description); err != nil {
		return IssuedToken{}, err
	}
	if !Scopes(tok.Scopes).Within(by.Scopes) {
		return IssuedToken{}, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: tok.Scopes}
	}
	parentEnds, err := t.adopt(ctx, by, &tok)
	if err != nil {
		return IssuedToken{}, err
	}
	latest := earlier(now.Add(most), parentEnds)
	if tok.Expires.IsZero() {
		tok.Expires = earlier(now.Add(lifetime), latest)
	}
	if !tok.Expires.After(now) {
		return IssuedToken{}, &Error{Status: http.StatusBadRequest, Field: "expires", Detail: "This date is in the past."}
	}
	if tok.Expires.After(latest) {
		return IssuedToken{}, &Error{Status: http.StatusBadRequest, Field: "expires", Detail: "Must not be later than " + latest.UTC().Format(time.RFC3339) + "."}
	}
	issued := t.withSecrets(tok)
	if tok.ApplicationID != 0 {
		t.addRefresh(&issued, now, parentEnds)
	}
	issued.Token, err = t.insert(ctx, issued.Token)
	if errors.Is(err, store.ErrConflict) {
		return IssuedToken{}, errInvalidToken // the token that asked has just ended
	}
	if err != nil {
		return IssuedToken{}, err
	}
	t.event(ctx, eventTokenIssued, by, issued.Token)
	return issued, nil
}

// mayIssue asks the host whether tokens may be issued for u.
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

// withSecrets gives tok the digest of a new secret.
func (t *Tokens) withSecrets(tok store.Token) IssuedToken {
	secret := newSecret(t.opts.Prefix, kindAccess)
	tok.Digest = store.DigestOf(secret.Reveal())
	return IssuedToken{Token: tok, AccessToken: secret}
}

// adopt makes tok a child of the token that asks for it, if one does, and
// returns when that one ends: the zero time means that nothing does.
func (t *Tokens) adopt(ctx context.Context, by *Principal, tok *store.Token) (ends time.Time, err error) {
	if by.TokenID == 0 {
		return ends, nil
	}
	if t.opts.Minting == MintRefused {
		return ends, &Error{Status: http.StatusForbidden, Detail: "A token may not create tokens: log in, or use Basic."}
	}
	parent, err := t.store.TokenByID(ctx, by.TokenID)
	if errors.Is(err, store.ErrNotFound) {
		return ends, errInvalidToken
	}
	if err != nil {
		return ends, fmt.Errorf("auth: look up the parent of a new token: %w", err)
	}
	tok.Audience = parent.Audience // a token for one resource makes none for others
	if t.opts.Minting == InsecureMintIndependent {
		return ends, nil
	}
	tok.ParentID = parent.ID
	if len(parent.Addresses) > 0 {
		if len(tok.Addresses) == 0 {
			tok.Addresses = parent.Addresses
		}
		for _, p := range tok.Addresses {
			if !covered(p, parent.Addresses) {
				return ends, &Error{Status: http.StatusBadRequest, Field: "addresses", Detail: p.String() + " is not among the addresses of the token that asks."}
			}
		}
	}
	return parent.Expires, nil
}

// earlier returns the earlier of two instants; the zero time is never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// covered reports whether one of the prefixes contains all of p.
func covered(p netip.Prefix, prefixes []netip.Prefix) bool {
	for _, outer := range prefixes {
		if outer.Bits() <= p.Bits() && outer.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

func (t *Tokens) errScope() error {
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "invalid_scope",
		Field:  "scope",
		Detail: "Must be a simple space-separated string with allowed scopes ['" + strings.Join(t.ScopeNames(), "', '") + "'].",
	}
}

func checkDescription(s string) error {
	switch {
	case len(s) > MaxDescription:
		return &Error{Status: http.StatusBadRequest, Field: "description", Detail: fmt.Sprintf("Must not be longer than %d bytes.", MaxDescription)}
	case strings.ContainsRune(s, 0) || !utf8.ValidString(s):
		return &Error{Status: http.StatusBadRequest, Field: "description", Detail: "Null characters and invalid UTF-8 are not allowed."}
	}
	return nil
}

// Verify returns who an access token acts for, or an [*Error] with status 401 if
// it is unknown, expired, revoked, issued for other resources than
// TokensOptions.Resource, or its user may not log in. A token that acts for its
// application alone has a principal without ID and Name. It does not look at the
// addresses the token is bound to: that takes a request, see [Bearer].
func (t *Tokens) Verify(ctx context.Context, token string) (*Principal, error) {
	p, _, err := t.verify(ctx, token, t.opts.Resource)
	return onHeap(p, err)
}

// importedLen is the length of AWX's own tokens: letters and digits only.
const importedLen = 30

func (t *Tokens) verify(ctx context.Context, token, resource string) (Principal, []netip.Prefix, error) {
	if !t.couldBeAccess(token) {
		return Principal{}, nil, errInvalidToken
	}
	a, err := t.store.AccessByDigest(ctx, store.DigestOf(token), t.users)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return Principal{}, nil, errInvalidToken
		}
		return Principal{}, nil, fmt.Errorf("auth: look up an access token: %w", err)
	}
	now := time.Now()
	switch {
	case !a.Revoked.IsZero():
		return Principal{}, nil, errInvalidToken
	case a.UserID == "": // acts for its application; deleting that revokes it
		if a.ApplicationID == 0 {
			return Principal{}, nil, errInvalidToken
		}
	case !a.User.Active || a.User.ID != a.UserID:
		return Principal{}, nil, errInvalidToken
	case t.opts.EndWithPassword && a.Epoch != a.User.Epoch:
		return Principal{}, nil, errInvalidToken
	}
	switch {
	case !now.Before(a.Expires):
		return Principal{}, nil, errExpiredToken
	case a.Audience != "" && (resource == "" || !hasWord(a.Audience, resource)):
		return Principal{}, nil, errTokenAudience
	case Scopes(a.Scopes) == Unrestricted: // nothing issues this; nothing may plant it
		a.Scopes = ""
	}
	if now.Sub(a.LastUsed) >= t.opts.TouchInterval {
		t.touch(ctx, a.TokenID, now)
	}
	return Principal{
		ID:      a.UserID,
		Name:    a.User.Name,
		Scopes:  Scopes(a.Scopes),
		TokenID: a.TokenID,

		ApplicationID: a.ApplicationID,

		Admin:      a.User.Admin,
		Auditor:    a.User.Auditor,
		Credential: CredentialBearer,
	}, a.Addresses, nil
}

// couldBeAccess reports whether an access token can have this text.
func (t *Tokens) couldBeAccess(s string) bool {
	return wellFormed(s, t.opts.Prefix, kindAccess) ||
		t.opts.Imported && len(s) == importedLen && alphanumeric(s)
}

// touch notes that a token was used, unless another request is just doing it.
// It never is the client's problem if that fails.
func (t *Tokens) touch(ctx context.Context, id int64, now time.Time) {
	if _, busy := t.touching.LoadOrStore(id, struct{}{}); busy {
		return
	}
	defer t.touching.Delete(id)
	ctx, cancel := background(ctx)
	defer cancel()
	if err := t.store.Touch(ctx, []store.Sighting{{TokenID: id, At: now}}); err != nil {
		t.log.WarnContext(ctx, eventStoreFailed, "operation", "touch token", "token_id", id, "error", err)
	}
}

// Purge forgets tokens and codes that ended before the given instant, in small
// steps, and returns how many. Call it now and then; nothing else does. Keep at
// least a day, so that a replayed refresh token is still recognised.
func (t *Tokens) Purge(ctx context.Context, endedBefore time.Time) (int, error) {
	return purge(ctx, endedBefore, t.store.Purge)
}

// purgeStep is how many records one step of a purge removes: few enough not to
// hold up the requests in between.
const purgeStep = 500

func purge(ctx context.Context, endedBefore time.Time, step func(context.Context, time.Time, int) (int, error)) (int, error) {
	for total := 0; ; {
		n, err := step(ctx, endedBefore, purgeStep)
		total += n
		if err != nil {
			return total, fmt.Errorf("auth: purge: %w", err)
		}
		if n < purgeStep {
			return total, nil
		}
	}
}
