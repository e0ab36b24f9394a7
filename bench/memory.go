package bench

import (
	"runtime"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Memory is what tokens in store/memory take.
type Memory struct {
	Tokens             int
	Bytes, WithRefresh float64       // of one token
	Collection         time.Duration // a full one, wall time, of the store without refresh tokens
}

// MeasureMemory stores n tokens of a thousand users, without and with refresh tokens.
func MeasureMemory(tb testing.TB, n int) Memory {
	m := Memory{Tokens: n}
	m.Bytes, m.Collection = fill(tb, n, false)
	m.WithRefresh, _ = fill(tb, n, true)
	return m
}

func fill(tb testing.TB, n int, refresh bool) (each float64, collection time.Duration) {
	heap := func() float64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	db, now := memory.New(), time.Now()
	before := heap()
	for i := range n {
		t := store.Token{
			Digest: store.DigestOf(string(rune(i)) + "a"), UserID: string(rune('a' + i%1000)), Scopes: "read",
			Created: now, Modified: now, Expires: now.Add(time.Hour),
		}
		t.Digest[0], t.Digest[1], t.Digest[2] = byte(i), byte(i>>8), byte(i>>16)
		if refresh {
			t.Refresh = store.Refresh{Digest: t.Digest, Scopes: "read", Expires: now.Add(time.Hour)}
			t.Refresh.Digest[31]++
		}
		if _, err := db.InsertToken(tb.Context(), t, store.MintLimits{}); err != nil {
			tb.Fatal(err)
		}
	}
	each = (heap() - before) / float64(n)
	start := time.Now()
	runtime.GC()
	collection = time.Since(start)
	runtime.KeepAlive(db)
	return each, collection
}
