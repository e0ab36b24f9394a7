// Package hook calls the functions of hosts that observe events.
package hook

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/observe"
)

// A Hook calls a function of the host. A nil Hook does nothing.
type Hook struct {
	call  observe.Func
	log   *slog.Logger
	made  time.Time    // from which Now counts
	noted atomic.Int64 // when a panic was logged, in microseconds
}

// New returns a hook that calls f, and logs its panics. It returns nil if f is nil.
func New(f observe.Func, log *slog.Logger) *Hook {
	if f == nil {
		return nil
	}
	return &Hook{call: f, log: log, made: time.Now()}
}

// Now returns the time, for a duration that only the hook needs. Without a hook it
// is the zero time.
func (h *Hook) Now() time.Time {
	if h == nil {
		return time.Time{}
	}
	return h.made.Add(time.Since(h.made)) // which reads one clock; time.Now reads two
}

// One reports an event that takes no time and is about one thing.
func (h *Hook) One(ctx context.Context, name observe.Name, kind observe.Kind, reason observe.Reason) {
	if h != nil {
		h.emit(ctx, observe.Event{Name: name, Kind: kind, Reason: reason, Count: 1})
	}
}

// Took reports an event about one thing that began at a time of [Hook.Now].
func (h *Hook) Took(ctx context.Context, name observe.Name, kind observe.Kind, reason observe.Reason, began time.Time) {
	if h != nil {
		h.emit(ctx, observe.Event{Name: name, Kind: kind, Reason: reason, Count: 1, Duration: time.Since(began)})
	}
}

// Emit reports an event.
func (h *Hook) Emit(ctx context.Context, e observe.Event) {
	if h != nil {
		h.emit(ctx, e)
	}
}

func (h *Hook) emit(ctx context.Context, e observe.Event) {
	defer h.contain(ctx)
	h.call(ctx, e)
}

// panicInterval is the time in which panics are logged once.
const panicInterval = time.Minute

// contain recovers a panic of the host's function. The part has decided before it
// called the function, and may have stored what it decided: a panic that went on
// would take the answer from the client, or end the process in a goroutine of the
// host, and would make nothing safer.
func (h *Hook) contain(ctx context.Context) {
	p := recover()
	if p == nil {
		return
	}
	now, before := time.Now().UnixMicro(), h.noted.Load()
	if (before == 0 || now-before >= panicInterval.Microseconds() || now < before) && h.noted.CompareAndSwap(before, now) {
		h.log.ErrorContext(ctx, "auth: the function Observe panicked; the request went on, and the event is lost", audit.KeyError, audit.Clip(fmt.Sprint(p)))
	}
}
