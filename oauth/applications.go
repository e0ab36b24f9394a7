package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/store"
)

// Client types on the wire (RFC 6749 section 2.1).
const (
	ClientConfidential = "confidential"
	ClientPublic       = "public"
)

// ApplicationRequest describes an application to create.
type ApplicationRequest struct {
	Name           string // required, at most 255 characters
	Description    string
	OrganizationID int64  // required, unless there is one: see [auth.Organizations]
	ClientType     string // required: ClientConfidential or ClientPublic
	GrantType      string // required: one of the Grant constants
	RedirectURIs   []string
	SkipConsent    bool
	// RequirePKCE cannot be false for a public client. Nil means no more than
	// the client type and Options.RequirePKCE need.
	RequirePKCE *bool
	// Resource is the resource that the application stands for, one of those that
	// tokens can be requested for (RFC 8707). It lets the application introspect
	// tokens for the resource, see [Server.Introspect]. Only a superuser who
	// logged in can set it, for a confidential client.
	Resource string
}

// ApplicationChange is a change of an application. A nil field stays as it is.
// Client identifier and grant type never change.
type ApplicationChange struct {
	Name, Description *string
	OrganizationID    *int64
	ClientType        *string
	RedirectURIs      *[]string
	SkipConsent       *bool
	RequirePKCE       *bool   // see ApplicationRequest
	Resource          *string // see ApplicationRequest
	// Disabled ends all tokens of the application and refuses new ones until
	// the application is enabled again. The old tokens stay dead.
	Disabled *bool
}

// IssuedApplication is an application with its secret, which cannot be read
// again later.
type IssuedApplication struct {
	store.Application
	ClientSecret auth.Secret // "" for public clients
}

// Application returns the application with that ID. It returns an [*auth.Error]
// with status 404 if the application does not exist or is not visible to by.
func (srv *Server) Application(ctx context.Context, by *auth.Principal, id int64) (store.Application, error) {
	app, _, err := srv.application(ctx, by, id)
	return app, err
}

// ListApplications returns one page of the applications that match f and are
// visible to by, and the number of all such applications. It ignores f.All. A
// non-empty f.Organizations narrows the list. The error is [store.ErrOrder] where
// there are too many for p.Order.
func (srv *Server) ListApplications(ctx context.Context, by *auth.Principal, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	if by == nil {
		return nil, 0, errNobody
	}
	f.All = (by.Admin || by.Auditor) && len(f.Organizations) == 0
	if !by.Admin && !by.Auditor {
		m, err := srv.tokens.Organizations().Memberships(ctx, by)
		if err != nil {
			return nil, 0, err
		}
		f.Organizations = among(m, f.Organizations)
	}
	list, total, err := srv.store.ListApplications(ctx, f, p)
	if err != nil {
		return nil, 0, fmt.Errorf("oauth: list applications: %w", err)
	}
	return list, total, nil
}

// among returns the organizations of m that are in asked, or all if asked is
// empty.
func among(m auth.Memberships, asked []int64) []int64 {
	var list []int64
	for _, id := range append(append([]int64(nil), m.Member...), m.Admin...) {
		if len(asked) == 0 {
			list = append(list, id)
		}
	}
	for _, id := range asked {
		if m.Includes(id) {
			list = append(list, id)
		}
	}
	return list
}

// CreateApplication registers an application. It returns an [*auth.Error] with
// status 403 if by lacks the right. For an invalid request it returns a joined
// error (see [errors.Join]) with an [*auth.Error] of status 400 for each field;
// an empty field stands for several fields together.
func (srv *Server) CreateApplication(ctx context.Context, by *auth.Principal, req ApplicationRequest) (IssuedApplication, error) {
	if err := mayManage(by); err != nil {
		return IssuedApplication{}, err
	}
	if req.OrganizationID == 0 && srv.tokens.Organizations().ByID == nil {
		req.OrganizationID = 1 // the only one
	}
	if err := srv.mayCreate(ctx, by, req); err != nil {
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
		Resource:       req.Resource,
		Created:        now,
		Modified:       now,
	}
	assign(&app.RequirePKCE, req.RequirePKCE)
	err := srv.check(ctx, by, app, srv.checkReserved(store.Application{}, app), srv.checkPKCE(app, req.RequirePKCE), srv.checkChosenResource(&req.Resource),
		checkChoice("ClientType", req.ClientType, ClientConfidential, ClientPublic),
		checkChoice("GrantType", req.GrantType, GrantAuthorizationCode, GrantPassword, GrantClientCredentials, GrantDeviceCode),
	)
	if err != nil {
		return IssuedApplication{}, err
	}
	app.ClientID = secret.Random(clientIDLen)
	issued := IssuedApplication{Application: app}
	if app.Confidential {
		issued.ClientSecret = newClientSecret()
		issued.Secret = store.DigestOf(issued.ClientSecret.Reveal())
	}
	issued.Application, err = srv.store.InsertApplication(ctx, issued.Application)
	if errors.Is(err, store.ErrExists) {
		return IssuedApplication{}, errNameTaken
	}
	if err != nil {
		return IssuedApplication{}, fmt.Errorf("oauth: store an application: %w", err)
	}
	srv.applicationEvent(ctx, audit.ApplicationCreated, by, issued.Application)
	return issued, nil
}

// newClientSecret returns letters and digits only: clients encode everything
// else in different ways.
func newClientSecret() auth.Secret { return auth.Secret(secret.Random(secretLen)) }

func (srv *Server) mayCreate(ctx context.Context, by *auth.Principal, req ApplicationRequest) error {
	if !by.Admin {
		m, err := srv.tokens.Organizations().Memberships(ctx, by)
		if err != nil {
			return err
		}
		if !m.Administers(req.OrganizationID) {
			return errForbidden
		}
	}
	return mayHoldSecret(by, req.GrantType)
}

// mayManage refuses a token that was issued to an application. Such a token
// could change its own application to act for others.
func mayManage(by *auth.Principal) error {
	if by == nil {
		return errNobody
	}
	if by.ViaApplicationID != 0 || by.ApplicationID != 0 {
		return &auth.Error{Status: http.StatusForbidden, Detail: "A token of an application may not manage applications: log in."}
	}
	return nil
}

// mayHoldSecret refuses to give a token the secret of an application that acts
// for itself, because the secret outlives the token.
func mayHoldSecret(by *auth.Principal, grantType string) error {
	if by.TokenID != 0 && grantType == GrantClientCredentials {
		return &auth.Error{Status: http.StatusForbidden, Detail: "A token may not get the secret of an application that acts for itself: log in, or use Basic."}
	}
	return nil
}

// privileged reports whether an application has what only superusers give. Others
// must not take its secret, or lead its users elsewhere.
func privileged(app store.Application) bool { return app.SkipConsent || app.Resource != "" }

// changeable is Application for a caller that means to change it.
func (srv *Server) changeable(ctx context.Context, by *auth.Principal, id int64) (store.Application, error) {
	if err := mayManage(by); err != nil {
		return store.Application{}, err
	}
	app, administers, err := srv.application(ctx, by, id)
	if err == nil && (!administers || privileged(app) && !by.Admin) {
		err = errForbidden
	}
	return app, err
}

// ChangeApplication changes an application and returns the changed one. It
// returns an [*auth.Error] with status 404 or 403 if by lacks the right, the
// errors of [Server.CreateApplication], and status 409 if another request
// changed the application at the same time. A public client that becomes
// confidential has no secret until [Server.RotateSecret]. A confidential client
// that becomes public loses its secret. A change of Disabled alone checks no other
// field, since the application may be older than the rules. No token, not even that of a
// superuser, changes anything else of an application that keeps SkipConsent: it takes a
// session or Basic. An application that was made
// of a document can be disabled and enabled, and otherwise only its document changes
// it.
func (srv *Server) ChangeApplication(ctx context.Context, by *auth.Principal, id int64, c ApplicationChange) (store.Application, error) {
	app, err := srv.changeable(ctx, by, id)
	if err != nil {
		return store.Application{}, err
	}
	old, before := app, slog.GroupAttrs(audit.KeyBefore, applicationAttrs(app)...)
	if c.OrganizationID != nil && *c.OrganizationID != app.OrganizationID && !by.Admin {
		m, err := srv.tokens.Organizations().Memberships(ctx, by)
		if err != nil {
			return store.Application{}, err
		}
		if !m.Administers(*c.OrganizationID) {
			return store.Application{}, errForbidden
		}
	}
	if c.ClientType != nil {
		if err := checkChoice("ClientType", *c.ClientType, ClientConfidential, ClientPublic); err != nil {
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
	assign(&app.RequirePKCE, c.RequirePKCE)
	assign(&app.Resource, c.Resource)
	assign(&app.Disabled, c.Disabled)
	if fromDocument(old) && (!sameDescription(old, app) || old.OrganizationID != app.OrganizationID) {
		return store.Application{}, badField("", "", "Only the document of the application changes it. It can be disabled and deleted.")
	}
	// An application that is older than the rules must be disabled in spite of them.
	if c != (ApplicationChange{Disabled: c.Disabled}) {
		if err := srv.check(ctx, by, app, srv.checkReserved(old, app), srv.checkPKCE(app, c.RequirePKCE), srv.checkChosenResource(c.Resource)); err != nil {
			return store.Application{}, err
		}
	}
	if err := srv.update(ctx, &app); err != nil {
		return store.Application{}, err
	}
	srv.applicationEvent(ctx, audit.ApplicationChanged, by, app, before)
	return srv.Application(ctx, by, id)
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// MaxSecretOverlap is the longest time for which a replaced client secret stays
// good.
const MaxSecretOverlap = 30 * day

// RotateSecret gives a confidential application a new secret. The previous
// secret stays good for the overlap, from 0 to MaxSecretOverlap; older ones are
// dead. The errors are those of [Server.ChangeApplication].
func (srv *Server) RotateSecret(ctx context.Context, by *auth.Principal, id int64, overlap time.Duration) (IssuedApplication, error) {
	app, err := srv.changeable(ctx, by, id)
	if err == nil {
		err = mayHoldSecret(by, app.GrantType)
	}
	switch {
	case err != nil:
		return IssuedApplication{}, err
	case !app.Confidential:
		return IssuedApplication{}, &auth.Error{Status: http.StatusBadRequest, Field: "ClientType", Detail: "A public client has no secret."}
	case overlap < 0 || overlap > MaxSecretOverlap:
		return IssuedApplication{}, &auth.Error{Status: http.StatusBadRequest, Field: "Overlap", Detail: fmt.Sprintf("Must be between 0 and %d seconds.", MaxSecretOverlap/time.Second)}
	}
	app.OldSecret, app.OldSecretExpires = store.Digest{}, time.Time{}
	if overlap > 0 {
		app.OldSecret, app.OldSecretExpires = app.Secret, time.Now().Add(overlap)
	}
	issued := newClientSecret()
	app.Secret = store.DigestOf(issued.Reveal())
	if err := srv.update(ctx, &app); err != nil {
		return IssuedApplication{}, err
	}
	srv.applicationEvent(ctx, audit.ApplicationRotated, by, app)
	return IssuedApplication{app, issued}, nil
}

func (srv *Server) update(ctx context.Context, app *store.Application) error {
	app.Modified = time.Now()
	switch err := srv.store.UpdateApplication(ctx, *app); {
	case errors.Is(err, store.ErrConflict):
		return &auth.Error{Status: http.StatusConflict, Detail: "The application was changed at the same time: try again."}
	case errors.Is(err, store.ErrExists):
		return errNameTaken
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case err != nil:
		return fmt.Errorf("oauth: change an application: %w", err)
	}
	return nil
}

// DeleteApplication removes an application and ends all of its tokens with
// their descendants. It returns an [*auth.Error] with status 404 or 403 if by
// lacks the right.
func (srv *Server) DeleteApplication(ctx context.Context, by *auth.Principal, id int64) error {
	if err := mayManage(by); err != nil {
		return err
	}
	app, administers, err := srv.application(ctx, by, id)
	if err != nil {
		return err
	}
	if !administers {
		return errForbidden
	}
	err = srv.store.DeleteApplication(ctx, id, time.Now())
	if errors.Is(err, store.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return fmt.Errorf("oauth: delete an application: %w", err)
	}
	srv.applicationEvent(ctx, audit.ApplicationDeleted, by, app)
	return nil
}
