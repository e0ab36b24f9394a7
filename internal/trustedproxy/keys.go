package trustedproxy

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	minKeyBits = 2048
	maxKeyBits = 8192
	maxKeys    = 8
)

// CheckKey returns an error unless key is one that a gateway may sign with.
func CheckKey(key *rsa.PublicKey) error {
	if key == nil || key.N == nil {
		return errors.New("the gateway's key is nil")
	}
	if n := key.N.BitLen(); n < minKeyBits || n > maxKeyBits || key.E < 3 || key.E&1 == 0 {
		return fmt.Errorf("the gateway's key has %d bits; it needs %d to %d, and an odd exponent", n, minKeyBits, maxKeyBits)
	}
	return nil
}

// A keySet is the keys that are valid together, and the proofs that they have
// verified lately. It does not outlive them.
type keySet struct {
	keys   []proxyKey
	recent *recent
	at     time.Time // when they were fetched or configured
}

type proxyKey struct {
	key *rsa.PublicKey
	id  string // as it stands in proofs of version 2
}

func newKeySet(keys []*rsa.PublicKey) (*keySet, error) {
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys of a gateway", maxKeys)
	}
	s := &keySet{recent: new(recent)}
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return nil, err
		}
		id, err := KeyID(key)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, proxyKey{key, id})
	}
	return s, nil
}

func (s *keySet) equal(t *keySet) bool {
	if len(s.keys) != len(t.keys) {
		return false
	}
	for i := range s.keys {
		if !s.keys[i].key.Equal(t.keys[i].key) {
			return false
		}
	}
	return true
}

func (s *keySet) any(good func(*rsa.PublicKey) bool) bool {
	return slices.ContainsFunc(s.keys, func(k proxyKey) bool { return good(k.key) })
}

// verify reports whether one of the keys has signed p.
func (s *keySet) verify(p *Proof) error {
	var buf [maxKeyBits / 8]byte
	n, err := hex.Decode(buf[:], []byte(p.hex))
	if err != nil {
		return errMalformed
	}
	signature := buf[:n]
	digest := Digest(p.Text)
	err = errKey
	for i := range s.keys {
		k := &s.keys[i]
		if p.Bound && p.kid != k.id || len(signature) != k.key.Size() {
			continue
		}
		if rsa.VerifyPSS(k.key, crypto.SHA256, digest[:], signature, PSS) == nil {
			if !p.Bound { // the others are good once only
				s.recent.add(p.value, p.At)
			}
			return nil
		}
		err = errSignature
	}
	return err
}

// KeyID names a key: the start of the SHA-256 of its SubjectPublicKeyInfo.
func KeyID(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encode the gateway's key: %w", err)
	}
	sum := sha256.Sum256(der)
	return Encoding.EncodeToString(sum[:])[:kidLen], nil
}
