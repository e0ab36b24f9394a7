package clientdoc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// errNotPublic refuses a connection to another address than a public one.
var errNotPublic = errors.New("the server of the document has no public address")

// A dialer connects to public addresses only.
type dialer struct {
	net.Dialer
	insecure bool
}

func newDialer(insecure bool) *dialer {
	d := &dialer{insecure: insecure}
	d.Control = d.control
	return d
}

// control is called with the address of each connection right before it is made. It
// does not matter what the name resolved to at another time.
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !(isPublic(a.Addr()) && a.Port() == 443 || d.insecure && a.Addr().IsLoopback()) {
		return errNotPublic
	}
	return nil
}

// dial connects to the host of a URL.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return d.DialContext(ctx, network, rooted(address))
}

// rooted adds the dot that makes the name in an address a full one, so that the
// resolver does not put the domains of its configuration after it.
func rooted(address string) string {
	host, port, ok := cutPort(address)
	if !ok || !isHost(host) {
		return address
	}
	return host + ".:" + port
}

// special are the special-use addresses of RFC 6890 and its registries, as far as
// they are not refused otherwise, and what clouds use for their metadata.
var special = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // shared, carrier-grade NAT (RFC 6598)
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // metadata and DNS of Azure
	"169.254.0.0/16",    // link-local, with the metadata of most clouds
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // relays of 6to4
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, broadcast
	"2001::/23",         // protocol assignments: Teredo, ORCHID, benchmarks
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4, which has an IPv4 address in it
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

// global are the IPv6 addresses that are assigned to hosts at all (RFC 4291 section
// 2.4). Everything else is special: unspecified, loopback, IPv4-mapped and
// -compatible, NAT64, unique local, link-local, site-local and multicast.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// isPublic reports whether an address is that of a public host.
func isPublic(a netip.Addr) bool {
	if a.Is6() && (!global.Contains(a) || a.Zone() != "") {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// isDial reports whether an error is one of names or connections.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// isTLS reports whether an error is one of the TLS handshake.
func isTLS(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return unverified || record || alert || strings.Contains(err.Error(), "remote error: tls:")
}
