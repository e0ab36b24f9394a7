package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// Login starts a session for u in place of the session of the request. The
// identifier is new, the old one is dead, and the oldest sessions of the user
// beyond PerUser end. Values of the host stay, unless the old session was
// another user's or a login of this request has failed before. The session is stored
// when Login returns, and the cookie is sent with the header of the response.
//
// Login returns an [*Error] with status 403 if a page of another origin sends the
// request, unless by a safe method, see [SessionOptions].TrustedOrigins: the page
// would log its visitor in as somebody else. An identity provider that answers by a
// form has to be one of those origins.
//
// U must be the user that the login verified. Login reads the user again, and
// returns an [*Error] with status 401 if the user is not active, is a service
// account, or has another Epoch, because the password has changed in the meantime.
// After [Passwords.Set], as in a sign-up, read the user again before Login.
//
// For a request with an Authorization field, whose session is not read, Login returns an
// [*Error] with status 400. Where a proxy adds such a field, remove it from a copy of the
// request, and put [Session.Handler] around the handler once more. Login also returns an
// error if the request did not pass [Session.Handler], the response has begun, or the
// store failed.
func (s *Session) Login(r *http.Request, u store.User) error {
	if err := s.origins.Check(r); err != nil {
		return err
	}
	st, err := s.changeable(r, "Login")
	if err != nil {
		return err
	}
	if u, err = s.current(r.Context(), u); err != nil {
		return err
	}
	if st.row.userID != "" && st.row.userID != u.ID || st.broken {
		if err := s.values.clear(st); err != nil {
			return fmt.Errorf("auth: log in: %w", err)
		}
	}
	if err := s.values.flush(&loggingIn{st, &u}, nil); err != nil {
		st.broken = true // the values are another user's, perhaps
		return fmt.Errorf("auth: log in: %w", err)
	}
	st.broken = false
	s.event(client.Context(r), slog.LevelInfo, audit.Login, u)
	s.hook.One(r.Context(), observe.SessionStarted, observe.KindNone, observe.ReasonNone)
	return nil
}

var errWithoutSession = &Error{
	Status: http.StatusBadRequest,
	Detail: "The request has no session, because it has an Authorization field: leave that out.",
	Err:    errors.New("if a proxy adds the field, which a browser cannot leave out, remove it from a copy of the request, and put Session.Handler around the handler once more"),
}

// changeable returns the state of a request for the method of that name.
func (s *Session) changeable(r *http.Request, method string) (*sessionState, error) {
	st := s.state(r.Context())
	switch {
	case st == nil && s.skipped(r.Context()):
		return nil, errWithoutSession
	case st == nil:
		return nil, errors.New("auth: Session." + method + ": the request did not pass Session.Handler: wrap the whole mux in it")
	case st.sent:
		return nil, errors.New("auth: Session." + method + ": the response has begun")
	}
	return st, nil
}

// current returns the stored user of a login that was verified for u.
func (s *Session) current(ctx context.Context, u store.User) (store.User, error) {
	if !u.Active || u.ID == "" {
		return store.User{}, errBadPassword
	}
	now, err := s.users.UserByID(ctx, u.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, errBadPassword
	case err != nil:
		return store.User{}, fmt.Errorf("auth: log in: look up the user: %w", err)
	case now.ID != u.ID || !now.Active || now.Service:
		return store.User{}, errBadPassword
	case now.Epoch != u.Epoch:
		return store.User{}, errOtherEpoch // a session of one epoch would be dead, and of the other unproved
	}
	return now, nil
}

// Logout ends the session of the request in the store and then clears the
// cookie. Without a session it removes the values that the request has put. If the
// request has the cookie more than once, it ends all their sessions. If it returns an
// error the session may still be alive, as for a request with an Authorization field,
// which is an [*Error] with status 400, see [Session.Login].
func (s *Session) Logout(r *http.Request) error {
	st, err := s.changeable(r, "Logout")
	if err != nil {
		return err
	}
	if st.token == "" {
		if err := s.values.drop(&st.values, st); err != nil {
			return fmt.Errorf("auth: log out: %w", err)
		}
		return st.endTossed()
	}
	u := st.user()
	if err := s.values.forget(st); err != nil {
		return fmt.Errorf("auth: log out: %w", err)
	}
	s.event(client.Context(r), slog.LevelInfo, audit.Logout, u)
	s.observeEnded(r.Context(), observe.KindLogout, 1)
	return nil
}

// maxTossed is the number of cookies of one name that a logout looks up.
const maxTossed = 16

// endTossed ends the sessions of a request with more than one cookie. One of
// them may be the user's, and would be alive again when the others are gone.
func (st *sessionState) endTossed() error {
	cookies := st.request.CookiesNamed(st.session.opts.CookieName)
	if len(cookies) < 2 {
		return nil
	}
	st.cookie = cookieClear
	if len(cookies) > maxTossed {
		return &Error{Status: http.StatusBadRequest, Detail: "The request has too many cookies of the same name."}
	}
	ctx, cancel := st.detach()
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
			st.event(slog.LevelInfo, audit.Logout, store.User{}, slog.String(audit.KeyReason, "one of several cookies"))
			st.session.observeEnded(st, observe.KindLogout, n)
		}
	}
	return nil
}
