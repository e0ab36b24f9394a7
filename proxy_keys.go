package auth

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minKeyBits = 2048
	maxKeyBits = 8192
	maxKeys    = 8
	maxKeyFile = 64 << 10 // bytes

	// keysAge is after how long keys are fetched again although they still fit,
	// so that one that was withdrawn does not stay for ever.
	keysAge = time.Hour
	// refreshTimeout is how long requests wait for keys.
	refreshTimeout = 5 * time.Second
)

// ParseProxyKey reads the PEM text of a gateway's public RSA key, of 2,048 to
// 8,192 bits. It refuses a private key: only the gateway may have that.
func ParseProxyKey(text []byte) (*rsa.PublicKey, error) {
	block, rest := pem.Decode(bytes.TrimSpace(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("auth: the gateway's key is not one PEM block")
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return nil, errors.New("auth: the gateway's key is a private one; give its public half")
	}
	if block.Type == "RSA PUBLIC KEY" {
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("auth: parse the gateway's key: %w", err)
		}
		return key, checkKey(key)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("auth: parse the gateway's key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("auth: the gateway's key is %T, not RSA", parsed)
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

func checkKey(key *rsa.PublicKey) error {
	if key == nil || key.N == nil {
		return errors.New("auth: the gateway's key is nil")
	}
	if n := key.N.BitLen(); n < minKeyBits || n > maxKeyBits || key.E < 3 || key.E&1 == 0 {
		return fmt.Errorf("auth: the gateway's key has %d bits; it needs %d to %d, and an odd exponent", n, minKeyBits, maxKeyBits)
	}
	return nil
}

// GatewayKeys returns a function for [ProofOptions].Refresh that reads the key
// from where AWX's setting ANSIBLE_BASE_JWT_KEY says: PEM text, a file: URL, or
// the https: URL of the gateway, to which api/gateway/v1/jwt_key/ is appended.
// Nil client means one that verifies certificates and follows no redirects.
// Plain http is refused: whoever is in between would choose the key.
func GatewayKeys(setting string, client *http.Client) (func(context.Context) ([]*rsa.PublicKey, error), error) {
	if strings.HasPrefix(strings.TrimSpace(setting), "-----BEGIN") {
		key, err := ParseProxyKey([]byte(setting))
		if err != nil {
			return nil, err
		}
		return func(context.Context) ([]*rsa.PublicKey, error) { return []*rsa.PublicKey{key}, nil }, nil
	}
	u, err := url.Parse(setting)
	switch {
	case err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("auth: ANSIBLE_BASE_JWT_KEY is neither PEM text nor a plain URL")
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return func(context.Context) ([]*rsa.PublicKey, error) { return keysFromFile(u.Path) }, nil
	case u.Scheme != "https" || u.Host == "":
		return nil, errors.New("auth: ANSIBLE_BASE_JWT_KEY is neither PEM text, file:///path, nor https://gateway")
	}
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	address := u.JoinPath("api/gateway/v1/jwt_key/").String()
	return func(ctx context.Context) ([]*rsa.PublicKey, error) { return keysFromURL(ctx, client, address) }, nil
}

func keysFromFile(path string) ([]*rsa.PublicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("auth: read the gateway's key: %w", err)
	}
	defer f.Close()
	return readKey(f)
}

func keysFromURL(ctx context.Context, client *http.Client, address string) ([]*rsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("auth: fetch the gateway's key: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("auth: fetch the gateway's key: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Scheme != "https" {
		return nil, fmt.Errorf("auth: fetch the gateway's key: %s from %s", res.Status, res.Request.URL.Redacted())
	}
	return readKey(res.Body)
}

func readKey(r io.Reader) ([]*rsa.PublicKey, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("auth: read the gateway's key: %w", err)
	}
	key, err := ParseProxyKey(text)
	if err != nil {
		return nil, err
	}
	return []*rsa.PublicKey{key}, nil
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
		return nil, fmt.Errorf("auth: more than %d keys of a gateway", maxKeys)
	}
	s := &keySet{recent: new(recent)}
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		id, err := keyID(key)
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

// lowerBase32 is what a proof can hold: it has no hyphen and no dot.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// keyID names a key: the start of the SHA-256 of its SubjectPublicKeyInfo.
func keyID(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("auth: encode the gateway's key: %w", err)
	}
	sum := sha256.Sum256(der)
	return lowerBase32.EncodeToString(sum[:])[:kidLen], nil
}

// A keyRing holds the keys of a gateway and fetches new ones.
type keyRing struct {
	refresh  func(context.Context) ([]*rsa.PublicKey, error)
	interval time.Duration
	log      *slog.Logger
	current  atomic.Pointer[keySet]

	mu     sync.Mutex
	tried  time.Time     // when refresh was called last
	flight chan struct{} // closed when the call that is under way ends
}

// keys returns the keys there are, after an attempt to get some if there are
// none, or if it is time.
func (k *keyRing) keys(ctx context.Context, now time.Time) *keySet {
	set := k.current.Load()
	if k.refresh != nil && (len(set.keys) == 0 || now.Sub(set.at) > keysAge) {
		if newer := k.newer(ctx, set, now); newer != nil {
			return newer
		}
	}
	return set
}

// TryKeys reports whether good accepts one of the gateway's keys, for other things
// that the gateway signs with them. If it accepts none, and ProofOptions.Refresh
// may be called, it is asked about newer ones, too. Without
// [ProxyOptions].Proof there are no keys.
func (p *Proxy) TryKeys(ctx context.Context, good func(*rsa.PublicKey) bool) bool {
	if p.proof == nil {
		return false
	}
	now := time.Now()
	set := p.proof.keys.keys(ctx, now)
	if set.any(good) {
		return true
	}
	newer := p.proof.keys.newer(ctx, set, now)
	return newer != nil && newer.any(good)
}

func (s *keySet) any(good func(*rsa.PublicKey) bool) bool {
	return slices.ContainsFunc(s.keys, func(k proxyKey) bool { return good(k.key) })
}

// newer returns keys that replace old, or nil if there are none to be had at
// present.
func (k *keyRing) newer(ctx context.Context, old *keySet, now time.Time) *keySet {
	if k.refresh == nil {
		return nil
	}
	k.mu.Lock()
	if set := k.current.Load(); set != old {
		k.mu.Unlock()
		return set
	}
	flight := k.flight
	switch {
	case flight != nil:
		k.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
	case !k.tried.IsZero() && now.Sub(k.tried) < k.interval:
		k.mu.Unlock()
		return nil
	default:
		k.tried, k.flight = now, make(chan struct{})
		k.mu.Unlock()
		k.fetch(ctx, now)
	}
	if set := k.current.Load(); set != old {
		return set
	}
	return nil
}

// fetch calls refresh for everybody who waits. The keys must not depend on
// whether the client of this request has the patience.
func (k *keyRing) fetch(ctx context.Context, now time.Time) {
	defer func() {
		k.mu.Lock()
		close(k.flight)
		k.flight = nil
		k.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	keys, err := k.refresh(ctx)
	if err == nil && len(keys) == 0 {
		err = errors.New("auth: the gateway has no keys")
	}
	var set *keySet
	if err == nil {
		set, err = newKeySet(keys)
	}
	if err != nil {
		k.log.LogAttrs(ctx, slog.LevelError, eventProxyKeys, slog.String("outcome", "failure"), slog.String("error", clip(err.Error())))
		return
	}
	set.at = now
	if old := k.current.Load(); set.equal(old) {
		// The same keys: their proofs stay good, and nobody need try again.
		set.recent = old.recent
		if now.Sub(old.at) <= keysAge {
			return
		}
	}
	k.current.Store(set)
	k.log.LogAttrs(ctx, slog.LevelInfo, eventProxyKeys, slog.String("outcome", "success"), slog.Int("keys", len(set.keys)))
}
