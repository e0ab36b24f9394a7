//go:build !race

package httpapi_test

const poolAllocations = 0
