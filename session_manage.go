package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// mayManageSessions returns an [*Error] unless by may list and end the sessions of a
// user. The user and administrators may. A token may only if a person made it and it
// has the scope write.
func mayManageSessions(by *Principal, userID string) error {
	switch {
	case by == nil:
		return errNobody
	case by.ApplicationID != 0 || by.ViaApplicationID != 0 || !by.Scopes.Has(ScopeWrite),
		userID == "" || !by.Admin && by.ID != userID:
		return errForbidden
	}
	return nil
}

// List returns one page of the live sessions of a user, ordered by their beginning,
// and the number of all of them. Created is the first and Seen the last request of
// a session. Address is the address of the last request, Agent a description of
// the browser that logged in. A request updates Seen and Address only when it
// moves the expiry: both are exact to a minute, or to a tenth of
// [SessionOptions].IdleTimeout if that is shorter. They no longer change in the
// last IdleTimeout of [SessionOptions].Lifetime. The ID of a session opens nothing.
//
// By must be the user or an administrator. A token must be a personal one with the
// scope write. Otherwise List returns an [*Error] with status 403.
func (s *Session) List(ctx context.Context, by *Principal, userID string, p store.Page) ([]store.Session, int, error) {
	return s.list(ctx, by, store.SessionFilter{UserID: userID}, p)
}

// Find returns the session of a user with that ID, as [Session.List] does. It
// returns an [*Error] with status 404 if the user has no such live session.
func (s *Session) Find(ctx context.Context, by *Principal, userID string, id int64) (store.Session, error) {
	if id < 1 { // which the store would take for "any"
		return store.Session{}, errNotFound
	}
	list, _, err := s.list(ctx, by, store.SessionFilter{UserID: userID, ID: id}, store.Page{Limit: 1})
	if err == nil && len(list) == 0 {
		err = errNotFound
	}
	if err != nil {
		return store.Session{}, err
	}
	return list[0], nil
}

// Search returns one page of the live sessions that f selects, and the number of all
// of them. For a filter with UserID it is [Session.List], narrowed by f.
//
// For a filter with All the order is by ID. A session that has died since by a change
// of its user, such as a new password, is left out of the page but counted: the page
// may be shorter than p.Limit, and the next one begins at p.Offset + p.Limit. By must
// be an administrator, with a token as for List. Otherwise, and for a filter with
// neither, Search returns an [*Error] with status 403. Search ignores f.Epoch.
func (s *Session) Search(ctx context.Context, by *Principal, f store.SessionFilter, p store.Page) ([]store.Session, int, error) {
	if f.UserID != "" {
		return s.list(ctx, by, f, p)
	}
	switch {
	case by == nil:
		return nil, 0, errNobody
	case !f.All || !by.Admin || mayManageSessions(by, by.ID) != nil:
		return nil, 0, errForbidden
	}
	if s.opts.Enabled != nil && !s.opts.Enabled() {
		return nil, 0, nil
	}
	f.Epoch = nil
	list, total, err := s.store.ListSessions(ctx, f, time.Now(), p)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list sessions: %w", err)
	}
	ids := make([]string, len(list))
	for i, v := range list {
		ids[i] = v.UserID
	}
	// What the request has seen before is too old to decide by.
	users, err := stores.UsersByID(context.WithValue(ctx, stores.SeenKey{}, nil), s.users, ids)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list sessions: look up the users: %w", err)
	}
	alive := list[:0]
	for _, v := range list {
		u := users[v.UserID]
		if u.ID == v.UserID && u.Active && !u.Service && u.Epoch == v.Epoch {
			alive = append(alive, v)
		}
	}
	return alive, total, nil
}

func (s *Session) list(ctx context.Context, by *Principal, f store.SessionFilter, p store.Page) ([]store.Session, int, error) {
	if err := mayManageSessions(by, f.UserID); err != nil {
		return nil, 0, err
	}
	if s.opts.Enabled != nil && !s.opts.Enabled() {
		return nil, 0, nil
	}
	u, err := s.users.UserByID(ctx, f.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!u.Active || u.Service || u.ID != f.UserID) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list sessions: look up the user: %w", err)
	}
	f.Epoch = &u.Epoch // sessions of other epochs are dead, though not marked
	list, total, err := s.store.ListSessions(ctx, f, time.Now(), p)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list sessions: %w", err)
	}
	return list, total, nil
}

// Current returns the ID of the session of a request, and 0 for a request without
// a logged-in session. Ctx is the context of the request, which must have passed
// [Session.Handler].
func (s *Session) Current(ctx context.Context) int64 {
	if st := s.state(ctx); st != nil && st.token != "" && st.row.userID != "" {
		return st.row.id
	}
	return 0
}

// EndOne ends the session of a user with that ID. When it returns nil the session
// is dead at its next request. A concurrent save or renewal does not bring it back.
// EndOne asks of by what [Session.List] asks. It returns an [*Error] with status
// 404 if the user has no such session or the session has ended. If the session is
// that of the request with the context ctx, EndOne clears the cookie and the values
// of the host, as [Session.Logout] does.
func (s *Session) EndOne(ctx context.Context, by *Principal, userID string, id int64) error {
	if err := mayManageSessions(by, userID); err != nil {
		return err
	}
	if id < 1 { // which the store would take for "any"
		return errNotFound
	}
	n, err := s.store.EndSessions(ctx, store.SessionSelection{UserID: userID, ID: id}, store.EndedAdmin, time.Now())
	switch {
	case err != nil:
		return fmt.Errorf("auth: end a session: %w", err)
	case n == 0:
		return errNotFound
	}
	s.eventEnded(ctx, by, userID, n)
	if s.Current(ctx) == id {
		s.state(ctx).die(noCookie) // the reply clears the cookie
	}
	return nil
}

// EndOthers ends all sessions of a user and returns their number. It leaves out the
// session of the request with the context ctx if that is one of the user's. It asks
// of by what [Session.List] asks. A concurrent login is either ended or comes after. The
// number beside an error is that of those that ended before it; another call goes on.
func (s *Session) EndOthers(ctx context.Context, by *Principal, userID string) (int, error) {
	if err := mayManageSessions(by, userID); err != nil {
		return 0, err
	}
	sel := store.SessionSelection{UserID: userID}
	if st := s.state(ctx); s.Current(ctx) != 0 && st.row.userID == userID {
		sel.Except = st.digest()
	}
	n, err := s.store.EndSessions(ctx, sel, store.EndedAdmin, time.Now())
	if n > 0 { // some can have ended before an error
		s.eventEnded(ctx, by, userID, n)
	}
	if err != nil {
		return n, fmt.Errorf("auth: end sessions: %w", err)
	}
	return n, nil
}

// eventEnded records that by ended n sessions of a user.
func (s *Session) eventEnded(ctx context.Context, by *Principal, userID string, n int) {
	s.observeEnded(ctx, observe.KindRevoked, n)
	s.log.LogAttrs(ctx, slog.LevelInfo, audit.SessionEnded,
		slog.String(audit.KeyActor, audit.Clip(by.Name)), slog.String(audit.KeyActorID, by.ID), slog.Int64(audit.KeyActorTokenID, by.TokenID),
		slog.String(audit.KeyUserID, userID), slog.Int(audit.KeySessions, n), slog.String(audit.KeyClient, client.Text(ctx)))
}
