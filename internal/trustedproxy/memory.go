package trustedproxy

import (
	"strings"
	"sync"
	"time"
)

// memory remembers which proofs were used, in bounded space. It forgets a proof
// that is older than keep. When it is full it forgets the oldest proof early, and
// from then on it refuses every proof that is not newer than that one: it does not
// know any more which of those were used.
type memory struct {
	max  int
	keep time.Duration
	jump time.Duration // how far the floor may be ahead of the clock

	mu    sync.Mutex
	used  map[[16]byte]struct{}
	byAge []usedProof // a heap, the oldest first
	floor int64       // the time of the newest proof that was forgotten early
}

type usedProof struct {
	at  int64 // when it was made, in nanoseconds since 1970
	key [16]byte
}

func newMemory(entries int, keep, jump time.Duration) *memory {
	return &memory{max: max(entries, 1), keep: keep, jump: jump, used: make(map[[16]byte]struct{})}
}

// add notes that the proof of this key was used, and returns an error if it was
// used before, or if that is not known any more, in one step.
func (m *memory) add(key [16]byte, at int64, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clock := now.UnixNano()
	if m.floor > clock+int64(m.jump) {
		// The clock was set back by more than the memory makes up for. The floor
		// would refuse everything until the clock is there again.
		m.floor = 0
	}
	if _, ok := m.used[key]; ok {
		return errReplayed
	}
	if at <= m.floor {
		return errForgotten
	}
	for len(m.byAge) > 0 && m.byAge[0].at < clock-int64(m.keep) {
		m.forget()
	}
	m.used[key] = struct{}{}
	m.push(usedProof{at, key})
	if len(m.byAge) > m.max {
		m.floor = max(m.floor, m.forget())
	}
	return nil
}

// push adds an entry to the heap.
func (m *memory) push(e usedProof) {
	m.byAge = append(m.byAge, e)
	h := m.byAge
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

// forget removes the oldest entry and returns its time.
func (m *memory) forget() int64 {
	h := m.byAge
	oldest := h[0]
	delete(m.used, oldest.key)
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	m.byAge = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return oldest.at
		}
		if right := child + 1; right < len(h) && h[right].at < h[child].at {
			child = right
		}
		if h[i].at <= h[child].at {
			return oldest.at
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
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
