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
	Bytes, WithRefresh float64 // of one token
	// Collection is how long a full collection takes while the store without refresh
	// tokens is all there is, and CollectionCPU its process time: medians of seven.
	Collection, CollectionCPU time.Duration
}

// MeasureMemory stores n tokens of a thousand users, without and with refresh tokens.
func MeasureMemory(tb testing.TB, n int) Memory {
	m := Memory{Tokens: n}
	var walls, cpus []float64
	m.Bytes = fill(tb, n, false, func() {
		start, spent := time.Now(), processTime()
		runtime.GC()
		walls, cpus = append(walls, float64(time.Since(start))), append(cpus, processTime()-spent)
	})
	m.Collection, m.CollectionCPU = time.Duration(median(walls)), time.Duration(median(cpus))
	m.WithRefresh = fill(tb, n, true, func() {})
	return m
}

// fill returns what each of n tokens takes, and calls with seven times meanwhile.
func fill(tb testing.TB, n int, refresh bool, with func()) (each float64) {
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
		if _, err := db.InsertToken(tb.Context(), t, store.InsertLimits{}); err != nil {
			tb.Fatal(err)
		}
	}
	each = (heap() - before) / float64(n)
	for range 7 {
		with()
	}
	runtime.KeepAlive(db)
	return each
}
