package auth_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

// B3: a customer who has 65,536 networks of IPv6 has the share of one. Otherwise
// 512 attempts, one from each, would refuse everybody who is not known.
func TestOneSiteFillsNoLine(t *testing.T) {
	for name, from := range map[string]string{
		"a site of its own":  "2001:db8:1:%x::1",
		"the end of the /64": "2001:db8:1:%x:ffff:ffff:ffff:ffff",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, unlimited)
				s.hasher.hold = func() { time.Sleep(40 * time.Millisecond) }
				stop := make(chan struct{})
				for i := range 2000 {
					go func() {
						for n := 0; ; n++ {
							select {
							case <-stop:
								return
							default:
							}
							_, err := s.passwords.Verify(at(t, fmt.Sprintf(from, i)), fmt.Sprint("nobody", i), fmt.Sprint("guess", n))
							if e, ok := err.(*auth.Error); ok && e.Status == 503 {
								time.Sleep(time.Second)
							}
						}
					}()
				}
				synctest.Wait()
				for _, owner := range []string{"192.0.2.1", "2001:db8:2::1", "198.51.100.7"} {
					start := time.Now()
					_, err := s.passwords.Verify(at(t, owner), "alice", goodPassword)
					if took := time.Since(start); err != nil || took > time.Second {
						t.Errorf("%s: %v after %v", owner, err, took)
					}
				}
				close(stop)
				time.Sleep(time.Minute)
			})
		})
	}
}

// A site shares among its networks: one of them refuses none of the others.
func TestNetworksOfOneSiteTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, unlimited)
		s.hasher.hold = func() { time.Sleep(40 * time.Millisecond) }
		for i := range 600 {
			go s.passwords.Verify(at(t, "2001:db8:1:1::1"), "bob", fmt.Sprint("guess", i))
		}
		synctest.Wait()
		for i := range 3 {
			start := time.Now()
			_, err := s.passwords.Verify(at(t, fmt.Sprintf("2001:db8:1:%x::1", 2+i)), "alice", goodPassword)
			if took := time.Since(start); err != nil || took > time.Second {
				t.Errorf("%d: %v after %v", i, err, took)
			}
		}
		time.Sleep(time.Minute)
	})
}

// B6: a service without IPv4 sees every IPv4 client behind the prefix of a translator.
// They are as many networks, so that none of them refuses the others.
func TestTranslatedClientsAreApart(t *testing.T) {
	for _, prefix := range []string{"64:ff9b::", "64:ff9b:1:fffe::"} {
		t.Run(prefix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				for i := range 2000 {
					_, _ = s.passwords.Verify(at(t, prefix+"198.51.100.7"), fmt.Sprint("nobody", i), "guess")
				}
				if _, err := s.passwords.Verify(at(t, prefix+"198.51.100.7"), "alice", goodPassword); err == nil {
					t.Error("the network that guesses is not refused")
				}
				if _, err := s.passwords.Verify(at(t, prefix+"203.0.113.9"), "alice", goodPassword); err != nil {
					t.Errorf("another IPv4 client: %v", err)
				}
			})
		})
	}
}
