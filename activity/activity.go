// Package activity keeps the activity stream: who created, changed, deleted or
// connected which users, tokens and applications, for people to read.
//
// A [Stream] takes its entries from the audit events of this module, which pass
// through its [Stream.Handler]. No part of the module knows the stream, so that
// what is logged and what is shown cannot differ, and an act that succeeded is
// never refused because the stream cannot be written:
//
//	stream, err := activity.NewStream(db, &activity.Options{Organizations: organizations, Applications: db})
//	log := slog.New(stream.Handler(slog.NewJSONHandler(os.Stderr, nil)))
//	tokens, err := auth.NewTokens(db, db, &auth.TokensOptions{Logger: log})
//	go stream.Run(ctx)
//
// The stream is for people. Its entries are limited in number, and those that
// cannot be stored are lost, which is logged. The log has every event.
package activity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// Options are the options of [NewStream].
// A zero Options consists entirely of default values.
type Options struct {
	// Organizations decide who administers which applications. They must be
	// those of [auth.TokensOptions].
	Organizations auth.Organizations

	// Applications finds the organization of an application that an event does
	// not name. Nil finds none: administrators of organizations then see only
	// the entries whose events name one.
	Applications store.Applications

	// Keep is how many entries are kept of each user, and of each application
	// without a user. Zero means 1,000. The oldest go first.
	Keep int

	// Logger receives an event for each entry that is lost. Nil means
	// [slog.Default].
	Logger *slog.Logger
}

const (
	defaultKeep = 1000
	// queueSize is how many entries wait to be stored.
	queueSize = 1024
	// drainTimeout is how long the entries are stored that wait when Run ends.
	drainTimeout = 5 * time.Second
)

// A Stream is an activity stream. It is safe for concurrent use.
type Stream struct {
	store store.Activities
	opts  Options
	log   *slog.Logger
	queue chan store.Activity
}

// NewStream returns the stream in st. Nil options mean the defaults. It panics if
// st is nil. It returns an error if Keep is negative.
func NewStream(st store.Activities, opts *Options) (*Stream, error) {
	if options.IsNil(st) {
		panic("activity: NewStream: nil argument")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	switch {
	case o.Keep < 0:
		return nil, errors.New("activity: Options.Keep is negative")
	case o.Applications != nil && options.IsNil(o.Applications):
		return nil, errors.New("activity: Options.Applications holds a nil pointer")
	}
	o.Keep = cmp.Or(o.Keep, defaultKeep)
	return &Stream{st, o, options.Logger(o.Logger), make(chan store.Activity, queueSize)}, nil
}

// Run stores entries until ctx ends, and then those that wait, for at most 5
// seconds. Without a Run nothing is stored. Run with a context that has ended
// stores what waits and returns.
func (s *Stream) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case a := <-s.queue:
			s.record(ctx, a)
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for {
		select {
		case a := <-s.queue:
			s.insert(ctx, a)
		default:
			return
		}
	}
}

// record stores an entry that must not be lost because Run ends.
func (s *Stream) record(ctx context.Context, a store.Activity) {
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	s.insert(ctx, a)
}

func (s *Stream) insert(ctx context.Context, a store.Activity) {
	if a.OrganizationID == 0 && a.ApplicationID != 0 && s.opts.Applications != nil {
		app, err := s.opts.Applications.ApplicationByID(ctx, a.ApplicationID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			s.lost(ctx, a, err)
			return
		}
		a.OrganizationID, a.Application = app.OrganizationID, cmp.Or(a.Application, clean(app.Name))
	}
	if _, err := s.store.InsertActivity(ctx, a, s.opts.Keep); err != nil {
		s.lost(ctx, a, err)
	}
}

var errQueueFull = errors.New("activity: too many entries wait to be stored: the store is slow, or nothing calls Stream.Run")

// add queues an entry.
func (s *Stream) add(ctx context.Context, a store.Activity) {
	select {
	case s.queue <- a:
	default:
		s.lost(ctx, a, errQueueFull)
	}
}

func (s *Stream) lost(ctx context.Context, a store.Activity, err error) {
	s.log.LogAttrs(ctx, slog.LevelError, audit.StoreFailed,
		slog.String(audit.KeyOperation, "record an activity: "+string(a.Operation)+" "+string(a.Object)),
		slog.Int64(audit.KeyTokenID, a.TokenID), slog.String(audit.KeyUserID, a.UserID), slog.Int64(audit.KeyApplicationID, a.ApplicationID),
		slog.String(audit.KeyError, audit.Clip(err.Error())))
}

var (
	errForbidden = &auth.Error{Status: http.StatusForbidden, Detail: "You do not have permission to perform this action."}
	errNotFound  = &auth.Error{Status: http.StatusNotFound, Detail: "Not found."}
)

// List returns one page of the entries that match f and are visible to by, and the
// number of all of them. It ignores f.UserID, f.Organizations and f.All.
//
// Superusers and system auditors see all entries. Everybody else sees the entries
// that concern them or their tokens, and those that concern applications of
// organizations that they administer. A token that came through an application
// sees only what concerns both its user and that application. An application that
// acts for itself is refused with an [*auth.Error] of status 403.
func (s *Stream) List(ctx context.Context, by *auth.Principal, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	visible, err := s.visible(ctx, by)
	if err != nil {
		return nil, 0, err
	}
	if only := visible.ApplicationID; only != 0 {
		if f.ApplicationID != 0 && f.ApplicationID != only {
			return nil, 0, nil
		}
		f.ApplicationID = only
	}
	f.UserID, f.Organizations, f.All = visible.UserID, visible.Organizations, visible.All
	list, total, err := s.store.ListActivities(ctx, f, p)
	if err != nil {
		return nil, 0, fmt.Errorf("activity: list: %w", err)
	}
	return list, total, nil
}

// visible returns the filter for what by may see.
func (s *Stream) visible(ctx context.Context, by *auth.Principal) (f store.ActivityFilter, err error) {
	switch {
	case by == nil:
		_, err = s.opts.Organizations.Memberships(ctx, by)
		return f, err
	case by.ID == "":
		return f, errForbidden
	case by.ApplicationID != 0:
		return store.ActivityFilter{UserID: by.ID, ApplicationID: by.ApplicationID}, nil
	case by.ViaApplicationID != 0:
		return store.ActivityFilter{UserID: by.ID, ApplicationID: by.ViaApplicationID}, nil
	case by.Admin || by.Auditor:
		return store.ActivityFilter{All: true}, nil
	}
	m, err := s.opts.Organizations.Memberships(ctx, by)
	return store.ActivityFilter{UserID: by.ID, Organizations: m.Admin}, err
}

// Entry returns an entry. It returns an [*auth.Error] with status 404 if there is
// none that by may see.
func (s *Stream) Entry(ctx context.Context, by *auth.Principal, id int64) (store.Activity, error) {
	if id == 0 {
		return store.Activity{}, errNotFound
	}
	list, _, err := s.List(ctx, by, store.ActivityFilter{ID: id}, store.Page{Limit: 1, CountTo: -1})
	if err != nil {
		return store.Activity{}, err
	}
	if len(list) == 0 {
		return store.Activity{}, errNotFound
	}
	return list[0], nil
}

// Purge removes the entries from before the given instant and returns their
// number. The host should call it from time to time.
func (s *Stream) Purge(ctx context.Context, before time.Time) (int, error) {
	return stores.Purge(ctx, before, s.store.PurgeActivities)
}
