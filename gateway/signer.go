package gateway

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/forwarded"
	"github.com/ostiary/auth/internal/trustedproxy"
)

// Signer makes a gateway of a reverse proxy in Go. It removes forged fields,
// sets the address of the client and the name of the user, and signs with
// X-Trusted-Proxy. A service behind it needs an [auth.Proxy] with the public
// key and nothing else. A Signer is safe for concurrent use.
//
//	proxy := &httputil.ReverseProxy{
//		Rewrite: func(pr *httputil.ProxyRequest) {
//			pr.SetURL(service)
//			signer.Rewrite(pr)
//		},
//		Transport: signer.Transport(nil),
//	}
type Signer struct {
	key    *rsa.PrivateKey
	kid    string
	opts   SignerOptions
	fields *forwarded.Fields
	names  []string // covered

	mu     sync.Mutex
	signed string    // the proof of the first version that is in use
	until  time.Time // when it is replaced
}

// SignerOptions are the options of [NewSigner].
type SignerOptions struct {
	// Audience is the name of the service, as in its [auth.ProofOptions]. It is
	// required unless FirstVersion is set. EXPERIMENTAL.
	Audience string

	// UserField is the field with the name of the user, as in the
	// [auth.ProxyOptions] of the service; "" means none.
	UserField string

	// User returns the name of the user a request acts for, "" for nobody. Nil
	// means the Name of the [auth.Principal] in its context.
	User func(*http.Request) string

	// Fields are further fields that the service trusts, as in AddressFields
	// and Protected of its [auth.ProxyOptions]. [Signer.Rewrite] removes those
	// of the client. A gateway that uses them must set them afterwards.
	Fields []string

	// FirstVersion signs the time and nothing else, for services that do not
	// know the second version. Without it the signer writes the second version,
	// which is EXPERIMENTAL; see [auth.ProofOptions] for what it covers.
	FirstVersion bool

	// DigestBody is the number of bytes of a body that the signer reads into
	// memory for its Content-Digest (RFC 9530), by SHA-256. The proof of the
	// second version covers that field, and so the body; see
	// [auth.ProofOptions]. The round trip of a request with a longer body fails
	// with an [http.MaxBytesError]. Zero means that the body is not covered. It
	// contradicts FirstVersion. EXPERIMENTAL.
	DigestBody int64

	// Reuse is the time for which one proof of the first version is used,
	// because a signature takes about a millisecond. Zero means a second, the
	// maximum is a minute, and a negative value signs every request.
	Reuse time.Duration
}

// NewSigner returns a signer with the key of a gateway, of 2,048 to 8,192 bits.
// The options must have Audience or FirstVersion. It panics if key is nil.
func NewSigner(key *rsa.PrivateKey, opts *SignerOptions) (*Signer, error) {
	if key == nil {
		panic("gateway: NewSigner: nil key")
	}
	s := &Signer{key: key, fields: forwarded.NewFields()}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.Reuse = cmp.Or(s.opts.Reuse, time.Second)
	if err := trustedproxy.CheckKey(&key.PublicKey); err != nil {
		return nil, fmt.Errorf("gateway: NewSigner: %w", err)
	}
	if s.opts.Audience == "" && !s.opts.FirstVersion {
		return nil, errors.New("gateway: SignerOptions.Audience is empty: a proof must not count at another service")
	}
	if s.opts.DigestBody < 0 || s.opts.DigestBody > 0 && s.opts.FirstVersion {
		return nil, errors.New("gateway: SignerOptions.DigestBody is negative, or contradicts FirstVersion, which covers no body")
	}
	if s.opts.Reuse > time.Minute || s.opts.Reuse > 0 && s.opts.Reuse < time.Millisecond {
		return nil, fmt.Errorf("gateway: SignerOptions.Reuse %v is not between a millisecond and a minute, nor negative", s.opts.Reuse)
	}
	var err error
	if s.kid, err = trustedproxy.KeyID(&key.PublicKey); err != nil {
		return nil, err
	}
	for _, name := range forwarded.Always {
		s.fields.Allow(name, forwarded.Trusted)
	}
	for _, f := range s.opts.Fields {
		name, err := forwarded.ParseFieldName(f)
		if err != nil {
			return nil, fmt.Errorf("gateway: SignerOptions.Fields: %w", err)
		}
		s.fields.Allow(name, forwarded.Trusted)
	}
	if s.opts.UserField != "" {
		if s.opts.UserField, err = forwarded.ParseFieldName(s.opts.UserField); err != nil {
			return nil, fmt.Errorf("gateway: SignerOptions.UserField: %w", err)
		}
		if s.fields.Pass(s.opts.UserField) != forwarded.Nobody {
			return nil, fmt.Errorf("gateway: SignerOptions.UserField: %q has another meaning; name a field of its own", s.opts.UserField)
		}
		s.fields.Allow(s.opts.UserField, forwarded.Trusted)
	}
	if s.opts.User == nil {
		s.opts.User = principalName
	}
	s.names = s.fields.Covered()
	return s, nil
}

func principalName(r *http.Request) string {
	if p, ok := auth.FromContext(r.Context()); ok {
		return p.Name
	}
	return ""
}

// Rewrite removes every forwarding field that the client sent, in every
// spelling. Then it sets X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host
// and the UserField by pr.In. If there are proxies in front of the gateway, an
// [auth.Proxy] must wrap it. Cookie and Authorization do not change.
func (s *Signer) Rewrite(pr *httputil.ProxyRequest) {
	h := pr.Out.Header
	s.fields.RemoveForged(h, forwarded.Nobody)
	client := "unknown" // of RFC 7239
	if addr := auth.ClientAddr(pr.In); addr.IsValid() {
		client = addr.String()
	}
	h.Set(forwarded.FieldFor, client)
	h.Set(forwarded.FieldHost, forwarded.Host(pr.In))
	h.Set(forwarded.FieldProto, "http")
	if forwarded.OverTLS(pr.In) {
		h.Set(forwarded.FieldProto, "https")
	}
	if name := s.opts.User(pr.In); s.opts.UserField != "" && forwarded.UserName(name) {
		h.Set(s.opts.UserField, name)
	}
}

// Transport returns a round tripper that signs a copy of each request and sends
// it by base. A nil base means [http.DefaultTransport]. It keeps the forwarding
// fields of [Signer.Rewrite] or the caller, and removes all others and odd
// spellings. Each redirect and each retry gets a new signature.
func (s *Signer) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return signingTransport{s, base}
}

type signingTransport struct {
	signer *Signer
	base   http.RoundTripper
}

func (t signingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.WithContext(r.Context())
	if out.Header = r.Header.Clone(); out.Header == nil {
		out.Header = make(http.Header)
	}
	err := t.signer.digest(out)
	if err == nil {
		err = t.signer.sign(out)
	}
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper must, also on errors
		}
		return nil, err
	}
	return t.base.RoundTrip(out)
}

// digest sets the Content-Digest of r and replaces the body by the bytes that
// it read. It changes r.
func (s *Signer) digest(r *http.Request) error {
	if s.opts.DigestBody == 0 {
		return nil
	}
	var content []byte
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		if content, err = io.ReadAll(io.LimitReader(r.Body, s.opts.DigestBody+1)); err != nil {
			return fmt.Errorf("gateway: read the body for its digest: %w", err)
		}
		if int64(len(content)) > s.opts.DigestBody {
			return fmt.Errorf("gateway: the body is longer than SignerOptions.DigestBody: %w", &http.MaxBytesError{Limit: s.opts.DigestBody})
		}
		if err := r.Body.Close(); err != nil {
			return fmt.Errorf("gateway: close the body: %w", err)
		}
	}
	r.Header.Set(trustedproxy.FieldDigest, trustedproxy.ContentDigest(content))
	r.ContentLength, r.TransferEncoding, r.Trailer = int64(len(content)), nil, nil
	r.GetBody = func() (io.ReadCloser, error) {
		if len(content) == 0 {
			return http.NoBody, nil
		}
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	r.Body, _ = r.GetBody()
	return nil
}

// sign sets the proof in the header of r. It changes r.
func (s *Signer) sign(r *http.Request) error {
	s.fields.RemoveForged(r.Header, forwarded.Trusted)
	proof, err := s.proof(r, time.Now())
	if err != nil {
		return err
	}
	r.Header.Set(forwarded.FieldProof, proof)
	return nil
}

func (s *Signer) proof(r *http.Request, now time.Time) (string, error) {
	if s.opts.FirstVersion {
		return s.Proof(now)
	}
	for _, name := range s.names {
		for i, v := range r.Header[name] {
			// The transport sends the request without it.
			r.Header[name][i] = ascii.TrimOWS(v)
		}
	}
	nonce := make([]byte, trustedproxy.NonceLen*5/8)
	_, _ = rand.Read(nonce) // never fails
	host := cmp.Or(r.Host, r.URL.Host)
	digest := trustedproxy.RequestDigest(s.opts.Audience, cmp.Or(r.Method, http.MethodGet), host, r.URL.RequestURI(), r.Header, s.names)
	return s.seal(strconv.FormatInt(now.UnixNano(), 10) + ".2." + s.kid + "." + trustedproxy.Encoding.EncodeToString(nonce) + "." + hex.EncodeToString(digest))
}

// Proof returns a value of X-Trusted-Proxy of the first version with the time
// now, for gateways that set fields without a round tripper. The value is good
// for any request, so only the services may see it. Within
// [SignerOptions].Reuse, Proof returns the same value.
func (s *Signer) Proof(now time.Time) (string, error) {
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
func (s *Signer) seal(text string) (string, error) {
	digest := trustedproxy.Digest(text)
	signature, err := rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, digest[:], trustedproxy.PSS)
	if err != nil {
		return "", fmt.Errorf("gateway: sign for the service: %w", err)
	}
	return text + "-" + hex.EncodeToString(signature), nil
}
