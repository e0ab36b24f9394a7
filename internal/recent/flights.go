package recent

import (
	"sync"

	"github.com/ostiary/auth/store"
)

// A Flight is a call about a digest. Value and Err are set before Done is closed.
type Flight[V any] struct {
	Done  chan struct{}
	Value V
	Err   error
}

// Flights are the calls that are being made, one for each digest. The zero Flights has
// none. It is safe for concurrent use.
type Flights[V any] struct {
	mu    sync.Mutex
	calls map[store.Digest]*Flight[V]
}

// Join returns the flight of a digest, and whether the caller has to make the call.
func (fs *Flights[V]) Join(d store.Digest) (f *Flight[V], leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.calls[d]; f != nil {
		return f, false
	}
	if fs.calls == nil {
		fs.calls = make(map[store.Digest]*Flight[V])
	}
	f = &Flight[V]{Done: make(chan struct{})}
	fs.calls[d] = f
	return f, true
}

// Leave ends a flight. The caller that makes the call must defer it.
func (fs *Flights[V]) Leave(d store.Digest, f *Flight[V]) {
	fs.mu.Lock()
	delete(fs.calls, d)
	fs.mu.Unlock()
	close(f.Done)
}
