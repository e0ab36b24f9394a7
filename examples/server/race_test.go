//go:build race

package main

// SQLite is left out as the Makefile leaves it out, and is compiled once for both.
var raceFlags = []string{"-race", "-gcflags=modernc.org/sqlite/lib=-race=false"}
