package storetest_test

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// limits are wide enough for what mutants store.
var limits = store.InsertLimits{Depth: store.MaxDepth, Live: 100_000}

// A mutant is an adapter that breaks a promise, and the check that must notice.
type mutant struct {
	name, check string
	open        func(right) storetest.Store
}

// right is an adapter that keeps every promise. Mutants embed it.
type right struct{ storetest.Store }

// keeper returns a store that keeps every promise.
func keeper(users store.Users) *memory.Store {
	if users != nil {
		return memory.NewWithUsers(users)
	}
	return memory.New()
}

// gap is the time between a read and the write that relies on it.
func gap() {
	for range 20 {
		runtime.Gosched()
	}
}

func mutants() []mutant {
	var all []mutant
	for _, list := range [][]mutant{userMutants, serviceMutants, hostMutants, tokenMutants, grantMutants, rotateGrantMutants, deviceMutants, applicationMutants, sessionMutants, attemptMutants, clockMutants, activityMutants, consentMutants} {
		all = append(all, list...)
	}
	return all
}

const mutantEnv = "OSTIARY_STORETEST_MUTANT"

// TestMutant is run by TestMutants, in a process of its own because it fails.
func TestMutant(t *testing.T) {
	name := os.Getenv(mutantEnv)
	if name == "" {
		return // TestMutants runs this
	}
	for _, m := range mutants() {
		switch {
		case m.name != name:
		case slices.ContainsFunc(activityMutants, func(a mutant) bool { return a.name == name }):
			storetest.RunActivities(t, func(*testing.T) store.Activities { return m.open(right{keeper(nil)}).(store.Activities) })
		case slices.ContainsFunc(hostMutants, func(h mutant) bool { return h.name == name }):
			storetest.RunUsers(t, func(*testing.T) storetest.HostUsers {
				db := memory.New()
				return hostTable(m.open(right{db}), db)
			})
		default:
			storetest.Run(t, func(_ *testing.T, users store.Users) storetest.Store { return m.open(right{keeper(users)}) })
		}
	}
}

// The suite rejects adapters that break a promise, with the check that is meant
// for it.
func TestMutants(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants() {
		if seen[m.name] {
			t.Fatalf("two mutants of the name %q", m.name)
		}
		seen[m.name] = true
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			group, check, _ := strings.Cut(strings.ReplaceAll(m.check, " ", "_"), "/")
			pattern := "^TestMutant$/^" + regexp.QuoteMeta(group) + "$/^" + regexp.QuoteMeta(check) + "$"
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.count=1")
			cmd.Env = append(os.Environ(), mutantEnv+"="+m.name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("survives the check %q:\n%s", m.check, out)
			} else if want := "--- FAIL: TestMutant/" + group + "/" + check; !strings.Contains(string(out), want) {
				t.Errorf("%v, but no %q in\n%s", err, want, out)
			}
		})
	}
}
