package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth/store"
)

// Applications manages OAuth clients and authenticates them. See
// [Organizations] for who may do what.
type Applications struct {
	tokens   *Tokens
	store    store.Applications
	attempts store.Attempts
	opts     ApplicationsOptions
	log      *slog.Logger
}

// ApplicationsOptions are the options of [NewApplications].
// A zero ApplicationsOptions consists entirely of default values.
type ApplicationsOptions struct {
	// Failures limits how often client authentication may fail from one client
	// network (an IPv4 address, an IPv6 /64). Zero means 30 a minute.
	Failures store.Limit

	// InsecureHTTPRedirects allows redirect URIs with http to any host, as AWX
	// does: everybody on the way can read the codes. Without it, http is for
	// the loopback addresses.
	InsecureHTTPRedirects bool

	// Logger receives the audit events. Nil means that of the tokens.
	Logger *slog.Logger
}

// NewApplications returns the applications in the store of t, with a throttle
// that counts in a. Nil options mean the defaults. It panics if t or a is nil.
func NewApplications(t *Tokens, a store.Attempts, opts *ApplicationsOptions) (*Applications, error) {
	if t == nil || isNil(a) {
		panic("auth: NewApplications: nil Tokens or store")
	}
	var o ApplicationsOptions
	if opts != nil {
		o = *opts
	}
	o.Failures = cmp.Or(o.Failures, store.Limit{Max: 30, Window: time.Minute})
	if o.Failures.Max < 1 || o.Failures.Window <= 0 {
		return nil, errors.New("auth: ApplicationsOptions.Failures needs a positive Max and Window")
	}
	return &Applications{tokens: t, store: t.store, attempts: a, opts: o, log: cmp.Or(o.Logger, t.log)}, nil
}

// Client types on the wire (RFC 6749 section 2.1).
const (
	ClientConfidential = "confidential"
	ClientPublic       = "public"
)

// ApplicationRequest describes an application to create.
type ApplicationRequest struct {
	Name           string // required, at most 255 characters
	Description    string
	OrganizationID int64  // required
	ClientType     string // required: ClientConfidential or ClientPublic
	GrantType      string // required: one of the Grant constants
	RedirectURIs   []string
	SkipConsent    bool
}

// ApplicationChange says what to change about an application; nil leaves a field
// alone. Client identifier and grant type never change.
type ApplicationChange struct {
	Name, Description *string
	OrganizationID    *int64
	ClientType        *string
	RedirectURIs      *[]string
	SkipConsent       *bool
}

// IssuedApplication is an application with its secret, which is known here and
// never again.
type IssuedApplication struct {
	store.Application
	ClientSecret Secret // "" for public clients
}

// Application returns the application with that ID, or an [*Error] with status
// 404 if there is none or by may not see it.
func (a *Applications) Application(ctx context.Context, by *Principal, id int64) (store.Application, error) {
	app, _, err := a.tokens.application(ctx, by, id)
	return app, err
}

// MayChange reports whether by may change, and whether by may delete, an
// application that by may see.
func (a *Applications) MayChange(ctx context.Context, by *Principal, id int64) (change, remove bool, err error) {
	app, administers, err := a.tokens.application(ctx, by, id)
	return administers && (by.Admin || !app.SkipConsent), administers, err
}

// List returns one page of the applications that f names and by may see, and how
// many there are. Who may be listed is decided here: f.All is ignored, and
// f.Organizations only narrows the list, unless it is empty.
func (a *Applications) List(ctx context.Context, by *Principal, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	f.All = (by.Admin || by.Auditor) && len(f.Organizations) == 0
	if !by.Admin && !by.Auditor {
		m, err := a.tokens.memberships(ctx, by)
		if err != nil {
			return nil, 0, err
		}
		f.Organizations = m.among(f.Organizations)
	}
	list, total, err := a.store.ListApplications(ctx, f, p)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list applications: %w", err)
	}
	return list, total, nil
}

// among returns the organizations of m that are among those asked for, or all if
// none are.
func (m Memberships) among(asked []int64) []int64 {
	var list []int64
	for _, id := range append(append([]int64(nil), m.Member...), m.Admin...) {
		if len(asked) == 0 {
			list = append(list, id)
		}
	}
	for _, id := range asked {
		if m.includes(id) {
			list = append(list, id)
		}
	}
	return list
}

// Create registers an application. It returns an [*Error] with status 403 if by
// may not, and for a request that cannot be a joined error (see [errors.Join]) of
// an [*Error] with status 400 for each field; the field "__all__" stands for the
// fields together.
func (a *Applications) Create(ctx context.Context, by *Principal, req ApplicationRequest) (IssuedApplication, error) {
	if err := a.mayCreate(ctx, by, req); err != nil {
		return IssuedApplication{}, err
	}
	now := time.Now()
	app := store.Application{
		Name:           req.Name,
		Description:    req.Description,
		OrganizationID: req.OrganizationID,
		Confidential:   req.ClientType == ClientConfidential,
		GrantType:      req.GrantType,
		RedirectURIs:   req.RedirectURIs,
		SkipConsent:    req.SkipConsent,
		Created:        now,
		Modified:       now,
	}
	err := a.check(ctx, by, app,
		checkChoice("client_type", req.ClientType, ClientConfidential, ClientPublic),
		checkChoice("authorization_grant_type", req.GrantType, GrantAuthorizationCode, GrantPassword, GrantClientCredentials, GrantDeviceCode),
	)
	if err != nil {
		return IssuedApplication{}, err
	}
	app.ClientID = string(appendRandom(nil, clientIDLen))
	issued := IssuedApplication{Application: app}
	if app.Confidential {
		issued.ClientSecret = newClientSecret()
		issued.Secret = store.DigestOf(issued.ClientSecret.Reveal())
	}
	issued.Application, err = a.store.InsertApplication(ctx, issued.Application)
	if errors.Is(err, store.ErrExists) {
		return IssuedApplication{}, errNameTaken
	}
	if err != nil {
		return IssuedApplication{}, fmt.Errorf("auth: store an application: %w", err)
	}
	a.event(ctx, eventApplicationCreated, by, issued.Application)
	return issued, nil
}

// newClientSecret returns letters and digits only: clients encode everything
// else in different ways.
func newClientSecret() Secret { return Secret(appendRandom(nil, secretLen)) }

func (a *Applications) mayCreate(ctx context.Context, by *Principal, req ApplicationRequest) error {
	if !by.Admin {
		m, err := a.tokens.memberships(ctx, by)
		if err != nil {
			return err
		}
		if !m.administers(req.OrganizationID) {
			return errForbidden
		}
	}
	return mayHoldSecret(by, req.GrantType)
}

// mayHoldSecret keeps tokens from the secret of an application that acts for
// itself: with it a stolen token would leave something behind that lives on.
func mayHoldSecret(by *Principal, grantType string) error {
	if by.TokenID != 0 && grantType == GrantClientCredentials {
		return &Error{Status: http.StatusForbidden, Detail: "A token may not get the secret of an application that acts for itself: log in, or use Basic."}
	}
	return nil
}

// changeable returns an application that by may change.
func (a *Applications) changeable(ctx context.Context, by *Principal, id int64) (store.Application, error) {
	app, administers, err := a.tokens.application(ctx, by, id)
	if err == nil && (!administers || app.SkipConsent && !by.Admin) {
		err = errForbidden
	}
	return app, err
}

// Change changes an application and returns it as it is then. It returns an
// [*Error] with status 404 or 403 if by may not, errors as of
// [Applications.Create], and status 409 if somebody else changed it at the same
// time. A public client that becomes confidential has no secret until
// [Applications.RotateSecret]; one that becomes public loses it.
func (a *Applications) Change(ctx context.Context, by *Principal, id int64, c ApplicationChange) (store.Application, error) {
	app, err := a.changeable(ctx, by, id)
	if err != nil {
		return store.Application{}, err
	}
	if c.OrganizationID != nil && *c.OrganizationID != app.OrganizationID && !by.Admin {
		m, err := a.tokens.memberships(ctx, by)
		if err != nil {
			return store.Application{}, err
		}
		if !m.administers(*c.OrganizationID) {
			return store.Application{}, errForbidden
		}
	}
	if c.ClientType != nil {
		if err := checkChoice("client_type", *c.ClientType, ClientConfidential, ClientPublic); err != nil {
			return store.Application{}, err
		}
		app.Confidential = *c.ClientType == ClientConfidential
		if !app.Confidential {
			app.Secret, app.OldSecret, app.OldSecretExpires = store.Digest{}, store.Digest{}, time.Time{}
		}
	}
	assign(&app.Name, c.Name)
	assign(&app.Description, c.Description)
	assign(&app.OrganizationID, c.OrganizationID)
	assign(&app.RedirectURIs, c.RedirectURIs)
	assign(&app.SkipConsent, c.SkipConsent)
	if err := a.check(ctx, by, app); err != nil {
		return store.Application{}, err
	}
	if err := a.update(ctx, &app); err != nil {
		return store.Application{}, err
	}
	a.event(ctx, eventApplicationChanged, by, app)
	return a.Application(ctx, by, id)
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// MaxSecretOverlap is how long a client secret stays good at most after it was
// replaced.
const MaxSecretOverlap = 30 * day

// RotateSecret gives a confidential application a new secret. The one before is
// good for the overlap, from 0 to MaxSecretOverlap, and those before that are
// dead. Errors are those of [Applications.Change].
func (a *Applications) RotateSecret(ctx context.Context, by *Principal, id int64, overlap time.Duration) (IssuedApplication, error) {
	app, err := a.changeable(ctx, by, id)
	if err == nil {
		err = mayHoldSecret(by, app.GrantType)
	}
	switch {
	case err != nil:
		return IssuedApplication{}, err
	case !app.Confidential:
		return IssuedApplication{}, &Error{Status: http.StatusBadRequest, Field: "client_type", Detail: "A public client has no secret."}
	case overlap < 0 || overlap > MaxSecretOverlap:
		return IssuedApplication{}, &Error{Status: http.StatusBadRequest, Field: "overlap", Detail: fmt.Sprintf("Must be between 0 and %d seconds.", MaxSecretOverlap/time.Second)}
	}
	app.OldSecret, app.OldSecretExpires = store.Digest{}, time.Time{}
	if overlap > 0 {
		app.OldSecret, app.OldSecretExpires = app.Secret, time.Now().Add(overlap)
	}
	secret := newClientSecret()
	app.Secret = store.DigestOf(secret.Reveal())
	if err := a.update(ctx, &app); err != nil {
		return IssuedApplication{}, err
	}
	a.event(ctx, eventApplicationRotated, by, app)
	return IssuedApplication{app, secret}, nil
}

func (a *Applications) update(ctx context.Context, app *store.Application) error {
	app.Modified = time.Now()
	switch err := a.store.UpdateApplication(ctx, *app); {
	case errors.Is(err, store.ErrConflict):
		return &Error{Status: http.StatusConflict, Detail: "The application was changed at the same time: try again."}
	case errors.Is(err, store.ErrExists):
		return errNameTaken
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case err != nil:
		return fmt.Errorf("auth: change an application: %w", err)
	}
	return nil
}

// Delete removes an application and ends all of its tokens, with everything they
// minted. It returns an [*Error] with status 404 or 403 if by may not.
func (a *Applications) Delete(ctx context.Context, by *Principal, id int64) error {
	app, administers, err := a.tokens.application(ctx, by, id)
	if err != nil {
		return err
	}
	if !administers {
		return errForbidden
	}
	err = a.store.DeleteApplication(ctx, id, time.Now())
	if errors.Is(err, store.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return fmt.Errorf("auth: delete an application: %w", err)
	}
	a.event(ctx, eventApplicationDeleted, by, app)
	return nil
}
