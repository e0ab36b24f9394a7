package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary/auth"
)

// maxBody is the length of the longest answer, in bytes.
const maxBody = 16 << 10

// An asker asks the introspection endpoint.
type asker struct {
	endpoint  string
	authorize func(*http.Request) // a function, because package fmt prints the secrets in fields
	timeout   time.Duration
	expected  expected
	client    http.Client
	slots     chan struct{} // of calls
}

func newAsker(issuer string, o Options) asker {
	return asker{
		endpoint: o.Endpoint,
		authorize: func(r *http.Request) {
			r.SetBasicAuth(url.QueryEscape(o.ClientID), url.QueryEscape(o.Secret.Reveal())) // RFC 6749 section 2.3.1
		},
		timeout:  o.Timeout,
		expected: expected{issuer, o.Resource, o.Unbound},
		client: http.Client{
			Transport: o.Transport,
			// A redirect could lead the secret and the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, o.MaxCalls),
	}
}

// ask returns what the authorization server says about a token. A client that hangs up does not end the call, because others wait for
// its answer.
func (a *asker) ask(ctx context.Context, token string) (entry, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.timeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return entry{}, errors.New("remote: introspect: too many calls at a time, see Options.MaxCalls")
	}
	body, err := a.call(ctx, token)
	if err != nil {
		// Not %w: a refusal that a transport of the host returns is an outage here.
		return entry{}, fmt.Errorf("remote: introspect: %v", err)
	}
	e, err := a.expected.read(body, time.Now())
	if _, refused := errors.AsType[*auth.Error](err); err != nil && !refused {
		err = fmt.Errorf("remote: introspect: %w", err)
	}
	return e, err
}

// call returns the body of the answer (RFC 7662 section 2.2). Its errors have
// neither the secret nor the token.
func (a *asker) call(ctx context.Context, token string) ([]byte, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	a.authorize(r)
	w, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	switch kind, _, err := mime.ParseMediaType(w.Header.Get("Content-Type")); {
	case w.StatusCode == http.StatusUnauthorized || w.StatusCode == http.StatusBadRequest || w.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the authorization server refuses this client with status %d: look at Options.ClientID and Secret", w.StatusCode)
	case w.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the authorization server answers with status %d", w.StatusCode)
	case err != nil || kind != "application/json":
		return nil, errors.New("the answer is not application/json")
	}
	body, err := io.ReadAll(io.LimitReader(w.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	return body, nil
}
