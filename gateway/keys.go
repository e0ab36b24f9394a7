package gateway

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/ostiary/auth/internal/trustedproxy"
)

// maxKeyFile is the greatest length of a key's text, in bytes.
const maxKeyFile = 64 << 10

// ParseKey parses the PEM text of a gateway's public RSA key, of 2,048 to 8,192
// bits. It refuses a private key, which only the gateway may have.
func ParseKey(text []byte) (*rsa.PublicKey, error) {
	block, rest := pem.Decode(bytes.TrimSpace(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("gateway: the gateway's key is not one PEM block")
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return nil, errors.New("gateway: the gateway's key is a private one; give its public half")
	}
	if block.Type == "RSA PUBLIC KEY" {
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("gateway: parse the gateway's key: %w", err)
		}
		return checked(key)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("gateway: parse the gateway's key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("gateway: the gateway's key is %T, not RSA", parsed)
	}
	return checked(key)
}

// checked returns key, or an error if it is too weak or too long.
func checked(key *rsa.PublicKey) (*rsa.PublicKey, error) {
	if err := trustedproxy.CheckKey(key); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return key, nil
}

// FetchKeys returns a function for [auth.ProofOptions].Refresh that reads the
// key by AWX's setting ANSIBLE_BASE_JWT_KEY. The setting is PEM text, a file
// URL, or the https URL of the gateway, to which the function appends
// api/gateway/v1/jwt_key/. FetchKeys returns an error for any other setting,
// plain http included, because the key could be replaced in transit.
//
// A nil client means a client that verifies certificates and follows no
// redirects.
func FetchKeys(setting string, client *http.Client) (func(context.Context) ([]*rsa.PublicKey, error), error) {
	if strings.HasPrefix(strings.TrimSpace(setting), "-----BEGIN") {
		key, err := ParseKey([]byte(setting))
		if err != nil {
			return nil, err
		}
		return func(context.Context) ([]*rsa.PublicKey, error) { return []*rsa.PublicKey{key}, nil }, nil
	}
	u, err := url.Parse(setting)
	switch {
	case err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("gateway: ANSIBLE_BASE_JWT_KEY is neither PEM text nor a plain URL")
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return func(context.Context) ([]*rsa.PublicKey, error) { return keysFromFile(u.Path) }, nil
	case u.Scheme == "http":
		return nil, errors.New("gateway: ANSIBLE_BASE_JWT_KEY is a plain http URL, so that the key could be replaced in transit; use https, or a file")
	case u.Scheme != "https" || u.Host == "":
		return nil, errors.New("gateway: ANSIBLE_BASE_JWT_KEY is neither PEM text, file:///path, nor https://gateway")
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
		return nil, fmt.Errorf("gateway: read the gateway's key: %w", err)
	}
	defer f.Close()
	return readKey(f)
}

func keysFromURL(ctx context.Context, client *http.Client, address string) ([]*rsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("gateway: fetch the gateway's key: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("gateway: fetch the gateway's key: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Scheme != "https" {
		return nil, fmt.Errorf("gateway: fetch the gateway's key: %s from %s", res.Status, res.Request.URL.Redacted())
	}
	return readKey(res.Body)
}

func readKey(r io.Reader) ([]*rsa.PublicKey, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("gateway: read the gateway's key: %w", err)
	}
	key, err := ParseKey(text)
	if err != nil {
		return nil, err
	}
	return []*rsa.PublicKey{key}, nil
}
