package trustedproxy

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// A proof is good at most once, in whatever order proofs come and however few are
// remembered, and one that is newer than all others is good.
func TestMemoryNeverAcceptsTwice(t *testing.T) {
	const keep, jump = time.Hour, 90 * time.Minute
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := newMemory(1+random.IntN(40), keep, jump)
		now := time.Unix(1_795_000_000, 0)
		type proof struct {
			key [16]byte
			at  int64
		}
		var all []proof
		used := map[[16]byte]bool{}
		for n := range 2000 {
			now = now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
			p := proof{at: now.Add(-time.Duration(random.IntN(10_000)) * time.Millisecond).UnixNano()}
			newest := random.IntN(4) == 0
			if newest {
				p.at = now.UnixNano() + 1
			}
			binary.BigEndian.PutUint64(p.key[:], uint64(n))
			if len(all) > 0 && random.IntN(3) == 0 {
				p = all[random.IntN(len(all))] // a replay, or one that was refused
				newest = false
			}
			if time.Duration(now.UnixNano()-p.at) > keep {
				continue // stale: the verifier does not ask
			}
			err := m.add(p.key, p.at, now)
			switch {
			case err == nil && used[p.key]:
				t.Fatalf("seed %d: proof %d is good twice", seed, n)
			case newest && err != nil:
				t.Fatalf("seed %d: the newest proof is refused: %v", seed, err)
			case err != nil && !used[p.key] && !errors.Is(err, errForgotten):
				t.Fatalf("seed %d: a new proof is refused: %v", seed, err)
			case err == nil:
				used[p.key] = true
			}
			all = append(all, p)
			if len(m.byAge) > m.max || len(m.byAge) != len(m.used) {
				t.Fatalf("seed %d: %d and %d of %d entries", seed, len(m.byAge), len(m.used), m.max)
			}
		}
	}
}

func BenchmarkMemory(b *testing.B) {
	m := newMemory(1<<17, 66*time.Minute, time.Hour)
	now := time.Unix(1_795_000_000, 0)
	var key [16]byte
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		binary.BigEndian.PutUint64(key[:], n)
		now = now.Add(time.Millisecond)
		if err := m.add(key, now.UnixNano(), now); err != nil {
			b.Fatal(err)
		}
	}
}
