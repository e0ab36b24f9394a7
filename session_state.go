package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

var (
	errDeadSession = &Error{
		Status: http.StatusUnauthorized,
		Detail: "The session has ended.",
	}
	errSessionLimit = &Error{
		Status: http.StatusUnauthorized,
		Code:   "session_limit",
		Detail: "The session was ended by a newer one of the same user.",
	}
	errOtherEpoch = &Error{
		Status: http.StatusUnauthorized,
		Detail: "The user has changed meanwhile. Log in again.",
		Err:    errors.New("Session.Login got a user with another Epoch than the stored one: read the user again after Passwords.Set"),
	}
	// One may be the user's and another planted; they cannot be told apart.
	errSessionDoubled = &Error{
		Status: http.StatusUnauthorized,
		Detail: "The request has more than one session cookie.",
	}
)

// sessionEnded reports whether err refuses a cookie because its session is
// dead, which happens without a fault of the client.
func sessionEnded(err error) bool {
	return errors.Is(err, errDeadSession) || errors.Is(err, errSessionLimit)
}

// sessionState is the session of one request. It is the context that carries
// it, and holds the request for the handlers, in one allocation.
type sessionState struct {
	context.Context
	session *Session
	request *http.Request
	inner   http.Request // request, with this state as context
	writer  sessionWriter
	values  requestValues // of the host

	token   string // identifier of the session; "" without one
	row     store.Session
	name    string // of the user, as the next two
	admin   bool
	auditor bool
	refusal error // of Authenticate; nil if there is a session

	login  *store.User // while Login stores its session
	cookie cookieAction
	quiet  bool
	broken bool // a login failed: the values may belong to another user
	sent   bool // the header of the response

	timeout [1]string // the field Session-Timeout
}

type cookieAction uint8

const (
	cookieKeep cookieAction = iota
	cookieSet
	cookieClear
)

// sessionKey finds what [Session.Handler] has put into a context: a *sessionState
// or an *unread.
type sessionKey struct{}

// Format keeps the identifier out of logs that print contexts.
func (st *sessionState) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.session") }

func (st *sessionState) Value(key any) any {
	switch key {
	case sessionKey{}:
		return st
	case st.session.values.key:
		return st.session.values.of(&st.values, st)
	}
	v := st.Context.Value(key)
	if v == nil && key == (client.Key{}) {
		return client.PeerValue(st.request.RemoteAddr)
	}
	return v
}

// innermost returns what a [Session.Handler] has put into ctx last, and the
// context around that. It returns nil if ctx has passed none.
func innermost(ctx context.Context) (c any, outer context.Context) {
	switch c := ctx.Value(sessionKey{}).(type) {
	case *sessionState:
		return c, c.Context
	case *unread:
		return c, c.Context
	}
	return nil, nil
}

// state returns the state of this session that ctx carries, or nil.
func (s *Session) state(ctx context.Context) *sessionState {
	for c, outer := innermost(ctx); c != nil; c, outer = innermost(outer) {
		if st, ok := c.(*sessionState); ok && st.session == s {
			return st
		}
	}
	return nil
}

// load finds the session of the request. The error is an outage; a bad session
// is a refusal. It hands st to nobody, so that st need not be on the heap.
func (st *sessionState) load(cookies []string) error {
	s, r := st.session, st.request
	token, n := cookieValue(cookies, s.opts.CookieName)
	switch {
	case n == 0:
		st.refusal = ErrNoCredentials
		return nil
	case n > 1:
		st.refusal = errSessionDoubled
		return nil
	case !isSessionID(token): // not worth a look-up
		st.refusal = errDeadSession
		return nil
	}
	var user store.User
	var err error
	st.row, user, err = s.store.SessionByDigest(r.Context(), store.DigestOf(token))
	if errors.Is(err, store.ErrNotFound) {
		// The session was purged, or the cookie belongs to another service: it
		// is not cleared.
		st.refusal = errDeadSession
		return nil
	}
	if err != nil {
		return fmt.Errorf("auth: look up a session: %w", err)
	}
	st.token = token
	st.name, st.admin, st.auditor = user.Name, user.Admin, user.Auditor
	now := time.Now()
	switch row := &st.row; {
	case row.Reason == store.EndedLimit:
		st.die(errSessionLimit)
	case !row.Ended.IsZero(), !now.Before(row.Expires), !now.Before(row.Created.Add(s.opts.Lifetime)):
		st.die(errDeadSession)
	case row.UserID == "": // not logged in
	case user.ID != row.UserID, !user.Active, user.Service, user.Epoch != row.Epoch,
		s.opts.Enabled != nil && !s.opts.Enabled():
		ctx := client.Context(r)
		if user.ID == "" {
			s.strangers.note(ctx, s.log, s.users, row.UserID, "NewSession")
		}
		if _, err := s.store.EndSessions(ctx, store.SessionSelection{Digest: row.Digest}, store.EndedAdmin, now); err != nil {
			return fmt.Errorf("auth: end a session: %w", err)
		}
		st.die(errDeadSession)
	}
	return nil
}

// checkValues makes a session whose values cannot be decoded no session, which is
// no outage either. What is not gob is checked without decoding it.
func (st *sessionState) checkValues() {
	if st.token == "" {
		return
	}
	list, err := parse(st.row.Data)
	if list.gob {
		err = st.session.values.checkGob(&st.values, st)
	}
	if err != nil {
		st.event(slog.LevelError, audit.SessionLost, st.user(), slog.String(audit.KeyReason, err.Error()))
		st.die(errDeadSession)
	}
}

// user returns the user of the session, with what an event says.
func (st *sessionState) user() store.User {
	return store.User{ID: st.row.UserID, Name: st.name}
}

func (st *sessionState) event(level slog.Level, name string, u store.User, attrs ...slog.Attr) {
	st.session.event(client.Context(st.request), level, name, u, attrs...)
}

// die turns st into a request without a session, whose cookie is cleared.
func (st *sessionState) die(why error) {
	st.token, st.row = "", store.Session{}
	st.name, st.admin, st.auditor = "", false, false
	st.refusal, st.cookie = why, cookieClear
}

// expiry returns the end of a session that is used now.
func (s *Session) expiry(created, now time.Time) time.Time {
	return stores.Earlier(now.Add(s.opts.IdleTimeout), created.Add(s.opts.Lifetime))
}

// slide moves the expiry of the session, at most once in the touch interval.
// The request goes on if that fails.
func (st *sessionState) slide() {
	if st.token == "" {
		return
	}
	now := time.Now()
	to := st.session.expiry(st.row.Created, now)
	if to.Sub(st.row.Expires) < st.session.touch {
		return
	}
	ctx, cancel := stores.Detach(st)
	defer cancel()
	if err := st.session.store.TouchSession(ctx, st.row.Digest, to, now, client.Of(st.request)); err != nil {
		st.session.log.WarnContext(ctx, audit.StoreFailed, audit.KeyOperation, "touch session", audit.KeyError, err)
		return
	}
	st.row.Expires, st.cookie = to, cookieSet
}

// end ends the session of the request, in the store first. It implements keeper.
func (st *sessionState) end() error {
	if st.token == "" {
		return nil
	}
	ctx, cancel := stores.Detach(st)
	defer cancel()
	_, err := st.session.store.EndSessions(ctx, store.SessionSelection{Digest: st.row.Digest}, store.EndedLogout, time.Now())
	if err == nil {
		st.die(ErrNoCredentials)
	}
	return err
}
