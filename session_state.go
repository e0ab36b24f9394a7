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

// An absence is why a request has no session.
type absence uint8

const (
	present absence = iota
	noCookie
	twoCookies
	dead
	overLimit
)

// err returns the refusal of Authenticate, nil for a request with a session.
func (a absence) err() error { return absences[a] }

var absences = [...]error{present: nil, noCookie: ErrNoCredentials, twoCookies: errSessionDoubled, dead: errDeadSession, overLimit: errSessionLimit}

// sessionState is the session of one request. It is the context that carries
// it, and holds the request and the writer for the handlers, in one allocation.
// TestStateSize holds its size, because every byte costs.
type sessionState struct {
	context.Context
	session *Session
	request *http.Request
	inner   http.Request        // request, with this state as context
	writer  http.ResponseWriter // that of the handlers is the state as a sessionWriter
	values  requestValues       // of the host

	*stored // a login replaces it
	absence absence
	cookie  cookieAction
	quiet   bool // known if there is a session
	broken  bool // a login failed: the values may belong to another user
	left    bool // a user's session died, and its values may be there still
	sent    bool // the header of the response
	failed  bool // the session could not be saved, so that there is another response
}

// stored is a session as a request has found or stored it.
type stored struct {
	token   string // identifier; "" without a session
	row     sessionRow
	name    string // of the user, as the next two
	admin   bool
	auditor bool
}

// sessionRow has the fields of a [store.Session] that a request needs. The digest is
// made of the token when something is written. Times that are small make the state
// of a request small.
type sessionRow struct {
	id       int64
	userID   string
	epoch    int64
	data     []byte
	created  int64         // UTC microseconds
	ends     time.Duration // the expiry, since Session.began: a clock without a date is cheap
	revision int64
}

// epochLeft is the epoch of a session of nobody that began with the values of a user:
// another user who logs in must not get them.
const epochLeft = 1

// noSession is shared by the requests without a session and never changed.
var noSession stored

// loadedState is the state of a request with the cookie of a session, which takes one
// allocation, too.
type loadedState struct {
	sessionState
	found stored
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

// load returns the session of a request. The error is an outage; a bad session is a
// refusal.
func (s *Session) load(r *http.Request) (*sessionState, error) {
	token, none := s.cookie(r.Header["Cookie"])
	if none != present {
		return &sessionState{Context: r.Context(), session: s, request: r, stored: &noSession, absence: none}, nil
	}
	both := &loadedState{sessionState: sessionState{Context: r.Context(), session: s, request: r, stored: &noSession, quiet: isQuiet(r)}}
	st := &both.sessionState
	at, none, err := s.find(r, token, &both.found)
	switch {
	case err != nil:
		return nil, err
	case none == present:
		st.stored = &both.found
		st.left = st.row.userID == "" && st.row.epoch == epochLeft
		st.checkValues()
	case at.IsZero():
		st.absence = none
	default:
		st.die(none)
	}
	if !st.quiet {
		st.slide(at)
	}
	return st, nil
}

// isQuiet reports whether a request does not count as a use of its session.
func isQuiet(r *http.Request) bool { return len(r.Header["X-Ws-Session-Quiet"]) > 0 }

// cookie returns the identifier of the session of a request, or why it has none.
func (s *Session) cookie(lines []string) (token string, none absence) {
	token, n := cookieValue(lines, s.opts.CookieName)
	switch {
	case n == 0:
		return "", noCookie
	case n > 1:
		return "", twoCookies
	case !isSessionID(token): // not worth a look-up
		return "", dead
	}
	return token, present
}

// find reads the session with that identifier at a time, or returns why it is none. The
// time is zero if the store has no such session. The error is an outage.
func (s *Session) find(r *http.Request, token string, f *stored) (at time.Time, none absence, err error) {
	row, user, err := s.store.SessionByDigest(r.Context(), store.DigestOf(token))
	if err != nil {
		if errors.Is(err, store.ErrNotFound) { // it was purged, or the cookie belongs to another service
			return time.Time{}, dead, nil
		}
		return time.Time{}, dead, fmt.Errorf("auth: look up a session: %w", err)
	}
	now := time.Now()
	left := row.Expires.Sub(now)
	switch {
	case row.Reason == store.EndedLimit:
		return now, overLimit, nil
	case !row.Ended.IsZero(), left <= 0, now.Sub(row.Created) >= s.opts.Lifetime:
		return now, dead, nil
	case row.UserID == "": // not logged in
	case user.ID != row.UserID, !user.Active, user.Service, user.Epoch != row.Epoch,
		s.opts.Enabled != nil && !s.opts.Enabled():
		ctx := client.Context(r)
		if user.ID == "" {
			s.strangers.note(ctx, s.log, s.users, row.UserID, "NewSession")
		}
		if _, err := s.store.EndSessions(ctx, store.SessionSelection{Digest: row.Digest}, store.EndedAdmin, now); err != nil {
			return time.Time{}, dead, fmt.Errorf("auth: end a session: %w", err)
		}
		return now, dead, nil
	}
	f.set(token, &row, &user, s.ends(row.Expires, now))
	return now, present, nil
}

// digest returns the digest of the identifier, and zero without a session.
func (f *stored) digest() store.Digest {
	if f.token == "" {
		return store.Digest{}
	}
	return store.DigestOf(f.token)
}

// set sets what a request knows of its session. Ends is that of the row.
func (f *stored) set(token string, row *store.Session, u *store.User, ends time.Duration) {
	f.token, f.name, f.admin, f.auditor = token, u.Name, u.Admin, u.Auditor
	f.row = sessionRow{row.ID, row.UserID, row.Epoch, row.Data, row.Created.UnixMicro(), ends, row.Revision}
}

// checkValues makes a session whose values cannot be decoded no session, which is
// no outage either. What is not gob is checked without decoding it.
func (st *sessionState) checkValues() {
	list, err := parse(st.row.data)
	if list.gob {
		err = st.session.values.checkGob(&st.values, st)
	}
	if err != nil {
		st.event(slog.LevelError, audit.SessionLost, st.user(), slog.String(audit.KeyReason, err.Error()))
		st.die(dead)
	}
}

// user returns the user of the session, with what an event says.
func (st *sessionState) user() store.User {
	return store.User{ID: st.row.userID, Name: st.name}
}

func (st *sessionState) event(level slog.Level, name string, u store.User, attrs ...slog.Attr) {
	st.session.event(client.Context(st.request), level, name, u, attrs...)
}

// die turns st into a request without a session, whose cookie is cleared.
func (st *sessionState) die(why absence) {
	st.left = st.left || st.row.userID != ""
	st.stored, st.absence, st.cookie = &noSession, why, cookieClear
}

// expiry returns the end of a session that is used now.
func (s *Session) expiry(created, now time.Time) time.Time {
	return stores.Earlier(now.Add(s.opts.IdleTimeout), created.Add(s.opts.Lifetime))
}

// ends returns an expiry as a request keeps it. The instant now has both clocks.
func (s *Session) ends(expires, now time.Time) time.Duration {
	return now.Sub(s.began) + expires.Sub(now)
}

// slide moves the expiry of the session, at most once in the touch interval.
// The request goes on if that fails.
func (st *sessionState) slide(now time.Time) {
	if st.token == "" {
		return
	}
	left := st.row.ends - now.Sub(st.session.began)
	if st.session.opts.IdleTimeout-left < st.session.touch { // as most requests find it
		return
	}
	to := st.session.expiry(time.UnixMicro(st.row.created), now)
	if to.Sub(now)-left < st.session.touch {
		return
	}
	ctx, cancel := stores.Detach(st)
	defer cancel()
	if err := st.session.store.TouchSession(ctx, st.digest(), to, now, client.Of(st.request)); err != nil {
		st.session.log.WarnContext(ctx, audit.StoreFailed, audit.KeyOperation, "touch session", audit.KeyError, err)
		return
	}
	st.row.ends, st.cookie = st.session.ends(to, now), cookieSet
}

// end ends the session of the request, in the store first. It implements keeper.
func (st *sessionState) end() error {
	if st.token == "" {
		return nil
	}
	ctx, cancel := stores.Detach(st)
	defer cancel()
	_, err := st.session.store.EndSessions(ctx, store.SessionSelection{Digest: st.digest()}, store.EndedLogout, time.Now())
	if err == nil {
		st.die(noCookie)
	}
	return err
}
