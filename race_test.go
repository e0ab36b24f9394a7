//go:build race

package auth_test

// The race detector keeps the compiler from leaving the attributes of an event on the
// stack.
const raceAllocations = 1
