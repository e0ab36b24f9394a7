package auth

import (
	"net/netip"
	"strings"
)

// Limits of what is read of forwarding fields. Whatever is larger was not written
// by an honest chain of proxies, and then nobody knows where the request came
// from.
const (
	maxForwarded = 16 << 10 // bytes of all lines of one field
	maxHops      = 64       // trusted proxies in a row
	maxNode      = 64       // bytes of one address, with port and zone
	maxHost      = 255 + 6  // bytes of a host name and its port
)

// A hop is what one proxy says about the request that it received.
type hop struct {
	client       netip.Addr // zero if it does not say, or nothing we understand
	scheme, host string     // RFC 7239 only; "" if it does not say
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
		element := trimOWS(h.rest[i+1:])
		h.rest = h.rest[:max(i, 0)]
		if element != "" {
			return element, true
		}
	}
}

// lastComma returns the index of the last comma outside quoted strings, or -1.
// It reads from the right, so that a quote which the client left open cannot
// swallow what a proxy appended. It reports false if it ends inside a string.
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
func parseHop(element string, rfc bool) (hop, bool) {
	if !rfc {
		addr, ok := parseNode(element)
		return hop{client: addr}, ok
	}
	return parseForwarded(element)
}

// parseForwarded reads a forwarded-element (RFC 7239 section 4). It reports false
// unless the element is well-formed and has one address.
func parseForwarded(s string) (h hop, ok bool) {
	seen := 0
	for s != "" {
		name, rest, found := strings.Cut(s, "=")
		if !found {
			return hop{}, false
		}
		value, rest, found := forwardedValue(rest)
		if !found {
			return hop{}, false
		}
		rest = trimOWS(rest)
		if rest != "" {
			if rest[0] != ';' || len(rest) == 1 {
				return hop{}, false
			}
			rest = rest[1:]
		}
		s = rest
		name = trimOWS(name)
		bit := 0
		switch {
		case foldEqual(name, "for"):
			bit = 1
			if h.client, found = parseNode(value); !found || value[0] != '[' && strings.Count(value, ":") > 1 {
				return hop{}, false // "unknown", a pseudonym, an IPv6 address without brackets
			}
		case foldEqual(name, "proto"):
			bit = 2
			h.scheme = parseScheme(value)
		case foldEqual(name, "host"):
			bit = 4
			h.host = parseHost(value)
		case !validFieldName(name):
			return hop{}, false
		}
		if seen&bit != 0 { // section 4: each parameter once
			return hop{}, false
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
		// those characters pass here; parseNode judges them.
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

// parseNode reads an address as proxies write it: IPv4 or IPv6, in brackets or
// not, with or without a port and a zone. IPv4 addresses that are mapped into
// IPv6 become IPv4, and the zone is dropped: it means something to the proxy
// only.
func parseNode(s string) (netip.Addr, bool) {
	if s == "" || len(s) > maxNode {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || !validPortSuffix(s[end+1:]) {
			return netip.Addr{}, false
		}
		if s = s[1:end]; strings.IndexByte(s, ':') < 0 {
			return netip.Addr{}, false // brackets are for IPv6
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 && strings.IndexByte(s[i+1:], ':') < 0 {
		if !validPortSuffix(s[i:]) {
			return netip.Addr{}, false
		}
		s = s[:i]
	}
	if i := strings.IndexByte(s, '%'); i >= 0 {
		if i == len(s)-1 || strings.IndexByte(s, ':') < 0 {
			return netip.Addr{}, false
		}
		s = s[:i]
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// validPortSuffix reports whether s is empty or a colon and a port.
func validPortSuffix(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) < 2 || len(s) > 6 {
		return false
	}
	port := 0
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		port = port*10 + int(s[i]-'0')
	}
	return port <= 65535
}

// parseScheme returns "http" or "https", or "" for anything else. Some proxies
// give the scheme of a websocket.
func parseScheme(s string) string {
	switch {
	case foldEqual(s, "https"), foldEqual(s, "wss"):
		return "https"
	case foldEqual(s, "http"), foldEqual(s, "ws"):
		return "http"
	}
	return ""
}

// parseHost returns s if it is a host with or without a port, and "" otherwise.
func parseHost(s string) string {
	if s == "" || len(s) > maxHost {
		return ""
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return ""
		}
	}
	return s
}

// single returns the value on which all lines and elements of a field agree, as
// parse reads it, and "" if they do not: a chain of proxies that disagrees about
// the scheme has not said anything.
func single(lines []string, parse func(string) string) string {
	agreed := ""
	for _, line := range lines {
		if len(line) > maxForwarded {
			return ""
		}
		for more := true; more; {
			var element string
			element, line, more = strings.Cut(line, ",")
			v := parse(trimOWS(element))
			if v == "" || agreed != "" && v != agreed {
				return ""
			}
			agreed = v
		}
	}
	return agreed
}

// trimOWS removes optional whitespace (RFC 9110 section 5.6.3).
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// foldEqual reports whether s is lower, whatever the case of its ASCII letters.
func foldEqual(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
