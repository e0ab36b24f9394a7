package auth

import (
	"context"
	"time"

	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
)

// purge is [stores.Purge] with an event.
func purge(ctx context.Context, h *hook.Hook, kind observe.Kind, endedBefore time.Time, step func(context.Context, time.Time, int) (int, error)) (int, error) {
	began := h.Now()
	n, err := stores.Purge(ctx, endedBefore, step)
	if h != nil {
		e := observe.Event{Name: observe.Purged, Kind: kind, Count: int64(n), Duration: time.Since(began)}
		if err != nil {
			e.Reason = observe.ReasonOutage
		}
		h.Emit(ctx, e)
	}
	return n, err
}
