package porttest_test

import (
	"net"
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
	for _, port := range ports {
		if port >= 32_768 {
			t.Errorf("the system gives port %d away", port)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if ports, err := porttest.Free("192.0.2.1", 1); err == nil {
		t.Errorf("ports %v of another machine", ports)
	}
}
