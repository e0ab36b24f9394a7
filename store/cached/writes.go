package cached

import (
	"context"
	"errors"
	"time"

	"github.com/ostiary/auth/store"
)

// A change is noted whatever the store returned: after an error nobody knows what
// became of it.

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	concerns := ofToken(t.ID)
	if minted != store.KeepMinted {
		concerns = everything
	}
	defer s.changed(ctx, concerns)
	return s.behind.UpdateToken(ctx, t, minted)
}

// RevokeTokens implements [store.Tokens]. The descendants of a token are known to the
// store alone, so everything is forgotten.
func (s *Store) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (int, error) {
	defer s.changed(ctx, everything)
	return s.behind.RevokeTokens(ctx, sel, at)
}

// Touch implements [store.Tokens]. Other processes need not hear of it.
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	defer func() {
		for _, one := range seen {
			s.changes.note(ofToken(one.TokenID))
		}
	}()
	return s.behind.Touch(ctx, seen)
}

// Redeem implements [store.Grants].
func (s *Store) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := s.behind.Redeem(ctx, r)
	s.ended(ctx, err)
	return t, err
}

// RedeemDevice implements [store.Devices].
func (s *Store) RedeemDevice(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := s.behind.RedeemDevice(ctx, r)
	s.ended(ctx, err)
	return t, err
}

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	out, err := s.behind.Rotate(ctx, r)
	switch {
	case err != nil:
		s.ended(ctx, err)
	case !out.Replayed:
		s.changed(ctx, ofFamily(out.Token.Family)) // the access token of the spent one
	}
	return out, err
}

// ended forgets everything unless a one-time step did what it is for, or nothing.
func (s *Store) ended(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
		s.changed(ctx, everything) // ErrUsed has ended a family and all that it minted
	}
}

// WithdrawConsent implements [store.Consents].
func (s *Store) WithdrawConsent(ctx context.Context, userID string, applicationID int64, at time.Time) error {
	defer s.changed(ctx, everything)
	return s.behind.WithdrawConsent(ctx, userID, applicationID, at)
}

// UpdateApplication implements [store.Applications].
func (s *Store) UpdateApplication(ctx context.Context, a store.Application) error {
	defer s.changed(ctx, everything)
	return s.behind.UpdateApplication(ctx, a)
}

// DeleteApplication implements [store.Applications].
func (s *Store) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	defer s.changed(ctx, everything)
	return s.behind.DeleteApplication(ctx, id, at)
}

// SetPasswordHash implements [store.Users].
func (s *Store) SetPasswordHash(ctx context.Context, userID, hash string) error {
	defer s.changed(ctx, ofUser(userID))
	return s.behind.SetPasswordHash(ctx, userID, hash)
}

// ReplacePassword implements [store.Accounts].
func (s *Store) ReplacePassword(ctx context.Context, userID string, epoch int64, hash string) (store.User, error) {
	defer s.changed(ctx, ofUser(userID))
	return s.behind.ReplacePassword(ctx, userID, epoch, hash)
}

// UpdateUser implements [store.Accounts].
func (s *Store) UpdateUser(ctx context.Context, u store.User) error {
	defer s.changed(ctx, ofUser(u.ID))
	return s.behind.UpdateUser(ctx, u)
}

// ChangeUser implements [store.Accounts].
func (s *Store) ChangeUser(ctx context.Context, id string, c store.UserChange) (store.User, error) {
	defer s.changed(ctx, ofUser(id))
	return s.behind.ChangeUser(ctx, id, c)
}

// DeleteUser implements [store.Accounts].
func (s *Store) DeleteUser(ctx context.Context, id string, at time.Time) error {
	defer s.changed(ctx, everything)
	return s.behind.DeleteUser(ctx, id, at)
}
