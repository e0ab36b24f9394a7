//go:build race

package proxytest_test

// SQLite is left out as the Makefile leaves it out, and is compiled once for both.
var raceFlags = []string{"-race", "-gcflags=modernc.org/sqlite/lib=-race=false"}
