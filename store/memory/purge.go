package memory

import (
	"context"
	"time"
)

// Purge implements [store.Tokens]. It holds the lock for one step at a time.
func (s *Store) Purge(ctx context.Context, endedBefore time.Time, max int) (n int, err error) {
	before := instantOf(endedBefore)
	for more := true; more && err == nil; {
		err = s.write(ctx, func() error {
			s.markOnce()
			s.sweepConsents()
			var removed, looked int
			removed, looked = s.purgeTokens(before, min(max-n, stepSize))
			n += removed
			more = looked >= stepSize
			for _, kind := range []func(instant, int) int{
				func(before instant, most int) int { return s.codesEnd.purge(before, most, s.dropCode) },
				func(before instant, most int) int { return s.devicesEnd.purge(before, most, s.dropDevice) },
			} {
				most := min(max-n, stepSize)
				removed := kind(before, most)
				n += removed
				more = more || removed == stepSize
			}
			more = (more || len(s.cuts.todo) > 0 || s.consents.unswept > 0) && n < max
			return nil
		})
	}
	if n > 0 && err != nil {
		return n, nil // the next call continues
	}
	return n, err
}

// purgeTokens removes tokens, most at most, in one step. It returns how many it
// looked at.
func (s *Store) purgeTokens(before instant, most int) (removed, looked int) {
	for removed < most && looked < stepSize {
		t := s.endings.first()
		if t == nil || s.purgeable(t) >= before {
			break
		}
		looked++
		moved, more := s.endFamily(t, stepSize-looked)
		if looked += moved; more {
			looked = stepSize
			break
		}
		s.dropToken(t)
		removed++
	}
	return removed, looked
}

// endFamily lets the spent refresh tokens of a family go with the last token that
// could still be used, at most most of them. It reports whether there are more.
func (s *Store) endFamily(t *token, most int) (moved int, more bool) {
	f := s.kept(t)
	if f == nil || s.spendingOf(t) != nil {
		return 0, false
	}
	others := f.live.Load()
	if t.mark() == 0 {
		others--
	}
	if others > 0 {
		return 0, false
	}
	end := s.purgeable(t)
	spent, more := s.takeSpent(f, most)
	for _, other := range spent {
		s.change(other, func() { s.spendingOf(other).ends = end })
	}
	return len(spent), more
}
