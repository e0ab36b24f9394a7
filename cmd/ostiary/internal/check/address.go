package check

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxBody = 1 << 20

// checkURL looks at the service from outside.
func (r *report) checkURL(ctx context.Context) {
	const subject = "address"
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		r.add(Error, subject, "write it such as https://api.example", "--url is not the address of a service")
		return
	}
	if u.Scheme != "https" && !isLoopbackURL(u) {
		r.add(Error, subject, "serve it over TLS", "passwords and tokens are sent in clear to %s", u.Host)
	}
	ready, _, ok := r.get(ctx, "/readyz")
	if !ok {
		return
	}
	if ready.StatusCode != http.StatusOK && ready.StatusCode != http.StatusNotFound {
		r.add(Error, subject, "see the log of the service", "it is not ready: %s", ready.Status)
	}
	if me, _, ok := r.get(ctx, "/api/v2/me/"); ok && me.StatusCode == http.StatusOK {
		r.add(Error, subject, "put the gate around the API", "it answers /api/v2/me/ without a credential")
	} else if ok && u.Scheme == "http" && !isLoopbackURL(u) && strings.Contains(strings.Join(me.Header.Values("WWW-Authenticate"), ","), "Basic") {
		r.add(Error, subject, "serve it over TLS, or switch Basic off", "it asks for passwords without TLS")
	}
	r.checkIssuer(ctx)
}

// checkIssuer compares the issuer in the metadata with the address (RFC 8414 section 3.3).
func (r *report) checkIssuer(ctx context.Context) {
	response, body, ok := r.get(ctx, "/.well-known/oauth-authorization-server")
	if !ok || response.StatusCode != http.StatusOK {
		return // it has no issuer
	}
	var metadata struct{ Issuer string }
	if err := json.Unmarshal(body, &metadata); err != nil || metadata.Issuer != strings.TrimSuffix(r.URL, "/") {
		r.add(Error, "address", "set the public address of the service to the one that clients use", "its OAuth metadata is of the issuer %q, so that clients refuse it", metadata.Issuer)
	}
}

// get asks the service for a path and compares its clock.
func (r *report) get(ctx context.Context, path string) (*http.Response, []byte, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.URL, "/")+path, nil)
	if r.failed("address", err) {
		return nil, nil, false
	}
	start := r.Now()
	response, err := r.Client.Do(request)
	if err != nil {
		r.add(Error, "address", "see whether the service runs, and its name and certificate", "it does not answer: %v", err)
		return nil, nil, false
	}
	defer response.Body.Close()
	if told, err := http.ParseTime(response.Header.Get("Date")); err == nil && path == "/readyz" {
		r.compareClocks("the service", start, r.Now(), told, time.Second)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	return response, body, !r.failed("address", err)
}
