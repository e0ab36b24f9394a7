package auth

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// slots bounds the number of passwords that are hashed at a time, because each
// takes the memory of the hasher and a core. Further logins wait in two lines,
// which get every other slot: one for logins from known networks and browsers,
// one for all others. In each line the sites take turns, and the networks of a
// site do.
type slots struct {
	mu    sync.Mutex
	free  int
	lines [2]line // others, known
	next  int     // the line whose turn it is
}

const (
	// hashPlaces is the number of places in a line for each slot: about as many
	// as are hashed within hashWait at 100 ms each.
	hashPlaces = 256
	hashWait   = 30 * time.Second // then the client should try again
)

func newSlots(n int) *slots {
	s := &slots{free: n}
	for i := range s.lines {
		s.lines[i] = line{places: hashPlaces * n}
	}
	return s
}

// acquire waits for a slot. It asks known only if it has to wait.
func (s *slots) acquire(ctx context.Context, network netip.Prefix, known func() (bool, error)) error {
	if s.try() {
		return nil
	}
	first, err := known()
	if err != nil {
		return err
	}
	w, err := s.enter(network, first)
	if w == nil {
		return err
	}
	timeout := time.NewTimer(hashWait)
	defer timeout.Stop()
	select {
	case got := <-w.turn:
		return got
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = errBusy
	}
	s.mu.Lock()
	left := w.line.leave(w)
	s.mu.Unlock()
	if !left && <-w.turn == nil { // its turn came at the same moment
		s.release()
	}
	return err
}

func (s *slots) try() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 {
		return false
	}
	s.free--
	return true
}

// enter takes a place in a line. If a slot is free it takes that and returns no
// waiter.
func (s *slots) enter(network netip.Prefix, known bool) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		return nil, nil
	}
	l := &s.lines[0]
	if known {
		l = &s.lines[1]
	}
	w := &waiter{line: l, network: network, turn: make(chan error, 1)}
	if !l.enter(w) {
		return nil, errBusy
	}
	return w, nil
}

// release gives the slot to the next waiter.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.lines {
		l := &s.lines[s.next]
		s.next = (s.next + 1) % len(s.lines)
		if w := l.first(); w != nil {
			l.leave(w)
			w.turn <- nil
			return
		}
	}
	s.free++
}

var errBusy = &Error{
	Status:     http.StatusServiceUnavailable,
	Detail:     "Too many logins at the same time. Try again later.",
	RetryAfter: time.Second,
}
