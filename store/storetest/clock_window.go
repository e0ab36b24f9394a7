package storetest

import (
	"time"

	"github.com/ostiary/auth/store"
)

// A modelWindow is a model of one window, for clocks of which at most one is
// far behind the others.
type modelWindow struct {
	length     time.Duration
	begun      bool
	start, end time.Duration
	used       int

	behind   bool // a clock far behind has met this window
	behindAt time.Duration
}

func (w *modelWindow) charge(now time.Duration, most int) store.Verdict {
	wait := w.end - now
	switch {
	case !w.begun || now >= w.end:
		*w = modelWindow{length: w.length, begun: true, start: now, end: now + w.length}
	case now >= w.start:
	case !w.behind && w.start-now > 2*w.length:
		w.behind, w.behindAt = true, now
		wait = w.length
	case w.behind && (now < w.behindAt || now-w.behindAt <= w.start-now):
		wait = w.behindAt + w.length - now
		if wait <= 0 {
			*w = modelWindow{length: w.length, begun: true, start: w.end, end: w.end + w.length, behind: true, behindAt: now}
		}
	}
	if w.used >= most {
		return refusedFor(wait)
	}
	w.used++
	return allowed
}

func clockWindow(t *tester) {
	c := keyed(3, time.Minute)
	first := t.charge("the first", at(hour), allowed, c)
	behind := t.charge("the second, a minute before", at(hour-time.Minute), allowed, c)
	t.same("the window", first.Reserved, behind.Reserved)
	t.same("how far behind", []time.Duration{0, time.Minute}, []time.Duration{first.Behind, behind.Behind})
	t.charge("the third, two minutes before", at(hour-2*time.Minute), allowed, c)
	v := t.charge("the fourth", at(hour-2*time.Minute+us), refusedFor(3*time.Minute-us), c)
	t.same("how far behind", 2*time.Minute-us, v.Behind)
	t.charge("before the window begins", at(hour-us), refusedFor(time.Minute+us), c)
	t.charge("before it ends", at(hour+time.Minute-us), refusedFor(us), c)
	t.charge("when it ends", at(hour+time.Minute), allowed, c)
	t.charge("the second of the next one, before it began", at(hour), allowed, c)
	t.charge("the third", at(hour+time.Minute+us), allowed, c)
	t.charge("the fourth", at(hour), refusedFor(2*time.Minute), c)

	// A charge that is refused for another key is not counted.
	used, other := keyed(1, time.Minute), keyed(2, time.Minute)
	t.charge("both", at(hour), allowed, used, other)
	t.charge("neither", at(hour-us), refusedFor(time.Minute+us), used, other)
	t.charge("the other has one left", at(hour-us), allowed, other)
	t.charge("and no more", at(hour-us), refusedFor(time.Minute+us), other)
}

func clockFarBehind(t *tester) {
	for _, ahead := range []time.Duration{2*time.Minute + us, 4000 * time.Second, 365 * day} {
		c := keyed(2, time.Minute)
		t.charge("a clock that was wrong", at(ahead), allowed, c)
		t.charge("the right one", at(0), allowed, c)
		t.charge("used up", at(time.Second), refusedFor(59*time.Second), c)
		t.charge("before that", at(-time.Second), refusedFor(61*time.Second), c)
		t.charge("just before a minute has passed", at(time.Minute-us), refusedFor(us), c)
		v := t.charge("after a minute", at(time.Minute), allowed, c)
		t.same("the window follows", []store.Reservation{{Key: c.Key, Start: at(ahead + time.Minute)}}, v.Reserved)
		t.charge("the second", at(time.Minute), allowed, c)
		t.charge("the clock that is ahead is inside", at(ahead+time.Minute), refusedFor(time.Minute), c)
		t.charge("and a little earlier, too", at(ahead+time.Minute-us), refusedFor(time.Minute+us), c)
		t.charge("the right one waits a minute", at(time.Minute), refusedFor(time.Minute), c)
		t.charge("the next window is of either", at(ahead+2*time.Minute), allowed, c)
		t.charge("where the right one has what is left", at(2*time.Minute), allowed, c)
		t.charge("and no more", at(2*time.Minute), refusedFor(time.Minute), c)
	}

	// A refusal keeps the values for the clock that is behind.
	c := keyed(1, time.Minute)
	t.charge("a clock that was wrong", at(day), allowed, c)
	for _, s := range []time.Duration{0, 20, 59} {
		t.charge("the right one", at(s*time.Second), refusedFor((60-s)*time.Second), c)
	}
	t.charge("after a minute", at(time.Minute), allowed, c)
}

func clockOthers(t *tester) {
	victim := keyed(1, hour)
	t.charge("the victim", at(0), allowed, victim)
	for i := range 20 {
		t.charge("a clock that is ahead", at(4000*time.Second), allowed, keyed(1, hour))
		t.charge("the victim, again", at(time.Duration(i)*time.Second), refusedFor(hour-time.Duration(i)*time.Second), victim)
	}
}

func clocksApart(t *tester) {
	const most, calls, between = 3, 120, 2 * time.Second
	for _, apart := range []time.Duration{59 * time.Second, 61 * time.Second, 150 * time.Second, 4000 * time.Second, 365 * day} {
		for _, turn := range []int{2, 7, 60} {
			c, yes := keyed(most, time.Minute), 0
			for i := range calls {
				now := time.Duration(i) * between
				if i%turn == turn-1 {
					now += apart
				}
				v, err := t.st.Charge(t.Context(), []store.Charge{c}, at(now))
				t.must(err)
				if v.Allowed {
					yes++
				}
			}
			// As many windows as minutes, one that was ended early, and the
			// one that begins last.
			if limit := most * (int(calls*between/time.Minute) + 2); yes > limit || yes < most {
				t.Errorf("%s apart, every %d calls: %d are allowed, want %d to %d", apart, turn, yes, most, limit)
			}
		}
	}
}
