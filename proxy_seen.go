package auth

import (
	"strings"
	"sync"
	"time"
)

// seen remembers what was used once, in bounded memory, in two generations. It
// keeps each for at least as long as it could be used again, unless so many come
// in that time that there is no room.
type seen struct {
	max  int // of one generation
	keep time.Duration

	mu        sync.Mutex
	since     time.Time // when the younger generation began
	cur, prev map[string]struct{}
}

func newSeen(entries int, keep time.Duration) *seen {
	return &seen{max: max(entries/2, 1), keep: keep}
}

// add notes key and reports whether it is new, in one step.
func (s *seen) add(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur == nil || len(s.cur) >= s.max || now.Sub(s.since) > s.keep {
		if now.Sub(s.since) > 2*s.keep {
			s.cur = nil // nobody came for so long that both are stale
		}
		s.prev, s.cur, s.since = s.cur, make(map[string]struct{}), now
	}
	if _, ok := s.cur[key]; ok {
		return false
	}
	if _, ok := s.prev[key]; ok {
		return false
	}
	s.cur[key] = struct{}{}
	return true
}

// maxRecent is how many verified proofs a generation of recent has.
const maxRecent = 512

// recent remembers which proofs of the first version had good signatures, and
// when they were made: a gateway sends the same one for a while. Whether it is
// still fresh is asked each time.
type recent struct {
	mu        sync.RWMutex
	cur, prev map[string]int64
}

func (c *recent) get(value string) (at int64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if at, ok = c.cur[value]; !ok {
		at, ok = c.prev[value]
	}
	return at, ok
}

func (c *recent) add(value string, at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur == nil || len(c.cur) >= maxRecent {
		c.prev, c.cur = c.cur, make(map[string]int64)
	}
	// The value is part of the request's header, which need not live as long.
	c.cur[strings.Clone(value)] = at
}
