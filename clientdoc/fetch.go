package clientdoc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/ascii"
)

const (
	maxFetchTime    = 5 * time.Second // of a whole fetch
	maxHeader       = 16 << 10        // bytes of the fields of an answer
	minLifetime     = time.Minute     // of a document that is kept
	defaultLifetime = 10 * time.Minute
	maxLifetime     = 24 * time.Hour
	refusalLifetime = 10 * time.Second
)

// The faults of answers, for people.
const (
	faultFetch       = "The document of the application cannot be fetched."
	faultStatus      = "The server of the application must answer with its document, with status 200 and without a redirect."
	faultContentType = "The document of the application must be application/json without compression."
	faultSize        = "The document of the application must have at most 5,120 bytes."
)

func newClient(d *dialer, roots *x509.CertPool) http.Client {
	return http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // it would be the proxy that dials
			DialContext:            d.dial,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    maxFetchTime,
			ResponseHeaderTimeout:  maxFetchTime,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch returns the body that the server of a document answers with, and how long
// the document may be kept.
func (f *Fetcher) fetch(ctx context.Context, address string) ([]byte, time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, &Error{Detail: faultFetch, Err: err}
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "ostiary")
	w, err := f.client.Do(r)
	if err != nil {
		return nil, 0, &Error{Detail: faultFetch, Err: cause(err)}
	}
	defer w.Body.Close()
	switch kind, _, err := mime.ParseMediaType(w.Header.Get("Content-Type")); {
	case w.StatusCode != http.StatusOK:
		return nil, 0, &Error{Detail: faultStatus, Err: fmt.Errorf("status %d", w.StatusCode)}
	case len(w.Header["Content-Type"]) != 1 || err != nil || !isJSON(kind) || w.Header["Content-Encoding"] != nil:
		return nil, 0, &Error{Detail: faultContentType}
	}
	body, err := io.ReadAll(io.LimitReader(w.Body, maxDocument+1)) // Parse refuses the last byte
	if err != nil {
		return nil, 0, &Error{Detail: faultFetch, Err: cause(err)}
	}
	return body, lifetime(w.Header, time.Now()), nil
}

// cause returns why a fetch failed, without texts of the server's answer, which
// package net/http puts into its errors.
func cause(err error) error {
	for _, known := range []error{errNotPublic, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	switch {
	case isTLS(err):
		return errors.New("the certificate does not hold, or there is no TLS")
	case isDial(err):
		return errors.New("no connection")
	}
	return errors.New("no complete answer of HTTP")
}

// isJSON reports whether a media type is that of a document.
func isJSON(kind string) bool {
	return kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
}

// lifetime returns how long a document is kept, by the fields of its answer (RFC 9111
// section 4.2), within the bounds. Fields that cannot be read count as absent.
func lifetime(h http.Header, now time.Time) time.Duration {
	d, explicit := time.Duration(0), false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(ascii.TrimOWS(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minLifetime
		case "max-age":
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil && !explicit {
				age, _ := strconv.ParseUint(h.Get("Age"), 10, 31)
				d, explicit = time.Duration(int64(n)-int64(age))*time.Second, true
			}
		}
	}
	if expires, err := http.ParseTime(h.Get("Expires")); err == nil && !explicit {
		d, explicit = expires.Sub(now), true
	}
	if !explicit {
		return defaultLifetime
	}
	return min(max(d, minLifetime), maxLifetime)
}
