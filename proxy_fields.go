package auth

import (
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// The fields that this package reads from proxies.
const (
	fieldFor        = "X-Forwarded-For"
	fieldForwarded  = "Forwarded" // RFC 7239
	fieldProto      = "X-Forwarded-Proto"
	fieldHost       = "X-Forwarded-Host"
	fieldEnvoy      = "X-Envoy-External-Address"
	fieldProof      = "X-Trusted-Proxy"
	fieldGatewayJWT = "X-Dab-Jw-Token"
)

// forwardedPrefix begins the names of which all are forwarding fields.
const forwardedPrefix = "x-forwarded-"

// claims are further names with which proxies somewhere say where a request came
// from, whom it acts for or what it asked. Nothing here reads them, but a handler
// may, so that they only pass if they are configured.
var claims = []string{
	"x-forwarded", "forwarded-for", "x-original-forwarded-for",
	"x-real-ip", "x-client-ip", "client-ip", "true-client-ip", "x-true-client-ip",
	"cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4", "fastly-client-ip", "fly-client-ip",
	"x-cluster-client-ip", "x-originating-ip", "x-remote-ip", "x-remote-addr", "x-proxyuser-ip",
	"x-appengine-user-ip", "x-azure-clientip", "x-azure-socketip",
	"remote-addr", "remote-host", "remote-user",
	"x-remote-user", "x-remote-group", "x-webauth-user", "x-auth-request-user", "x-auth-request-email",
	"x-original-url", "x-original-uri", "x-original-method", "x-rewrite-url",
}

// pass says from whom a field reaches the handlers.
type pass uint8

const (
	passNobody  pass = iota // not configured: nobody vouches for it
	passTrusted             // from a trusted peer
	passProven              // from a trusted peer with a proof
)

// fields are the names that only a proxy may set. It is not changed after
// construction.
type fields struct {
	byName map[string]field // the folded name
	exact  map[string]pass  // the canonical name
	// lengths has, for the first letter of a name, the lengths that a name of
	// the map can have, so that nearly every other name is passed over without
	// looking at it.
	lengths [256]uint64
}

type field struct {
	canonical string
	pass      pass
}

func newFields() *fields {
	f := &fields{byName: make(map[string]field), exact: make(map[string]pass)}
	for _, name := range claims {
		f.allow(textproto.CanonicalMIMEHeaderKey(name), passNobody)
	}
	for _, name := range []string{fieldFor, fieldForwarded, fieldProto, fieldHost, fieldEnvoy, fieldProof, fieldGatewayJWT} {
		f.allow(name, passNobody)
	}
	for n := len(forwardedPrefix); n < 64; n++ {
		f.lengths['x'] |= 1 << n
		f.lengths['X'] |= 1 << n
		f.lengths['h'] |= 1 << n // for those with "HTTP_" in front
		f.lengths['H'] |= 1 << n
	}
	return f
}

// allow says who may set the field of a canonical name.
func (f *fields) allow(canonical string, by pass) {
	folded := string(appendFolded(nil, canonical))
	f.byName[folded] = field{canonical, by}
	f.exact[canonical] = by
	f.lengths[folded[0]] |= lengthBit(len(folded))
	f.lengths[canonical[0]] |= lengthBit(len(folded))
	f.lengths['h'] |= lengthBit(len("HTTP_") + len(folded))
	f.lengths['H'] |= lengthBit(len("HTTP_") + len(folded))
}

// lengthBit is the bit of a length; everything longer shares the last one.
func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// forged reports whether the field name, as it stands in a request, has to go:
// because nobody with that much credit may set it, or because its spelling is not
// the canonical one. Servers behind us may read "X_Real_Ip", or even
// "HTTP_X_REAL_IP", as "X-Real-IP".
func (f *fields) forged(name string, credit pass) bool {
	if name == "" || f.lengths[name[0]]&lengthBit(len(name)) == 0 {
		return false
	}
	if by, ok := f.exact[name]; ok {
		return by == passNobody || by > credit
	}
	var buf [64]byte
	folded := bytes.TrimPrefix(appendFolded(buf[:0], name), []byte("http-"))
	if _, ok := f.byName[string(folded)]; ok {
		return true // the right name in the wrong spelling
	}
	return len(folded) > len(forwardedPrefix) && string(folded[:len(forwardedPrefix)]) == forwardedPrefix
}

// anyForged reports whether h has a field that must go.
func (f *fields) anyForged(h http.Header, credit pass) bool {
	for name := range h {
		if f.forged(name, credit) {
			return true
		}
	}
	return false
}

// removeForged removes the fields that must go. The caller owns h.
func (f *fields) removeForged(h http.Header, credit pass) {
	for name := range h {
		if f.forged(name, credit) {
			delete(h, name)
		}
	}
}

// appendFolded appends name in the one spelling that is compared: lower case,
// and a hyphen for whatever a server interface may turn into an underscore.
func appendFolded(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		default:
			c = '-'
		}
		b = append(b, c)
	}
	return b
}

// socketNames stand for the peer of the connection in REMOTE_HOST_HEADERS.
var socketNames = map[string]bool{"REMOTE_ADDR": true, "REMOTE_HOST": true}

// parseFieldName returns the canonical name of a field that is configured as
// itself ("X-Real-IP") or as AWX has it ("HTTP_X_REAL_IP").
func parseFieldName(s string) (string, error) {
	name := s
	switch rest, cgi := strings.CutPrefix(s, "HTTP_"); {
	case cgi:
		if strings.Contains(rest, "__") || strings.Contains(rest, "-") || strings.HasPrefix(rest, "_") || strings.HasSuffix(rest, "_") {
			return "", fmt.Errorf("%q is no header field in CGI spelling; write it as HTTP_X_REAL_IP or X-Real-IP", s)
		}
		name = strings.ReplaceAll(rest, "_", "-")
	case strings.Contains(s, "_"):
		return "", fmt.Errorf("%q has an underscore; write it as HTTP_X_REAL_IP or X-Real-IP", s)
	}
	if !validFieldName(name) || len(name) > maxNode {
		return "", fmt.Errorf("%q is not the name of a header field", s)
	}
	switch folded := strings.ToLower(name); folded {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "host", "connection", "content-length",
		"content-type", "transfer-encoding", "te", "trailer", "upgrade", "origin", "sec-fetch-site",
		"x-trusted-proxy", "x-dab-jw-token":
		return "", fmt.Errorf("%q has a meaning of its own and cannot come from a proxy", s)
	}
	return textproto.CanonicalMIMEHeaderKey(name), nil
}

// validFieldName reports whether s is a token (RFC 9110 section 5.6.2).
func validFieldName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// always are the fields that a request-bound proof covers wherever they occur.
var always = []string{fieldFor, fieldForwarded, fieldProto, fieldHost, fieldEnvoy, fieldGatewayJWT}

// covered returns the canonical names of the fields that a request-bound proof
// covers, in the order in which they are hashed.
func (f *fields) covered() []string {
	names := slices.Clone(always)
	for _, known := range f.byName {
		if known.pass != passNobody && known.canonical != fieldProof {
			names = append(names, known.canonical)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
