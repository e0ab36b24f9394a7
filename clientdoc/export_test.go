package clientdoc

import (
	"net"
	"syscall"
	"time"
)

// SetTimeout replaces the five seconds of a fetch.
func (f *Fetcher) SetTimeout(d time.Duration) { f.timeout = d }

// SetResolver replaces the resolver, and calls watch with the verdict about each
// address that the dialer is about to connect to. An error of watch, too, refuses it.
func (f *Fetcher) SetResolver(r *net.Resolver, watch func(address string, verdict error) error) {
	f.dialer.Resolver = r
	control := f.dialer.Control
	f.dialer.Control = func(network, address string, c syscall.RawConn) error {
		err := control(network, address, c)
		if watched := watch(address, err); err == nil {
			err = watched
		}
		return err
	}
}

// ErrNotPublic is the cause of a refused address.
var ErrNotPublic = errNotPublic
