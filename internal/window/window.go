// Package window has the rule by which the counters of package store begin and
// end their windows, for the adapters of this module.
package window

// A Window counts the attempts against one key. Times are in microseconds. The
// zero Window has ended.
type Window struct {
	Start, End int64
	Used       int64

	// Back is what a clock far behind Start showed when it first met this
	// window. HasBack tells that there is one.
	Back    int64
	HasBack bool
}

// far is how many lengths of a window a clock is behind if it is far behind.
const far = 2

// Enter moves w on to now, for a key whose windows have that length, and returns
// how long a refusal at now lasts.
//
// The clocks of several processes differ, and clocks are set. Start never
// decreases. A clock behind Start counts in the window that is there. A clock
// that is far behind would have to wait for as long as it is behind, so the
// window has ended for it when one length has passed on that clock itself. The
// next window then follows directly upon this one, so that the clock which is
// ahead goes on to find itself inside. The clocks that take part therefore see
// the windows of a key one after the other, each as long as it should be on the
// clock that ends it. The exception is the first window that another clock meets
// which is ahead: that clock may end it early by as much as it is ahead, once.
func (w *Window) Enter(now, length int64) (wait int64) {
	switch {
	case now >= w.End || w.Start == w.End:
		*w = Window{Start: now, End: now + length}
		return length
	case now >= w.Start:
		return w.End - now
	case w.HasBack && now < w.Back: // behind the clock that is behind
		return w.Back + w.length() - now
	case w.HasBack && now-w.Back <= w.Start-now: // that clock itself
		if now-w.Back < w.length() {
			return w.Back + w.length() - now
		}
		*w = Window{Start: w.End, End: w.End + length, Back: now, HasBack: true}
		return length
	case !w.HasBack && w.Start-now > far*w.length():
		w.Back, w.HasBack = now, true
		return w.length()
	}
	return w.End - now // a little behind, or the clock that is ahead
}

func (w *Window) length() int64 { return w.End - w.Start }
