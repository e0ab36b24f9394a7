package remote

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/uri"
)

// Options are the options of [New].
type Options struct {
	// ClientID and Secret are the credentials of the application that stands
	// for Resource at the authorization server. All three are required.
	ClientID string
	Secret   auth.Secret
	Resource string

	// Unbound accepts access tokens without an audience, too, such as personal
	// ones. The authorization server must have oauth.Options.IntrospectUnbound.
	Unbound bool

	// Endpoint is the URL of the introspection endpoint. The default is the
	// issuer with "/api/o/introspect/", where package httpapi serves it. It must
	// have https, unless its host is a loopback address.
	Endpoint string

	// MaxAge is the longest time for which an answer is believed, and so the
	// time for which a revoked token can pass. Zero means ten seconds; the
	// maximum is five minutes, the minimum a millisecond.
	MaxAge time.Duration

	// Timeout is the longest time that a request waits for an answer. Zero
	// means two seconds, or MaxAge if that is shorter. It must not be longer
	// than MaxAge, so that no answer is older when it comes.
	Timeout time.Duration

	// MaxCalls is the number of calls at a time. Further ones wait within
	// Timeout. Zero means 32.
	MaxCalls int

	// MaxEntries is the number of answers that are kept, rounded up to a
	// multiple of eight. Zero means 8,192, which takes about 1.2 MB. The maximum
	// is 1,048,576.
	MaxEntries int

	// Transport makes the calls, for certificates of the house. Nil means one
	// that uses the certificates of the system and no proxy. Redirects are never
	// followed. A transport must not log the requests, which have the secret
	// and the token.
	Transport http.RoundTripper
}

const (
	endpointPath  = "/api/o/introspect/"
	maxMaxAge     = 5 * time.Minute
	maxMaxEntries = 1 << 20
)

// complete returns the options with their defaults, or an error for weak or
// contradictory ones.
func (o Options) complete(issuer string) (Options, error) {
	o.Endpoint = cmp.Or(o.Endpoint, issuer+endpointPath)
	o.MaxAge = cmp.Or(o.MaxAge, 10*time.Second)
	o.Timeout = cmp.Or(o.Timeout, min(2*time.Second, o.MaxAge))
	o.MaxCalls = cmp.Or(o.MaxCalls, 32)
	o.MaxEntries = cmp.Or(o.MaxEntries, 8192)
	switch {
	case !safeURL(issuer) || strings.HasSuffix(issuer, "/"):
		return o, fmt.Errorf("remote: the issuer %q is not an https URL, or an http one on a loopback address, without user, query, fragment and last slash", redacted(issuer))
	case !safeURL(o.Endpoint):
		return o, fmt.Errorf("remote: Options.Endpoint %q is not an https URL, or an http one on a loopback address, without user, query and fragment", redacted(o.Endpoint))
	case !ascii.Visible(o.ClientID):
		return o, errors.New("remote: Options.ClientID is empty, or no client identifier")
	case o.Secret == "":
		return o, errors.New("remote: Options.Secret is empty")
	case !uri.Resource(o.Resource):
		return o, fmt.Errorf("remote: Options.Resource %q is not an absolute URI without a fragment (RFC 8707 section 2)", o.Resource)
	case o.MaxAge < time.Millisecond || o.MaxAge > maxMaxAge:
		return o, fmt.Errorf("remote: Options.MaxAge %v is not between a millisecond and %v", o.MaxAge, maxMaxAge)
	case o.Timeout < time.Millisecond || o.Timeout > o.MaxAge:
		return o, fmt.Errorf("remote: Options.Timeout %v is not between a millisecond and MaxAge, %v", o.Timeout, o.MaxAge)
	case o.MaxCalls < 0:
		return o, errors.New("remote: Options.MaxCalls is negative")
	case o.MaxEntries < 0 || o.MaxEntries > maxMaxEntries:
		return o, fmt.Errorf("remote: Options.MaxEntries %d is not between 0 and %d", o.MaxEntries, maxMaxEntries)
	}
	if o.Transport == nil {
		o.Transport = newTransport(o)
	}
	return o, nil
}

// redacted returns a URL without its password, for errors.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.RawQuery != "" {
		return "[redacted]"
	}
	return s
}

// safeURL reports whether a secret can be sent to s.
func safeURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || !ascii.Visible(s) || strings.ContainsAny(s, "?#") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// isLoopback reports whether a host is this machine without a look into DNS.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Zone() == "" && a.Unmap().IsLoopback()
}

// newTransport returns a transport that dials the host of the endpoint itself,
// and keeps as many connections as there are calls.
func newTransport(o Options) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: o.Timeout}).DialContext,
		TLSHandshakeTimeout:    o.Timeout,
		MaxIdleConns:           o.MaxCalls,
		MaxIdleConnsPerHost:    o.MaxCalls,
		MaxConnsPerHost:        o.MaxCalls,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxBody,
		ForceAttemptHTTP2:      true,
	}
}
