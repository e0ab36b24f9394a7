package forwarded

import (
	"bytes"
	"net/http"
	"net/textproto"
	"slices"
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

// Pass says from whom a field reaches the handlers.
type Pass uint8

const (
	Nobody  Pass = iota // not configured: nobody vouches for it
	Trusted             // from a trusted peer
	Proven              // from a trusted peer with a proof
)

// Fields are the names that only a proxy may set. It is not changed after
// construction.
type Fields struct {
	byName map[string]field // the folded name
	exact  map[string]Pass  // the canonical name
	// lengths has, for the first letter of a name, the lengths that a name of
	// the map can have, so that nearly every other name is passed over without
	// looking at it.
	lengths [256]uint64
}

type field struct {
	canonical string
	pass      Pass
}

// NewFields returns a table in which nobody may set any of the known fields.
func NewFields() *Fields {
	f := &Fields{byName: make(map[string]field), exact: make(map[string]Pass)}
	for _, name := range claims {
		f.Allow(textproto.CanonicalMIMEHeaderKey(name), Nobody)
	}
	for _, name := range []string{FieldFor, FieldForwarded, FieldProto, FieldHost, FieldEnvoy, FieldProof, FieldGatewayJWT} {
		f.Allow(name, Nobody)
	}
	for n := len(forwardedPrefix); n < 64; n++ {
		f.lengths['x'] |= 1 << n
		f.lengths['X'] |= 1 << n
		f.lengths['h'] |= 1 << n // for those with "HTTP_" in front
		f.lengths['H'] |= 1 << n
	}
	return f
}

// Allow sets which proxies may set the field of a canonical name.
func (f *Fields) Allow(canonical string, by Pass) {
	folded := string(appendFolded(nil, canonical))
	f.byName[folded] = field{canonical, by}
	f.exact[canonical] = by
	f.lengths[folded[0]] |= lengthBit(len(folded))
	f.lengths[canonical[0]] |= lengthBit(len(folded))
	f.lengths['h'] |= lengthBit(len("HTTP_") + len(folded))
	f.lengths['H'] |= lengthBit(len("HTTP_") + len(folded))
}

// Pass returns which proxies may set the field of a canonical name.
func (f *Fields) Pass(canonical string) Pass { return f.exact[canonical] }

// lengthBit is the bit of a length; everything longer shares the last one.
func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// forged reports whether the field name, as it stands in a request, has to go:
// because nobody with that much credit may set it, or because its spelling is not
// the canonical one. Servers behind us may read "X_Real_Ip", or even
// "HTTP_X_REAL_IP", as "X-Real-IP".
func (f *Fields) forged(name string, credit Pass) bool {
	if name == "" || f.lengths[name[0]]&lengthBit(len(name)) == 0 {
		return false
	}
	if by, ok := f.exact[name]; ok {
		return by == Nobody || by > credit
	}
	var buf [64]byte
	folded := bytes.TrimPrefix(appendFolded(buf[:0], name), []byte("http-"))
	if _, ok := f.byName[string(folded)]; ok {
		return true // the right name in the wrong spelling
	}
	return len(folded) > len(forwardedPrefix) && string(folded[:len(forwardedPrefix)]) == forwardedPrefix
}

// AnyForged reports whether h has a field that must go.
func (f *Fields) AnyForged(h http.Header, credit Pass) bool {
	for name := range h {
		if f.forged(name, credit) {
			return true
		}
	}
	return false
}

// RemoveForged removes the fields that must go. The caller owns h.
func (f *Fields) RemoveForged(h http.Header, credit Pass) {
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

// Always are the forwarding fields that a proof of version 2 covers wherever they
// occur.
var Always = []string{FieldFor, FieldForwarded, FieldProto, FieldHost, FieldEnvoy, FieldGatewayJWT}

// content are the other fields that such a proof covers: the credentials and
// the body.
var content = []string{"Authorization", "Cookie", "Content-Type", "Content-Encoding", "Content-Digest"}

// Covered returns the canonical names of the fields that a request-bound proof
// covers, in the order in which they are hashed.
func (f *Fields) Covered() []string {
	names := slices.Concat(Always, content)
	for _, known := range f.byName {
		if known.pass != Nobody && known.canonical != FieldProof {
			names = append(names, known.canonical)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
