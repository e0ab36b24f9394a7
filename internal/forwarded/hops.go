package forwarded

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// Limits of forwarding fields. The length of a whole field has none, because a
// client can make it as long as the server allows, and the parts of the proxies
// are at its right end in any case.
const (
	maxHops = 64      // trusted proxies in a row
	maxNode = 64      // bytes of one address, with port and zone
	maxHost = 255 + 6 // bytes of a host name and its port
)

// A Hop is what one proxy says about the request that it received.
type Hop struct {
	Client       netip.Addr // zero if it does not say, or nothing we understand
	Scheme, Host string     // RFC 7239 only; "" if it does not say
}

// Walk goes from the peer to the first hop that is not one of the proxies. The
// proxies vouch for that hop, and everything left of it is hearsay. Walk stops at
// the last hop that it understood, and after maxHops. It reports false if the
// field has no elements.
//
// Walk reads from the right and no further than it goes, so that nothing that the
// client sends, of whatever length or form, keeps it from the client's address.
func Walk(proxies []netip.Prefix, peer netip.Addr, lines []string, rfc bool) (last Hop, found bool) {
	last.Client = peer
	list := newHops(lines, rfc)
	for range maxHops {
		element, ok := list.next()
		if !ok {
			return last, found || list.broken
		}
		found = true
		h, ok := parseHop(element, rfc)
		if !ok {
			return last, true
		}
		last = h
		if !contains(proxies, h.Client) {
			break
		}
	}
	return last, found
}

// contains reports whether one of the prefixes contains addr.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// hops reads the elements of a list field from the right, the nearest proxy
// first. What stands further left than the caller reads has no influence.
type hops struct {
	lines  []string
	rest   string // of the line that is being read
	rfc    bool   // RFC 7239: elements may have quoted strings
	broken bool
}

// newHops returns the elements of the lines of one field. The lines are one list
// (RFC 9110 section 5.3).
func newHops(lines []string, rfc bool) hops { return hops{lines: lines, rfc: rfc} }

// next returns the next element that is not empty, trimmed. It reports false at
// the end and sets broken where an element has no beginning.
func (h *hops) next() (string, bool) {
	for {
		if h.rest == "" {
			if len(h.lines) == 0 {
				return "", false
			}
			h.rest, h.lines = h.lines[len(h.lines)-1], h.lines[:len(h.lines)-1]
		}
		i := strings.LastIndexByte(h.rest, ',')
		if h.rfc {
			var closed bool
			if i, closed = lastComma(h.rest); !closed {
				h.broken = true
				return "", false
			}
		}
		element := ascii.TrimOWS(h.rest[i+1:])
		h.rest = h.rest[:max(i, 0)]
		if element != "" {
			return element, true
		}
	}
}

// lastComma returns the index of the last comma outside quoted strings, or -1.
// It reads from the right, so that a quote which the client left open cannot
// swallow the part of a proxy. It reports false if it ends inside a string.
func lastComma(s string) (i int, closed bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case '"':
			// Inside a string an odd number of backslashes makes it a character.
			n := i
			for n > 0 && s[n-1] == '\\' {
				n--
			}
			if !quoted || (i-n)%2 == 0 {
				quoted = !quoted
			}
		case ',':
			if !quoted {
				return i, true
			}
		}
	}
	return -1, !quoted
}

// parseHop reads one element of a list field.
func parseHop(element string, rfc bool) (Hop, bool) {
	if !rfc {
		addr, ok := ParseNode(element)
		return Hop{Client: addr}, ok
	}
	return parseForwarded(element)
}

// parseForwarded reads a forwarded-element (RFC 7239 section 4). It reports false
// unless the element is well-formed and has one address.
func parseForwarded(s string) (h Hop, ok bool) {
	seen := 0
	for s != "" {
		name, rest, found := strings.Cut(s, "=")
		if !found {
			return Hop{}, false
		}
		value, rest, found := forwardedValue(rest)
		if !found {
			return Hop{}, false
		}
		rest = ascii.TrimOWS(rest)
		if rest != "" {
			if rest[0] != ';' || len(rest) == 1 {
				return Hop{}, false
			}
			rest = rest[1:]
		}
		s = rest
		name = ascii.TrimOWS(name)
		bit := 0
		switch {
		case ascii.EqualFold(name, "for"):
			bit = 1
			if h.Client, found = ParseNode(value); !found || value[0] != '[' && strings.Count(value, ":") > 1 {
				return Hop{}, false // "unknown", a pseudonym, an IPv6 address without brackets
			}
		case ascii.EqualFold(name, "proto"):
			bit = 2
			h.Scheme = ParseScheme(value)
		case ascii.EqualFold(name, "host"):
			bit = 4
			h.Host = ParseHost(value)
		case !ascii.Token(name):
			return Hop{}, false
		}
		if seen&bit != 0 { // section 4: each parameter once
			return Hop{}, false
		}
		seen |= bit
	}
	return h, seen&1 != 0
}

// forwardedValue cuts a token or a quoted-string off s.
func forwardedValue(s string) (value, rest string, ok bool) {
	if s == "" {
		return "", "", false
	}
	if s[0] != '"' {
		end := strings.IndexAny(s, "; \t")
		if end < 0 {
			end = len(s)
		}
		// Common proxies forget the quotes around a port or IPv6 brackets, so
		// those characters pass here; ParseNode judges them.
		for i := range end {
			if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' || c == '=' {
				return "", "", false
			}
		}
		return s[:end], s[end:], end > 0
	}
	var unescaped []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if unescaped != nil {
				return string(unescaped), s[i+1:], true
			}
			return s[1:i], s[i+1:], true
		case c == '\\':
			if unescaped == nil {
				unescaped = append(make([]byte, 0, len(s)), s[1:i]...)
			}
			if i++; i == len(s) {
				return "", "", false
			}
			unescaped = append(unescaped, s[i])
		case unescaped != nil:
			unescaped = append(unescaped, c)
		}
	}
	return "", "", false
}
