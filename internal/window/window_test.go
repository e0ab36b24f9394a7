package window_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ostiary/auth/internal/window"
)

const second, length = 1_000_000, 60 * 1_000_000

// charge counts one attempt, of at most most in a window.
func charge(w *window.Window, now int64, most int64) bool {
	w.Enter(now, length)
	if w.Used >= most {
		return false
	}
	w.Used++
	return true
}

// F8: however far apart the clocks of two processes are, and whoever asks when,
// no more attempts get through than windows have passed, and the one that the
// clock ahead ended early.
func TestClocksApart(t *testing.T) {
	const most, seconds = 10, 3600
	for _, apart := range []int64{1, 30, 59, 60, 61, 90, 119, 120, 121, 180, 600, 4000, 86_400, 31_536_000} {
		for _, pattern := range []string{"alternating", "ahead seldom", "behind seldom", "random", "in bursts"} {
			w, allowed := window.Window{}, 0
			for s := range int64(seconds) {
				clock := s * second
				ahead := false
				switch pattern {
				case "alternating":
					ahead = s%2 == 1
				case "ahead seldom":
					ahead = s%59 == 30
				case "behind seldom":
					ahead = s%59 != 30
				case "random":
					ahead = rand.IntN(2) == 0
				case "in bursts":
					ahead = s/90%2 == 0
				}
				if ahead {
					clock += apart * second
				}
				if charge(&w, clock, most) {
					allowed++
				}
			}
			// One window a minute, the one that begins at the end, and the
			// one that was ended early.
			if limit := most * (seconds/60 + 2); allowed > limit {
				t.Errorf("%d seconds apart, %s: %d were allowed, want at most %d", apart, pattern, allowed, limit)
			}
			if allowed < most*seconds/60/4 {
				t.Errorf("%d seconds apart, %s: only %d were allowed", apart, pattern, allowed)
			}
		}
	}
}

// A clock that was wrong once, by however much, keeps nobody out for longer than
// three windows.
func TestClockWasWrongOnce(t *testing.T) {
	for _, ahead := range []int64{1, 59, 60, 119, 120, 121, 179, 180, 4000, 31_536_000} {
		w := window.Window{}
		charge(&w, ahead*second, 1)
		for s := int64(0); ; s++ {
			if charge(&w, s*second, 1) {
				break
			}
			if s > 3*60 {
				t.Errorf("%d seconds ahead: refused for more than three windows", ahead)
				break
			}
		}
	}
}

// FuzzEnter: a window never begins before the one before it, and the wait that a
// refused caller is told is enough.
func FuzzEnter(f *testing.F) {
	f.Add(int64(0), int64(4000), int64(1))
	f.Add(int64(4000), int64(0), int64(60))
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		w := window.Window{}
		for _, now := range []int64{a % (1 << 40), b % (1 << 40), c % (1 << 40), a % (1 << 40)} {
			before := w
			wait := w.Enter(now, length)
			if before != (window.Window{}) && w.Start < before.Start {
				t.Fatalf("%+v became %+v at %d", before, w, now)
			}
			if wait <= 0 {
				t.Fatalf("a wait of %d at %d in %+v", wait, now, w)
			}
			w.Used = 5
			if again := w; again.Enter(now+wait, length) <= 0 || again.Used != 0 {
				t.Fatalf("still %+v after the wait of %d from %d", again, wait, now)
			}
		}
	})
}
