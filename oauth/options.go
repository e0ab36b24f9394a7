package oauth

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/uri"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// Options are the options of [NewServer].
// A zero Options consists entirely of default values.
type Options struct {
	// Issuer is the issuer identifier of this server (RFC 8414 section 2): an
	// https URL, or http on a loopback address, without query, fragment and
	// trailing slash, such as "https://api.example". With it every
	// authorization response has the parameter iss (RFC 9207). Metadata and the
	// device grant need it.
	Issuer string

	// AccessLifetime is the lifetime of an access token of an application, and
	// RefreshLifetime that of an unused refresh token. GrantLifetime is the
	// lifetime of a grant with all its refreshes. Zero means an hour, 30 days,
	// and 365 days or RefreshLifetime if that is longer. The minimum is a second,
	// and RefreshLifetime must not be longer than GrantLifetime.
	AccessLifetime, RefreshLifetime, GrantLifetime time.Duration

	// CodeLifetime is the lifetime of an authorization code. Zero means a
	// minute, the minimum is a second, and the maximum is ten minutes (RFC 6749
	// section 4.1.2).
	CodeLifetime time.Duration

	// MaxCodes is the number of live authorization codes that a user can have
	// for one application. Further ones are refused until one is used or
	// expires. Zero means 100; there is always a limit.
	MaxCodes int

	// RefreshGrace is the time after a refresh in which the same refresh token
	// gets the same successor again, unless that was used already. It helps a
	// client that lost the response. Zero means no time: a second use of a
	// refresh token ends all tokens of the grant. The maximum is a minute.
	RefreshGrace time.Duration

	// RefreshInterval is the minimum average time between two refreshes of one
	// grant, after a burst of 100. Zero means a minute, or a quarter of
	// AccessLifetime if that is shorter.
	RefreshInterval time.Duration

	// RequirePKCE refuses authorization requests without a code challenge from
	// confidential applications, too. Public ones always need it.
	RequirePKCE bool

	// Resources are the URIs of further APIs that clients may request tokens
	// for (RFC 8707), in the spelling that tokens have: a slash at the end and the case
	// of the path count. They come besides [auth.TokensOptions].Resource. See
	// [auth.Bearer.For].
	Resources []string

	// IntrospectUnbound lets applications that stand for a resource introspect
	// access tokens without an audience, too: personal ones, and those that were
	// requested without a resource. See [Server.Introspect].
	IntrospectUnbound bool

	// PrivateSchemes are schemes without a dot that redirect URIs may have,
	// such as "myapp", besides those in the form of a reversed domain name (RFC
	// 8252 section 7.1). Any application on a device can register for such a
	// scheme. Schemes with a meaning in browsers or operating systems are
	// refused.
	PrivateSchemes []string

	// InsecureHTTPRedirects allows redirect URIs with http to any host, as AWX
	// does. The codes can then be read in transit. Without it, http is allowed
	// for 127.0.0.1, [::1] and localhost only.
	InsecureHTTPRedirects bool

	// ClientFailures limits the failures of client authentication from one
	// client network (an IPv4 address, an IPv6 /64). Zero means 30 a minute.
	ClientFailures store.Limit

	// Devices switches the device grant on (RFC 8628). Nil means that there is
	// none.
	Devices *DeviceOptions

	// Documents accepts clients that nobody has registered, by their client ID
	// metadata documents. Nil means that there are none: authorization requests with
	// a client identifier that begins with "https://" are then refused.
	Documents *DocumentOptions

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events of grants, applications, consents, devices and
	// their tokens and limits, see package observe. Nil costs nothing.
	Observe observe.Func
}

const (
	day = 24 * time.Hour
	// maxLifetime bounds every lifetime. It catches overflows: the
	// 31,536,000,000 seconds of AWX do not fit a time.Duration.
	maxLifetime = 100 * 365 * day
)

// check sets the defaults and refuses weak or contradictory options.
func (o *Options) check() error {
	for _, l := range []struct {
		name  string
		value time.Duration
	}{
		{"AccessLifetime", o.AccessLifetime},
		{"RefreshLifetime", o.RefreshLifetime},
		{"GrantLifetime", o.GrantLifetime},
	} {
		if l.value < time.Second || l.value > maxLifetime {
			return fmt.Errorf("oauth: Options.%s %v is not between a second and %v", l.name, l.value, maxLifetime)
		}
	}
	switch {
	case o.RefreshLifetime > o.GrantLifetime:
		return fmt.Errorf("oauth: Options.RefreshLifetime %v is above GrantLifetime, %v", o.RefreshLifetime, o.GrantLifetime)
	case o.CodeLifetime < time.Second || o.CodeLifetime > 10*time.Minute:
		return fmt.Errorf("oauth: Options.CodeLifetime %v is not between a second and ten minutes (RFC 6749 section 4.1.2)", o.CodeLifetime)
	case o.MaxCodes < 0:
		return errors.New("oauth: Options.MaxCodes is negative")
	case o.RefreshInterval < time.Millisecond || o.RefreshInterval > o.AccessLifetime:
		return fmt.Errorf("oauth: Options.RefreshInterval %v is not between a millisecond and AccessLifetime, %v", o.RefreshInterval, o.AccessLifetime)
	case o.RefreshGrace != 0 && (o.RefreshGrace < time.Millisecond || o.RefreshGrace > time.Minute):
		return fmt.Errorf("oauth: Options.RefreshGrace %v is not between a millisecond and a minute", o.RefreshGrace)
	case o.Issuer != "" && !validIssuer(o.Issuer):
		return fmt.Errorf("oauth: Options.Issuer %q is not an https URL, or an http one on a loopback address, without query, fragment and last slash", o.Issuer)
	case !limits(o.ClientFailures):
		return errors.New("oauth: Options.ClientFailures" + needsLimit)
	case o.Devices != nil && o.Issuer == "":
		return errors.New("oauth: Options.Devices needs Issuer: devices show its address")
	}
	for _, scheme := range o.PrivateSchemes {
		if !validScheme(scheme) || strings.Contains(scheme, ".") || slices.Contains(takenSchemes, scheme) {
			return fmt.Errorf("oauth: Options.PrivateSchemes: %q is not a scheme in lower case without a dot that nobody else gives a meaning", scheme)
		}
	}
	for _, r := range o.Resources {
		if !uri.Resource(r) {
			return fmt.Errorf("oauth: Options.Resources: %q is not an absolute URI without a fragment (RFC 8707 section 2)", r)
		}
	}
	return nil
}

// validIssuer reports whether s is an issuer identifier (RFC 8414 section 2),
// or one with http on a loopback address.
func validIssuer(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || !ascii.Visible(s) || strings.ContainsAny(s, "?#") || strings.HasSuffix(s, "/") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// DeviceOptions are the options of the device authorization grant (RFC 8628),
// for devices without a browser: the device shows a short code, and the user
// enters it in a browser elsewhere. A zero DeviceOptions consists entirely of
// default values.
type DeviceOptions struct {
	// Lifetime is the lifetime of a device code. Zero means ten minutes, the
	// minimum is a minute, and the maximum is an hour.
	Lifetime time.Duration

	// Interval is the minimum time between two requests of a device for its
	// token. Zero means five seconds, the minimum is a second, and the maximum is
	// Lifetime.
	Interval time.Duration

	// Guesses limits the wrong codes that are entered by one user. Right codes
	// do not count, and each user has a limit of their own. Zero means 20 in
	// ten minutes; a code has 35 bits.
	Guesses store.Limit

	// Requests limits the device codes for one client network, and
	// PerApplication those for one application from all networks. Zero means 60
	// a minute, and 10,000 in a Lifetime.
	Requests, PerApplication store.Limit
}

// complete returns the options with their defaults.
func (d *DeviceOptions) complete() (DeviceOptions, error) {
	o := *d
	o.Lifetime = cmp.Or(o.Lifetime, 10*time.Minute)
	o.Interval = cmp.Or(o.Interval, 5*time.Second)
	o.Guesses = cmp.Or(o.Guesses, store.Limit{Max: 20, Window: 10 * time.Minute})
	o.Requests = cmp.Or(o.Requests, store.Limit{Max: 60, Window: time.Minute})
	o.PerApplication = cmp.Or(o.PerApplication, store.Limit{Max: 10_000, Window: o.Lifetime})
	switch {
	case o.Lifetime < time.Minute || o.Lifetime > time.Hour:
		return o, fmt.Errorf("oauth: DeviceOptions.Lifetime %v is not between a minute and an hour", o.Lifetime)
	case o.Interval < time.Second || o.Interval > o.Lifetime:
		return o, fmt.Errorf("oauth: DeviceOptions.Interval %v is not between a second and Lifetime", o.Interval)
	case !limits(o.Guesses):
		return o, errors.New("oauth: DeviceOptions.Guesses" + needsLimit)
	case !limits(o.Requests):
		return o, errors.New("oauth: DeviceOptions.Requests" + needsLimit)
	case !limits(o.PerApplication):
		return o, errors.New("oauth: DeviceOptions.PerApplication" + needsLimit)
	}
	return o, nil
}

// DocumentOptions are the options for clients that nobody has registered and that
// have a client ID metadata document, see package clientdoc. A fetched document
// stores nothing. The first user who consents makes an application of it, whose
// client identifier is the URL, and which only its document changes. Tokens and
// refreshes depend on that application and never on the document.
type DocumentOptions struct {
	// Fetcher fetches the documents. It is required. One with
	// clientdoc.Options.InsecureLoopback needs an Issuer on a loopback address.
	Fetcher *clientdoc.Fetcher

	// OrganizationID is the organization that the applications belong to, and so
	// whose administrators may disable and delete them. Zero means 1.
	OrganizationID int64

	// PerNetwork limits the documents that are fetched for one client network (an
	// IPv4 address, an IPv6 /48), and Overall those for all. One user can have a
	// third of PerNetwork, from all networks together, so that no user keeps others
	// from theirs. Documents that are kept in memory do not count. Zero means 30
	// and 300 a minute.
	PerNetwork, Overall store.Limit

	// PerUser limits the applications that one user can make of documents.
	// Applications that others made do not count. Zero means 20 in 30 days.
	PerUser store.Limit
}

// complete returns the options with their defaults.
func (d *DocumentOptions) complete(issuer string) (DocumentOptions, error) {
	o := *d
	if o.OrganizationID == 0 {
		o.OrganizationID = 1
	}
	o.PerNetwork = cmp.Or(o.PerNetwork, store.Limit{Max: 30, Window: time.Minute})
	o.Overall = cmp.Or(o.Overall, store.Limit{Max: 300, Window: time.Minute})
	o.PerUser = cmp.Or(o.PerUser, store.Limit{Max: 20, Window: 30 * day})
	switch {
	case o.Fetcher == nil:
		return o, errors.New("oauth: DocumentOptions.Fetcher is nil")
	case o.Fetcher.Insecure() && !loopbackIssuer(issuer):
		return o, fmt.Errorf("oauth: DocumentOptions.Fetcher is insecure, and Options.Issuer %q is not on a loopback address", issuer)
	case o.OrganizationID < 0:
		return o, errors.New("oauth: DocumentOptions.OrganizationID is negative")
	case !limits(o.PerNetwork):
		return o, errors.New("oauth: DocumentOptions.PerNetwork" + needsLimit)
	case !limits(o.Overall):
		return o, errors.New("oauth: DocumentOptions.Overall" + needsLimit)
	case !limits(o.PerUser):
		return o, errors.New("oauth: DocumentOptions.PerUser" + needsLimit)
	}
	return o, nil
}

func loopbackIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && isLoopback(u.Hostname())
}

const needsLimit = " needs a positive Max, and a Window of at least a millisecond"

// limits reports whether l limits anything. A Window without a unit is one of
// nanoseconds.
func limits(l store.Limit) bool { return l.Max > 0 && l.Window >= time.Millisecond }
