package forwarded

import (
	"fmt"
	"net/textproto"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth/internal/ascii"
)

// The fields that this package reads from proxies.
const (
	FieldFor        = "X-Forwarded-For"
	FieldForwarded  = "Forwarded" // RFC 7239
	FieldProto      = "X-Forwarded-Proto"
	FieldHost       = "X-Forwarded-Host"
	FieldEnvoy      = "X-Envoy-External-Address"
	FieldProof      = "X-Trusted-Proxy"
	FieldGatewayJWT = "X-Dab-Jw-Token"
)

// SocketName reports whether s stands for the peer of the connection in
// REMOTE_HOST_HEADERS.
func SocketName(s string) bool { return s == "REMOTE_ADDR" || s == "REMOTE_HOST" }

// ParseFieldName returns the canonical name of a field that is configured as
// itself ("X-Real-IP") or as AWX has it ("HTTP_X_REAL_IP").
func ParseFieldName(s string) (string, error) {
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
	if !ascii.Token(name) || len(name) > maxNode {
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

// maxUserName is the longest user name that a field conveys, in bytes.
const maxUserName = 600 // 150 characters, as AWX has them

// UserName reports whether a field can convey name so that nobody on the way
// changes it: no comma, with which lines are joined, no space at the ends, and
// nothing that cannot be seen.
func UserName(name string) bool {
	if name == "" || len(name) > maxUserName || !utf8.ValidString(name) || name != ascii.TrimOWS(name) {
		return false
	}
	for _, c := range name {
		if c == ',' || c == utf8.RuneError || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}
