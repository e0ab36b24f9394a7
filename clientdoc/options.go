package clientdoc

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Options are the options of [New].
type Options struct {
	// AllowHosts are the hosts whose documents are accepted: "client.example" is
	// that host, ".client.example" are all hosts below it and not the host itself,
	// and "*" is every host. It is required.
	AllowHosts []string

	// BlockHosts are hosts whose documents are refused although AllowHosts has
	// them, in the same form but without "*".
	BlockHosts []string

	// Allow decides about a host that the lists accept, each time its document is
	// asked for, kept ones included. So administrators can block a host while the
	// service runs. An error refuses the request as an outage. Nil accepts the host.
	// Many goroutines call it at the same time.
	Allow func(ctx context.Context, host string) (bool, error)

	// RootCAs are the authorities whose certificates the servers of documents
	// may have. Nil means those of the system.
	RootCAs *x509.CertPool

	// InsecureLoopback also fetches documents from loopback addresses, at any port.
	// It is for the development of clients, on a machine that nobody else uses:
	// otherwise everybody who can log in can make this service send requests
	// to others on its machine.
	InsecureLoopback bool
}

// check refuses options that are contradictory or allow nothing.
func (o *Options) check() error {
	if len(o.AllowHosts) == 0 {
		return errors.New(`clientdoc: Options.AllowHosts is empty, so that no document would be accepted; "*" accepts every host`)
	}
	for _, pattern := range o.AllowHosts {
		if pattern != "*" && !o.isPattern(pattern) {
			return fmt.Errorf(`clientdoc: Options.AllowHosts: %q is neither the name of a public host in lower case, nor one after a dot, nor "*"`, pattern)
		}
	}
	for _, pattern := range o.BlockHosts {
		if !o.isPattern(pattern) {
			return fmt.Errorf("clientdoc: Options.BlockHosts: %q is neither the name of a public host in lower case, nor one after a dot", pattern)
		}
	}
	return nil
}

// isPattern reports whether a pattern can match a host. A suffix may be a top-level
// domain.
func (o *Options) isPattern(pattern string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "."); ok {
		return isHost("a." + suffix)
	}
	return isHost(pattern) || o.InsecureLoopback && isLoopbackHost(pattern)
}

// matches reports whether one of the patterns stands for the host.
func matches(patterns []string, host string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return p == "*" || p == host || p[0] == '.' && strings.HasSuffix(host, p)
	})
}
