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
		name:    "what is forgotten starts another window",
		promise: "the windows of the keys in Settlement.Forget end; the next attempt starts another",
		run:     settleForget,
	},
	{
		name:    "what is returned counts no more",
		promise: "the attempts in Settlement.Return count no more; one whose window has ended, or was forgotten, changes nothing",
		run:     settleReturn,
	},
	{
		name:    "a remembered key takes the attempt off the charge",
		promise: "while Charge.Unless is remembered, the attempt is counted against Instead with the same Limit, and against nothing if Instead is empty",
		run:     chargeUnless,
	},
	{
		name:    "a key is remembered until its instant",
		promise: "a Memory is remembered before Until; one that is remembered until a later instant stays as it is, and an empty Key remembers nothing",
		run:     settleRemember,
	},
	{
		name:    "the latest keys of a group are remembered",
		promise: "the store remembers the Most keys of a group whose Until is latest, and forgets the others",
		run:     settleGroup,
	},
	{
		name:    "a settlement is one step",
		promise: "Settle does everything that the settlement says",
		run:     settleAll,
	},
	{
		name:    "what ended before goes and nothing else",
		promise: "PurgeAttempts removes at most max counters whose window ended, and keys that were remembered until an instant, before the given instant, and returns how many it removed",
		alone:   true,
		run:     chargePurge,
	},
	{
		name:    "parallel charges and returns lose nothing",
		races:   true,
		promise: "Settle is one step: what is returned in parallel is there again, no more and no less",
		run:     settleRace,
	},
	{
		name:    "64 parallel attempts never exceed the limit",
		races:   true,
		promise: "of any number of concurrent calls with one key at most Limit.Max are allowed in a window",
		run:     chargeRace,
	},
}

// charge charges and compares the verdict without Reserved and Behind. It
// returns the whole verdict.
func (t *tester) charge(what string, when time.Time, want store.Verdict, charges ...store.Charge) store.Verdict {
	t.Helper()
	got, err := t.st.Charge(t.Context(), charges, when)
	t.must(err)
	if !got.Allowed && got.Reserved != nil {
		t.Errorf("%s: a charge that was refused reserved %v", what, got.Reserved)
	}
	t.same(what, want, store.Verdict{Allowed: got.Allowed, RetryAfter: got.RetryAfter})
	return got
}

// used charges a key with a limit of n and a limit of n+1, which tells that n
// attempts are counted against it. The second one counts.
func (t *tester) used(what string, n int, key string, when time.Time) {
	t.Helper()
	for limit, want := range map[int]bool{n: false, n + 1: true} {
		got, err := t.st.Charge(t.Context(), []store.Charge{{Key: key, Limit: store.Limit{Max: limit, Window: hour}}}, when)
		t.must(err)
		if got.Allowed == want {
			continue
		}
		t.Errorf("%s: allowed %t with a limit of %d, want %d attempts", what, got.Allowed, limit, n)
	}
}

func (t *tester) settle(s store.Settlement) {
	t.Helper()
	t.must(t.st.Settle(t.Context(), s))
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

	group := rand.Text()
	for _, until := range []time.Duration{hour - us, hour, hour + us} {
		t.settle(store.Settlement{Remember: store.Memory{Key: group + until.String(), Group: group, Until: at(until), Most: 9}})
	}
	t.purge("a key, and counters", 3, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(hour), 100) })
	t.remembers("until the instant", true, group+hour.String(), at(hour-us))
	t.remembers("until later", true, group+(hour+us).String(), at(hour))
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
