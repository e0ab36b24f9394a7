package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// sessionState is the session of one request. It is the context that carries it,
// and holds what the handlers get, in one allocation.
type sessionState struct {
	context.Context
	session *Session
	request *http.Request
	ctx     context.Context // this one, with the values of scs
	inner   http.Request    // request, with ctx
	writer  sessionWriter

	token   string // identifier of the session; "" without one
	row     store.Session
	user    store.User
	refusal error // what Authenticate answers; nil if there is a session

	login  *store.User // while Login stores its session
	cookie cookieAction
	quiet  bool
	broken bool // the identifier was never stored
	sent   bool // the header of the response
}

type cookieAction uint8

const (
	cookieKeep cookieAction = iota
	cookieSet
	cookieClear
)

type sessionStateKey struct{}

// Format keeps the identifier out of logs that print contexts.
func (st *sessionState) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.session") }

func (st *sessionState) Value(key any) any {
	if key == (sessionStateKey{}) {
		return st
	}
	return st.Context.Value(key)
}

// state returns the state of this session that ctx carries, or nil.
func (s *Session) state(ctx context.Context) *sessionState {
	for {
		st, _ := ctx.Value(sessionStateKey{}).(*sessionState)
		if st == nil || st.session == s {
			return st
		}
		ctx = st.Context // of another Session, further out
	}
}

// load finds the session of a request. The error is an outage; a session that is
// no good is a state with a refusal.
func (s *Session) load(r *http.Request) (*sessionState, error) {
	st := &sessionState{Context: r.Context(), session: s, request: r}
	token, n := cookieValue(r.Header["Cookie"], s.opts.CookieName)
	switch {
	case n == 0:
		st.refusal = ErrNoCredentials
		return st, nil
	case n > 1: // which one is the user's and which one was tossed in?
		st.refusal = errDeadSession
		return st, nil
	case !isSessionID(token): // not worth a look-up
		st.die(errDeadSession)
		return st, nil
	}
	var err error
	st.row, st.user, err = s.store.SessionByDigest(st, store.DigestOf(token), s.users)
	if errors.Is(err, store.ErrNotFound) {
		st.die(errDeadSession)
		return st, nil
	}
	if err != nil {
		return nil, fmt.Errorf("auth: look up a session: %w", err)
	}
	st.token = token
	now := time.Now()
	switch row := &st.row; {
	case row.Reason == store.EndedLimit:
		st.die(errSessionLimit)
	case !row.Ended.IsZero(), !now.Before(row.Expires), !now.Before(row.Created.Add(s.opts.Lifetime)):
		st.die(errDeadSession)
	case row.UserID == "": // not logged in
	case st.user.ID != row.UserID, !st.user.Active, st.user.Epoch != row.Epoch,
		s.opts.Enabled != nil && !s.opts.Enabled():
		if _, err := s.store.EndSessions(st, store.SessionSelection{Digest: row.Digest}, store.EndedAdmin, now); err != nil {
			return nil, fmt.Errorf("auth: end a session: %w", err)
		}
		st.die(errDeadSession)
	}
	return st, nil
}

func (st *sessionState) event(level slog.Level, name string, u store.User, attrs ...slog.Attr) {
	st.session.event(withClient(st.request), level, name, u, attrs...)
}

// die turns st into a request without a session, whose cookie is cleared.
func (st *sessionState) die(why error) {
	st.token, st.row, st.user = "", store.Session{}, store.User{}
	st.refusal, st.cookie = why, cookieClear
}

// maxTossed is how many cookies of one name a logout looks up.
const maxTossed = 16

// endTossed ends the sessions of a request with more than one cookie. One of them
// may be the user's, who would find it alive when the other is gone.
func (st *sessionState) endTossed() error {
	cookies := st.request.CookiesNamed(st.session.opts.CookieName)
	if len(cookies) < 2 {
		return nil
	}
	st.cookie = cookieClear
	if len(cookies) > maxTossed {
		return &Error{Status: http.StatusBadRequest, Detail: "The request has too many cookies of the same name."}
	}
	ctx, cancel := background(st)
	defer cancel()
	for _, c := range cookies {
		if !isSessionID(c.Value) {
			continue
		}
		n, err := st.session.store.EndSessions(ctx, store.SessionSelection{Digest: store.DigestOf(c.Value)}, store.EndedLogout, time.Now())
		if err != nil {
			return fmt.Errorf("auth: log out: %w", err)
		}
		if n > 0 {
			st.event(slog.LevelInfo, eventLogout, store.User{}, slog.String("reason", "one of several cookies"))
		}
	}
	return nil
}

// expiry is when a session ends that is used now.
func (s *Session) expiry(created, now time.Time) time.Time {
	return earlier(now.Add(s.opts.IdleTimeout), created.Add(s.opts.Lifetime))
}

// slide moves the expiry of the session, if that is worth a write. It never is
// the client's problem if that fails.
func (st *sessionState) slide() {
	if st.token == "" {
		return
	}
	now := time.Now()
	to := st.session.expiry(st.row.Created, now)
	if to.Sub(st.row.Expires) < st.session.touch {
		return
	}
	ctx, cancel := background(st)
	defer cancel()
	if err := st.session.store.TouchSession(ctx, st.row.Digest, to, now); err != nil {
		st.session.log.WarnContext(ctx, eventStoreFailed, "operation", "touch session", "error", err)
		return
	}
	st.row.Expires, st.cookie = to, cookieSet
}

// save stores what the host changed and writes the cookie.
func (st *sessionState) save(h http.Header) error {
	st.sent = true
	if !st.broken && st.session.manager.Status(st.ctx) == modified {
		if _, _, err := st.session.manager.Commit(st.ctx); err != nil {
			return fmt.Errorf("auth: save a session: %w", err)
		}
	}
	left := max(0, seconds(time.Until(st.row.Expires)))
	if st.cookie != cookieKeep {
		st.setCookie(h, left)
	}
	if st.token != "" && !st.quiet && st.row.UserID != "" {
		h["Session-Timeout"] = []string{strconv.Itoa(left)}
	}
	return nil
}

// setCookie sets or clears the cookie of a session that has left seconds to live.
func (st *sessionState) setCookie(h http.Header, left int) {
	c := http.Cookie{
		Name:     st.session.opts.CookieName,
		Path:     "/",
		MaxAge:   -1,
		Secure:   !st.session.opts.InsecureCookie,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
	if st.cookie == cookieSet {
		if st.token == "" || left == 0 {
			return
		}
		c.Value, c.MaxAge = st.token, left
	}
	h.Add("Set-Cookie", c.String())
	if cc := h["Cache-Control"]; !slices.Contains(cc, noStore[0]) {
		h["Cache-Control"] = append(slices.Clip(cc), noCacheCookie)
	}
}

// saveLate stores what the host changed after the header had gone. Only a
// session that was there can be changed then: the cookie of a new one is lost.
func (st *sessionState) saveLate() {
	if st.broken || st.session.manager.Status(st.ctx) != modified {
		return
	}
	if st.token == "" {
		st.event(slog.LevelError, eventSessionLost, st.user, slog.String("reason", "the response had begun"))
		return
	}
	if _, _, err := st.session.manager.Commit(st.ctx); err != nil {
		st.session.log.ErrorContext(st, eventStoreFailed, "operation", "save session", "error", err)
	}
}

// noCacheCookie keeps shared caches from storing somebody's cookie.
const noCacheCookie = `no-cache="Set-Cookie"`

// seconds rounds up, so that a client does not give up early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// cookieValue returns the value of the cookie of that name and how many there
// are. It is net/http's parser without its copies; like that it gives up on more
// than 3,000 cookies.
func cookieValue(lines []string, name string) (value string, n int) {
	const maxCookies = 3000
	seen := 0
	for _, line := range lines {
		for rest := line; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			if seen++; seen > maxCookies {
				return "", 0
			}
			k, v, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if ok && k == name {
				value = v
				n++
			}
		}
	}
	return value, n
}

// sessionIDLen is the length of an identifier: 32 random bytes in base64url.
var sessionIDLen = base64.RawURLEncoding.EncodedLen(32)

func isSessionID(s string) bool {
	if len(s) != sessionIDLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && c != '_' && !alphanumeric(s[i:i+1]) {
			return false
		}
	}
	return true
}

// scsStore is what scs sees of the session of a request.
type scsStore struct{ s *Session }

var errNoRequest = errors.New("auth: scs: the context is not of a request that passed Session.Handler")

func (a scsStore) state(ctx context.Context) (*sessionState, error) {
	if st := a.s.state(ctx); st != nil {
		return st, nil
	}
	return nil, errNoRequest
}

// Find, Commit and Delete are never called: scs prefers the methods below.
func (scsStore) Find(string) ([]byte, bool, error)      { return nil, false, errNoRequest }
func (scsStore) Commit(string, []byte, time.Time) error { return errNoRequest }
func (scsStore) Delete(string) error                    { return errNoRequest }

// FindCtx implements scs.CtxStore. The session was read already.
func (a scsStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	st, err := a.state(ctx)
	if err != nil {
		return nil, false, err
	}
	return st.row.Data, token == st.token, nil
}

// CommitCtx implements scs.CtxStore. The expiry is ours to decide.
func (a scsStore) CommitCtx(ctx context.Context, token string, data []byte, _ time.Time) error {
	st, err := a.state(ctx)
	if err != nil {
		return err
	}
	if token == st.token {
		return st.saveData(data)
	}
	return st.insert(token, data)
}

// DeleteCtx implements scs.CtxStore.
func (a scsStore) DeleteCtx(ctx context.Context, token string) error {
	st, err := a.state(ctx)
	if err != nil || token == "" || token != st.token || st.login != nil {
		return err // a login replaces the session in one step
	}
	ctx, cancel := background(ctx)
	defer cancel()
	_, err = a.s.store.EndSessions(ctx, store.SessionSelection{Digest: st.row.Digest}, store.EndedLogout, time.Now())
	if err == nil {
		st.die(ErrNoCredentials)
	}
	return err
}

// insert stores a new session: the one that a login starts, or one without a
// login for values that the host wants to keep.
func (st *sessionState) insert(token string, data []byte) error {
	now := time.Now()
	row := store.Session{
		Digest:  store.DigestOf(token),
		Data:    data,
		Created: now,
		Seen:    now,
		Expires: st.session.expiry(now, now),
	}
	var user store.User
	var replaces store.Digest
	keep := 0
	if st.login != nil {
		user = *st.login
		row.UserID, row.Epoch = user.ID, user.Epoch
		replaces = st.row.Digest
		keep = st.session.opts.PerUser
	}
	ctx, cancel := background(st)
	defer cancel()
	row, evicted, err := st.session.store.InsertSession(ctx, row, replaces, keep)
	if err != nil {
		return err
	}
	for range evicted {
		st.event(slog.LevelInfo, eventSessionLimit, user)
	}
	st.token, st.row, st.user, st.cookie = token, row, user, cookieSet
	st.refusal = nil
	return nil
}

// saveData stores the values of the host in the session they were read from. If
// another request of the session was faster, only the keys that this one changed
// are written over the other's, so that nothing it dropped comes back.
func (st *sessionState) saveData(data []byte) error {
	if sameValues(data, st.row.Data) {
		return nil
	}
	ctx, cancel := background(st)
	defer cancel()
	base := st.row.Data
	for range 16 {
		now := time.Now()
		err := st.session.store.SaveSession(ctx, st.row.Digest, data, st.row.Revision, now)
		switch {
		case err == nil:
			st.row.Data = data
			st.row.Revision++
			return nil
		case errors.Is(err, store.ErrNotFound):
			// It ended while this request was under way, and stays so.
			st.event(slog.LevelInfo, eventSessionLost, st.user, slog.String("reason", "the session has ended"))
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		latest, _, err := st.session.store.SessionByDigest(ctx, st.row.Digest, st.session.users)
		if err != nil {
			return err
		}
		if data, err = mergeValues(base, data, latest.Data); err != nil {
			return err
		}
		base, st.row.Revision = latest.Data, latest.Revision
	}
	return store.ErrConflict
}

// sameValues compares encoded sessions without their deadlines, which are not
// used. Gob writes maps in any order.
func sameValues(a, b []byte) bool {
	if len(a) != len(b) || len(a) < codecHeader {
		return false
	}
	if bytes.Equal(a[codecHeader:], b[codecHeader:]) {
		return true
	}
	_, x, errX := codec{}.Decode(a)
	_, y, errY := codec{}.Decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// mergeValues applies the changes from base to mine to theirs.
func mergeValues(base, mine, theirs []byte) ([]byte, error) {
	_, before, err := codec{}.Decode(base)
	if err != nil {
		return nil, err
	}
	deadline, after, err := codec{}.Decode(mine)
	if err != nil {
		return nil, err
	}
	_, merged, err := codec{}.Decode(theirs)
	if err != nil {
		return nil, err
	}
	for k := range before {
		if _, kept := after[k]; !kept {
			delete(merged, k)
		}
	}
	for k, v := range after {
		if old, had := before[k]; !had || !reflect.DeepEqual(old, v) {
			merged[k] = v
		}
	}
	return codec{}.Encode(deadline, merged)
}
