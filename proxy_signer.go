package auth

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ProxySigner is the side of a gateway written in Go: it removes what clients
// forged, says who they are, and signs with X-Trusted-Proxy, so that services
// behind it need a [Proxy] with its public key and nothing else:
//
//	proxy := &httputil.ReverseProxy{
//		Rewrite: func(pr *httputil.ProxyRequest) {
//			pr.SetURL(service)
//			signer.Rewrite(pr)
//		},
//		Transport: signer.Transport(nil),
//	}
type ProxySigner struct {
	key    *rsa.PrivateKey
	kid    string
	opts   ProxySignerOptions
	fields *fields
	names  []string // covered

	mu     sync.Mutex
	signed string    // the proof of the first version that is in use
	until  time.Time // when it is replaced
}

// ProxySignerOptions are the options of [NewProxySigner].
type ProxySignerOptions struct {
	// Audience is the name of the service, as in its [ProofOptions]. It is
	// required unless FirstVersion.
	Audience string

	// UserField is the field that tells the service the name of the user, as in
	// its [ProxyOptions]; "" means none.
	UserField string

	// User returns the name of the user a request acts for, "" for nobody. Nil
	// means the Name of the [Principal] in its context.
	User func(*http.Request) string

	// Fields are further fields that the service believes, as in AddressFields
	// and Protected of its [ProxyOptions]. [ProxySigner.Rewrite] removes what the
	// client sent in them; set them after it.
	Fields []string

	// FirstVersion signs the time and nothing else, for services that do not
	// know the second version.
	FirstVersion bool

	// Reuse is how long one proof of the first version is used, because a
	// signature costs about a millisecond. Zero means a second; negative signs
	// every request.
	Reuse time.Duration
}

// NewProxySigner returns a signer with the key of a gateway, of 2,048 to 8,192
// bits. It panics if key is nil.
func NewProxySigner(key *rsa.PrivateKey, opts *ProxySignerOptions) (*ProxySigner, error) {
	if key == nil {
		panic("auth: NewProxySigner: nil key")
	}
	s := &ProxySigner{key: key, fields: newFields()}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.Reuse = cmp.Or(s.opts.Reuse, time.Second)
	if err := checkKey(&key.PublicKey); err != nil {
		return nil, err
	}
	if s.opts.Audience == "" && !s.opts.FirstVersion {
		return nil, errors.New("auth: ProxySignerOptions.Audience is empty: a proof must not count at another service")
	}
	if s.opts.Reuse > time.Minute {
		return nil, errors.New("auth: ProxySignerOptions.Reuse is more than a minute")
	}
	var err error
	if s.kid, err = keyID(&key.PublicKey); err != nil {
		return nil, err
	}
	for _, name := range always {
		s.fields.allow(name, passTrusted)
	}
	for _, f := range s.opts.Fields {
		name, err := parseFieldName(f)
		if err != nil {
			return nil, fmt.Errorf("auth: ProxySignerOptions.Fields: %w", err)
		}
		s.fields.allow(name, passTrusted)
	}
	if s.opts.UserField != "" {
		if s.opts.UserField, err = parseFieldName(s.opts.UserField); err != nil {
			return nil, fmt.Errorf("auth: ProxySignerOptions.UserField: %w", err)
		}
		s.fields.allow(s.opts.UserField, passTrusted)
	}
	if s.opts.User == nil {
		s.opts.User = principalName
	}
	s.names = s.fields.covered()
	return s, nil
}

func principalName(r *http.Request) string {
	if p, ok := FromContext(r.Context()); ok {
		return p.Name
	}
	return ""
}

// Rewrite removes every forwarding field that the client sent, in every spelling,
// and sets X-Forwarded-For, -Proto and -Host, and the user's field, from what is
// known of pr.In. A [Proxy] around the gateway decides about the client if there
// are proxies in front of it. Cookies and Authorization stay.
func (s *ProxySigner) Rewrite(pr *httputil.ProxyRequest) {
	h := pr.Out.Header
	s.fields.removeForged(h, passNobody)
	client := "unknown" // as RFC 7239 has it, and no address
	if addr := ClientAddr(pr.In); addr.IsValid() {
		client = addr.String()
	}
	h.Set(fieldFor, client)
	h.Set(fieldHost, hostOf(pr.In))
	h.Set(fieldProto, "http")
	if overTLS(pr.In) {
		h.Set(fieldProto, "https")
	}
	if name := s.opts.User(pr.In); s.opts.UserField != "" && validIdentity(name) {
		h.Set(s.opts.UserField, name)
	}
}

// Transport returns a round tripper that signs a copy of each request and sends
// it by base; nil means [http.DefaultTransport]. It keeps the forwarding fields
// that [ProxySigner.Rewrite], or the caller, has set, and removes all others and
// odd spellings. Redirects and retries above it are signed anew.
func (s *ProxySigner) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return signingTransport{s, base}
}

type signingTransport struct {
	signer *ProxySigner
	base   http.RoundTripper
}

func (t signingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.WithContext(r.Context())
	if out.Header = r.Header.Clone(); out.Header == nil {
		out.Header = make(http.Header)
	}
	if err := t.signer.sign(out); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must, also on errors
		}
		return nil, err
	}
	return t.base.RoundTrip(out)
}

// sign puts the proof into the header of r, which it may change.
func (s *ProxySigner) sign(r *http.Request) error {
	s.fields.removeForged(r.Header, passTrusted)
	proof, err := s.proof(r, time.Now())
	if err != nil {
		return err
	}
	r.Header.Set(fieldProof, proof)
	return nil
}

func (s *ProxySigner) proof(r *http.Request, now time.Time) (string, error) {
	if s.opts.FirstVersion {
		return s.Proof(now)
	}
	for _, name := range s.names {
		for i, v := range r.Header[name] {
			// The transport sends it without, and so it arrives.
			r.Header[name][i] = strings.Trim(v, " \t")
		}
	}
	nonce := make([]byte, nonceLen*5/8)
	_, _ = rand.Read(nonce) // never fails
	host := cmp.Or(r.Host, r.URL.Host)
	digest := requestDigest(s.opts.Audience, cmp.Or(r.Method, http.MethodGet), host, r.URL.RequestURI(), r.Header, s.names)
	return s.seal(strconv.FormatInt(now.UnixNano(), 10) + ".2." + s.kid + "." + lowerBase32.EncodeToString(nonce) + "." + hex.EncodeToString(digest))
}

// Proof returns a value of X-Trusted-Proxy of the first version, for gateways
// that set fields by other means than a round tripper. It is good for any
// request, so it must reach the services only.
func (s *ProxySigner) Proof(now time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signed != "" && now.Before(s.until) && !now.Before(s.until.Add(-s.opts.Reuse)) {
		return s.signed, nil
	}
	signed, err := s.seal(strconv.FormatInt(now.UnixNano(), 10))
	if err != nil {
		return "", err
	}
	if s.opts.Reuse > 0 {
		s.signed, s.until = signed, now.Add(s.opts.Reuse)
	}
	return signed, nil
}

// seal signs text and returns the whole value.
func (s *ProxySigner) seal(text string) (string, error) {
	digest := proofDigest(text)
	signature, err := rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, digest[:], pss)
	if err != nil {
		return "", fmt.Errorf("auth: sign for the service: %w", err)
	}
	return text + "-" + hex.EncodeToString(signature), nil
}
