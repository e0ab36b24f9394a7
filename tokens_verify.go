package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// The refusals of an access token.
var (
	errInvalidToken = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token", // RFC 6750 section 3.1
		Detail: "The access token is invalid or revoked.",
	}
	errExpiredToken = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token has expired.",
	}
	errTokenAudience = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token was not issued for this resource.",
	}
	errTokenAddress = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token is not valid from this address.",
	}
)

// Verify returns the principal of an access token. It returns an [*Error] with
// status 401 if the token is unknown, expired, revoked or issued for other
// resources than TokensOptions.Resource, or if its user is not active. The
// principal of a token that acts for its application alone has no ID and no
// Name. Verify does not check the addresses that the token is bound to, because
// that needs a request, see [Bearer].
func (t *Tokens) Verify(ctx context.Context, token string) (*Principal, error) {
	var p Principal
	_, err := t.verify(ctx, token, t.opts.Resource, false, &p)
	return onHeap(&p, err)
}

// verify is Verify for a resource. With only a token must have been issued for it. It
// sets p, which must be zero, if it returns no error.
func (t *Tokens) verify(ctx context.Context, token, resource string, only bool, p *Principal) ([]netip.Prefix, error) {
	if !t.couldBeAccess(token) {
		return nil, errInvalidToken
	}
	digest := store.DigestOf(token)
	var a stores.AccessRow
	var err error
	u := new(store.User) // on the stack
	if t.memory != nil {
		u, err = t.memory.ReadAccess(ctx, &digest, &a, u)
	} else {
		*u, err = t.readAccess(ctx, digest, &a)
	}
	if err != nil {
		if err == store.ErrNotFound || errors.Is(err, store.ErrNotFound) {
			return nil, errInvalidToken
		}
		return nil, fmt.Errorf("auth: look up an access token: %w", err)
	}
	now := time.Now()
	micro := now.UnixMicro()
	switch {
	case a.Revoked != stores.Never:
		return nil, errInvalidToken
	case a.UserID == "": // acts for its application; deleting that revokes it
		if a.ApplicationID == 0 {
			return nil, errInvalidToken
		}
	case !u.Active || u.ID != a.UserID:
		if u.ID == "" {
			t.strangers.note(ctx, t.log, t.users, a.UserID, "NewTokens")
		}
		return nil, errInvalidToken
	case u.Service && a.ViaApplicationID != 0: // consented to while it was a person
		return nil, errInvalidToken
	case t.opts.EndWithPassword && a.Epoch != u.Epoch:
		return nil, errInvalidToken
	}
	switch {
	case micro >= a.Expires:
		return nil, errExpiredToken
	case (a.Audience != "" || only) && (resource == "" || !ascii.HasWord(a.Audience, resource)):
		return nil, errTokenAudience
	case Scopes(a.Scopes) == Unrestricted: // never issued, so somebody planted it
		a.Scopes = ""
	}
	if micro-a.LastUsed >= t.opts.TouchInterval.Microseconds() {
		t.touch(ctx, a.TokenID, now)
	}
	// One by one: a literal would be built elsewhere and copied.
	p.ID, p.Name = a.UserID, u.Name
	p.Scopes = Scopes(a.Scopes)
	p.TokenID, p.TokenDigest = a.TokenID, digest
	p.ApplicationID, p.ViaApplicationID = a.ApplicationID, a.ViaApplicationID
	p.Admin, p.Auditor = u.Admin, u.Auditor
	p.Credential = CredentialBearer
	p.HasEpoch, p.Epoch = a.UserID != "", u.Epoch
	p.Expires = time.UnixMicro(a.Expires).UTC()
	return a.Addresses, nil
}

// readAccess is [memory.Store.ReadAccess] for any store.
func (t *Tokens) readAccess(ctx context.Context, d store.Digest, r *stores.AccessRow) (store.User, error) {
	a, err := t.store.AccessByDigest(ctx, d)
	*r = stores.AccessRow{
		TokenID: a.TokenID, Family: a.Family, UserID: a.UserID, ApplicationID: a.ApplicationID, ViaApplicationID: a.ViaApplicationID,
		Scopes: a.Scopes, Audience: a.Audience, Addresses: a.Addresses, Epoch: a.Epoch,
		Expires: stores.Micros(a.Expires), Revoked: stores.Micros(a.Revoked), LastUsed: stores.Micros(a.LastUsed),
	}
	return a.User, err
}

// couldBeAccess reports whether an access token can have this text. It leaves out the
// checksum if a look-up takes less time.
func (t *Tokens) couldBeAccess(s string) bool {
	return secret.HasForm(s, t.opts.Prefix, secret.Access) && (t.memory != nil || secret.ChecksumHolds(s)) ||
		t.opts.Imported && secret.Imported(s)
}

// CouldBeRefresh reports whether a refresh token can have this text. It does not
// look it up.
func (t *Tokens) CouldBeRefresh(s string) bool {
	return secret.WellFormed(s, t.opts.Prefix, secret.Refresh) ||
		t.opts.Imported && secret.Imported(s)
}

// Run writes the last uses of tokens in groups, once a second, until ctx ends. Then it
// writes those that wait, and returns the error of ctx. A host calls it in a goroutine
// of its own and waits for it at its end. Without Run, each request whose use is to
// be written does that itself.
//
// A use that Run writes may be later than the use of the token, by a second at most, or
// by the time for which the store was down. While it is down, up to 10,000 uses wait for
// the next attempt. A use is lost if the process crashes before it is written, or if the
// store is down when ctx ends. Run returns an error at once if another call of it has not
// returned.
func (t *Tokens) Run(ctx context.Context) error {
	if !t.uses.begin() {
		return errors.New("auth: Tokens.Run is running already")
	}
	tick := time.NewTicker(usesInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ids, at := t.uses.take(make(map[int64]struct{}))
			for _, id := range t.writeUses(ctx, ids, at) {
				t.uses.note(id, at)
			}
		case <-ctx.Done():
			ids, at := t.uses.take(nil)
			t.writeUses(ctx, ids, at)
			return ctx.Err()
		}
	}
}

// writeUses returns the tokens whose use it could not write.
func (t *Tokens) writeUses(ctx context.Context, ids []int64, at time.Time) []int64 {
	for len(ids) > 0 {
		step := ids[:min(len(ids), usesStep)]
		seen := make([]store.Sighting, len(step))
		for i, id := range step {
			seen[i] = store.Sighting{TokenID: id, At: at}
		}
		if !t.writeUse(ctx, seen) {
			return ids
		}
		ids = ids[len(step):]
	}
	return nil
}

// touch writes the last use of a token, or leaves that to Run. It does nothing while
// another request is writing it.
func (t *Tokens) touch(ctx context.Context, id int64, now time.Time) {
	if t.uses.note(id, now) {
		return
	}
	if _, busy := t.touching.LoadOrStore(id, struct{}{}); busy {
		return
	}
	defer t.touching.Delete(id)
	t.writeUse(ctx, []store.Sighting{{TokenID: id, At: now}})
}

// writeUse reports whether the store has taken the uses. A request goes on if not.
func (t *Tokens) writeUse(ctx context.Context, seen []store.Sighting) bool {
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	err := t.store.Touch(ctx, seen)
	if err != nil {
		t.log.WarnContext(ctx, audit.StoreFailed, audit.KeyOperation, "touch token", audit.KeyTokenID, seen[0].TokenID, audit.KeyError, err)
	}
	return err == nil
}

// OwnerOf returns the user that a token acts for. Ok reports whether the user
// is active and, with TokensOptions.EndWithPassword, has the epoch of the
// token. It is false for a token that came through an application and acts for a
// service account. A token that acts for its application alone has the zero User, and ok
// is true.
func (t *Tokens) OwnerOf(ctx context.Context, tok store.Token) (u store.User, ok bool, err error) {
	if tok.UserID == "" {
		return u, tok.ApplicationID != 0, nil
	}
	u, err = t.users.UserByID(ctx, tok.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, false, nil
	}
	if err != nil {
		return store.User{}, false, fmt.Errorf("auth: look up the owner of a token: %w", err)
	}
	return u, u.Active && u.ID == tok.UserID && !(u.Service && tok.ViaApplicationID != 0) && (!t.opts.EndWithPassword || u.Epoch == tok.Epoch), nil
}

// Lookup returns the token with this secret, in any state, or an error that
// wraps [store.ErrNotFound]. It does not check that the token is alive, see
// [Tokens.Verify].
func (t *Tokens) Lookup(ctx context.Context, token string) (store.Token, error) {
	if !t.couldBeAccess(token) {
		return store.Token{}, store.ErrNotFound
	}
	tok, err := t.store.TokenByDigest(ctx, store.DigestOf(token))
	if err != nil {
		return store.Token{}, fmt.Errorf("auth: look up a token: %w", err)
	}
	return tok, nil
}
