package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// save implements saver: it stores changed values and writes the cookie.
func (st *sessionState) save(h http.Header) error {
	st.sent = true
	if st.changed() {
		if err := st.session.values.flush(st, st.row.Data); err != nil {
			return fmt.Errorf("auth: save a session: %w", err)
		}
	}
	left := max(0, seconds(time.Until(st.row.Expires)))
	if st.cookie != cookieKeep {
		st.setCookie(h, left)
	}
	if st.token != "" && !st.quiet && st.row.UserID != "" {
		st.timeout[0] = strconv.Itoa(left)
		h["Session-Timeout"] = st.timeout[:]
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
	if err := st.session.values.flush(st, st.row.Data); err != nil {
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

// saved implements saver.
func (st *sessionState) saved() bool { return st.sent }

// notSaved implements saver.
func (st *sessionState) notSaved(w http.ResponseWriter, err error) {
	st.session.deny(w, st.request, err)
}

// lostCookie implements saver.
func (st *sessionState) lostCookie(reason string) {
	st.event(slog.LevelError, audit.SessionLost, st.user(), slog.String(audit.KeyReason, reason))
}

// data implements keeper.
func (st *sessionState) data() ([]byte, bool) { return st.row.Data, st.token != "" }

// keep implements keeper. A login replaces the session in one step.
func (st *sessionState) keep(data []byte) error {
	if st.token != "" && st.login == nil {
		return st.saveData(data)
	}
	return st.insert(data)
}

// insert stores a new session: of a login, or without one for values of the
// host.
func (st *sessionState) insert(data []byte) error {
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
	if st.login != nil {
		user = *st.login
		row.UserID, row.Epoch = user.ID, user.Epoch
		row.Address, row.Agent = client.Of(st.request), text.Browser(st.request.UserAgent())
		replaces = st.row.Digest
		keep = max(0, st.session.opts.PerUser) // 0 means all to the store
	}
	ctx, cancel := stores.Detach(st)
	defer cancel()
	row, evicted, err := st.session.store.InsertSession(ctx, row, replaces, keep)
	if err != nil {
		return err
	}
	for range evicted {
		st.event(slog.LevelInfo, audit.SessionLimit, user)
	}
	st.session.observeEnded(st, observe.KindLimit, evicted)
	st.token, st.row, st.cookie, st.refusal = token, row, cookieSet, nil
	st.name, st.admin, st.auditor = user.Name, user.Admin, user.Auditor
	return nil
}

// saveData stores the values of the host in the session that they were read
// from. If another request of the session was faster, saveData writes only the
// keys that this request changed.
func (st *sessionState) saveData(data []byte) error {
	if sameValues(data, st.row.Data) {
		return nil
	}
	ctx, cancel := stores.Detach(st)
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
			st.event(slog.LevelInfo, audit.SessionLost, st.user(), slog.String(audit.KeyReason, "the session has ended"))
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		latest, _, err := st.session.store.SessionByDigest(ctx, st.row.Digest)
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
