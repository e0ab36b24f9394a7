// Package client has the network address of a client: how a context carries it,
// and the network that a throttle counts by.
package client

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"strings"
)

// Key is the type of the key under which a context carries a *netip.Addr. A
// pointer fits into an interface without another allocation.
type Key struct{}

// With returns a context that carries addr in its canonical form.
func With(ctx context.Context, addr netip.Addr) context.Context {
	addr = canonical(addr)
	return context.WithValue(ctx, Key{}, &addr)
}

// From returns the address that ctx carries. The address may be the zero Addr
// even where ctx carries one: then somebody knows that it cannot be known.
func From(ctx context.Context) (netip.Addr, bool) {
	addr, ok := ctx.Value(Key{}).(*netip.Addr)
	if !ok {
		return netip.Addr{}, false
	}
	return *addr, true
}

// Of returns the address that the context of r carries, or else the peer. It is
// the zero Addr where neither is known.
func Of(r *http.Request) netip.Addr { return At(r.Context(), r.RemoteAddr) }

// At is [Of] a request with that context and RemoteAddr.
func At(ctx context.Context, remoteAddr string) netip.Addr {
	if addr, ok := From(ctx); ok {
		return addr
	}
	return Peer(remoteAddr)
}

// Peer returns the address in the RemoteAddr of a request, or the zero Addr.
func Peer(remoteAddr string) netip.Addr {
	if addr, ok := peer4(remoteAddr); ok {
		return addr
	}
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return canonical(ap.Addr())
}

// peer4 is Peer for an IPv4 address with a port, as net/http writes them, in half of
// the time. It takes no text that [netip.ParseAddrPort] refuses, and may leave any to
// that.
func peer4(s string) (addr netip.Addr, ok bool) {
	var octets, part uint32 // part is the number that is being read
	parts, digits := 0, 0
	for i := range len(s) {
		if c := uint32(s[i]) - '0'; c <= 9 {
			if digits > 0 && part == 0 || digits == 5 { // a leading zero, or no port
				return addr, false
			}
			part, digits = part*10+c, digits+1
			continue
		}
		if digits == 0 || part > 255 || !(s[i] == '.' && parts < 3 || s[i] == ':' && parts == 3) {
			return addr, false
		}
		octets = octets<<8 | part
		part, digits, parts = 0, 0, parts+1
	}
	if parts != 4 || digits == 0 || part > math.MaxUint16 {
		return addr, false
	}
	return netip.AddrFrom4([4]byte{byte(octets >> 24), byte(octets >> 16), byte(octets >> 8), byte(octets)}), true
}

// Value returns the value under key of a context inside outer that carries a request
// with that RemoteAddr. It is that of outer, or else the peer, which few requests ask
// for, under [Key].
func Value(outer context.Context, key any, remoteAddr string) any {
	v := outer.Value(key)
	if v == nil && key == (Key{}) {
		addr := Peer(remoteAddr)
		return &addr
	}
	return v
}

// Context returns the context of r, with the client's address if it had none.
func Context(r *http.Request) context.Context {
	if _, ok := From(r.Context()); ok {
		return r.Context()
	}
	return With(r.Context(), Peer(r.RemoteAddr))
}

// Text returns the address that ctx carries as text, "" if it is not known.
func Text(ctx context.Context) string {
	addr, _ := From(ctx)
	return String(addr)
}

// TextAt returns the address [At] ctx and remoteAddr as text, "" if it is not known.
func TextAt(ctx context.Context, remoteAddr string) string {
	if addr, ok := From(ctx); ok {
		return String(addr)
	}
	addr := Peer(remoteAddr)
	// A peer with an IPv4 address has that text in remoteAddr, because there is only
	// one of an address. The part of remoteAddr needs no allocation.
	if host, _, ok := strings.Cut(remoteAddr, ":"); ok && addr.Is4() && host[0] != '[' {
		return host
	}
	return String(addr)
}

// String returns addr as text, "" for the zero Addr.
func String(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// translators are the prefixes in which a translator puts the address of an IPv4
// client at the end of an IPv6 one: the well-known one (RFC 6052 section 2.1) and that
// for local use (RFC 8215). A service without IPv4 sees all IPv4 clients there.
var translators = [...]netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}

func translated(addr netip.Addr) bool {
	return translators[0].Contains(addr) || translators[1].Contains(addr)
}

// Network returns the network that a throttle counts addr by: an IPv4 address,
// an IPv6 address that stands for one, or the /64 of another IPv6 address, which is
// the least that one customer has. It is the zero Prefix for no address.
func Network(addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return netip.PrefixFrom(addr, 32)
	}
	addr = canonical(addr)
	bits := addr.BitLen()
	if addr.Is6() && !translated(addr) {
		bits = 64
	}
	network, _ := addr.Prefix(bits)
	return network
}

// Site returns the site that a [Network] belongs to: its /48 for IPv6, which is the
// most that a customer commonly has (RFC 6177), and the network itself for IPv4.
func Site(network netip.Prefix) netip.Prefix {
	if !network.Addr().Is6() || translated(network.Addr()) {
		return network
	}
	site, _ := network.Addr().Prefix(48)
	return site
}

// NetworkOf returns the [Network] of the address that ctx carries.
func NetworkOf(ctx context.Context) netip.Prefix {
	addr, _ := From(ctx)
	return Network(addr)
}

// In reports whether one of the prefixes contains addr.
func In(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = canonical(addr)
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// canonical gives one client one address: an IPv4 address that is mapped into
// IPv6 is an IPv4 address, and a zone says nothing beyond this host.
func canonical(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
