//go:build race

package proxytest_test

var raceFlags = []string{"-race"}
