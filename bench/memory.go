package bench

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Memory is what tokens in store/memory take.
type Memory struct {
	Tokens             int
	Bytes, WithRefresh float64 // of one token
	Refreshed          float64 // of each of the two tokens of a grant that was refreshed
	User               float64 // of one of as many users without tokens
	// Collection is how long a full collection takes while the store without refresh
	// tokens is all there is, and CollectionCPU its process time: medians of seven.
	Collection, CollectionCPU time.Duration
}

// MeasureMemory stores n tokens of a thousand users: without and with refresh tokens,
// and as many of grants that were refreshed, half of which are spent. Then it stores n
// users without passwords.
func MeasureMemory(tb testing.TB, n int) Memory {
	m := Memory{Tokens: n}
	var walls, cpus []float64
	m.Bytes = fill(tb, n, alone, func() {
		start, spent := time.Now(), processTime()
		runtime.GC()
		walls, cpus = append(walls, float64(time.Since(start))), append(cpus, processTime()-spent)
	})
	m.Collection, m.CollectionCPU = time.Duration(median(walls)), time.Duration(median(cpus))
	m.WithRefresh = fill(tb, n, refreshable, func() {})
	m.Refreshed = fill(tb, n, refreshed, func() {})
	db, before := memory.New(), heap()
	for i := range n {
		authtest.AddUser(tb, db, store.User{Name: "user" + strconv.Itoa(i), Email: "user@example.com"}, "")
	}
	m.User = (heap() - before) / float64(n)
	runtime.KeepAlive(db)
	return m
}

// heap returns how many bytes are alive.
func heap() float64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// A form is what tokens have.
type form int

const (
	alone       form = iota
	refreshable      // with a refresh token
	refreshed        // every second one is the successor of the one before it
)

// fill returns what each of n tokens takes, and calls with seven times meanwhile.
func fill(tb testing.TB, n int, as form, with func()) (each float64) {
	db, now := memory.New(), time.Now()
	before := heap()
	for i := range n {
		user := i
		if as == refreshed {
			user = i / 2
		}
		t := store.Token{
			Digest: store.DigestOf(strconv.Itoa(i)), UserID: string(rune('a' + user%1000)), Scopes: "read",
			Created: now, Modified: now, Expires: now.Add(time.Hour),
		}
		if as != alone {
			t.Refresh = store.Refresh{
				Digest: store.DigestOf("r" + strconv.Itoa(i)), Grant: store.DigestOf("g" + strconv.Itoa(user)), Scopes: "read", Expires: now.Add(time.Hour),
			}
		}
		var err error
		if as == refreshed && i%2 == 1 {
			_, err = db.Rotate(tb.Context(), store.Rotation{
				Refresh: store.DigestOf("r" + strconv.Itoa(i-1)), Revision: 1, At: now, Token: t,
			})
		} else {
			_, err = db.InsertToken(tb.Context(), t, store.InsertLimits{})
		}
		if err != nil {
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
