//go:build !race

package auth_test

const raceAllocations = 0
