package storetest

import (
	"crypto/rand"
	"time"

	"github.com/ostiary/auth/store"
)

var attemptChecks = []check{
	{
		name:    "Max attempts in a window",
		promise: "a Limit allows Max attempts in each Window; a window starts with the first attempt in it; RetryAfter is until the refusing window ends, 0 if allowed",
		run:     chargeWindow,
	},
	{
		name:    "nothing is counted if one key has used up its limit",
		promise: "Charge counts one attempt against every key, in one step, unless one of them has used up its limit: then nothing is counted and the verdict is no",
		run:     chargeSeveral,
	},
	{
		name:    "a limit of 0 allows nothing, no charge is allowed",
		promise: "at most Limit.Max are allowed in a window",
		run:     chargeEdges,
	},
	{
		name:    "keys are compared byte for byte",
		promise: "text is compared byte for byte, without case folding, collation or normalization",
		run:     chargeText,
	},
	{
		name:    "Forgive forgets the attempts against the keys",
		promise: "Forgive forgets the attempts against the keys",
		run:     chargeForgive,
	},
	{
		name:    "what ended before goes and nothing else",
		promise: "PurgeAttempts removes at most max counters whose window ended before the given instant, and returns how many it removed",
		alone:   true,
		run:     chargePurge,
	},
	{
		name:    "64 parallel attempts never exceed the limit",
		promise: "of any number of concurrent calls with one key at most Limit.Max are allowed in a window",
		run:     chargeRace,
	},
}

func (t *tester) charge(what string, when time.Time, want store.Verdict, charges ...store.Charge) {
	t.Helper()
	got, err := t.st.Charge(t.Context(), charges, when)
	t.must(err)
	t.same(what, want, got)
}

var allowed = store.Verdict{Allowed: true}

func refusedFor(d time.Duration) store.Verdict { return store.Verdict{RetryAfter: d} }

func chargeWindow(t *tester) {
	c := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 3, Window: time.Minute}}
	t.charge("the first", at(0), allowed, c)
	t.charge("the second", at(time.Second), allowed, c)
	t.charge("the third", at(50*time.Second), allowed, c)
	t.charge("the fourth", at(50*time.Second), refusedFor(10*time.Second), c)
	t.charge("a microsecond before the window ends", at(time.Minute-us), refusedFor(us), c)
	t.charge("when the window ends", at(time.Minute), allowed, c)
	// The second window began just now, not a minute after the first.
	t.charge("the second of the next window", at(100*time.Second), allowed, c)
	t.charge("the third of the next window", at(100*time.Second), allowed, c)
	t.charge("the fourth of the next window", at(110*time.Second), refusedFor(10*time.Second), c)
	t.charge("much later", at(day), allowed, c)
	t.charge("the second, much later", at(day+30*time.Second), allowed, c)
	t.charge("the third, much later", at(day+30*time.Second), allowed, c)
	t.charge("the fourth, much later", at(day+30*time.Second), refusedFor(30*time.Second), c)
}

func chargeSeveral(t *tester) {
	account := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 1, Window: time.Minute}}
	address := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 3, Window: hour}}
	t.charge("both", at(0), allowed, account, address)
	for range 5 {
		t.charge("account used up", at(time.Second), refusedFor(59*time.Second), account, address)
		t.charge("account used up, in the other order", at(time.Second), refusedFor(59*time.Second), address, account)
	}
	t.charge("the address alone has two left", at(2*time.Second), allowed, address)
	t.charge("the address alone has one left", at(2*time.Second), allowed, address)
	t.charge("the address has none left", at(2*time.Second), refusedFor(hour-2*time.Second), address)
	t.charge("both used up: the longer wait", at(2*time.Second), refusedFor(hour-2*time.Second), account, address)
	t.charge("address used up", at(2*time.Minute), refusedFor(hour-2*time.Minute), account, address)
	t.charge("nothing was counted against the account", at(2*time.Minute), allowed, account)
}

func chargeEdges(t *tester) {
	t.charge("no charges", at(0), allowed)
	c := store.Charge{Key: rand.Text(), Limit: store.Limit{Window: time.Minute}}
	for range 2 {
		got, err := t.st.Charge(t.Context(), []store.Charge{c}, at(0))
		t.must(err)
		t.same("a limit of 0", false, got.Allowed)
	}
	c.Limit.Max = 1
	t.charge("nothing was counted", at(0), allowed, c)
}

func chargeText(t *tester) {
	prefix := rand.Text()
	limit := store.Limit{Max: 1, Window: time.Minute}
	for _, s := range oddTexts() {
		t.charge("the first of "+s, at(0), allowed, store.Charge{Key: prefix + s, Limit: limit})
	}
	for _, s := range oddTexts() {
		t.charge("the second of "+s, at(0), refusedFor(time.Minute), store.Charge{Key: prefix + s, Limit: limit})
	}
}

func chargeForgive(t *tester) {
	limit := store.Limit{Max: 1, Window: time.Minute}
	a, b, c := store.Charge{Key: rand.Text(), Limit: limit}, store.Charge{Key: rand.Text(), Limit: limit}, store.Charge{Key: rand.Text(), Limit: limit}
	t.charge("all three", at(0), allowed, a, b, c)
	t.must(t.st.Forgive(t.Context(), nil))
	t.must(t.st.Forgive(t.Context(), []string{rand.Text(), a.Key + " ", ""}))
	t.charge("after others were forgiven", at(us), refusedFor(time.Minute-us), a)
	t.must(t.st.Forgive(t.Context(), []string{a.Key, rand.Text(), b.Key}))
	t.charge("forgiven", at(us), allowed, a)
	t.charge("forgiven too", at(us), allowed, b)
	t.charge("not forgiven", at(us), refusedFor(time.Minute-us), c)
	t.charge("used up again, in a new window", at(2*us), refusedFor(time.Minute-us), a)
	t.must(t.st.Forgive(t.Context(), []string{a.Key}))
	t.must(t.st.Forgive(t.Context(), []string{a.Key}))
}

func chargePurge(t *tester) {
	var charges []store.Charge
	for _, window := range []time.Duration{time.Minute - us, time.Minute, time.Minute + us} {
		c := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 1, Window: window}}
		t.charge("the first", at(0), allowed, c)
		charges = append(charges, c)
	}
	t.purge("long before", 0, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(0), 100) })
	t.purge("none allowed", 0, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(time.Minute), 0) })
	t.purge("once", 1, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(time.Minute), 100) })
	t.purge("again", 0, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(time.Minute), 100) })
	t.charge("a window that ended at the instant", at(time.Minute-us), refusedFor(us), charges[1])
	t.charge("a window that had not ended", at(time.Minute-us), refusedFor(2*us), charges[2])
	for range 8 {
		t.charge("another", at(0), allowed, store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 1, Window: hour}})
	}
	t.drain(10, 3, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(day), 3) })
}

func chargeRace(t *tester) {
	const most = 5
	t.rounds(func() {
		account := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: most, Window: time.Minute}}
		address := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: contenders, Window: hour}}
		count := func(n int, charges ...store.Charge) (yes int) {
			for _, v := range race(n, func(i int) store.Verdict {
				mine := charges
				if i%2 == 1 && len(charges) == 2 { // another order of locks
					mine = []store.Charge{charges[1], charges[0]}
				}
				v, err := t.st.Charge(t.Context(), mine, at(0))
				if err != nil {
					t.Errorf("Charge: %v", err)
				}
				return v
			}) {
				if v.Allowed {
					yes++
				}
			}
			return yes
		}
		t.same("how many were allowed", most, count(contenders, account, address))
		t.same("how many are left for the address", contenders-most, count(contenders+8, address))
	})
}
