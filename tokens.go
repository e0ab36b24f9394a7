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

	// Imported accepts, besides our own format, the tokens of AWX that were
	// imported into the store by their digest: 30 letters and digits.
	Imported bool

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger
}

const day = 24 * time.Hour

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
	case o.PersonalLifetime < time.Second || o.PersonalLifetime > o.MaxPersonalLifetime:
		return nil, fmt.Errorf("auth: TokensOptions.PersonalLifetime %v is not between a second and MaxPersonalLifetime, %v", o.PersonalLifetime, o.MaxPersonalLifetime)
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

// TokenRequest describes a personal access token to issue.
type TokenRequest struct {
	// Scopes of the token. Empty means write.
	Scopes Scopes
	// Description is free text for the owner, of at most MaxDescription bytes.
	Description string
	// Expires is when the token ends. Zero means after
	// TokensOptions.PersonalLifetime, or with the token that asks for it.
	Expires time.Time
	// Addresses from which alone the token is accepted; none means any.
	Addresses []netip.Prefix
}

// MaxDescription is the length of the longest description of a token, in bytes.
const MaxDescription = 4096

// IssuedToken is a token with its secret, which is known here and never again.
type IssuedToken struct {
	store.Token
	AccessToken Secret
}

// Issue makes a personal access token that belongs to by. What a token asks for
// stays within what it may do itself; see [TokensOptions.Minting]. Refusals are
// an [*Error] that names the field.
func (t *Tokens) Issue(ctx context.Context, by *Principal, req TokenRequest) (IssuedToken, error) {
	now := time.Now()
	u, err := t.users.UserByID(ctx, by.ID)
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: look up the owner of a new token: %w", err)
	}
	if !u.Active {
		return IssuedToken{}, errForbidden
	}
	if t.opts.MayIssue != nil {
		if err := t.opts.MayIssue(ctx, u); err != nil {
			refusal := *errForbidden
			if e, ok := errors.AsType[*Error](err); ok {
				refusal.Detail = e.Detail
			}
			refusal.Err = err
			return IssuedToken{}, &refusal
		}
	}
	tok := store.Token{
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
		return IssuedToken{}, err
	}
	if err := checkDescription(tok.Description); err != nil {
		return IssuedToken{}, err
	}
	if !Scopes(tok.Scopes).Within(by.Scopes) {
		return IssuedToken{}, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: tok.Scopes}
	}
	latest, err := t.adopt(ctx, by, &tok, now.Add(t.opts.MaxPersonalLifetime))
	if err != nil {
		return IssuedToken{}, err
	}
	if tok.Expires.IsZero() {
		tok.Expires = earlier(now.Add(t.opts.PersonalLifetime), latest)
	}
	if !tok.Expires.After(now) {
		return IssuedToken{}, &Error{Status: http.StatusBadRequest, Field: "expires", Detail: "This date is in the past."}
	}
	if tok.Expires.After(latest) {
		return IssuedToken{}, &Error{Status: http.StatusBadRequest, Field: "expires", Detail: "Must not be later than " + latest.UTC().Format(time.RFC3339) + "."}
	}
	secret := newSecret(t.opts.Prefix, kindAccess)
	tok.Digest = store.DigestOf(secret.Reveal())
	tok, err = t.store.InsertToken(ctx, tok)
	if errors.Is(err, store.ErrConflict) {
		return IssuedToken{}, errInvalidToken // the token that asked has just ended
	}
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: store a new token: %w", err)
	}
	t.event(ctx, eventTokenIssued, by, tok)
	return IssuedToken{tok, secret}, nil
}

// adopt makes tok a child of the token that asks for it, if one does, and
// returns the latest instant at which tok may expire.
func (t *Tokens) adopt(ctx context.Context, by *Principal, tok *store.Token, latest time.Time) (time.Time, error) {
	if by.TokenID == 0 || t.opts.Minting == InsecureMintIndependent {
		return latest, nil
	}
	if t.opts.Minting == MintRefused {
		return latest, &Error{Status: http.StatusForbidden, Detail: "A token may not create tokens: log in, or use Basic."}
	}
	parent, err := t.store.TokenByID(ctx, by.TokenID)
	if errors.Is(err, store.ErrNotFound) {
		return latest, errInvalidToken
	}
	if err != nil {
		return latest, fmt.Errorf("auth: look up the parent of a new token: %w", err)
	}
	tok.ParentID = parent.ID
	if len(parent.Addresses) > 0 {
		if len(tok.Addresses) == 0 {
			tok.Addresses = parent.Addresses
		}
		for _, p := range tok.Addresses {
			if !covered(p, parent.Addresses) {
				return latest, &Error{Status: http.StatusBadRequest, Field: "addresses", Detail: p.String() + " is not among the addresses of the token that asks."}
			}
		}
	}
	return earlier(parent.Expires, latest), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
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
	names := append([]string{ScopeRead, ScopeWrite}, t.opts.Scopes...)
	return &Error{
		Status: http.StatusBadRequest,
		Code:   "invalid_scope",
		Field:  "scope",
		Detail: "Must be a simple space-separated string with allowed scopes ['" + strings.Join(names, "', '") + "'].",
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
// it is unknown, expired, revoked, or its user may not log in. It does not look
// at the addresses the token is bound to: that takes a request, see [Bearer].
func (t *Tokens) Verify(ctx context.Context, token string) (*Principal, error) {
	p, _, err := t.verify(ctx, token)
	return onHeap(p, err)
}

// importedLen is the length of AWX's own tokens: letters and digits only.
const importedLen = 30

func (t *Tokens) verify(ctx context.Context, token string) (Principal, []netip.Prefix, error) {
	if !wellFormed(token, t.opts.Prefix, kindAccess) &&
		!(t.opts.Imported && len(token) == importedLen && alphanumeric(token)) {
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
	case !a.Revoked.IsZero(), a.UserID == "" || !a.User.Active || a.User.ID != a.UserID:
		return Principal{}, nil, errInvalidToken
	case t.opts.EndWithPassword && a.Epoch != a.User.Epoch:
		return Principal{}, nil, errInvalidToken
	case !now.Before(a.Expires):
		return Principal{}, nil, errExpiredToken
	case Scopes(a.Scopes) == Unrestricted: // nothing issues this; nothing may plant it
		a.Scopes = ""
	}
	if now.Sub(a.LastUsed) >= t.opts.TouchInterval {
		t.touch(ctx, a.TokenID, now)
	}
	return Principal{
		ID:         a.UserID,
		Name:       a.User.Name,
		Scopes:     Scopes(a.Scopes),
		TokenID:    a.TokenID,
		Admin:      a.User.Admin,
		Auditor:    a.User.Auditor,
		Credential: CredentialBearer,
	}, a.Addresses, nil
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
