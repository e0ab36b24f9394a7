package oauth

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

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/internal/params"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

const (
	clientIDLen  = 40
	secretLen    = 64  // 381 bits
	maxClientID  = 255 // of imported ones, in bytes
	maxBasicText = 4096
)

// A clientClaim has the client identifier and the secret of a request.
type clientClaim struct {
	id      string
	secrets [2]string // form-decoded and as sent; most often equal
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
	// The body may have the client_id, too, if it is the same.
	if id, ok := params.One(form, "client_id"); !ok || form.Has("client_id") && id != c.id {
		return clientClaim{}, errInvalidRequest("The client_id of the body is not the one that authenticates.")
	}
	return c, nil
}

func parseBodyClient(form url.Values) (clientClaim, error) {
	id, ok := params.One(form, "client_id")
	secret, okSecret := params.One(form, "client_secret")
	if !ok || !okSecret {
		return clientClaim{}, errInvalidRequest("The client is named more than once.")
	}
	if id == "" {
		return clientClaim{}, errInvalidClient
	}
	return clientClaim{id: id, secrets: [2]string{secret, secret}, none: !form.Has("client_secret")}, nil
}

// parseBasicClient decodes the Basic credentials of a client. Both parts should
// be form-encoded (RFC 6749 section 2.3.1), but many clients do not encode
// them. The secret is therefore compared in both readings.
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

// formDecoded returns the form-decoded s, or s itself if it is not
// form-encoded.
func formDecoded(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// Authenticate returns the application of a request to the token endpoint (RFC
// 6749 section 2.3). A confidential one authenticates by Basic in the
// Authorization field, or by client_id and client_secret in the form. A public
// one sends client_id alone, or Basic with an empty secret. All wrong
// credentials are the same [*auth.Error] with status 401 and code
// invalid_client, after the same work. Too many failures from one network are
// status 429. More than one way to authenticate is status 400.
//
// It counts failures by the client address in ctx, see [auth.WithClientAddr].
func (srv *Server) Authenticate(ctx context.Context, h http.Header, form url.Values) (store.Application, error) {
	claim, err := parseClient(h, params.Present(form))
	if err == nil {
		var app store.Application
		if app, err = srv.clientByID(ctx, claim.id); err != nil && !errors.Is(err, store.ErrNotFound) {
			srv.observeClient(ctx, err)
			return store.Application{}, err
		}
		if claim.matches(app, time.Now()) {
			return app, nil
		}
		err = errInvalidClient
	}
	if errors.Is(err, errInvalidClient) {
		err = srv.refuseClient(ctx, claim.id)
	}
	srv.observeClient(ctx, err)
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
	case app.ID == 0 || app.Disabled:
		return false
	case app.Confidential:
		// An unset secret is a zero digest, which no text has. An empty secret
		// never matches.
		return good == 1 && !c.none && c.secrets[1] != ""
	}
	return c.none // a public client has no secret to send
}

// refuseClient counts and records a failure, by network. A secret has 381 bits
// and cannot be guessed, so the limit only bounds the load. A success costs no
// write, and failures in the name of a client do not lock it out.
func (srv *Server) refuseClient(ctx context.Context, clientID string) error {
	// Spare: failures from very many networks must not cost the counter of a password.
	v, err := srv.attempts.Charge(ctx, []store.Charge{{Key: "client:" + client.NetworkOf(ctx).String(), Limit: srv.opts.ClientFailures, Spare: true}}, time.Now())
	if err != nil {
		return fmt.Errorf("oauth: count a failed client authentication: %w", err)
	}
	reason := "wrong client credentials"
	refusal := errInvalidClient
	if !v.Allowed {
		reason = "throttled"
		srv.hook.One(ctx, observe.Throttled, observe.KindClient, observe.ReasonThrottled)
		refusal = tooMany(v)
	}
	srv.log.LogAttrs(ctx, slog.LevelWarn, audit.ClientRefused,
		slog.String(audit.KeyClientID, audit.Clip(clientID)), slog.String(audit.KeyReason, reason), slog.String(audit.KeyClient, client.Text(ctx)))
	return refusal
}

// clientByID returns the application with that client identifier. A malformed
// identifier does not reach the store.
func (srv *Server) clientByID(ctx context.Context, clientID string) (store.Application, error) {
	if len(clientID) > maxClientID || !ascii.Visible(clientID) {
		return store.Application{}, store.ErrNotFound
	}
	app, err := srv.store.ApplicationByClientID(ctx, clientID)
	if err != nil {
		return app, fmt.Errorf("oauth: look up an application: %w", err)
	}
	return app, nil
}
