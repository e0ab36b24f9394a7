package sqlstore

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

// ListExpiring implements [store.Tokens].
func (s *Store) ListExpiring(ctx context.Context, from time.Time, after int64, until time.Time, max int) ([]store.Token, error) {
	if max < 1 {
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var all []store.Token
	for begin, end := micros(from), micros(until); len(all) < max; {
		page, err := list(ctx, s, "list tokens that expire", expiringTokens, []any{begin, begin, after, end, max}, func(scan func(...any) error) (r tokenRecord, err error) {
			err = scan(r.dest()...)
			return r, err
		})
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		last := page[len(page)-1]
		live, err := s.settleAll(ctx, page)
		if err != nil {
			return nil, err
		}
		all = append(all, live...)
		if len(page) < max {
			break
		}
		begin, after = micros(last.Expires), last.ID
	}
	return all[:min(len(all), max)], nil
}
