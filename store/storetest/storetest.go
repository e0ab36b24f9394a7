// Package storetest is the contract of package store as a test suite, for
// authors of adapters:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Store { return memory.New() })
//	}
//
// Run it with -race. A check that fails prints the promise that it tests. An
// adapter that keeps only some of the four boundaries embeds its own part and
// package memory for the rest.
package storetest

import (
	"testing"

	"github.com/ostiary/auth/store"
)

// Store is everything that package store specifies.
type Store interface {
	store.Accounts
	store.OAuth
	store.Sessions
	store.Attempts
}

// Run checks every promise of package store. Each call of open must return a
// store that is empty, shares nothing with the others and is closed through
// t.Cleanup; most checks share one store. Races are repeated for a bounded time,
// which -short reduces.
func Run(t *testing.T, open func(t *testing.T) Store) {
	shared := open(t)
	for _, g := range []struct {
		name   string
		checks []check
	}{
		{"Users", userChecks},
		{"ListUsers", userListChecks},
		{"Epochs", epochChecks},
		{"DeleteUser", deleteUserChecks},
		{"Tokens", tokenChecks},
		{"UpdateToken", updateTokenChecks},
		{"AccessByDigest", accessChecks},
		{"RevokeTokens", revokeChecks},
		{"ListTokens", tokenListChecks},
		{"Purge", purgeChecks},
		{"Codes", codeChecks},
		{"Redeem", redeemChecks},
		{"Rotate", rotateChecks},
		{"Replay", replayChecks},
		{"Devices", deviceChecks},
		{"RedeemDevice", redeemDeviceChecks},
		{"Applications", applicationChecks},
		{"ListApplications", applicationListChecks},
		{"Sessions", sessionChecks},
		{"SessionLimit", sessionLimitChecks},
		{"EndSessions", endSessionsChecks},
		{"Attempts", attemptChecks},
		{"Clock", append(clockChecks, clockEndChecks...)},
		{"Context", contextChecks},
		{"Concurrency", concurrencyChecks},
	} {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.checks {
				t.Run(c.name, func(t *testing.T) {
					t.Cleanup(func() {
						if t.Failed() {
							t.Logf("broken promise of package store: %s", c.promise)
						}
					})
					st := shared
					if c.alone {
						st = open(t)
					}
					c.run(&tester{T: t, st: st})
				})
			}
		})
	}
}

// A check tests one promise.
type check struct {
	name    string
	promise string
	run     func(*tester)

	// alone checks need a store of their own, because they count or change
	// records that are not theirs.
	alone bool
}
