package httpapi

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth/store"
)

// maxAddresses is the number of networks that a token can be bound to.
const maxAddresses = 64

// readAddresses reads the networks that a token is bound to: a list, or a text
// with blanks or commas between them. An address counts as a network.
func readAddresses(o object, to *[]netip.Prefix) error {
	if !o.given("addresses") {
		return nil
	}
	var list []string
	if err := json.Unmarshal(o["addresses"], &list); err != nil {
		var s string
		if err := json.Unmarshal(o["addresses"], &s); err != nil {
			return badField("addresses", "Must be a list of networks, such as [\"192.0.2.0/24\"].")
		}
		list = strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' })
	}
	return parseNetworks(list, to)
}

// parseNetworks appends the networks of a list to those at to.
func parseNetworks(list []string, to *[]netip.Prefix) error {
	if len(list) > maxAddresses {
		return badField("addresses", "Must not have more than "+strconv.Itoa(maxAddresses)+" networks.")
	}
	for _, s := range list {
		p, err := parseNetwork(s)
		if err != nil {
			return badField("addresses", quoted(s)+" is neither an IP address nor a network, such as 192.0.2.0/24.")
		}
		*to = append(*to, p)
	}
	return nil
}

// parseNetwork returns the network s in the form for comparisons with addresses
// of clients: an IPv4 network is never written as IPv6.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, errors.New("httpapi: not a network")
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// keepsAddresses refuses a change of the addresses of a token. A client may
// send back the present ones.
func keepsAddresses(o object, t store.Token) error {
	if !o.given("addresses") {
		return nil
	}
	var list []netip.Prefix
	if err := readAddresses(o, &list); err != nil {
		return err
	}
	if !slices.Equal(list, t.Addresses) {
		return badField("addresses", "The addresses of a token do not change: create a new one.")
	}
	return nil
}
