// Package leaktest watches the goroutines that tests start.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines may take to end once the tests are over.
const patience = 30 * time.Second

// Main runs the tests of a package and exits. It fails if they succeed and leave
// a goroutine behind:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
func Main(m *testing.M) {
	known := goroutines()
	code := m.Run()
	if code == 0 {
		if stacks := left(known, patience); len(stacks) > 0 {
			fmt.Fprintf(os.Stderr, "leaktest: %d goroutines outlive the tests:\n\n%s\n", len(stacks), strings.Join(stacks, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// left returns the stacks of the goroutines that are not among known, for as long
// as there are any, and at most after the given time.
func left(known map[string]string, most time.Duration) []string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(most); ; <-tick.C {
		var stacks []string
		for name, stack := range goroutines() {
			// Whoever asked for signals, as a fuzz run does, leaves this one.
			if _, ok := known[name]; !ok && !strings.Contains(stack, "\nos/signal.loop(") {
				stacks = append(stacks, stack)
			}
		}
		if len(stacks) == 0 || time.Now().After(deadline) {
			slices.Sort(stacks)
			return stacks
		}
	}
}

// goroutines returns the stacks of all goroutines by a name that none has again.
func goroutines() map[string]string {
	text := make([]byte, 1<<20)
	n := runtime.Stack(text, true)
	for n == len(text) { // was too short, perhaps
		text = make([]byte, 2*len(text))
		n = runtime.Stack(text, true)
	}
	all := make(map[string]string)
	for stack := range strings.SplitSeq(string(text[:n]), "\n\n") {
		name, _, _ := strings.Cut(stack, " [") // of "goroutine 7 [running]:"
		all[name] = stack
	}
	return all
}

// Started returns how many goroutines are started while f runs. Those of the
// runtime count, too: where f runs several times, the least number is its own.
func Started(f func()) int {
	sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return int(sample[0].Value.Uint64() - before)
}
