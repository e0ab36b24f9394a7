package auth_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// spy is a memory store that counts its calls by name and can fail, or panic, at
// one of them.
type spy struct {
	*memory.Store
	mu    sync.Mutex
	calls []string
	at    func(call string) error
	ahead atomic.Int64 // how far the clock is ahead that Charge is told
	host  store.Users  // whose users tokens and sessions have, nil for the store's
}

func (s *spy) note(call string) error {
	s.mu.Lock()
	s.calls = append(s.calls, call)
	at := s.at
	s.mu.Unlock()
	if at != nil {
		return at(call)
	}
	return nil
}

// during returns the names of the calls that f makes, in order.
func (s *spy) during(f func()) []string {
	s.mu.Lock()
	n := len(s.calls)
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls[n:])
}

// on makes f decide about all further calls; nil lets them pass.
func (s *spy) on(f func(call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = f
}

func (s *spy) UserByID(ctx context.Context, id string) (store.User, error) {
	if err := s.note("UserByID"); err != nil {
		return store.User{}, err
	}
	return s.Store.UserByID(ctx, id)
}

func (s *spy) UserByName(ctx context.Context, name string) (store.User, error) {
	if err := s.note("UserByName"); err != nil {
		return store.User{}, err
	}
	return s.Store.UserByName(ctx, name)
}

func (s *spy) PasswordHash(ctx context.Context, id string) (string, error) {
	if err := s.note("PasswordHash"); err != nil {
		return "", err
	}
	return s.Store.PasswordHash(ctx, id)
}

func (s *spy) SwapPasswordHash(ctx context.Context, id, prev, next string) error {
	if err := s.note("SwapPasswordHash"); err != nil {
		return err
	}
	return s.Store.SwapPasswordHash(ctx, id, prev, next)
}

func (s *spy) SetPasswordHash(ctx context.Context, id, hash string) error {
	if err := s.note("SetPasswordHash"); err != nil {
		return err
	}
	return s.Store.SetPasswordHash(ctx, id, hash)
}

func (s *spy) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	if err := s.note("AccessByDigest"); err != nil {
		return store.Access{}, err
	}
	a, err := s.Store.AccessByDigest(ctx, d)
	if err == nil && s.host != nil {
		a.User, err = s.host.UserByID(ctx, a.UserID)
	}
	return a, err
}

func (s *spy) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	if err := s.note("TokenByID"); err != nil {
		return store.Token{}, err
	}
	return s.Store.TokenByID(ctx, id)
}

func (s *spy) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	if err := s.note("ListTokens"); err != nil {
		return nil, 0, err
	}
	return s.Store.ListTokens(ctx, f, p)
}

func (s *spy) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if err := s.note("InsertToken"); err != nil {
		return store.Token{}, err
	}
	return s.Store.InsertToken(ctx, t, limits)
}

func (s *spy) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	if err := s.note("UpdateToken"); err != nil {
		return err
	}
	return s.Store.UpdateToken(ctx, t, minted)
}

func (s *spy) TokenByDigest(ctx context.Context, d store.Digest) (store.Token, error) {
	if err := s.note("TokenByDigest"); err != nil {
		return store.Token{}, err
	}
	return s.Store.TokenByDigest(ctx, d)
}

func (s *spy) ListExpiring(ctx context.Context, from time.Time, after int64, until time.Time, max int) ([]store.Token, error) {
	if err := s.note("ListExpiring"); err != nil {
		return nil, err
	}
	return s.Store.ListExpiring(ctx, from, after, until, max)
}

func (s *spy) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (int, error) {
	if err := s.note("RevokeTokens"); err != nil {
		return 0, err
	}
	return s.Store.RevokeTokens(ctx, sel, at)
}

func (s *spy) Touch(ctx context.Context, seen []store.Sighting) error {
	if err := s.note("Touch"); err != nil {
		return err
	}
	return s.Store.Touch(ctx, seen)
}

func (s *spy) Purge(ctx context.Context, before time.Time, most int) (int, error) {
	if err := s.note("Purge"); err != nil {
		return 0, err
	}
	return s.Store.Purge(ctx, before, most)
}

func (s *spy) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	if err := s.note("SessionByDigest"); err != nil {
		return store.Session{}, store.User{}, err
	}
	row, u, err := s.Store.SessionByDigest(ctx, d)
	if err == nil && s.host != nil {
		u, err = s.host.UserByID(ctx, row.UserID)
	}
	return row, u, err
}

func (s *spy) InsertSession(ctx context.Context, row store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if err := s.note("InsertSession"); err != nil {
		return store.Session{}, 0, err
	}
	return s.Store.InsertSession(ctx, row, replaces, keep)
}

func (s *spy) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	if err := s.note("SaveSession"); err != nil {
		return err
	}
	return s.Store.SaveSession(ctx, d, data, revision, at)
}

func (s *spy) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) ([]store.Session, int, error) {
	if err := s.note("ListSessions"); err != nil {
		return nil, 0, err
	}
	return s.Store.ListSessions(ctx, f, at, p)
}

func (s *spy) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	if err := s.note("TouchSession"); err != nil {
		return err
	}
	return s.Store.TouchSession(ctx, d, expires, at, from)
}

func (s *spy) EndSessions(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	if err := s.note("EndSessions"); err != nil {
		return 0, err
	}
	return s.Store.EndSessions(ctx, sel, reason, at)
}

func (s *spy) PurgeSessions(ctx context.Context, before time.Time, most int) (int, error) {
	if err := s.note("PurgeSessions"); err != nil {
		return 0, err
	}
	return s.Store.PurgeSessions(ctx, before, most)
}

func (s *spy) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	if err := s.note("Charge"); err != nil {
		return store.Verdict{}, err
	}
	return s.Store.Charge(ctx, charges, now.Add(time.Duration(s.ahead.Load())))
}

func (s *spy) Settle(ctx context.Context, settled store.Settlement) error {
	if err := s.note("Settle"); err != nil {
		return err
	}
	return s.Store.Settle(ctx, settled)
}

func (s *spy) Remembers(ctx context.Context, key string, at time.Time) (bool, error) {
	if err := s.note("Remembers"); err != nil {
		return false, err
	}
	return s.Store.Remembers(ctx, key, at)
}

func (s *spy) PurgeAttempts(ctx context.Context, before time.Time, most int) (int, error) {
	if err := s.note("PurgeAttempts"); err != nil {
		return 0, err
	}
	return s.Store.PurgeAttempts(ctx, before, most)
}
