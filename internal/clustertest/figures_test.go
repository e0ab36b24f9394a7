package clustertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// figures are what a test counts. The first three must be 0.
type figures struct {
	lost   atomic.Int64 // acknowledged, and not there in the end
	undone atomic.Int64 // ended with an acknowledgement, and let in afterwards
	as401  atomic.Int64 // good, and refused as if it were not

	acknowledged atomic.Int64 // changes
	requests     atomic.Int64
	broken       atomic.Int64 // requests that got no answer
	outages      atomic.Int64 // answers of status 503
	letIn        atomic.Int64 // good things that were let in
	retried      atomic.Int64

	mu         sync.Mutex
	lastOutage time.Time
	longest    time.Duration // of any request
}

// took notes the end of a request.
func (f *figures) took(began time.Time) {
	f.requests.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.longest = max(f.longest, time.Since(began))
}

func (f *figures) outage() {
	f.outages.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastOutage = time.Now()
}

// outageSince returns how long after a time the last request was refused.
func (f *figures) outageSince(began time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(0, f.lastOutage.Sub(began)).Round(time.Millisecond)
}

func (f *figures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("%d lost, %d undone, %d read as 401; %d requests, %d changes acknowledged, %d answers 503, %d without an answer, %d retries, the longest took %v",
		f.lost.Load(), f.undone.Load(), f.as401.Load(), f.requests.Load(), f.acknowledged.Load(), f.outages.Load(), f.broken.Load(),
		f.retried.Load(), f.longest.Round(time.Millisecond))
}

// report prints the figures, and fails the test if one of the first three is not 0
// or if nothing was tried.
func (c *cluster) report() {
	c.t.Helper()
	c.t.Log(c.figures)
	if c.lost.Load()+c.undone.Load()+c.as401.Load() > 0 {
		c.t.Error("acknowledgements were not held")
	}
	if c.broken.Load() > 0 {
		c.t.Error("requests were not answered")
	}
	if c.acknowledged.Load() < 40 {
		c.t.Error("too little was tried")
	}
}
