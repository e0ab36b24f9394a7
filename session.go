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

	"github.com/ostiary/auth/store"
)

// Session authenticates browsers by a cookie that login gave them. The store has
// the digest of the cookie's value, and what security depends on in fields of
// its own; scs keeps values of the host beside it, see [Session.Manager].
type Session struct {
	store   store.Sessions
	users   store.Users
	opts    SessionOptions
	trusted map[string]bool
	manager *scs.SessionManager
	scsKey  any // of its values in a context
	log     *slog.Logger
	// touch is how far an expiry must move before it is written.
	touch time.Duration
}

// SessionOptions are the options of [NewSession].
// A zero SessionOptions consists entirely of default values.
type SessionOptions struct {
	// IdleTimeout is how long a session lives without a request. Zero means 30
	// minutes, the least is a second. A request moves the expiry when that is
	// worth a write, which is once a minute.
	IdleTimeout time.Duration

	// Lifetime is how long a session lives at all. Zero means 12 hours, or
	// IdleTimeout if that is longer.
	Lifetime time.Duration

	// CookieName is the name of the cookie. The default is "__Host-session", or
	// "session" with InsecureCookie. AWX has "awx_sessionid".
	CookieName string

	// InsecureCookie omits the Secure attribute, for plain-HTTP development.
	InsecureCookie bool

	// PerUser is how many sessions a user may have; a login ends the oldest of
	// them. Zero means any number.
	PerUser int

	// TrustedOrigins are other origins whose pages may send requests with the
	// cookie, as https://host or https://host:port.
	TrustedOrigins []string

	// Enabled switches logins by session off and on while the service runs; nil
	// means on. While it returns false, sessions end at their next request.
	Enabled func() bool

	// Manager is an scs session manager whose values the host uses; nil means
	// one of our own. Its Store, Codec, Cookie and timeouts are not used. A
	// request that passes the Handlers of two Sessions needs one for each.
	Manager *scs.SessionManager

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger
}

// NewSession returns the sessions of st for users of u. Nil options mean the
// defaults. It panics if st or u is nil.
func NewSession(st store.Sessions, u store.Users, opts *SessionOptions) (*Session, error) {
	if isNil(st) || isNil(u) {
		panic("auth: NewSession: nil store")
	}
	var o SessionOptions
	if opts != nil {
		o = *opts
	}
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 30*time.Minute)
	o.Lifetime = cmp.Or(o.Lifetime, max(12*time.Hour, o.IdleTimeout))
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
	case o.Lifetime < o.IdleTimeout:
		return nil, fmt.Errorf("auth: SessionOptions.Lifetime %v is shorter than IdleTimeout, %v", o.Lifetime, o.IdleTimeout)
	case (&http.Cookie{Name: o.CookieName, Value: "x"}).Valid() != nil:
		return nil, fmt.Errorf("auth: SessionOptions.CookieName %q is not a cookie name (RFC 6265 section 4.1.1)", o.CookieName)
	case prefixed && o.InsecureCookie:
		return nil, fmt.Errorf("auth: SessionOptions.CookieName %q promises Secure, which InsecureCookie omits", o.CookieName)
	case o.PerUser < 0:
		return nil, errors.New("auth: SessionOptions.PerUser is negative")
	}
	trusted, err := parseOrigins(o.TrustedOrigins)
	if err != nil {
		return nil, err
	}
	s := &Session{
		store:   st,
		users:   u,
		opts:    o,
		trusted: trusted,
		manager: new(scs.SessionManager), // scs.New would leave a goroutine behind
		log:     logger(o.Logger),
		touch:   min(time.Minute, o.IdleTimeout/10),
	}
	if o.Manager != nil {
		*s.manager = *o.Manager // for its context key; the host's stays as it is
	}
	s.manager.Store = scsStore{s}
	s.manager.Codec = codec{}
	s.manager.IdleTimeout = 0 // it would write with every request
	s.manager.Lifetime = o.Lifetime
	s.manager.HashTokenInStore = false // we hash
	probe := &keyProbe{Context: context.Background()}
	if _, err := s.manager.Load(probe, ""); err != nil {
		return nil, fmt.Errorf("auth: start an scs manager: %w", err)
	}
	s.scsKey = probe.key
	return s, nil
}

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
)

// Authenticate implements [Authenticator]. A request with an Authorization field
// has no session: the explicit credential decides. A cookie whose session is
// dead is a bad credential. Unsafe methods need proof that the request comes
// from a page of this origin, see [Session.CheckOrigin].
func (s *Session) Authenticate(r *http.Request) (*Principal, error) {
	return onHeap(s.authenticate(r))
}

func (s *Session) authenticate(r *http.Request) (Principal, error) {
	if len(r.Header["Authorization"]) > 0 {
		return Principal{}, ErrNoCredentials
	}
	st := s.state(r.Context())
	if st == nil {
		if len(r.Header["Cookie"]) == 0 {
			return Principal{}, ErrNoCredentials // as load would say
		}
		var err error
		if st, err = s.load(r); err != nil {
			return Principal{}, err
		}
	}
	if st.refusal != nil {
		return Principal{}, st.refusal
	}
	if st.row.UserID == "" {
		return Principal{}, ErrNoCredentials
	}
	if !harmless(r) {
		if err := s.CheckOrigin(r); err != nil {
			return Principal{}, err
		}
	}
	return Principal{
		ID:         st.user.ID,
		Name:       st.user.Name,
		Scopes:     Unrestricted,
		Admin:      st.user.Admin,
		Auditor:    st.user.Auditor,
		Credential: CredentialSession,
	}, nil
}

// CheckOrigin returns an [*Error] with status 403 if a browser sends r for a
// page of another origin that is not trusted. Scheme, host and port count.
// Requests that do not come from a browser pass.
func (s *Session) CheckOrigin(r *http.Request) error { return checkOrigin(r, s.trusted) }

// Handler loads the session of each request, moves its expiry, and saves what
// the host changed before the first byte of the response. It clears the cookie
// of a session that is dead, and announces how many seconds a live one has left
// in the field Session-Timeout; a request with the field X-WS-Session-Quiet
// neither gets that nor keeps the session alive.
//
// Wrap the whole mux in it. Nested use is harmless. The session of a request with
// an Authorization field is not even read: its handlers find no values, and what
// they put is not kept.
func (s *Session) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.state(r.Context()) != nil:
			next.ServeHTTP(w, r)
			return
		case len(r.Header["Authorization"]) > 0:
			next.ServeHTTP(w, s.withoutSession(r))
			return
		}
		s.readAfterAll(r.Context())
		st, err := s.load(r)
		if err == nil {
			err = s.attach(st)
		}
		if err != nil {
			s.deny(w, r, err)
			return
		}
		st.quiet = len(r.Header["X-Ws-Session-Quiet"]) > 0
		if !st.quiet {
			st.slide()
		}
		vary(w.Header())
		st.writer = sessionWriter{ResponseWriter: w, st: st, r: r}
		st.inner = *r.WithContext(st.ctx)
		next.ServeHTTP(&st.writer, &st.inner)
		if early := st.sent; st.writer.before() && early {
			st.saveLate()
		}
	})
}

// attach gives the request its scs values.
func (s *Session) attach(st *sessionState) error {
	ctx, err := s.manager.Load(st, st.token)
	if err != nil {
		// A blob that cannot be read is no session, and no reason to fail.
		st.event(slog.LevelError, eventSessionLost, st.user, slog.String("reason", err.Error()))
		st.die(errDeadSession)
		if ctx, err = s.manager.Load(st, ""); err != nil {
			return err
		}
	}
	if ctx == context.Context(st) {
		return errors.New("auth: a request passes two Sessions that share an scs manager: set SessionOptions.Manager")
	}
	st.ctx = ctx
	return nil
}

// deny answers for the store: it is down, or does not keep what it is given.
func (s *Session) deny(w http.ResponseWriter, r *http.Request, err error) {
	s.log.ErrorContext(r.Context(), eventStoreFailed, "operation", "session", "error", err)
	writeRefusal(w, r, refusal(err), denyJSON)
}

// Login starts a session for u in place of the one the request had: the
// identifier is new, the old one is dead, and sessions of the user beyond
// PerUser end. What the host kept in the session stays, unless it was another
// user's. The session is stored when Login returns; the cookie goes out with the
// header of the response.
//
// It returns an error if the request did not pass [Session.Handler], the
// response has begun, the user may not log in, or the store failed.
func (s *Session) Login(r *http.Request, u store.User) error {
	st := s.state(r.Context())
	switch {
	case st == nil:
		return errors.New("auth: Session.Login: the request did not pass Session.Handler")
	case st.sent:
		return errors.New("auth: Session.Login: the response has begun")
	case !u.Active || u.ID == "":
		return errBadPassword
	}
	if st.row.UserID != "" && st.row.UserID != u.ID {
		if err := s.manager.Clear(st.ctx); err != nil {
			return fmt.Errorf("auth: log in: %w", err)
		}
	}
	st.login = &u
	defer func() { st.login = nil }()
	err := s.manager.RenewToken(st.ctx)
	if err == nil {
		_, _, err = s.manager.Commit(st.ctx)
	}
	if err != nil {
		st.broken = true // scs has an identifier that the store does not
		return fmt.Errorf("auth: log in: %w", err)
	}
	s.event(withClient(r), slog.LevelInfo, eventLogin, u)
	return nil
}

// Logout ends the session of the request, in the store first, then the cookie.
// Without a session it does nothing. Where the request has the cookie more than
// once, which authenticates nobody, it ends them all. If it returns an error the
// session may still be alive.
func (s *Session) Logout(r *http.Request) error {
	st := s.state(r.Context())
	switch {
	case st == nil:
		return errors.New("auth: Session.Logout: the request did not pass Session.Handler")
	case st.sent:
		return errors.New("auth: Session.Logout: the response has begun")
	case st.token == "":
		return st.endTossed()
	}
	u := st.user
	if err := s.manager.Destroy(st.ctx); err != nil {
		return fmt.Errorf("auth: log out: %w", err)
	}
	s.event(withClient(r), slog.LevelInfo, eventLogout, u)
	return nil
}

// Manager returns the scs manager with the values of the host, for requests that
// passed [Session.Handler]. Concurrent requests of a session do not overwrite
// each other's keys. Its RenewToken and Destroy end the login: use
// [Session.Login] and [Session.Logout].
func (s *Session) Manager() *scs.SessionManager { return s.manager }

// CookieName returns the name of the cookie.
func (s *Session) CookieName() string { return s.opts.CookieName }

// IdleTimeout returns how long a session lives without a request.
func (s *Session) IdleTimeout() time.Duration { return s.opts.IdleTimeout }

// Secure reports whether the cookie has the attribute Secure.
func (s *Session) Secure() bool { return !s.opts.InsecureCookie }

// End ends the sessions that sel names and returns how many.
func (s *Session) End(ctx context.Context, sel store.SessionSelection) (int, error) {
	n, err := s.store.EndSessions(ctx, sel, store.EndedAdmin, time.Now())
	if err != nil {
		return n, fmt.Errorf("auth: end sessions: %w", err)
	}
	return n, nil
}

// Purge forgets sessions that ended before the given instant, in small steps,
// and returns how many. Call it now and then; nothing else does.
func (s *Session) Purge(ctx context.Context, endedBefore time.Time) (int, error) {
	return purge(ctx, endedBefore, s.store.PurgeSessions)
}
