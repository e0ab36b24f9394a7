package hook_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/observe"
)

// A panic is contained, and logged once a minute.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		calls := 0
		h := hook.New(func(context.Context, observe.Event) {
			calls++
			panic(errors.New("the host's mistake"))
		}, slog.New(slog.NewTextHandler(&log, nil)))
		for want, wait := range []time.Duration{0, 59 * time.Second, time.Second} {
			time.Sleep(wait)
			h.One(t.Context(), observe.RequestAllowed, observe.KindBearer, observe.ReasonNone)
			h.Took(t.Context(), observe.RequestAllowed, observe.KindBearer, observe.ReasonNone, h.Now())
			if got := strings.Count(log.String(), "the host's mistake"); got != (want+2)/2 {
				t.Errorf("after %d: %d lines\n%s", want, got, &log)
			}
		}
		if calls != 6 {
			t.Errorf("%d calls", calls)
		}
	})
}

// Nil does nothing and takes no time.
func TestNil(t *testing.T) {
	h := hook.New(nil, nil)
	if h != nil || !h.Now().IsZero() {
		t.Error("a hook of nothing is something")
	}
	if n := testing.AllocsPerRun(100, func() {
		h.One(t.Context(), observe.RequestAllowed, observe.KindBearer, observe.ReasonNone)
		h.Took(t.Context(), observe.RequestAllowed, observe.KindBearer, observe.ReasonNone, h.Now())
		h.Emit(t.Context(), observe.Event{})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A duration is that of the clock, also where the hook is older than what it is about.
func TestTook(t *testing.T) {
	var got []observe.Event
	observed := func(_ context.Context, e observe.Event) { got = append(got, e) }
	older := hook.New(observed, nil)
	synctest.Test(t, func(t *testing.T) {
		for _, h := range []*hook.Hook{older, hook.New(observed, nil)} {
			time.Sleep(time.Minute)
			asked := h.Now()
			time.Sleep(2 * time.Second)
			began := h.Now()
			if wait := began.Sub(asked); wait != 2*time.Second {
				t.Errorf("waited for %v", wait)
			}
			time.Sleep(3 * time.Second)
			h.Took(t.Context(), observe.RequestAllowed, observe.KindBearer, observe.ReasonNone, began)
		}
	})
	for _, e := range got {
		if e.Duration != 3*time.Second {
			t.Errorf("took %v", e.Duration)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d events", len(got))
	}
}
