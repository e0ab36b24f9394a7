package forwarded

import (
	"net/netip"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// ParseNode reads an address as proxies write it: IPv4 or IPv6, in brackets or
// not, with or without a port and a zone. IPv4 addresses that are mapped into
// IPv6 become IPv4, and the zone is dropped: it means something to the proxy
// only.
func ParseNode(s string) (netip.Addr, bool) {
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

// ParseScheme returns "http" or "https", or "" for anything else. Some proxies
// give the scheme of a websocket.
func ParseScheme(s string) string {
	switch {
	case ascii.EqualFold(s, "https"), ascii.EqualFold(s, "wss"):
		return "https"
	case ascii.EqualFold(s, "http"), ascii.EqualFold(s, "ws"):
		return "http"
	}
	return ""
}

// ParseHost returns s if it is a host with or without a port, and "" otherwise.
func ParseHost(s string) string {
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

// Single returns the value on which all lines and elements of a field agree, as
// parse reads it, and "" if they do not: a chain of proxies that disagrees about
// the scheme has not said anything.
func Single(lines []string, parse func(string) string) string {
	agreed := ""
	for _, line := range lines {
		for more := true; more; {
			var element string
			element, line, more = strings.Cut(line, ",")
			v := parse(ascii.TrimOWS(element))
			if v == "" || agreed != "" && v != agreed {
				return ""
			}
			agreed = v
		}
	}
	return agreed
}
