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
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// save stores changed values and adds the fields of the session to the header of a
// response.
func (st *sessionState) save(h http.Header) error {
	st.sent = true
	if st.changed() {
		if err := st.session.values.flush(st, st.encoded(st.session).data); err != nil {
			return fmt.Errorf("auth: save a session: %w", err)
		}
	}
	if st.cookie == cookieKeep && (st.token == "" || st.quiet || st.row.userID == "") {
		return nil
	}
	left := max(0, seconds(st.row.ends-time.Since(st.session.began)))
	if st.cookie != cookieKeep {
		st.setCookie(h, left)
	}
	if st.token != "" && !st.quiet && st.row.userID != "" {
		h["Session-Timeout"] = st.session.timeouts.of(left)
	}
	return nil
}

// changed reports whether there are values to save.
func (st *sessionState) changed() bool {
	return !st.broken && st.session.values.changed(&st.values, st)
}

// saveLate stores values that changed after the header was sent. It cannot
// start a new session, because the cookie would be lost.
func (st *sessionState) saveLate() {
	if !st.changed() {
		return
	}
	if st.token == "" {
		st.lostCookie("the response had begun")
		return
	}
	if err := st.session.values.flush(st, st.encoded(st.session).data); err != nil {
		st.session.log.ErrorContext(st, audit.StoreFailed, audit.KeyOperation, "save session", audit.KeyError, err)
	}
}

// setCookie sets or clears the cookie of a session that has left seconds to live.
func (st *sessionState) setCookie(h http.Header, left int) {
	c := http.Cookie{
		Name:     st.session.opts.CookieName,
		Path:     "/",
		MaxAge:   -1,
		Secure:   !st.session.opts.InsecureCookie,
		HttpOnly: true,
		SameSite: st.session.opts.SameSite,
	}
	if st.cookie == cookieSet {
		if st.token == "" || left == 0 {
			return
		}
		c.Value, c.MaxAge = st.token, left
		st.session.notes.noteScheme(st.request, st.session.log, st.session.opts.InsecureCookie)
	}
	addCookie(h, &c)
}

// lostCookie records that the client does not get the cookie.
func (st *sessionState) lostCookie(reason string) {
	st.event(slog.LevelError, audit.SessionLost, st.user(), slog.String(audit.KeyReason, reason))
}

// keeper returns the session that ctx carries, or nil.
func (s *Session) keeper(ctx context.Context) keeper {
	switch c := ctx.(type) {
	case *loggingIn:
		return c
	case *withoutValues:
		return (*sessionState)(c)
	}
	if st := s.state(ctx); st != nil {
		return st
	}
	return nil
}

// data implements keeper.
func (st *sessionState) data() (*heldValues, bool) {
	held := st.encoded(st.session)
	return held, len(held.data) > 0
}

// share implements keeper.
func (st *sessionState) share(held *heldValues, values map[string]any) {
	st.session.decoded.keep(held, values)
}

// noValues are those of a request without a session.
var noValues heldValues

// encoded returns the encoded values of the session. If they were known to be good when
// the request began, they are read now, with the revision that they have now. A session
// that was purged meanwhile has none.
func (f *stored) encoded(s *Session) *heldValues {
	if f.token == "" {
		return &noValues
	}
	held := f.held.Load()
	if held == nil {
		if held = s.decoded.of(f.row.id, s.memory.SessionRevision(f.place, f.row.id)); held == nil {
			held = &heldValues{id: f.row.id}
			held.data, held.revision = s.memory.SessionData(f.place, f.row.id)
		}
		f.held.CompareAndSwap(nil, held) // of those that read at once the first one counts
		held = f.held.Load()
	}
	return held
}

// hostValues returns what scs looks for in the context of the request. Values that
// somebody has spoilt since the request began are none, which is no panic.
func (st *sessionState) hostValues() any {
	values, err := st.session.values.of(&st.values, st)
	if err != nil {
		st.lostValues(err)
	}
	return values
}

// withoutValues is the state of a request with other methods, so that it takes no
// room: a context in which scs finds no values yet.
type withoutValues sessionState

// Format keeps the identifier out of logs that print contexts.
func (c *withoutValues) Format(f fmt.State, verb rune) { (*sessionState)(c).Format(f, verb) }

func (*withoutValues) Value(any) any { return nil }

// empty implements keeper.
func (st *sessionState) empty() context.Context { return (*withoutValues)(st) }

// keep implements keeper.
func (st *sessionState) keep(data []byte) error {
	if f := st.stored; f.token != "" {
		return st.saveData(f, data)
	}
	return st.insert(data, nil)
}

// loggingIn is a request whose session, with the values that it has, is replaced by
// one of a user.
type loggingIn struct {
	*sessionState
	user *store.User
}

// keep implements keeper.
func (l *loggingIn) keep(data []byte) error { return l.insert(data, l.user) }

// insert stores a new session: of a login, which replaces the session of the request
// in the same step, or without one for values of the host.
func (st *sessionState) insert(data []byte, login *store.User) error {
	st.session.purge.note(st, st.session.log, "Session")
	token, now := newSessionID(), time.Now()
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
	if login != nil {
		user = *login
		row.UserID, row.Epoch = user.ID, user.Epoch
		row.Address, row.Agent = client.Of(st.request), text.Browser(st.request.UserAgent())
		replaces = st.digest()
		keep = max(0, st.session.opts.PerUser) // 0 means all to the store
	}
	ctx, cancel := st.detach()
	defer cancel()
	row, evicted, err := st.session.store.InsertSession(ctx, row, replaces, keep)
	for range evicted {
		st.event(slog.LevelInfo, audit.SessionLimit, user)
	}
	st.session.observeEnded(st, observe.KindLimit, evicted)
	if err != nil {
		return err
	}
	st.session.decoded.drop(st.row.id) // it is replaced, if there was one
	st.stored = &stored{
		token: token, name: user.Name, admin: user.Admin, auditor: user.Auditor,
		row: sessionRow{row.ID, row.UserID, row.Epoch, row.Created.UnixMicro(), st.session.ends(row.Expires, now)},
	}
	st.held.Store(&heldValues{id: row.ID, data: row.Data, revision: row.Revision})
	st.cookie, st.absence, st.quiet = cookieSet, present, isQuiet(st.request)
	return nil
}

// detach is [stores.Detach] for a write to the store, which takes no time in memory.
func (st *sessionState) detach() (context.Context, context.CancelFunc) {
	if st.session.memory != nil {
		return context.WithoutCancel(st), func() {}
	}
	return stores.Detach(st)
}

// sameBytes reports whether a and b are one slice, as after a flush that has found no
// change.
func sameBytes(a, b []byte) bool { return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] }

// saveData stores the values of the host in the session that they were read
// from. If another request of the session was faster, saveData writes only the
// keys that this request changed since its last save. The session may be
// ended meanwhile, so that f is no longer that of st.
func (st *sessionState) saveData(f *stored, data []byte) error {
	held := f.encoded(st.session)
	if sameBytes(data, held.data) || sameValues(data, held.data) {
		return nil
	}
	ctx, cancel := st.detach()
	defer cancel()
	base, revision := held.data, held.revision
	saved := &heldValues{id: f.row.id, data: data, revision: revision}
	for range 16 {
		now := time.Now()
		err := st.session.store.SaveSession(ctx, f.digest(), data, revision, now)
		switch {
		case err == nil:
			if revision == held.revision {
				saved.revision++
			} // else there are values of others, and the next save, too, writes beside them
			f.held.Store(saved)
			if !holdsGob(data) {
				st.session.sound.add(f.row.id, revision+1)
			}
			return nil
		case errors.Is(err, store.ErrNotFound):
			// It ended while this request was under way, and stays so.
			st.event(slog.LevelInfo, audit.SessionLost, st.user(), slog.String(audit.KeyReason, "the session has ended"))
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		latest, err := st.latest(f)
		if err != nil {
			return err
		}
		if data, err = mergeValues(base, data, latest.Data); err != nil {
			return err
		}
		base, revision = latest.Data, latest.Revision
	}
	return store.ErrConflict
}

// latest reads a session again. A memory.Store may ask users of the host, too, so that
// it takes time.
func (st *sessionState) latest(f *stored) (store.Session, error) {
	ctx, cancel := stores.Detach(st)
	defer cancel()
	row, _, err := st.session.store.SessionByDigest(ctx, f.digest())
	return row, err
}
