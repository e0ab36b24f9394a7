// Package storetest is the contract of package store as a test suite, for
// authors of adapters:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, users store.Users) storetest.Store {
//			if users != nil {
//				return memory.NewWithUsers(users)
//			}
//			return memory.New()
//		})
//	}
//
// [Run] checks an adapter that keeps everything. An adapter that keeps a part
// has a suite of its own: [RunUsers], [RunTokens], [RunGrants], [RunSessions] and
// [RunAttempts]. The activity stream, which most adapters do not keep, has
// [RunActivities] and is no part of Run.
//
// Run the suites with -race. A check that fails prints the promise that it
// tests. Races are repeated for a bounded time, which -short reduces.
package storetest

import (
	"slices"
	"testing"

	"github.com/ostiary/auth/store"
)

// Store is everything that package store specifies but the activity stream.
type Store interface {
	store.Accounts
	store.OAuth
	store.Sessions
	store.Attempts
}

// Run checks every promise of package store. Each call of open must return a
// store that is empty, shares nothing with the others and is closed through
// t.Cleanup; most checks share one store. AccessByDigest and SessionByDigest of
// the store must return the user that users has. A nil users means the store's
// own users.
func Run(t *testing.T, open func(t *testing.T, users store.Users) Store) {
	run(t, allParts, false, open)
}

// RunRaces checks the promises of [Run] about calls that meet: of many calls one
// succeeds, and no order of two leaves what neither allows. It is for a setting of a
// database that only such calls can notice, such as its isolation, where Run checks the
// same adapter with another setting.
func RunRaces(t *testing.T, open func(t *testing.T, users store.Users) Store) {
	run(t, allParts, true, open)
}

// parts are the parts of a store that a check needs, or a suite has.
type parts uint8

const (
	usersPart      parts = 1 << iota // store.Users, and a way to add one
	accountsPart                     // store.Accounts
	tokensPart                       // store.Tokens
	oauthPart                        // store.OAuth
	sessionsPart                     // store.Sessions
	attemptsPart                     // store.Attempts
	wholePart                        // steps that concern several of them
	activitiesPart                   // store.Activities

	allParts = usersPart | accountsPart | tokensPart | oauthPart | sessionsPart | attemptsPart | wholePart
)

// A group is a list of checks. Each needs the parts of the group unless it says
// otherwise.
type group struct {
	name   string
	needs  parts
	checks []check
}

// groups returns the whole suite.
func groups() []group {
	return []group{
		{"Users", accountsPart, userChecks},
		{"HostUsers", usersPart, hostUserChecks},
		{"ListUsers", accountsPart, userListChecks},
		{"ChangeUser", accountsPart, changeUserChecks},
		{"ServiceAccounts", accountsPart, serviceChecks},
		{"Where", accountsPart, whereChecks},
		{"Epochs", accountsPart, epochChecks},
		{"DeleteUser", wholePart, deleteUserChecks},
		{"Tokens", tokensPart, tokenChecks},
		{"UpdateToken", tokensPart, updateTokenChecks},
		{"AccessByDigest", tokensPart, accessChecks},
		{"RevokeTokens", tokensPart, revokeChecks},
		{"Trees", tokensPart, treeChecks},
		{"Cutoffs", oauthPart, cutoffChecks},
		{"ListTokens", tokensPart, tokenListChecks},
		{"ListExpiring", tokensPart, expiringChecks},
		{"Purge", oauthPart, purgeChecks},
		{"Codes", oauthPart, codeChecks},
		{"Redeem", oauthPart, redeemChecks},
		{"Rotate", oauthPart, rotateChecks},
		{"Replay", oauthPart, replayChecks},
		{"Grants", oauthPart, grantChecks},
		{"Devices", oauthPart, deviceChecks},
		{"RedeemDevice", oauthPart, redeemDeviceChecks},
		{"Consents", oauthPart, consentChecks},
		{"Applications", oauthPart, applicationChecks},
		{"ListApplications", oauthPart, applicationListChecks},
		{"Sessions", sessionsPart, slices.Concat(sessionChecks, sessionAccessChecks)},
		{"SessionLists", sessionsPart, sessionListChecks},
		{"SessionLimit", sessionsPart, sessionLimitChecks},
		{"EndSessions", sessionsPart, endSessionsChecks},
		{"Attempts", attemptsPart, attemptChecks},
		{"Activities", activitiesPart, activityChecks},
		{"Clock", wholePart, append(clockChecks, clockEndChecks...)},
		{"Context", wholePart, contextChecks},
		{"ZeroTime", tokensPart, zeroTimeChecks},
		{"Concurrency", wholePart, concurrencyChecks},
	}
}

// run runs the checks that need no more than the parts that there are, or those of
// them in which calls meet.
func run(t *testing.T, have parts, races bool, open func(t *testing.T, users store.Users) Store) {
	shared := open(t, nil)
	for _, g := range groups() {
		var checks []check
		for _, c := range g.checks {
			if c.needs == 0 {
				c.needs = g.needs
			}
			if c.needs&have == c.needs && (c.races || !races) {
				checks = append(checks, c)
			}
		}
		if len(checks) == 0 {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			for _, c := range checks {
				t.Run(c.name, func(t *testing.T) {
					t.Cleanup(func() {
						if t.Failed() {
							t.Logf("broken promise of package store: %s", c.promise)
						}
					})
					st := shared
					if c.alone {
						st = open(t, nil)
					}
					c.run(&tester{T: t, st: st, have: have, open: open, races: c.races})
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
	// needs are the parts that the check needs, if they are not those of its
	// group.
	needs parts
	// races says that calls meet in the check.
	races bool
}
