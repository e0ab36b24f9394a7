package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// HasDocuments reports whether clients with a client ID metadata document are
// accepted.
func (srv *Server) HasDocuments() bool { return srv.opts.Documents != nil }

// requesting returns the application of an authorization request. For a client with
// a document that is the application as the document describes it now, whose ID is
// 0 before the first consent. Nothing is stored.
func (srv *Server) requesting(ctx context.Context, clientID string) (store.Application, *clientdoc.Document, error) {
	if clientdoc.IsURL(clientID) && !srv.HasDocuments() {
		return store.Application{}, nil, store.ErrNotFound
	}
	app, err := srv.clientByID(ctx, clientID)
	if !clientdoc.IsURL(clientID) || err == nil && app.Disabled || err != nil && !errors.Is(err, store.ErrNotFound) {
		return app, nil, err
	}
	doc, err := srv.document(ctx, clientID)
	if err != nil {
		return store.Application{}, nil, err
	}
	return srv.described(app, doc), &doc, nil
}

// document returns the document of a client identifier, or an [*auth.Error] for one
// that is not accepted.
func (srv *Server) document(ctx context.Context, clientID string) (clientdoc.Document, error) {
	fetched := false
	doc, err := srv.opts.Documents.Fetcher.Document(ctx, clientID, func() error {
		_, err := srv.charge(ctx, time.Now(), observe.KindClient,
			store.Charge{Key: "document-site:" + client.Site(client.NetworkOf(ctx)).String(), Limit: srv.opts.Documents.PerNetwork},
			store.Charge{Key: "document", Limit: srv.opts.Documents.Overall})
		fetched = err == nil
		return err
	})
	if err == nil {
		// The rules for registered applications hold, too, without the
		// exceptions that the host allows for these.
		for _, uri := range doc.RedirectURIs {
			if why := checkRedirectURI(uri, redirectRules{}); why != "" {
				err = &clientdoc.Error{Detail: why}
			}
		}
	}
	refusal, refused := errors.AsType[*clientdoc.Error](err)
	if refused {
		srv.documentEvent(ctx, slog.LevelWarn, audit.DocumentRefused, clientID, slog.String(audit.KeyReason, refusal.Detail), errorAttr(refusal.Err))
		if refusal.RetryAfter > 0 {
			return clientdoc.Document{}, &auth.Error{Status: http.StatusTooManyRequests, Detail: refusal.Detail, RetryAfter: refusal.RetryAfter}
		}
		return clientdoc.Document{}, errInvalidRequest(refusal.Detail)
	}
	if _, throttled := errors.AsType[*auth.Error](err); throttled {
		srv.documentEvent(ctx, slog.LevelWarn, audit.DocumentRefused, clientID, slog.String(audit.KeyReason, "throttled"))
	}
	if err != nil {
		return clientdoc.Document{}, fmt.Errorf("oauth: look up a client: %w", err)
	}
	if fetched {
		srv.documentEvent(ctx, slog.LevelInfo, audit.DocumentFetched, clientID, slog.Any(audit.KeyRedirectURIs, doc.RedirectURIs))
	}
	return doc, nil
}

func (srv *Server) documentEvent(ctx context.Context, level slog.Level, name, clientID string, attrs ...slog.Attr) {
	srv.log.LogAttrs(ctx, level, name, append([]slog.Attr{
		slog.String(audit.KeyClientID, audit.Clip(clientID)), slog.String(audit.KeyClient, client.Text(ctx)),
	}, attrs...)...)
}

// errorAttr returns the attribute for an error, the empty one for none.
func errorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String(audit.KeyError, audit.Clip(err.Error()))
}

// described returns app as its document describes it. The name is the URL without
// its scheme, which no other client can have; what the document claims is the
// description.
func (srv *Server) described(app store.Application, doc clientdoc.Document) store.Application {
	return store.Application{
		ID: app.ID, Epoch: app.Epoch, Revision: app.Revision, Created: app.Created, Modified: app.Modified, Disabled: app.Disabled,
		ClientID:       doc.ClientID,
		Name:           strings.TrimPrefix(doc.ClientID, "https://"),
		Description:    doc.Name,
		OrganizationID: cmp.Or(app.OrganizationID, srv.opts.Documents.OrganizationID),
		GrantType:      GrantAuthorizationCode,
		RedirectURIs:   slices.Clone(doc.RedirectURIs),
		RequirePKCE:    true,
	}
}

// keep makes an application of the document of a, or brings the one that is there
// up to date, and puts it into a. Of any number of concurrent consents one stores
// it. The store raises the epoch if the redirect URIs have changed, so that
// consents to the old ones do not count.
func (srv *Server) keep(ctx context.Context, by *auth.Principal, a *Authorization, now time.Time) error {
	for range rememberTries {
		app, err := srv.clientByID(ctx, a.Document.ClientID)
		next := srv.described(app, *a.Document)
		next.Modified = now
		switch {
		case errors.Is(err, store.ErrNotFound):
			next.Created = now
			err = srv.adopt(ctx, by, next)
		case err != nil:
			return err
		case app.Disabled:
			return errApplicationGone
		case sameDescription(app, next):
			a.Application = app
			return nil
		default:
			if err = srv.store.UpdateApplication(ctx, next); err == nil {
				before := slog.GroupAttrs(audit.KeyBefore, applicationAttrs(app)...)
				srv.applicationEvent(ctx, audit.ApplicationChanged, by, next, before)
			}
		}
		switch {
		case err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound):
			// Read what is there now.
		case errors.Is(err, store.ErrExists):
			return errNameTaken
		default:
			return fmt.Errorf("oauth: store an application: %w", err)
		}
	}
	return &auth.Error{Status: http.StatusConflict, Detail: "The application was changed at the same time: try again."}
}

// adopt stores the application of a document. It returns [store.ErrConflict] if
// another consent stored it, and [store.ErrExists] if an application of the
// organization has the name.
func (srv *Server) adopt(ctx context.Context, by *auth.Principal, app store.Application) error {
	if _, err := srv.Organization(ctx, app.OrganizationID); err != nil {
		// Not %w: that the organization does not exist is no fault of the request.
		return fmt.Errorf("oauth: look up DocumentOptions.OrganizationID: %v", err)
	}
	reserved, err := srv.charge(ctx, app.Created, observe.KindClient, store.Charge{Key: "document-user:" + by.ID, Limit: srv.opts.Documents.PerUser})
	if err != nil {
		return err
	}
	inserted, err := srv.store.InsertApplication(ctx, app)
	if err == nil {
		srv.applicationEvent(ctx, audit.ApplicationCreated, by, inserted)
		return nil
	}
	if settled := srv.attempts.Settle(ctx, store.Settlement{Return: reserved}); settled != nil {
		return fmt.Errorf("settle an attempt: %w", settled)
	}
	if errors.Is(err, store.ErrExists) {
		if _, found := srv.clientByID(ctx, app.ClientID); !errors.Is(found, store.ErrNotFound) {
			return cmp.Or(found, store.ErrConflict)
		}
	}
	return err
}
