// Package clocktest runs tests on clocks that differ.
package clocktest

import (
	"testing"
	"testing/synctest"
	"time"
)

// On runs f on a clock that is that much ahead of the one on which tests begin.
// The next call can set it back.
func On(t *testing.T, ahead time.Duration, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(ahead)
		f(t)
	})
}

// SetBack runs two functions on clocks that begin at the same instant, the first
// of them an hour later: for the second the clock was set back.
func SetBack(t *testing.T, before, after func(t *testing.T)) {
	t.Helper()
	On(t, time.Hour, before)
	On(t, 0, after)
}
