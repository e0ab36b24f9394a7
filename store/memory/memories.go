package memory

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

// memories are the remembered keys, by hash. Only a right secret adds one, and
// each group has a bound.
type memories struct {
	byKey   map[uint64]*memory
	byGroup map[uint64][]*memory
	ends    queue[memory]
}

type memory struct {
	hash, group  uint64
	until        instant
	placeInQueue int32
}

func newMemories() memories {
	return memories{
		byKey:   make(map[uint64]*memory),
		byGroup: make(map[uint64][]*memory),
		ends:    queue[memory]{place: func(m *memory) *int32 { return &m.placeInQueue }},
	}
}

func (a *attempts) remembered(key string, at instant) bool {
	m := a.memories.byKey[a.hash(key)]
	return m != nil && at < m.until
}

func (a *attempts) remember(r store.Memory) {
	if r.Key == "" || r.Most < 1 {
		return
	}
	ms := &a.memories
	hash, until := a.hash(r.Key), instantOf(r.Until)
	if m := ms.byKey[hash]; m != nil {
		if until > m.until {
			m.until = until
			ms.ends.move(m, until)
		}
		return
	}
	m := &memory{hash: hash, group: a.hash(r.Group), until: until}
	ms.byKey[hash] = m
	ms.byGroup[m.group] = append(ms.byGroup[m.group], m)
	ms.ends.add(m, until)
	for len(ms.byGroup[m.group]) > r.Most {
		first := m
		for _, other := range ms.byGroup[m.group] {
			if other.until < first.until {
				first = other
			}
		}
		ms.drop(first)
	}
}

func (ms *memories) drop(m *memory) {
	delete(ms.byKey, m.hash)
	ms.ends.remove(m)
	group := ms.byGroup[m.group]
	for i, other := range group {
		if other == m {
			group[i] = group[len(group)-1]
			group = group[:len(group)-1]
			break
		}
	}
	if ms.byGroup[m.group] = group; len(group) == 0 {
		delete(ms.byGroup, m.group)
	}
}

// Remembers implements [store.Attempts].
func (s *Store) Remembers(ctx context.Context, key string, at time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	return key != "" && a.remembered(key, instantOf(at)), nil
}
