package storetest

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

func (t *tester) remembers(what string, want bool, key string, when time.Time) {
	t.Helper()
	got, err := t.st.Remembers(t.Context(), key, when)
	t.must(err)
	t.same(what, want, got)
}

// keyed returns a charge against a key of its own.
func keyed(most int, window time.Duration) store.Charge {
	return store.Charge{Key: rand.Text(), Limit: store.Limit{Max: most, Window: window}}
}

func reserved(key string, start time.Time) store.Reservation {
	return store.Reservation{Key: key, Start: start}
}

func settleForget(t *tester) {
	a, b, c := keyed(1, time.Minute), keyed(1, time.Minute), keyed(1, time.Minute)
	t.charge("all three", at(0), allowed, a, b, c)
	t.settle(store.Settlement{})
	t.settle(store.Settlement{Forget: []string{rand.Text(), a.Key + " ", ""}})
	t.charge("after others were forgotten", at(us), refusedFor(time.Minute-us), a)
	t.settle(store.Settlement{Forget: []string{a.Key, rand.Text(), b.Key}})
	t.charge("forgotten", at(us), allowed, a)
	t.charge("forgotten, too", at(us), allowed, b)
	t.charge("not forgotten", at(us), refusedFor(time.Minute-us), c)
	t.charge("used up again, in a new window", at(2*us), refusedFor(time.Minute-us), a)
	for range 2 {
		t.settle(store.Settlement{Forget: []string{a.Key}})
	}
	t.charge("forgotten again", at(2*us), allowed, a)
}

func settleReturn(t *tester) {
	account, address := keyed(2, time.Minute), keyed(3, hour)
	first := t.charge("the first", at(0), allowed, account, address)
	t.same("what is reserved", []store.Reservation{reserved(account.Key, at(0)), reserved(address.Key, at(0))}, first.Reserved)
	second := t.charge("the second", at(time.Second), allowed, account, address)
	t.same("what is reserved, too", first.Reserved, second.Reserved)
	t.charge("used up", at(time.Second), refusedFor(59*time.Second), account, address)
	t.settle(store.Settlement{Return: second.Reserved})
	t.charge("one is there again", at(2*time.Second), allowed, account, address)
	t.charge("and no more", at(2*time.Second), refusedFor(58*time.Second), account, address)

	// A reservation belongs to its window.
	t.charge("in the next window", at(time.Minute), allowed, account)
	t.charge("the second of that", at(time.Minute), allowed, account)
	t.settle(store.Settlement{Return: first.Reserved})
	t.charge("what was reserved before returns nothing", at(time.Minute), refusedFor(time.Minute), account)
	t.charge("the window of the address goes on", at(time.Minute), allowed, address)
	t.charge("which had one returned", at(time.Minute), allowed, address)
	t.charge("and no more than that", at(time.Minute), refusedFor(hour-time.Minute), address)

	// Nothing is returned that is not counted.
	for range 9 {
		t.settle(store.Settlement{Return: []store.Reservation{reserved(address.Key, at(0)), reserved(rand.Text(), at(0)), reserved(address.Key, at(us))}})
	}
	for range 3 {
		t.charge("three are there again", at(time.Minute), allowed, address)
	}
	t.charge("but not a fourth", at(time.Minute), refusedFor(hour-time.Minute), address)

	forgotten := keyed(1, hour)
	v := t.charge("before it is forgotten", at(0), allowed, forgotten)
	t.settle(store.Settlement{Forget: []string{forgotten.Key}})
	t.charge("after that", at(us), allowed, forgotten)
	t.settle(store.Settlement{Return: v.Reserved})
	t.charge("a window that was forgotten returns nothing", at(us), refusedFor(hour), forgotten)

	twice := keyed(2, hour)
	v = t.charge("one key twice", at(0), allowed, twice, twice)
	t.same("both are reserved", []store.Reservation{reserved(twice.Key, at(0)), reserved(twice.Key, at(0))}, v.Reserved)
	t.settle(store.Settlement{Return: v.Reserved})
	t.charge("both are there again", at(0), allowed, twice, twice)
}

func chargeUnless(t *tester) {
	known, instead := rand.Text(), rand.Text()
	account, exempt, plain := keyed(2, hour), keyed(1, hour), keyed(9, hour)
	account.Unless, account.Instead = known, instead
	exempt.Unless = known
	t.charge("nobody is known", at(0), allowed, account, exempt, plain)
	t.charge("the exempt one is used up", at(0), refusedFor(hour), account, exempt, plain)
	t.settle(store.Settlement{Remember: store.Memory{Key: known, Group: "g" + known, Until: at(time.Minute), Most: 1}})
	v := t.charge("known", at(us), allowed, account, exempt, plain)
	t.same("what is reserved", []store.Reservation{reserved(instead, at(us)), reserved(plain.Key, at(0))}, v.Reserved)
	t.charge("the second against what is charged instead", at(us), allowed, account, exempt)
	t.charge("which has the same limit", at(us), refusedFor(hour), account, exempt)
	t.charge("nothing was counted against the key", at(us), allowed, store.Charge{Key: account.Key, Limit: account.Limit})
	t.used("nothing against the exempt one", 1, exempt.Key, at(us))
	t.used("all against the plain one", 2, plain.Key, at(us))

	other := account
	other.Unless, other.Instead = known+" ", rand.Text()
	t.charge("another key is not known", at(us), refusedFor(hour-us), other)
	other.Unless = ""
	t.charge("no key is not known", at(us), refusedFor(hour-us), other)
	t.charge("until the instant", at(time.Minute-us), refusedFor(hour-time.Minute+2*us), account)
	t.charge("and no longer", at(time.Minute), refusedFor(hour-time.Minute), account)
}

func settleRemember(t *tester) {
	key, group := rand.Text(), rand.Text()
	remember := func(key string, until time.Time) {
		t.Helper()
		t.settle(store.Settlement{Remember: store.Memory{Key: key, Group: group, Until: until, Most: 99}})
	}
	t.remembers("before", false, key, at(0))
	remember(key, at(hour))
	t.remembers("just before the instant", true, key, at(hour-us))
	t.remembers("long before", true, key, at(-day))
	t.remembers("at the instant", false, key, at(hour))
	remember(key, at(day))
	remember(key, at(time.Minute))
	t.remembers("prolonged, not shortened", true, key, at(day-us))
	t.remembers("to the instant", false, key, at(day))
	remember("", at(day))
	t.remembers("no key", false, "", at(0))
	t.remembers("another", false, key+" ", at(0))
	t.settle(store.Settlement{Remember: store.Memory{Key: key + "0", Group: group, Until: at(day)}})
	t.remembers("the most is 0", false, key+"0", at(0))

	prefix := rand.Text()
	for i, s := range oddTexts() {
		remember(prefix+s, at(time.Duration(i+1)*hour))
	}
	for i, s := range oddTexts() {
		t.remembers(fmt.Sprintf("%q", s), true, prefix+s, at(time.Duration(i+1)*hour-us))
		t.remembers(fmt.Sprintf("%q, later", s), false, prefix+s, at(time.Duration(i+1)*hour))
	}
}

func settleGroup(t *tester) {
	prefix, group := rand.Text(), rand.Text()
	remember := func(group string, until time.Duration, most int) {
		t.Helper()
		t.settle(store.Settlement{Remember: store.Memory{Key: prefix + until.String(), Group: group, Until: at(until), Most: most}})
	}
	left := func(what string, want string) {
		t.Helper()
		got := ""
		for n := 1; n <= 9; n++ {
			if yes, err := t.st.Remembers(t.Context(), prefix+(time.Duration(n)*hour).String(), at(0)); err != nil {
				t.Fatal(err)
			} else if yes {
				got += fmt.Sprint(n)
			}
		}
		t.same(what, want, got)
	}
	for _, n := range []time.Duration{5, 2, 4} {
		remember(group, n*hour, 3)
	}
	left("as many as there may be", "245")
	remember(group, 6*hour, 3)
	left("the one whose instant comes first is forgotten", "456")
	remember(group, 1*hour, 3)
	left("be it the new one", "456")
	t.settle(store.Settlement{Remember: store.Memory{Key: prefix + (4 * hour).String(), Group: group, Until: at(day), Most: 3}})
	remember(group, 7*hour, 3)
	left("one that was prolonged stays", "467")
	remember(rand.Text(), 9*hour, 1)
	left("another group has a bound of its own", "4679")
	remember(group, 8*hour, 1)
	left("a lower bound", "49")
}

func settleAll(t *tester) {
	returned, forgotten, known := keyed(1, hour), keyed(1, hour), rand.Text()
	v := t.charge("both", at(0), allowed, returned, forgotten)
	t.settle(store.Settlement{
		Return:   v.Reserved[:1],
		Forget:   []string{forgotten.Key},
		Remember: store.Memory{Key: known, Group: "g" + known, Until: at(hour), Most: 1},
	})
	t.charge("both again", at(us), allowed, returned, forgotten)
	t.remembers("remembered", true, known, at(us))

	// With a key that is remembered already.
	account := keyed(1, time.Minute)
	v = t.charge("in a window", at(0), allowed, account)
	t.charge("in the next", at(time.Minute), allowed, account)
	again := store.Settlement{Return: v.Reserved, Remember: store.Memory{Key: known, Group: "g" + known, Until: at(2 * hour), Most: 1}}
	t.settle(again)
	t.charge("what was reserved before returns nothing", at(time.Minute), refusedFor(time.Minute), account)
	t.remembers("for longer", true, known, at(hour+time.Minute))
	for range 3 {
		again.Return = []store.Reservation{reserved(account.Key, at(time.Minute))}
		t.settle(again)
	}
	t.charge("one is there again", at(time.Minute), allowed, account)
	t.charge("and no more", at(time.Minute), refusedFor(time.Minute), account)
	again.Return, again.Forget = nil, []string{account.Key}
	t.settle(again)
	t.charge("forgotten", at(time.Minute+us), allowed, account)
	t.charge("and begun anew", at(time.Minute+us), refusedFor(time.Minute), account)
}

func settleRace(t *tester) {
	t.rounds(func() {
		account, address := keyed(contenders, hour), keyed(2*contenders, hour)
		race(contenders, func(i int) error {
			mine := []store.Charge{account, address}
			if i%2 == 1 { // another order of locks
				mine = []store.Charge{address, account}
			}
			v, err := t.st.Charge(t.Context(), mine, at(0))
			if err != nil || !v.Allowed {
				t.Errorf("Charge: %+v, %v", v, err)
			}
			if i%2 == 0 {
				return nil
			}
			err = t.st.Settle(t.Context(), store.Settlement{
				Return:   v.Reserved,
				Remember: store.Memory{Key: fmt.Sprint(account.Key, i), Group: account.Key, Until: at(hour), Most: 3},
			})
			if err != nil {
				t.Errorf("Settle: %v", err)
			}
			return err
		})
		t.used("of the account", contenders/2, account.Key, at(us))
		t.used("of the address", contenders/2, address.Key, at(us))
		kept := 0
		for i := range contenders {
			if yes, err := t.st.Remembers(t.Context(), fmt.Sprint(account.Key, i), at(0)); err != nil {
				t.Fatal(err)
			} else if yes {
				kept++
			}
		}
		t.same("how many are remembered", 3, kept)
	})
}
