//go:build race

package httpapi_test

// The race detector empties pools at random: a buffer is made again, and grows.
const poolAllocations = 10
