package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/store"
)

const (
	clientIDLen  = 40
	secretLen    = 64  // 381 bits
	maxClientID  = 255 // of imported ones, in bytes
	maxBasicText = 4096
)

// errInvalidClient is the answer to every failed client authentication. Where
// the client used the Authorization field, a WWW-Authenticate field with the
// Basic scheme must come along (RFC 6749 section 5.2).
var errInvalidClient = &Error{
	Status: http.StatusUnauthorized,
	Code:   "invalid_client",
	Detail: "Client authentication failed.",
}

// A clientClaim is who a client says it is.
type clientClaim struct {
	id      string
	secrets [2]string // form-decoded and as it came; most often the same
	none    bool      // no secret at all
}

// parseClient takes client_id and client_secret from the Authorization field or
// from the form, never from both (RFC 6749 section 2.3).
func parseClient(h http.Header, form url.Values) (clientClaim, error) {
	scheme, credentials, err := header.Authorization(h)
	switch {
	case err == header.ErrAbsent:
		return parseBodyClient(form)
	case err != nil:
		return clientClaim{}, errInvalidRequest("The request has more than one Authorization field.")
	case !header.IsScheme(scheme, "basic"):
		return clientClaim{}, errInvalidClient
	case form.Has("client_secret"):
		return clientClaim{}, errInvalidRequest("The client authenticates in more than one way.")
	}
	c, ok := parseBasicClient(credentials)
	if !ok {
		return clientClaim{}, errInvalidClient
	}
	// Clients may name themselves in the body, too, as long as it is the same.
	if id, ok := one(form, "client_id"); !ok || form.Has("client_id") && id != c.id {
		return clientClaim{}, errInvalidRequest("The client_id of the body is not the one that authenticates.")
	}
	return c, nil
}

func parseBodyClient(form url.Values) (clientClaim, error) {
	id, ok := one(form, "client_id")
	secret, okSecret := one(form, "client_secret")
	if !ok || !okSecret {
		return clientClaim{}, errInvalidRequest("The client is named more than once.")
	}
	if id == "" {
		return clientClaim{}, errInvalidClient
	}
	return clientClaim{id: id, secrets: [2]string{secret, secret}, none: !form.Has("client_secret")}, nil
}

// parseBasicClient decodes Basic credentials of a client. RFC 6749 section 2.3.1
// has both parts form-encoded, but many clients send them as they are, so the
// secret is compared in both readings.
func parseBasicClient(credentials string) (c clientClaim, ok bool) {
	if len(credentials) > maxBasicText || strings.ContainsAny(credentials, "\r\n") {
		return c, false // the decoder would skip line breaks
	}
	pair, err := base64.StdEncoding.Strict().DecodeString(credentials)
	if err != nil {
		return c, false
	}
	id, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return c, false
	}
	c = clientClaim{id: formDecoded(id), secrets: [2]string{formDecoded(secret), secret}, none: secret == ""}
	return c, c.id != "" && !header.HasControl(c.id) && !header.HasControl(c.secrets[0]) && !header.HasControl(secret)
}

// formDecoded returns s as it was before it was form-encoded, or s itself if it
// was not.
func formDecoded(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// Authenticate returns the application that a request to the token endpoint
// comes from: by Basic in the Authorization field, by client_id and
// client_secret in the form, or, for a public one, by client_id alone or with an
// empty secret in Basic. Everything that is wrong with the credentials is the
// same [*Error] with status 401 and code invalid_client, after the same work;
// too many failures from one network are status 429, and more than one way to
// authenticate is status 400.
//
// It looks at the client address in ctx, see [WithClientAddr].
func (a *Applications) Authenticate(ctx context.Context, h http.Header, form url.Values) (store.Application, error) {
	claim, err := parseClient(h, form)
	if err == nil {
		var app store.Application
		if app, err = a.tokens.clientByID(ctx, claim.id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Application{}, err
		}
		if claim.matches(app, time.Now()) {
			return app, nil
		}
		err = errInvalidClient
	}
	if errors.Is(err, errInvalidClient) {
		err = a.refuseClient(ctx, claim.id)
	}
	return store.Application{}, err
}

// matches does the same work for every application, the zero one included.
func (c clientClaim) matches(app store.Application, now time.Time) bool {
	good := 0
	for _, secret := range c.secrets {
		d := store.DigestOf(secret)
		current := subtle.ConstantTimeCompare(d[:], app.Secret[:])
		previous := subtle.ConstantTimeCompare(d[:], app.OldSecret[:])
		if !now.Before(app.OldSecretExpires) {
			previous = 0
		}
		good |= current | previous
	}
	switch {
	case app.ID == 0:
		return false
	case app.Confidential:
		// A secret that is not set is a zero digest, which nothing has; an
		// empty one is none.
		return good == 1 && !c.none && c.secrets[1] != ""
	}
	return c.none // whoever sends a secret for a public client is mistaken
}

// refuseClient counts and records a failure. Only failures are counted, after
// the fact and by network: secrets have 381 bits, so this is not what keeps them
// from being guessed but what keeps the noise down, a good client costs no write,
// and nobody can lock a client out by failing in its name.
func (a *Applications) refuseClient(ctx context.Context, clientID string) error {
	v, err := a.attempts.Charge(ctx, []store.Charge{{Key: "client:" + clientNetwork(ctx).String(), Limit: a.opts.Failures}}, time.Now())
	if err != nil {
		return fmt.Errorf("auth: count a failed client authentication: %w", err)
	}
	reason := "wrong client credentials"
	refusal := errInvalidClient
	if !v.Allowed {
		reason = "throttled"
		refusal = tooMany(v)
	}
	a.log.LogAttrs(ctx, slog.LevelWarn, eventClientRefused,
		slog.String("client_id", clip(clientID)), slog.String("reason", reason), slog.String("client", clientOf(ctx)))
	return refusal
}

// tooMany is the refusal of a throttle.
func tooMany(v store.Verdict) *Error {
	return &Error{
		Status:     http.StatusTooManyRequests,
		Detail:     "Too many attempts. Try again later.",
		RetryAfter: max(v.RetryAfter, time.Second),
	}
}
