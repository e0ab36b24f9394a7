package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/incontext"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Session authenticates browsers by the cookie that [Session.Login] sets. The
// store has a digest of the cookie's value, and the user and the times of the
// session. The host can keep values of its own in the session by scs, see
// [Session.Manager].
type Session struct {
	store   store.Sessions
	memory  *memory.Store // the same, if it is one itself
	users   store.Users
	opts    SessionOptions
	origins *Origins
	values  hostValues
	log     *slog.Logger
	hook    *hook.Hook
	// touch is the time by which an expiry must move before it is written.
	touch    time.Duration
	timeouts sessionTimeouts
	sound    *soundValues   // of memory
	decoded  *decodedValues // of memory
	began    time.Time      // with a monotonic clock, from which the expiry of a request's session counts

	notes     *sessionNotes
	purge     *unpurged
	strangers *strangers
}

// SessionOptions are the options of [NewSession].
// A zero SessionOptions consists entirely of default values.
type SessionOptions struct {
	// IdleTimeout is the time after which a session without requests ends. Zero
	// means 30 minutes, the minimum is a second. The expiry is written at most
	// once a minute, or once in a tenth of IdleTimeout if that is shorter.
	IdleTimeout time.Duration

	// Lifetime is the longest life of a session. Zero means 12 hours, or
	// IdleTimeout if that is longer. It must not be shorter than IdleTimeout. The
	// maximum is 36,500 days.
	Lifetime time.Duration

	// CookieName is the name of the cookie. The default is "__Host-session", or
	// "session" with InsecureCookie. AWX has "awx_sessionid".
	CookieName string

	// InsecureCookie omits the Secure attribute, for plain-HTTP development.
	InsecureCookie bool

	// SameSite is the attribute of the cookie for requests from other sites.
	// Zero means [http.SameSiteLaxMode]: browsers send the cookie with links
	// only. With [http.SameSiteStrictMode] they send it with none, so that a
	// user who follows a link seems to be logged out. [http.SameSiteNoneMode]
	// weakens security: browsers send the cookie with every request, and only
	// the check of the origin defends the session. It needs the attribute
	// Secure.
	SameSite http.SameSite

	// PerUser is the number of sessions that a user may have; a login ends the
	// oldest ones beyond it. Zero means 1,000, and a negative number means no
	// limit.
	PerUser int

	// TrustedOrigins are other origins whose pages may send requests with the
	// cookie, as https://host or https://host:port; see [Origins]. An origin of
	// plain HTTP needs InsecureCookie or a loopback host.
	TrustedOrigins []string

	// Enabled switches logins by session off and on while the service runs; nil
	// means on. While it returns false, sessions end at their next request.
	Enabled func() bool

	// Manager is the scs session manager through which the host reads and
	// writes values. Nil means a new one, see [Session.Manager]. Its Store,
	// Codec, Cookie and timeouts are not used. Of Sessions whose Handlers are
	// nested, each must have another manager, and at most one can have nil.
	Manager *scs.SessionManager

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events SessionStarted, SessionEnded and Purged, see package observe.
	// Nil costs nothing.
	Observe observe.Func
}

// NewSession returns the sessions in st for the users in u. Nil options mean
// the defaults. It panics if st or u is nil.
func NewSession(st store.Sessions, u store.Users, opts *SessionOptions) (*Session, error) {
	if options.IsNil(st) || options.IsNil(u) {
		panic("auth: NewSession: nil store")
	}
	var o SessionOptions
	if opts != nil {
		o = *opts
	}
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 30*time.Minute)
	o.Lifetime = cmp.Or(o.Lifetime, max(12*time.Hour, o.IdleTimeout))
	o.SameSite = cmp.Or(o.SameSite, http.SameSiteLaxMode)
	o.PerUser = cmp.Or(o.PerUser, 1000)
	if o.CookieName == "" {
		o.CookieName = "__Host-session"
		if o.InsecureCookie {
			o.CookieName = "session"
		}
	}
	prefixed := strings.HasPrefix(strings.ToLower(o.CookieName), "__host-") || strings.HasPrefix(strings.ToLower(o.CookieName), "__secure-")
	switch {
	case o.IdleTimeout < time.Second:
		return nil, fmt.Errorf("auth: SessionOptions.IdleTimeout %v is below a second", o.IdleTimeout)
	case o.IdleTimeout > maxLifetime: // a time further off overflows, and no browser gets the cookie
		return nil, fmt.Errorf("auth: SessionOptions.IdleTimeout %v is above %v", o.IdleTimeout, maxLifetime)
	case o.Lifetime > maxLifetime:
		return nil, fmt.Errorf("auth: SessionOptions.Lifetime %v is above %v", o.Lifetime, maxLifetime)
	case o.Lifetime < o.IdleTimeout:
		return nil, fmt.Errorf("auth: SessionOptions.Lifetime %v is shorter than IdleTimeout, %v", o.Lifetime, o.IdleTimeout)
	case (&http.Cookie{Name: o.CookieName, Value: "x"}).Valid() != nil:
		return nil, fmt.Errorf("auth: SessionOptions.CookieName %q is not a cookie name (RFC 6265 section 4.1.1)", o.CookieName)
	case prefixed && o.InsecureCookie:
		return nil, fmt.Errorf("auth: SessionOptions.CookieName %q promises Secure, which InsecureCookie omits", o.CookieName)
	case o.SameSite != http.SameSiteLaxMode && o.SameSite != http.SameSiteStrictMode && o.SameSite != http.SameSiteNoneMode:
		return nil, fmt.Errorf("auth: SessionOptions.SameSite %d is none of http.SameSiteLaxMode, SameSiteStrictMode and SameSiteNoneMode", o.SameSite)
	case o.SameSite == http.SameSiteNoneMode && o.InsecureCookie:
		return nil, errors.New("auth: SessionOptions.SameSite is None, which browsers take with Secure only, and InsecureCookie omits that")
	}
	origins, err := parseOrigins(o.TrustedOrigins, o.InsecureCookie)
	if err != nil {
		return nil, fmt.Errorf("auth: SessionOptions.TrustedOrigins: %w (plain HTTP needs SessionOptions.InsecureCookie)", err)
	}
	s := &Session{
		store:   st,
		users:   u,
		opts:    o,
		origins: origins,
		log:     options.Logger(o.Logger),
		hook:    hook.New(o.Observe, options.Logger(o.Logger)),
		touch:   min(time.Minute, o.IdleTimeout/10),
		began:   time.Now(),
		notes:   &sessionNotes{},

		strangers: &strangers{},
	}
	if s.memory, _ = st.(*memory.Store); s.memory != nil {
		s.sound, s.decoded = new(soundValues), new(decodedValues)
	}
	s.purge = &unpurged{since: s.began}
	s.timeouts = newSessionTimeouts(o.IdleTimeout, s.touch)
	s.values, err = newHostValues(o.Manager, o.Lifetime, s.keeper)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Authenticate implements [Authenticator]. A request with an Authorization
// field has no session, because the explicit credential decides;
// [BasicOptions].Enabled has the exception. A cookie whose session is dead is a
// bad credential; [Gate.Identify] has the exception. Unsafe methods and
// upgrades must come from a page of this origin, see [Origins].
func (s *Session) Authenticate(r *http.Request) (*Principal, error) {
	var p Principal
	return onHeap(&p, s.authenticate(&incoming{Request: r}, authorizationOf(r), &p))
}

// authenticate sets p if it returns no error. The field is that of r.
func (s *Session) authenticate(r *incoming, field authorization, p *Principal) error {
	ctx := r.Context()
	if field.scheme != schemeAbsent && !basicIgnored(ctx) {
		return ErrNoCredentials
	}
	st := stateAt(ctx)
	last := st != nil && st.session == s
	if !last {
		st = s.state(ctx)
	}
	outside := st == nil
	var f *stored
	// Recheck asks with a context of its own, further in than that of the state.
	if last || !outside && !rechecks(ctx) {
		if st.absence != present {
			return st.absence.err()
		}
		f = st.stored
	} else {
		token, none := s.cookie(r.Header["Cookie"])
		if none == present {
			var err error
			f = new(stored) // on the stack
			if _, _, none, err = s.find(*r, token, f, allKnown); err != nil {
				return err
			}
		}
		if none != present {
			return none.err()
		}
	}
	if f.row.userID == "" {
		return ErrNoCredentials
	}
	if err := s.origins.check(r); err != nil {
		return err
	}
	if outside {
		s.notes.noteHandler(ctx, s.log)
	}
	p.ID, p.Name, p.Scopes, p.Credential = f.row.userID, f.name, Unrestricted, CredentialSession
	p.Admin, p.Auditor = f.admin, f.auditor
	p.Epoch, p.HasEpoch, p.Proved = f.row.epoch, true, time.UnixMicro(f.row.created).UTC()
	return nil
}

// CheckOrigin is [Origins.Check] with [SessionOptions].TrustedOrigins, and
// checks safe methods, too. It is for handlers that change something without a
// gate or by any method, such as login and logout.
func (s *Session) CheckOrigin(r *http.Request) error {
	return s.origins.checkSource(&incoming{Request: r})
}

// Handler loads the session of each request, moves its expiry, and saves
// changed values before the first byte of the response. It clears the cookie of
// a session that has ended. It keeps a cookie that the store never knew,
// because it may belong to another service. The response field Session-Timeout
// has the remaining seconds of a live session. A request with the field
// X-WS-Session-Quiet does not get that field and does not move the expiry.
//
// Wrap the whole mux in Handler. Nested use is harmless. The session of a
// request with an Authorization field is not read: its handlers find no values,
// and values that they put are lost.
//
// Values are safe for concurrent use by goroutines of a request. What begins or ends
// its session is not, nor is it beside the writing of the response: put
// [http.TimeoutHandler] around Handler and not inside.
func (s *Session) Handler(next http.Handler) http.Handler {
	mustHandle("Session.Handler", next)
	gate, _ := next.(incontext.Handler)
	return &sessionHandler{s, next, gate}
}

// A sessionHandler is a [Session.Handler]. It implements [incontext.Handler].
type sessionHandler struct {
	session *Session
	next    http.Handler
	gate    incontext.Handler // next, or nil
}

// ServeHTTP implements [http.Handler].
func (h *sessionHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.serve(w, incoming{Request: r})
}

// ServeIn implements [incontext.Handler].
func (h *sessionHandler) ServeIn(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	h.serve(w, incoming{r, ctx})
}

func (h *sessionHandler) serve(w http.ResponseWriter, r incoming) {
	s, ctx, skip := h.session, r.Context(), len(r.Header["Authorization"]) > 0
	inside, _ := innermost(ctx)
	switch {
	case inside != nil && s.state(ctx) != nil:
		h.next.ServeHTTP(w, r.settle())
	case skip && h.gate != nil:
		h.gate.ServeIn(&unread{Context: ctx, session: s, peer: r.RemoteAddr}, w, r.Request)
	case skip:
		h.next.ServeHTTP(w, s.withoutSession(r.settle()))
	case inside != nil:
		s.serveInside(w, r.settle(), h.next, h.gate)
	default:
		s.serve(w, r.settle(), h.next, h.gate)
	}
}

// serve is Handler for a request whose session is to be read. Gate is next if that
// takes the context beside the request, or nil.
func (s *Session) serve(w http.ResponseWriter, r *http.Request, next http.Handler, gate incontext.Handler) {
	found, err := s.load(r, gate != nil)
	if err != nil {
		s.deny(w, r, err)
		return
	}
	vary(w.Header())
	st := found.sessionState
	st.writer = w
	inside := (*sessionWriter)(st)
	if gate != nil {
		gate.ServeIn(found.context, inside, r)
	} else {
		*found.room = *r.WithContext(st)
		next.ServeHTTP(inside, found.room)
	}
	if early := st.sent; inside.before() && early {
		st.saveLate()
	}
}

// deny writes the refusal for a failed store.
func (s *Session) deny(w http.ResponseWriter, r *http.Request, err error) {
	s.log.ErrorContext(r.Context(), audit.StoreFailed, audit.KeyOperation, "session", audit.KeyError, err)
	e := refusal(err)
	refusalFields(w.Header(), e)
	bodyOf(e).write(w, e.Status)
}

// Manager returns the scs manager with the values of the host. The context must
// be that of a request that passed [Session.Handler]: otherwise the methods
// panic with "scs: no session data in context". Concurrent requests of a
// session do not overwrite each other's keys. RenewToken and Destroy end the
// login, and its values are gone: use [Session.Login] and [Session.Logout].
//
// Values are decoded when a handler asks for the first one. Strings, bools,
// integers, floats, [time.Time], []byte, []string and map[string]string need no
// registration. A value of another type needs [encoding/gob.Register], and is slower.
// A value comes back as after gob: an empty slice is nil, a nil map is empty, a
// pointer is what it points to, and a time has no monotonic clock.
func (s *Session) Manager() *scs.SessionManager { return s.values.manager }

// CookieName returns the name of the cookie.
func (s *Session) CookieName() string { return s.opts.CookieName }

// IdleTimeout returns [SessionOptions].IdleTimeout, or its default.
func (s *Session) IdleTimeout() time.Duration { return s.opts.IdleTimeout }

// Secure reports whether the cookie has the attribute Secure.
func (s *Session) Secure() bool { return !s.opts.InsecureCookie }

// End ends the sessions that sel selects and returns their number. The number beside an
// error is that of those that ended before it; another call goes on.
func (s *Session) End(ctx context.Context, sel store.SessionSelection) (int, error) {
	n, err := s.store.EndSessions(ctx, sel, store.EndedAdmin, time.Now())
	s.observeEnded(ctx, observe.KindRevoked, n) // some can have ended before an error
	if err != nil {
		return n, fmt.Errorf("auth: end sessions: %w", err)
	}
	return n, nil
}

// Purge deletes sessions that ended before the given instant, in small steps,
// and returns their number. The host should call it from time to time, since
// nothing else does.
func (s *Session) Purge(ctx context.Context, endedBefore time.Time) (int, error) {
	s.purge.called.Store(true)
	defer s.decoded.dropAll() // those of dead sessions are among them
	return purge(ctx, s.hook, observe.KindSessions, endedBefore, s.store.PurgeSessions)
}

// observeEnded reports that n sessions were ended.
func (s *Session) observeEnded(ctx context.Context, cause observe.Kind, n int) {
	if n > 0 {
		s.hook.Emit(ctx, observe.Event{Name: observe.SessionEnded, Kind: cause, Count: int64(n)})
	}
}

func (s *Session) event(ctx context.Context, level slog.Level, name string, u store.User, attrs ...slog.Attr) {
	s.log.LogAttrs(ctx, level, name, append([]slog.Attr{
		slog.String(audit.KeyUser, audit.Clip(u.Name)), slog.String(audit.KeyUserID, u.ID), slog.String(audit.KeyClient, client.Text(ctx)),
	}, attrs...)...)
}
