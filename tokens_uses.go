package auth

import (
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// usesInterval is the time between two writes of last uses by Tokens.Run.
	usesInterval = time.Second
	// maxUses is how many last uses wait for such a write. A request whose use has
	// no place writes it itself.
	maxUses = 10_000
	// usesStep is how many last uses one call of the store has.
	usesStep = 500
)

// uses are the tokens whose last use is to be written, while Tokens.Run does so.
type uses struct {
	mu      sync.Mutex
	waiting map[int64]struct{} // nil while nobody writes them
	latest  time.Time          // of the uses: it counts for all of them
}

// begin reports whether nobody else writes the uses.
func (u *uses) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting != nil {
		return false
	}
	u.waiting = make(map[int64]struct{})
	return true
}

// note reports whether somebody will write a use.
func (u *uses) note(id int64, at time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.waiting[id]; !known && (u.waiting == nil || len(u.waiting) >= maxUses) {
		return false
	}
	u.waiting[id] = struct{}{}
	if at.After(u.latest) {
		u.latest = at
	}
	return true
}

// take returns the tokens that wait, in order, and leaves next in their place.
func (u *uses) take(next map[int64]struct{}) (ids []int64, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids = slices.Sorted(maps.Keys(u.waiting))
	u.waiting = next
	return ids, u.latest
}
