package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// Lengths of RFC 7636 sections 4.1 and 4.2, in characters.
const (
	minVerifier  = 43
	maxVerifier  = 128
	challengeLen = 43 // of S256, the only method here
)

// validChallenge reports whether s can be an S256 code challenge.
func validChallenge(s string) bool {
	if len(s) != challengeLen {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil
}

// validVerifier reports whether s is a code verifier: 43 to 128 unreserved
// characters.
func validVerifier(s string) bool {
	if len(s) < minVerifier || len(s) > maxVerifier {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

// proves reports whether the verifier belongs to the challenge. Without a
// challenge there must be no verifier: otherwise an attack that strips the
// challenge from the authorization request goes unnoticed (RFC 9700 section
// 2.1.1).
func proves(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if !validVerifier(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	var have [challengeLen]byte
	base64.RawURLEncoding.Encode(have[:], sum[:])
	return subtle.ConstantTimeCompare(have[:], []byte(challenge)) == 1
}
