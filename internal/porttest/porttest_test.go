package porttest_test

import (
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/ostiary/auth/internal/porttest"
)

// What is free can be listened at, is no port that the system gives away, and none
// comes twice.
func TestFree(t *testing.T) {
	ports, err := porttest.Free("127.0.0.1", 50)
	if err != nil || len(ports) != 50 {
		t.Fatal(ports, err)
	}
	taken := 0
	for i, port := range ports {
		if slices.Contains(ports[:i], port) {
			t.Errorf("port %d comes twice", port)
		}
		if port >= 32_768 {
			t.Errorf("the system gives port %d away", port)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Log(err)
			taken++
			continue
		}
		defer l.Close()
	}
	if taken > 2 { // by another test, which looks whether they are free
		t.Errorf("%d ports of 50 are not free", taken)
	}
	if ports, err := porttest.Free("192.0.2.1", 1); err == nil {
		t.Errorf("ports %v of another machine", ports)
	}
}
