package storetest_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// A mutant is an adapter that breaks a promise, and the check that must notice.
type mutant struct {
	name, check string
	open        func(right) storetest.Store
}

// right is an adapter that keeps every promise. Mutants embed it.
type right struct{ storetest.Store }

// AccessByDigest and SessionByDigest know the store behind a mutant, so that it
// still is one read where users is the mutant itself.
func (r right) AccessByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Access, error) {
	return r.Store.AccessByDigest(ctx, d, behind(users))
}

func (r right) SessionByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Session, store.User, error) {
	return r.Store.SessionByDigest(ctx, d, behind(users))
}

func (r right) behind() store.Users { return r.Store }

func behind(users store.Users) store.Users {
	if m, ok := users.(interface{ behind() store.Users }); ok {
		return m.behind()
	}
	return users
}

// gap is the time between a read and the write that relies on it.
func gap() {
	for range 20 {
		runtime.Gosched()
	}
}

func mutants() []mutant {
	var all []mutant
	for _, list := range [][]mutant{userMutants, tokenMutants, grantMutants, deviceMutants, applicationMutants, sessionMutants, attemptMutants, clockMutants} {
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
		if m.name == name {
			storetest.Run(t, func(*testing.T) storetest.Store { return m.open(right{memory.New()}) })
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
