package sqltest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// A workload is what clients do to a few keys at once, and the sequential model
// that explains what they saw: in a linearizable store there is an order of all
// calls, which contradicts no clock, in which a store that does one thing at a
// time answers the same.
type workload struct {
	name string
	// prepare stores what a key needs.
	prepare func(t *testing.T, st storetest.Store, key string)
	// call makes one call at random and returns what was asked and answered.
	call  func(h *history, key string) (in, out any, err error)
	model porcupine.Model
}

func workloads() []workload {
	return []workload{grantWorkload, sessionWorkload, passwordWorkload, chargeWorkload}
}

const (
	clients      = 8
	keysAtOnce   = 3
	callsPerTurn = 12 // of one client
)

// A history is what all clients saw of a store.
type history struct {
	t    *testing.T
	st   storetest.Store
	last atomic.Int32 // name given to the latest thing

	mu    sync.Mutex
	begun time.Time
	known map[string][]int32 // names that a key has seen, by key
	good  map[string]int32   // the latest that is known to exist
	calls map[string][]porcupine.Operation
}

func newHistory(t *testing.T, st storetest.Store) *history {
	serve(t, st)
	return &history{t: t, st: st, begun: time.Now(), known: map[string][]int32{}, good: map[string]int32{}, calls: map[string][]porcupine.Operation{}}
}

// newName returns a name that nothing has yet.
func (h *history) newName() int32 { return h.last.Add(1) }

// returned makes a name known whose call has returned: nobody knows a secret before
// it is issued. Good tells whether the call has made the thing of that name.
func (h *history) returned(key string, name int32, good bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[key] = append(h.known[key], name)
	if good {
		h.good[key] = name
	}
}

// someName returns a name of key, rather a late one, 0 if it has none.
func (h *history) someName(key string) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known[key]
	if name := h.good[key]; name != 0 && rand.IntN(2) == 0 {
		return name
	}
	if len(known) == 0 {
		return 0
	}
	return known[max(len(known)-1-rand.IntN(6), 0)]
}

// run lets the clients work for a while and returns how many calls they made.
func (h *history) run(w workload, budget time.Duration, most int) (total int) {
	h.t.Helper()
	for turn := 0; total < most && (turn == 0 || time.Since(h.begun) < budget); turn++ {
		var keys []string
		for k := range keysAtOnce {
			key := fmt.Sprintf("%s-%d-%d", w.name, turn, k)
			w.prepare(h.t, h.st, key)
			keys = append(keys, key)
		}
		var all []func()
		for client := range clients {
			all = append(all, func() { h.client(w, client, keys) })
		}
		together(all...)
		if h.t.Failed() {
			h.t.FailNow()
		}
		total += clients * callsPerTurn
	}
	return total
}

func (h *history) client(w workload, client int, keys []string) {
	for range callsPerTurn {
		key := keys[rand.IntN(len(keys))]
		var op porcupine.Operation
		var err error
		op.ClientId = client
		op.Call = int64(time.Since(h.begun))
		op.Input, op.Output, err = w.call(h, key)
		op.Return = int64(time.Since(h.begun))
		if err != nil {
			h.t.Errorf("%s: %+v: %v", w.name, op.Input, err)
			return
		}
		h.mu.Lock()
		h.calls[key] = append(h.calls[key], op)
		h.mu.Unlock()
	}
}

// check returns the first key whose history no order explains, "" if there is
// none.
func (h *history) check(w workload) string {
	h.t.Helper()
	for key, ops := range h.calls {
		switch porcupine.CheckOperationsTimeout(w.model, ops, servertest.Patience) {
		case porcupine.Illegal:
			return key
		case porcupine.Unknown:
			h.t.Fatalf("%s: the checker did not finish", key)
		}
	}
	return ""
}

// print tells what clients saw of a key, in the order of calls.
func (h *history) print(key string) string {
	ops := slices.Clone(h.calls[key])
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "client %d, %d to %d us: %+v -> %+v\n", op.ClientId, op.Call/1000, op.Return/1000, op.Input, op.Output)
	}
	return b.String()
}

// Every step of a store that may be done once is linearizable.
func TestLinearizable(t *testing.T) {
	budget := 700 * time.Millisecond
	if testing.Short() {
		budget = 100 * time.Millisecond
	}
	on := func(name string, open func(t *testing.T) storetest.Store, most int) {
		t.Run(name, func(t *testing.T) {
			for _, w := range workloads() {
				t.Run(w.name, func(t *testing.T) {
					h := newHistory(t, open(t))
					n := h.run(w, budget, most)
					t.Logf("%d calls of %d clients", n, clients)
					if key := h.check(w); key != "" {
						t.Errorf("no order explains what clients saw of %s:\n%s", key, h.print(key))
					}
				})
			}
		})
	}
	on("memory", func(*testing.T) storetest.Store { return memory.New() }, 20_000)
	for _, d := range databases() {
		on(d.name, func(t *testing.T) storetest.Store { return d.fresh(t).open(t) }, 5_000)
	}
}

// gap is the time between a read and the write that relies on it.
func gap() {
	for range 10 {
		runtime.Gosched()
	}
}

// The checker rejects stores that read first and write later.
func TestRacyStoresAreNotLinearizable(t *testing.T) {
	for i, open := range []func(storetest.Store) storetest.Store{racyGrants, racySessions, racyPasswords, racyCharges} {
		w := workloads()[i]
		t.Run(w.name, func(t *testing.T) {
			for range 30 {
				h := newHistory(t, open(memory.New()))
				h.run(w, 0, 1)
				if key := h.check(w); key != "" {
					t.Logf("no order explains what clients saw of %s:\n%s", key, h.print(key))
					return
				}
			}
			t.Error("the checker found an order for all histories of a racy store")
		})
	}
}
