package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// User codes: eight consonants, which form no words, spell no vowel that looks
// like a digit, and are 34.6 bits (RFC 8628 section 6.1).
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLen     = 8
)

// newUserCode returns a user code in the form that a device shows.
func newUserCode() string {
	var b []byte
	for len(b) < userCodeLen {
		for _, c := range []byte(secret.Random(16)) {
			// Base62 in its order: the first 60 divide evenly.
			if i := strings.IndexByte(secret.Base62, c); i < 60 && len(b) < userCodeLen {
				b = append(b, userCodeLetters[i%len(userCodeLetters)])
			}
		}
	}
	return string(b[:userCodeLen/2]) + "-" + string(b[userCodeLen/2:])
}

// canonicalUserCode returns the form of a user code that is compared and shown.
// Case, blanks and dashes of s do not matter.
func canonicalUserCode(s string) (string, bool) {
	if len(s) > 4*userCodeLen {
		return "", false
	}
	s = strings.ToUpper(strings.NewReplacer("-", "", " ", "", "–", "", "\t", "").Replace(s))
	if len(s) != userCodeLen || strings.Trim(s, userCodeLetters) != "" {
		return "", false
	}
	return s[:userCodeLen/2] + "-" + s[userCodeLen/2:], true
}

// DeviceAuthorization is the response to a device (RFC 8628 section 3.2).
type DeviceAuthorization struct {
	DeviceCode auth.Secret
	UserCode   string // "BCDF-GHJK", for the user alone
	Lifetime   time.Duration
	Interval   time.Duration
}

// StartDevice returns a device code and a user code for an application of the
// device grant. Refusals are an [*auth.Error] with a code of RFC 6749 section
// 5.2.
func (srv *Server) StartDevice(ctx context.Context, app store.Application, scope string, resources []string) (DeviceAuthorization, error) {
	if app.GrantType != GrantDeviceCode {
		return DeviceAuthorization{}, errWrongGrant
	}
	scopes, audience, err := srv.requested(scope, resources)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	now := time.Now()
	_, err = srv.charge(ctx, now, observe.KindDeviceCode,
		store.Charge{Key: "device-start:" + client.NetworkOf(ctx).String(), Limit: srv.opts.Devices.Requests, Spare: true},
		store.Charge{Key: "device-start-application:" + strconv.FormatInt(app.ID, 10), Limit: srv.opts.Devices.PerApplication})
	if err != nil {
		return DeviceAuthorization{}, err
	}
	for { // until the user code is free
		out := DeviceAuthorization{auth.Secret(secret.New(srv.tokens.Prefix(), secret.Device)), newUserCode(), srv.opts.Devices.Lifetime, srv.opts.Devices.Interval}
		err := srv.store.InsertDevice(ctx, store.Device{
			Digest:        store.DigestOf(out.DeviceCode.Reveal()),
			UserCode:      store.DigestOf(out.UserCode),
			ApplicationID: app.ID,
			Scopes:        string(scopes),
			Audience:      audience,
			Created:       now,
			Expires:       now.Add(srv.opts.Devices.Lifetime),
			Interval:      srv.opts.Devices.Interval,
		})
		if err == nil {
			srv.hook.One(ctx, observe.DeviceStarted, observe.KindNone, observe.ReasonNone)
			return out, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return DeviceAuthorization{}, fmt.Errorf("oauth: store a device code: %w", err)
		}
	}
}

func (srv *Server) charge(ctx context.Context, now time.Time, limit observe.Kind, charges ...store.Charge) ([]store.Reservation, error) {
	v, err := srv.attempts.Charge(ctx, charges, now)
	if err != nil {
		return nil, fmt.Errorf("oauth: count an attempt: %w", err)
	}
	if !v.Allowed {
		srv.hook.One(ctx, observe.Throttled, limit, observe.ReasonThrottled)
		return nil, tooMany(v)
	}
	return v.Reserved, nil
}

var errUserCode = badField("UserCode", "", "This code is not valid. It may have expired, or been used: check the spelling, or start again on the device.")

// A DeviceRequest is the pending request of a device, for the consent page.
type DeviceRequest struct {
	Application store.Application
	Scopes      auth.Scopes
	Audience    string // space-separated resources, RFC 8707; "" for any
	UserCode    string // in the form that the device shows

	digest store.Digest
}

// FindDevice returns the request of the device with this user code. Case,
// dashes and blanks do not matter. A wrong, expired or decided code is an
// [*auth.Error] with status 400 and the field "UserCode". Too many of them by
// one user, see [DeviceOptions.Guesses], are status 429.
func (srv *Server) FindDevice(ctx context.Context, by *auth.Principal, userCode string) (DeviceRequest, error) {
	if by == nil {
		return DeviceRequest{}, errNobody
	}
	if by.ID == "" || by.TokenID != 0 {
		return DeviceRequest{}, errForbidden
	}
	shown, ok := canonicalUserCode(userCode)
	if !ok {
		return DeviceRequest{}, errUserCode // is no guess: no code looks like that
	}
	// Counted before the look-up and taken back after it, so that of any number
	// of guesses at once no more are looked up than the limit allows.
	reserved, err := srv.charge(ctx, time.Now(), observe.KindUserCode, store.Charge{Key: "device-user:" + by.ID, Limit: srv.opts.Devices.Guesses})
	if err != nil {
		return DeviceRequest{}, err
	}
	req, err := srv.findDevice(ctx, shown)
	if err != nil {
		return DeviceRequest{}, err
	}
	if err := srv.attempts.Settle(ctx, store.Settlement{Return: reserved}); err != nil {
		return DeviceRequest{}, fmt.Errorf("oauth: settle an attempt: %w", err)
	}
	return req, nil
}

func (srv *Server) findDevice(ctx context.Context, shown string) (DeviceRequest, error) {
	now, digest := time.Now(), store.DigestOf(shown)
	dev, err := srv.store.DeviceByUserCode(ctx, digest)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!now.Before(dev.Expires) || dev.Decision != store.Undecided) {
		return DeviceRequest{}, errUserCode
	}
	if err != nil {
		return DeviceRequest{}, fmt.Errorf("oauth: look up a device: %w", err)
	}
	app, err := srv.store.ApplicationByID(ctx, dev.ApplicationID)
	if errors.Is(err, store.ErrNotFound) || err == nil && app.Disabled {
		return DeviceRequest{}, errUserCode
	}
	if err != nil {
		return DeviceRequest{}, fmt.Errorf("oauth: look up an application: %w", err)
	}
	return DeviceRequest{app, auth.Scopes(dev.Scopes), dev.Audience, shown, digest}, nil
}

// DecideDevice stores the decision of by about a request of
// [Server.FindDevice]. By must be logged in. There is one decision for each
// request.
func (srv *Server) DecideDevice(ctx context.Context, by *auth.Principal, req DeviceRequest, approve bool) error {
	u, err := srv.consenting(ctx, by, req.Scopes)
	if err == nil && approve {
		err = srv.tokens.CheckQuota(ctx, u.ID)
	}
	if err != nil {
		return err
	}
	now, say := time.Now(), store.Denied
	a := Authorization{Application: req.Application, Scopes: req.Scopes, Audience: req.Audience}
	if approve {
		say = store.Approved
		if err := srv.remember(ctx, u.ID, a, now); err != nil {
			return err
		}
	}
	err = srv.store.DecideDevice(ctx, req.digest, say, u.ID, u.Epoch, now)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUsed) {
		return errUserCode
	}
	if err != nil {
		return fmt.Errorf("oauth: decide about a device: %w", err)
	}
	if !approve {
		srv.hook.One(ctx, observe.DeviceDenied, observe.KindNone, observe.ReasonNone)
		return nil
	}
	if err := srv.stillAgreed(ctx, by, a); err != nil {
		return srv.undecide(ctx, by, a, err)
	}
	srv.granted(ctx, slog.LevelInfo, audit.Consented, req.Application, u.ID, string(req.Scopes))
	srv.hook.One(ctx, observe.ConsentGiven, observe.KindDeviceCode, observe.ReasonNone)
	return nil
}

// undecide ends the approvals of a device whose consent was withdrawn before the
// approval was stored, and returns the reason: the withdrawal did not reach it.
func (srv *Server) undecide(ctx context.Context, by *auth.Principal, a Authorization, why error) error {
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	if err := srv.store.WithdrawConsent(ctx, by.ID, a.Application.ID, time.Now()); err != nil {
		return fmt.Errorf("oauth: withdraw a consent: %w", err)
	}
	return why
}

// DecidedDevice returns the decision of by about the device with this user
// code, until the device has collected its tokens. It is for answering a form
// that is sent twice. For all other codes, also those that another user
// decided, it returns the error of [Server.FindDevice]. It does not count as a
// guess.
func (srv *Server) DecidedDevice(ctx context.Context, by *auth.Principal, userCode string) (approved bool, err error) {
	if by == nil {
		return false, errNobody
	}
	shown, ok := canonicalUserCode(userCode)
	if !ok || by.ID == "" {
		return false, errUserCode
	}
	dev, err := srv.store.DeviceByUserCode(ctx, store.DigestOf(shown))
	if errors.Is(err, store.ErrNotFound) ||
		err == nil && (dev.Decision == store.Undecided || dev.UserID != by.ID || !dev.Spent.IsZero() || !time.Now().Before(dev.Expires)) {
		return false, errUserCode
	}
	if err != nil {
		return false, fmt.Errorf("oauth: look up a device: %w", err)
	}
	return dev.Decision == store.Approved, nil
}

// The refusals of a device that asks too early or too late (RFC 8628 section
// 3.5).
var (
	errPending      = oauthError("authorization_pending", "The user has not decided yet.")
	errSlowDown     = oauthError("slow_down", "The device asks too often: wait five seconds longer each time.")
	errDeviceDenied = oauthError("access_denied", "The user denied the request.")
	errDeviceLate   = oauthError("expired_token", "The device code has expired.")
)

// slower is added to the interval of a device that asks too often (RFC 8628
// section 3.5).
const slower = 5 * time.Second

// ExchangeDevice issues tokens for a device code, once, as [Server.Exchange]
// does. Before the decision of the user it returns an [*auth.Error] with the
// code authorization_pending, or slow_down if the device asks too often.
func (srv *Server) ExchangeDevice(ctx context.Context, app store.Application, deviceCode string) (out auth.IssuedToken, err error) {
	defer func() { srv.observeGrant(ctx, observe.KindDeviceCode, err) }()
	switch {
	case app.GrantType != GrantDeviceCode:
		return auth.IssuedToken{}, errWrongGrant
	case deviceCode == "":
		return auth.IssuedToken{}, errInvalidRequest("Missing device_code parameter.")
	case !secret.WellFormed(deviceCode, srv.tokens.Prefix(), secret.Device):
		return auth.IssuedToken{}, errInvalidGrant
	}
	digest, now := store.DigestOf(deviceCode), time.Now()
	dev, err := srv.store.PollDevice(ctx, digest, app.ID, slower, now)
	if errors.Is(err, store.ErrNotFound) {
		return auth.IssuedToken{}, errInvalidGrant
	}
	if err != nil {
		return auth.IssuedToken{}, fmt.Errorf("oauth: look up a device: %w", err)
	}
	var u store.User
	switch {
	case !dev.Spent.IsZero(): // the store must end its tokens, even for a wrong request
	case !now.Before(dev.Expires):
		return auth.IssuedToken{}, errDeviceLate
	case dev.Decision == store.Denied:
		return auth.IssuedToken{}, errDeviceDenied
	case dev.Decision != store.Approved && !dev.Polled.IsZero() && now.Sub(dev.Polled) < dev.Interval:
		return auth.IssuedToken{}, errSlowDown
	case dev.Decision != store.Approved:
		return auth.IssuedToken{}, errPending
	default:
		if u, err = srv.grantee(ctx, dev.UserID, dev.Epoch); err != nil {
			return auth.IssuedToken{}, err
		}
	}
	issued := srv.issueTo(app, u, auth.Scopes(dev.Scopes), dev.Audience, now)
	issued.Token, err = srv.store.RedeemDevice(ctx, store.Redemption{Code: digest, ApplicationID: app.ID, At: now, Token: issued.Token})
	return srv.redeemed(ctx, app, observe.KindDeviceCode, dev.UserID, issued, err)
}
