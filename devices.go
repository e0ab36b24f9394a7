package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// Devices is the device authorization grant of RFC 8628, for devices without a
// browser: the device shows a short code, and the user types it in elsewhere and
// agrees.
type Devices struct {
	tokens   *Tokens
	attempts store.Attempts
	opts     DevicesOptions
}

// DevicesOptions are the options of [NewDevices].
// A zero DevicesOptions consists entirely of default values.
type DevicesOptions struct {
	// Lifetime is how long a device waits for its user. Zero means ten minutes;
	// the most is an hour.
	Lifetime time.Duration

	// Interval is how long a device has to wait between two questions. Zero
	// means five seconds.
	Interval time.Duration

	// Guesses limits how many codes one user, and how many one client network,
	// may type in. Codes are short (35 bits), so right ones count, too. Zero
	// means 20 in ten minutes.
	Guesses store.Limit

	// Requests limits how many codes devices in one client network may ask for,
	// PerApplication how many those of one application may, from anywhere. Zero
	// means 60 a minute, and 10,000 in a Lifetime: enough for all devices of an
	// application, and a bound for what piles up.
	Requests, PerApplication store.Limit
}

// NewDevices returns the device grant for t, with a throttle that counts in a.
// Nil options mean the defaults. It panics if t or a is nil.
func NewDevices(t *Tokens, a store.Attempts, opts *DevicesOptions) (*Devices, error) {
	if t == nil || isNil(a) {
		panic("auth: NewDevices: nil Tokens or store")
	}
	var o DevicesOptions
	if opts != nil {
		o = *opts
	}
	o.Lifetime = cmp.Or(o.Lifetime, 10*time.Minute)
	o.Interval = cmp.Or(o.Interval, 5*time.Second)
	o.Guesses = cmp.Or(o.Guesses, store.Limit{Max: 20, Window: 10 * time.Minute})
	o.Requests = cmp.Or(o.Requests, store.Limit{Max: 60, Window: time.Minute})
	o.PerApplication = cmp.Or(o.PerApplication, store.Limit{Max: 10_000, Window: o.Lifetime})
	switch {
	case o.Lifetime < time.Minute || o.Lifetime > time.Hour:
		return nil, fmt.Errorf("auth: DevicesOptions.Lifetime %v is not between a minute and an hour", o.Lifetime)
	case o.Interval < time.Second || o.Interval > o.Lifetime:
		return nil, fmt.Errorf("auth: DevicesOptions.Interval %v is not between a second and Lifetime", o.Interval)
	case o.Guesses.Max < 1 || o.Guesses.Window <= 0:
		return nil, errors.New("auth: DevicesOptions.Guesses needs a positive Max and Window")
	case o.Requests.Max < 1 || o.Requests.Window <= 0:
		return nil, errors.New("auth: DevicesOptions.Requests needs a positive Max and Window")
	case o.PerApplication.Max < 1 || o.PerApplication.Window <= 0:
		return nil, errors.New("auth: DevicesOptions.PerApplication needs a positive Max and Window")
	}
	return &Devices{t, a, o}, nil
}

// User codes: eight consonants, which form no words, spell no vowel that looks
// like a digit, and are 34.6 bits (RFC 8628 section 6.1).
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLen     = 8
)

// newUserCode returns a user code in the form in which people read it.
func newUserCode() string {
	var b []byte
	for len(b) < userCodeLen {
		for _, c := range appendRandom(nil, 16) {
			// Base62 in its order: the first 60 divide evenly.
			if i := strings.IndexByte(base62, c); i < 60 && len(b) < userCodeLen {
				b = append(b, userCodeLetters[i%len(userCodeLetters)])
			}
		}
	}
	return string(b[:userCodeLen/2]) + "-" + string(b[userCodeLen/2:])
}

// canonicalUserCode returns the one spelling of a user code that is compared and
// shown, whatever case people type and whatever they put in between.
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

// DeviceAuthorization is what a device gets (RFC 8628 section 3.2).
type DeviceAuthorization struct {
	DeviceCode Secret
	UserCode   string // "BCDF-GHJK", for the user alone
	Lifetime   time.Duration
	Interval   time.Duration
}

// Start gives an application that is registered for the device grant a device
// code and a user code. Refusals are an [*Error] with a code of RFC 6749 section
// 5.2.
func (d *Devices) Start(ctx context.Context, app store.Application, scope *string, resources []string) (DeviceAuthorization, error) {
	if app.GrantType != GrantDeviceCode {
		return DeviceAuthorization{}, errWrongGrant
	}
	scopes, audience, err := d.tokens.requested(scope, resources)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	now := time.Now()
	err = d.charge(ctx, now,
		store.Charge{Key: "device-start:" + clientNetwork(ctx).String(), Limit: d.opts.Requests},
		store.Charge{Key: "device-start-application:" + strconv.FormatInt(app.ID, 10), Limit: d.opts.PerApplication})
	if err != nil {
		return DeviceAuthorization{}, err
	}
	for { // until the user code is free
		out := DeviceAuthorization{newSecret(d.tokens.opts.Prefix, kindDevice), newUserCode(), d.opts.Lifetime, d.opts.Interval}
		err := d.tokens.store.InsertDevice(ctx, store.Device{
			Digest:        store.DigestOf(out.DeviceCode.Reveal()),
			UserCode:      store.DigestOf(out.UserCode),
			ApplicationID: app.ID,
			Scopes:        string(scopes),
			Audience:      audience,
			Created:       now,
			Expires:       now.Add(d.opts.Lifetime),
			Interval:      d.opts.Interval,
		})
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return DeviceAuthorization{}, fmt.Errorf("auth: store a device code: %w", err)
		}
	}
}

func (d *Devices) charge(ctx context.Context, now time.Time, charges ...store.Charge) error {
	v, err := d.attempts.Charge(ctx, charges, now)
	if err != nil {
		return fmt.Errorf("auth: count an attempt: %w", err)
	}
	if !v.Allowed {
		return tooMany(v)
	}
	return nil
}

var errUserCode = badField("user_code", "This code is not valid. It may have expired, or been used: check the spelling, or start again on the device.")

// A DeviceRequest is what a user is asked to agree to.
type DeviceRequest struct {
	Application store.Application
	Scopes      Scopes
	Audience    string // space-separated resources, RFC 8707; "" for any
	UserCode    string // in the form in which the device shows it

	digest store.Digest
}

// Find returns what the device that shows this code asks for. Upper and lower
// case, dashes and blanks make no difference. A code that is wrong, expired or
// decided is an [*Error] with status 400 and the field "user_code", too many of
// them are status 429.
func (d *Devices) Find(ctx context.Context, by *Principal, userCode string) (DeviceRequest, error) {
	if by.ID == "" || by.TokenID != 0 {
		return DeviceRequest{}, errForbidden
	}
	now := time.Now()
	err := d.charge(ctx, now,
		store.Charge{Key: "device:" + clientNetwork(ctx).String(), Limit: d.opts.Guesses},
		store.Charge{Key: "device-user:" + by.ID, Limit: d.opts.Guesses})
	if err != nil {
		return DeviceRequest{}, err
	}
	shown, ok := canonicalUserCode(userCode)
	if !ok {
		return DeviceRequest{}, errUserCode
	}
	digest := store.DigestOf(shown)
	t := d.tokens
	dev, err := t.store.DeviceByUserCode(ctx, digest)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!now.Before(dev.Expires) || dev.Decision != store.Undecided) {
		return DeviceRequest{}, errUserCode
	}
	if err != nil {
		return DeviceRequest{}, fmt.Errorf("auth: look up a device: %w", err)
	}
	app, err := t.store.ApplicationByID(ctx, dev.ApplicationID)
	if errors.Is(err, store.ErrNotFound) {
		return DeviceRequest{}, errUserCode
	}
	if err != nil {
		return DeviceRequest{}, fmt.Errorf("auth: look up an application: %w", err)
	}
	return DeviceRequest{app, Scopes(dev.Scopes), dev.Audience, shown, digest}, nil
}

// Decide notes what by, who logged in and was asked, said to the request that
// [Devices.Find] returned. It can be said once.
func (d *Devices) Decide(ctx context.Context, by *Principal, req DeviceRequest, approve bool) error {
	t := d.tokens
	u, err := t.consenting(ctx, by, req.Scopes)
	if err == nil && approve {
		err = t.checkQuota(ctx, u.ID)
	}
	if err != nil {
		return err
	}
	say := store.Denied
	if approve {
		say = store.Approved
	}
	err = t.store.DecideDevice(ctx, req.digest, say, u.ID, u.Epoch, time.Now())
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUsed) {
		return errUserCode
	}
	if err != nil {
		return fmt.Errorf("auth: decide about a device: %w", err)
	}
	if approve {
		t.grantEvent(ctx, slog.LevelInfo, eventConsented, req.Application, u.ID, string(req.Scopes))
	}
	return nil
}

// The answers to a device that asks too early or too late: RFC 8628 section 3.5.
var (
	errPending      = oauthError("authorization_pending", "The user has not decided yet.")
	errSlowDown     = oauthError("slow_down", "The device asks too often: wait five seconds longer each time.")
	errDeviceDenied = oauthError("access_denied", "The user denied the request.")
	errDeviceLate   = oauthError("expired_token", "The device code has expired.")
)

// slower is how much longer a device has to wait that did not (RFC 8628 section
// 3.5).
const slower = 5 * time.Second

// Exchange issues tokens for a device code, once, as [Tokens.Exchange] does. Until
// the user has decided it is refused with the code authorization_pending, or
// slow_down if the device asks too often.
func (d *Devices) Exchange(ctx context.Context, app store.Application, deviceCode string) (IssuedToken, error) {
	t := d.tokens
	switch {
	case app.GrantType != GrantDeviceCode:
		return IssuedToken{}, errWrongGrant
	case deviceCode == "":
		return IssuedToken{}, errInvalidRequest("Missing device_code parameter.")
	case !wellFormed(deviceCode, t.opts.Prefix, kindDevice):
		return IssuedToken{}, errInvalidGrant
	}
	digest, now := store.DigestOf(deviceCode), time.Now()
	dev, err := t.store.PollDevice(ctx, digest, app.ID, slower, now)
	if errors.Is(err, store.ErrNotFound) {
		return IssuedToken{}, errInvalidGrant
	}
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: look up a device: %w", err)
	}
	var u store.User
	switch {
	case !dev.Spent.IsZero(): // the store has to know, whatever else is wrong
	case !now.Before(dev.Expires):
		return IssuedToken{}, errDeviceLate
	case dev.Decision == store.Denied:
		return IssuedToken{}, errDeviceDenied
	case dev.Decision != store.Approved && !dev.Polled.IsZero() && now.Sub(dev.Polled) < dev.Interval:
		return IssuedToken{}, errSlowDown
	case dev.Decision != store.Approved:
		return IssuedToken{}, errPending
	default:
		if u, err = t.grantee(ctx, dev.UserID, dev.Epoch); err != nil {
			return IssuedToken{}, err
		}
	}
	issued := t.issueTo(app, u, Scopes(dev.Scopes), dev.Audience, now)
	issued.Token, err = t.store.RedeemDevice(ctx, store.Redemption{Code: digest, ApplicationID: app.ID, At: now, Token: issued.Token})
	return t.redeemed(ctx, app, dev.UserID, issued, err)
}
