package auth

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// floods has a bucket of tokens for each key, such as a network. Its memory is
// bounded, and it is lossy: a forgotten bucket is full again. No two keys share
// a bucket.
type floods struct {
	seed        maphash.Seed
	burst, rate float64 // tokens, and tokens a second

	mu   sync.Mutex
	sets [floodSets][4]bucket
}

const (
	floodSets = 1 << 10 // of 4 buckets of 24 bytes

	// A network may send this many wrong attempts at once, and then this many a
	// second; further ones do not reach the store. The limits of the store are
	// far lower, so that this process alone decides nothing.
	floodBurst = 1000
	floodRate  = 5
)

type bucket struct {
	hash   uint64 // 0 for none
	tokens float64
	at     time.Time
}

// newFloods returns buckets with at least twice the room of a limit.
func newFloods(l store.Limit) *floods {
	most := 2 * float64(l.Max)
	return &floods{
		seed:  maphash.MakeSeed(),
		burst: max(floodBurst, most),
		rate:  max(floodRate, most/l.Window.Seconds()),
	}
}

// take takes a token, or returns the time until there is one.
func (f *floods) take(key string) time.Duration {
	hash, now := max(maphash.String(f.seed, key), 1), time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.find(hash, now)
	if b.hash != hash {
		*b = bucket{hash, f.burst, now}
	}
	b.tokens, b.at = f.filled(b, now), now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / f.rate * float64(time.Second))
	}
	b.tokens--
	return 0
}

// put gives a token back.
func (f *floods) put(key string) {
	if key == "" {
		return
	}
	hash, now := max(maphash.String(f.seed, key), 1), time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.find(hash, now); b.hash == hash {
		b.tokens = min(b.tokens+1, f.burst)
	}
}

// find returns the bucket of a key, or else the fullest one, whose loss matters
// least.
func (f *floods) find(hash uint64, now time.Time) *bucket {
	set := &f.sets[hash%floodSets]
	best := &set[0]
	for i := range set {
		b := &set[i]
		if b.hash == hash {
			return b
		}
		if b.hash == 0 || best.hash != 0 && f.filled(b, now) > f.filled(best, now) {
			best = b
		}
	}
	return best
}

func (f *floods) filled(b *bucket, now time.Time) float64 {
	return min(b.tokens+max(now.Sub(b.at).Seconds(), 0)*f.rate, f.burst)
}
