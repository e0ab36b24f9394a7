package memory

import (
	"context"
	"iter"
	"time"

	"github.com/ostiary/auth/store"
)

// ListExpiring implements [store.Tokens].
func (s *Store) ListExpiring(ctx context.Context, from time.Time, after int64, until time.Time, max int) (list []store.Token, err error) {
	err = s.read(ctx, func() error {
		for t := range s.expiresIn(instantOf(from), after, instantOf(until)) {
			if len(list) >= max {
				break
			}
			if s.ended(t) == 0 {
				list = append(list, s.record(t))
			}
		}
		return nil
	})
	return list, err
}

// expiresIn yields the personal tokens that are not marked as revoked and expire
// before an instant, in order, behind a position.
func (s *Store) expiresIn(from instant, after int64, until instant) iter.Seq[*token] {
	begin := position(after, from)
	return func(yield func(*token) bool) {
		for t := range s.expiring.from(begin) {
			expires := t.expires
			if expires >= until {
				return
			}
			if expires == from && t.id == after {
				continue
			}
			if !yield(t) {
				return
			}
		}
	}
}
