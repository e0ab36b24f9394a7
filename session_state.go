package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
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

// sessionState is the session of one request. It is the context that carries it, and
// the writer for the handlers. It is a part of the room that a request takes.
type sessionState struct {
	context.Context
	session *Session
	request *http.Request
	writer  http.ResponseWriter // that of the handlers is the state as a sessionWriter
	values  requestValues       // of the host

	*stored // a login replaces it
	absence absence
	cookie  cookieAction
	quiet   bool // known if there is a session
	broken  bool // a login failed: the values may belong to another user
	hinted  bool // there was an informational response
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

	place uint32 // of the session in Session.memory
	// The values of the host are read later if they are known to be good: nil until then.
	held atomic.Pointer[heldValues]
}

// sessionRow has the fields of a [store.Session] that a request needs. The digest is
// made of the token when something is written. Times that are small make the state
// of a request small.
type sessionRow struct {
	id      int64
	userID  string
	epoch   int64
	created int64         // UTC microseconds
	ends    time.Duration // the expiry, since Session.began: a clock without a date is cheap
}

// noSession is shared by the requests without a session and never changed.
var noSession stored

// A request makes one allocation: for its state, the session that its cookie names, and
// what the next handler gets. That is a request with the state as its context or, if
// the handler is a gate, the carrier of the gate, which has a request of its own.
// TestStateSize holds the sizes, because every byte costs.
type (
	strangerState struct { // without a cookie; at a gate, which refuses most of them, a sessionState alone
		sessionState
		inner http.Request
	}
	loadedState struct {
		sessionState
		found stored
		inner http.Request
	}
	gatedState struct {
		sessionState
		found stored
		lentCarrier
	}
)

// loaded is a state, the context that is the state, and room for a request with that,
// nil at a gate.
type loaded struct {
	*sessionState
	context context.Context
	room    *http.Request
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
		return st.hostValues()
	}
	return client.Value(st.Context, key, st.request.RemoteAddr)
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

// stateAt returns the state that ctx itself is, or nil.
func stateAt(ctx context.Context) *sessionState {
	switch c := ctx.(type) {
	case *sessionState:
		return c
	case *gatedState:
		return &c.sessionState
	}
	return nil
}

// load returns the session of a request, whose next handler may be a gate. The error is
// an outage; a bad session is a refusal.
func (s *Session) load(r *http.Request, gated bool) (l loaded, err error) {
	token, none := s.cookie(r.Header["Cookie"])
	var found *stored
	switch {
	case none != present && gated:
		st := new(sessionState)
		l = loaded{st, st, nil}
	case none != present:
		all := new(strangerState)
		l = loaded{&all.sessionState, &all.sessionState, &all.inner}
	case gated:
		all := new(gatedState)
		l, found = loaded{&all.sessionState, all, nil}, &all.found
	default:
		all := new(loadedState)
		l, found = loaded{&all.sessionState, &all.sessionState, &all.inner}, &all.found
	}
	st := l.sessionState
	st.Context, st.session, st.request, st.stored, st.absence = r.Context(), s, r, &noSession, none
	if none != present {
		return l, nil
	}
	st.quiet = isQuiet(r)
	at, held, none, err := s.find(incoming{Request: r}, token, found, s.sound.has)
	switch {
	case err != nil:
		return l, err
	case none == present:
		st.stored = found
		st.held.Store(held)
		st.checkValues()
	case at.IsZero():
		st.absence = none
	default:
		st.die(none)
	}
	if !st.quiet {
		st.slide(at)
	}
	return l, nil
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
	case len(token) != sessionIDLen, s.memory == nil && !isSessionID(token): // a look-up in memory is quicker than a look at the alphabet
		return "", dead
	}
	return token, present
}

// find reads the session with that identifier at a time, or returns why it is none. The
// time is zero if the store has no such session. The error is an outage. It reads
// the values unless known returns true for their ID and revision; held is nil then.
func (s *Session) find(r incoming, token string, f *stored, known func(id, revision int64) bool) (at time.Time, held *heldValues, none absence, err error) {
	digest := store.DigestOf(token)
	var row stores.SessionRow
	user := new(store.User) // on the stack
	if s.memory != nil {
		user, err = s.memory.ReadSession(r.Context(), &digest, &row, user, known)
	} else {
		*user, err = s.readSession(r.Context(), digest, &row, known)
	}
	if err != nil {
		if err == store.ErrNotFound || errors.Is(err, store.ErrNotFound) { // it was purged, or the cookie belongs to another service
			return time.Time{}, nil, dead, nil
		}
		return time.Time{}, nil, dead, fmt.Errorf("auth: look up a session: %w", err)
	}
	now := time.Now()
	micro := now.UnixMicro() // quicker to compare
	switch {
	case row.Reason == store.EndedLimit:
		s.decoded.drop(row.ID)
		return now, nil, overLimit, nil
	case row.Ended, row.Expires <= micro, micro-row.Created >= s.opts.Lifetime.Microseconds():
		s.decoded.drop(row.ID)
		return now, nil, dead, nil
	case row.UserID == "": // not logged in
	case user.ID != row.UserID, !user.Active, user.Service, user.Epoch != row.Epoch,
		s.opts.Enabled != nil && !s.opts.Enabled():
		ctx := client.Context(r.settle())
		if user.ID == "" {
			s.strangers.note(ctx, s.log, s.users, row.UserID, "NewSession")
		}
		if _, err := s.store.EndSessions(ctx, store.SessionSelection{Digest: digest}, store.EndedAdmin, now); err != nil {
			return time.Time{}, nil, dead, fmt.Errorf("auth: end a session: %w", err)
		}
		s.decoded.drop(row.ID)
		return now, nil, dead, nil
	}
	f.token, f.name, f.admin, f.auditor, f.place = token, user.Name, user.Admin, user.Auditor, row.Place
	left := time.Duration(min(row.Expires-micro, maxLifetime.Microseconds())) * time.Microsecond
	// One by one: a literal would be built elsewhere and copied.
	f.row.id, f.row.userID, f.row.epoch, f.row.created = row.ID, row.UserID, row.Epoch, row.Created
	f.row.ends = now.Sub(s.began) + left
	if row.Read {
		held = &heldValues{id: row.ID, data: row.Data, revision: row.Revision}
	}
	return now, held, present, nil
}

// readSession is [memory.Store.ReadSession] for any store.
func (s *Session) readSession(ctx context.Context, d store.Digest, r *stores.SessionRow, known func(id, revision int64) bool) (store.User, error) {
	row, user, err := s.store.SessionByDigest(ctx, d)
	r.ID, r.UserID, r.Epoch, r.Revision = row.ID, row.UserID, row.Epoch, row.Revision
	r.Created, r.Expires = stores.Micros(row.Created), stores.Micros(row.Expires)
	r.Ended, r.Reason = !row.Ended.IsZero(), row.Reason
	if r.Read = !known(r.ID, r.Revision); r.Read {
		r.Data = row.Data
	}
	return user, err
}

// digest returns the digest of the identifier, and zero without a session.
func (f *stored) digest() store.Digest {
	if f.token == "" {
		return store.Digest{}
	}
	return store.DigestOf(f.token)
}

// checkValues makes a session whose values cannot be decoded no session, which is
// no outage either. What is not gob is checked without decoding it.
func (st *sessionState) checkValues() {
	held := st.held.Load()
	if held == nil {
		return
	}
	list, err := parse(held.data)
	if list.gob {
		err = st.session.values.checkGob(&st.values, st)
	}
	if err != nil {
		st.lostValues(err)
		st.die(dead)
	} else {
		st.session.sound.add(st.row.id, held.revision)
	}
}

// lostValues records that values could not be decoded.
func (st *sessionState) lostValues(err error) {
	st.event(slog.LevelError, audit.SessionLost, st.user(), slog.String(audit.KeyReason, err.Error()))
}

// user returns the user of the session, with what an event says.
func (st *sessionState) user() store.User {
	return store.User{ID: st.row.userID, Name: st.name}
}

func (st *sessionState) event(level slog.Level, name string, u store.User, attrs ...slog.Attr) {
	st.session.event(client.Context(st.request), level, name, u, attrs...)
}

// die turns st into a request without a session, whose cookie is cleared. The values
// of a user go with the session: what the request puts then is in a new session, which
// another user may log in to.
func (st *sessionState) die(why absence) {
	users := st.row.userID != ""
	st.session.decoded.drop(st.row.id)
	st.stored, st.absence, st.cookie = &noSession, why, cookieClear
	if users {
		st.session.values.reset(&st.values, st)
	}
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
	ctx, cancel := st.detach()
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
	ctx, cancel := st.detach()
	defer cancel()
	_, err := st.session.store.EndSessions(ctx, store.SessionSelection{Digest: st.digest()}, store.EndedLogout, time.Now())
	if err == nil {
		st.die(noCookie)
	}
	return err
}
