// Package stores has what all parts of this module do with stores: writes that
// outlive a request, purges in steps, the earlier of two ends, and what one step has
// read along for the next.
package stores

import (
	"context"
	"fmt"
	"time"
)

// Timeout bounds one store operation that outlives its request.
const Timeout = 2 * time.Second

// Detach returns the values of ctx without its cancellation, for a write that
// must not be lost because the client hung up. The write has [Timeout].
func Detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), Timeout)
}

// purgeStep is how many records one step of a purge removes: few enough not to
// hold up the requests in between.
const purgeStep = 500

// Purge calls step until it removes fewer records than it may, and returns how
// many were removed.
func Purge(ctx context.Context, endedBefore time.Time, step func(context.Context, time.Time, int) (int, error)) (int, error) {
	for total := 0; ; {
		n, err := step(ctx, endedBefore, purgeStep)
		total += n
		if err != nil {
			return total, fmt.Errorf("auth: purge: %w", err)
		}
		if n < purgeStep {
			return total, nil
		}
	}
}

// Earlier returns the earlier of two instants. The zero time is never.
func Earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
