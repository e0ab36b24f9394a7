package clientdoc

import (
	"sync"
	"time"
)

const (
	maxFetches        = 64    // that run at a time
	maxFetchesPerHost = 2     // of them
	maxKept           = 1_000 // documents; and so many refusals
)

const faultBusy = "Too many documents of applications are being fetched. Try again later."

// A flight is a fetch, or what is kept of it.
type flight struct {
	done     chan struct{} // closed when the rest is known
	doc      Document
	err      error
	unpaid   bool          // the caller could not pay, and nothing was fetched
	lifetime time.Duration // 0 for what must not be kept
	until    time.Time
}

// A desk counts the fetches that run, and keeps documents and refusals.
type desk struct {
	mu        sync.Mutex
	running   map[string]*flight // by client_id
	hosts     map[string]int     // how many of them
	documents map[string]*flight
	refusals  map[string]*flight
}

func newDesk() desk {
	return desk{running: map[string]*flight{}, hosts: map[string]int{}, documents: map[string]*flight{}, refusals: map[string]*flight{}}
}

// join returns what is kept of a client_id, or the fetch that is running. Without
// either it begins one, which the caller must lead to its end.
func (d *desk) join(clientID, host string, now time.Time) (fl *flight, leads bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, kept := range []map[string]*flight{d.documents, d.refusals} {
		if fl := kept[clientID]; fl != nil && now.Before(fl.until) {
			return fl, false, nil
		}
	}
	if fl := d.running[clientID]; fl != nil {
		return fl, false, nil
	}
	if len(d.running) >= maxFetches || d.hosts[host] >= maxFetchesPerHost {
		return nil, false, &Error{Detail: faultBusy, RetryAfter: maxFetchTime}
	}
	fl = &flight{done: make(chan struct{})}
	d.running[clientID] = fl
	d.hosts[host]++
	return fl, true, nil
}

// leave ends a fetch and keeps its outcome.
func (d *desk) leave(clientID, host string, fl *flight) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, clientID)
	if d.hosts[host]--; d.hosts[host] == 0 {
		delete(d.hosts, host)
	}
	delete(d.documents, clientID)
	delete(d.refusals, clientID)
	if fl.until = now.Add(fl.lifetime); fl.lifetime > 0 {
		kept := d.documents
		if fl.err != nil {
			kept = d.refusals
		}
		makeRoom(kept, now)
		kept[clientID] = fl
	}
	close(fl.done)
}

// makeRoom removes what has ended if kept is full, or else what ends first.
func makeRoom(kept map[string]*flight, now time.Time) {
	if len(kept) < maxKept {
		return
	}
	first := ""
	for id, fl := range kept {
		if !now.Before(fl.until) {
			delete(kept, id)
		} else if first == "" || fl.until.Before(kept[first].until) {
			first = id
		}
	}
	if len(kept) >= maxKept {
		delete(kept, first)
	}
}
