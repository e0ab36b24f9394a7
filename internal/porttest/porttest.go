// Package porttest finds ports for programs that tests start, where a program cannot
// say which one the system gave it, or has to keep one.
package porttest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The system gives ports from 32768 on to everybody who names none, clients included
// (RFC 6056 lets it begin at 1024; Linux, macOS and Windows begin later). One of
// those can be gone before the program listens, or while it restarts.
const first, last = 10_000, 32_000

// tries is how many ports are looked at: a machine does not use as many.
const tries = 1000

// Free returns n ports of a host, at least one. Nobody has them, and nobody gets one
// without naming it.
func Free(host string, n int) (ports []int, err error) {
	for range tries {
		port := first + rand.IntN(last-first)
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // at the end, so that none comes twice
		if ports = append(ports, port); len(ports) >= n {
			return ports, nil
		}
	}
	return nil, errors.New("porttest: no port is free at " + host)
}
