package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// SessionByDigest implements [store.Sessions].
func (s *Store) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	var v store.Session
	var u store.User
	query := sessionByDigest
	dest := append(make([]any, 0, 24),
		&v.ID, (*digestVar)(&v.Digest), &v.UserID, &v.Epoch, &v.Data, when(&v.Created), when(&v.Seen), when(&v.Expires),
		when(&v.Ended), &v.Reason, &v.Revision, (*addressVar)(&v.Address), &v.Agent)
	own := s.users == nil
	if own {
		query = sessionAndUser
		dest = appendUser(dest, &u)
	}
	if err := s.get(ctx, "look up a session", query, []any{d[:]}, dest...); err != nil {
		return store.Session{}, store.User{}, err
	}
	s.noticeSkew("session", v.Created, v.Seen)
	if own {
		stores.See(ctx, s, u)
	} else {
		var err error
		if u, err = s.hostUser(ctx, v.UserID); err != nil {
			return store.Session{}, store.User{}, err
		}
	}
	return v, u, nil
}

// InsertSession implements [store.Sessions].
func (s *Store) InsertSession(ctx context.Context, v store.Session, replaces store.Digest, keep int) (out store.Session, evicted int, err error) {
	out, evicted, last, err := s.insertSession(ctx, v, replaces, keep)
	for err == nil && last.id != 0 {
		var n int
		if n, last, err = s.evictOlder(ctx, out, last); err != nil {
			// Whoever is told of an error has no session. If this fails, too, one remains
			// until it expires, whose secret nobody has.
			_, _ = s.EndSessions(context.WithoutCancel(ctx), store.SessionSelection{ID: out.ID}, store.EndedLimit, out.Created)
		}
		evicted += n
	}
	if err != nil {
		return store.Session{}, evicted, err
	}
	return out, evicted, nil
}

// insertSession is InsertSession with the first step of what the limit ends. Last is not
// zero if there may be more.
func (s *Store) insertSession(ctx context.Context, v store.Session, replaces store.Digest, keep int) (out store.Session, evicted int, last loginPlace, err error) {
	out = v
	out.Data = bytes.Clone(v.Data)
	out.Created, out.Seen, out.Expires, out.Ended = stored(v.Created), stored(v.Seen), stored(v.Expires), stored(v.Ended)
	out.ID, out.Revision = 0, 1
	gone := out.Expires
	if !out.Ended.IsZero() {
		gone = out.Ended
	}
	limited := keep > 0 && v.UserID != ""
	args := []any{
		bytesOf(out.Digest), out.UserID, out.Epoch, out.Data, micros(out.Created),
		micros(out.Seen), micros(out.Expires), orNever(out.Ended), string(out.Reason), micros(gone),
		addressText(out.Address), out.Agent,
	}
	if replaces == out.Digest {
		replaces = store.Digest{}
	}
	argsOfFew := func() []any { return append(slices.Clone(args), out.UserID, micros(out.Created), keep) }
	switch {
	case s.dialect == Postgres && v.UserID != "":
		out.ID, evicted, last, err = s.insertSessionAtOnce(ctx, out, args, replaces, keep)
	case s.dialect == SQLite && limited && replaces == (store.Digest{}):
		out.ID, err = s.insertAlone(ctx, "insert a session", insertFewSessions, argsOfFew())
	}
	if out.ID != 0 || err != nil {
		return out, evicted, last, err
	}
	err = s.write(ctx, "insert a session", func(tx *tx) error {
		evicted, last = 0, loginPlace{}
		if v.UserID != "" {
			// Two logins at the same time would not see each other's session,
			// nor would EndSessions.
			if err := tx.useUser(v.UserID); err != nil {
				return err
			}
		}
		if replaces != (store.Digest{}) {
			if _, err := tx.endSessions(store.SessionSelection{Digest: replaces}, store.EndedRenewed, out.Created); err != nil {
				return err
			}
		}
		if limited && s.dialect != Postgres {
			if out.ID, err = tx.insertSome(insertFewSessions, argsOfFew()...); out.ID != 0 || err != nil {
				return err
			}
		}
		out.ID, err = tx.insert(insertSession, args...)
		if err == nil && limited {
			evicted, last, err = tx.evict(out, otherSessions, out.UserID, out.ID, micros(out.Created), endStep, besides(keep))
		}
		return err
	})
	if err != nil {
		return store.Session{}, 0, loginPlace{}, err
	}
	return out, evicted, last, nil
}

// insertSessionAtOnce is insertSession as one statement. It returns no ID if nothing
// was done, because another step for the user's slot was under way.
func (s *Store) insertSessionAtOnce(ctx context.Context, v store.Session, row []any, replaces store.Digest, keep int) (id int64, evicted int, last loginPlace, err error) {
	slot, now := slotOf(userSlots, v.UserID), ending(v.Created)
	args := append([]any{
		slot, slot, v.UserID, now, bytesOf(replaces), keep, besides(keep) + endStep, bytesOf(replaces), besides(keep),
		now, string(store.EndedLimit), string(store.EndedRenewed), now,
	}, row...)
	type inserted struct {
		id      int64
		evicted int
		last    loginPlace
	}
	found, _, err := atOnce(ctx, s, "insert a session", insertSessionAtOnce, args, func(scan func(...any) error) (r inserted, err error) {
		return r, scan(&r.id, &r.evicted, &r.last.created, &r.last.id)
	})
	if len(found) == 0 || err != nil {
		return 0, 0, loginPlace{}, err
	}
	r := found[0]
	if r.evicted < endStep {
		r.last = loginPlace{}
	}
	return r.id, r.evicted, r.last, nil
}

// besides returns how many sessions of a user stay beside a new one, for a number of a
// statement that is added to another.
func besides(keep int) int64 { return int64(min(max(keep, 1), math.MaxInt32)) - 1 }

// A loginPlace is where a session stands among those of its user.
type loginPlace struct{ created, id int64 }

// evict ends the sessions that a query finds, a step of what v is too many for. Last is
// that of the oldest if the step was full.
func (t *tx) evict(v store.Session, query string, args ...any) (n int, last loginPlace, err error) {
	var ids []int64
	found, err := rows(t, query, args, func(scan func(...any) error) (p loginPlace, err error) {
		err = scan(&p.created, &p.id)
		ids = append(ids, p.id)
		return p, err
	})
	if err != nil {
		return 0, loginPlace{}, err
	}
	if len(found) == endStep {
		last = found[endStep-1]
	}
	ended, err := t.each(endSessions+"id", ids, endArgs(store.EndedLimit, v.Created, nil)...)
	return int(ended), last, err
}

// evictOlder ends another step of the sessions that v was too many for. They are those
// behind a place, and they are not chosen anew: meanwhile v may have ended, or others may
// be there, by the clock of another server before v.
func (s *Store) evictOlder(ctx context.Context, v store.Session, than loginPlace) (n int, last loginPlace, err error) {
	err = s.write(ctx, "end sessions", func(tx *tx) error {
		if err := tx.useUser(v.UserID); err != nil {
			return err
		}
		n, last, err = tx.evict(v, olderSessions, v.UserID, v.ID, micros(v.Created), than.created, than.created, than.id, endStep)
		return err
	})
	if err != nil {
		return 0, loginPlace{}, err
	}
	return n, last, nil
}

// slotOf returns the lock of a name among those of a purpose.
func slotOf(purpose int64, name string) int64 {
	sum := sha256.Sum256([]byte(name))
	return purpose + int64(sum[0])%slots
}

// familySlot returns the lock of a family, as the statements of rotations know it.
func familySlot(family int64) int64 { return familySlots + family&(slots-1) }

// lockSlot locks a slot until the end of the transaction. A writer of SQLite
// has locked everything already.
func (t *tx) lockSlot(slot int64) error {
	if t.s.dialect == SQLite {
		return nil
	}
	return t.get(lockSlot, []any{slot}, &slot)
}

// useSlot is lockSlot for promises that must hold among the nodes of a cluster,
// too.
func (t *tx) useSlot(slot int64) error {
	if t.s.dialect != MySQL {
		return t.lockSlot(slot)
	}
	_, err := t.exec(useSlot, slot)
	return err
}

// useUser is useSlot for the sessions of a user. In PostgreSQL, too, it leaves a
// trace, by which insertSessionAtOnce knows that it has looked too early.
func (t *tx) useUser(id string) error {
	slot := slotOf(userSlots, id)
	if t.s.dialect != Postgres {
		return t.useSlot(slot)
	}
	_, err := t.exec(useSlot, slot)
	return err
}

// SaveSession implements [store.Sessions].
func (s *Store) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	n, err := s.change(ctx, "save a session", false, saveSession, data, d[:], revision, micros(at))
	if err != nil || n == 1 {
		return err
	}
	v, _, err := s.SessionByDigest(ctx, d)
	if err != nil {
		return err
	}
	if !v.Ended.IsZero() || !stored(at).Before(v.Expires) {
		return store.ErrNotFound
	}
	return store.ErrConflict
}

// TouchSession implements [store.Sessions].
func (s *Store) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	until, address := micros(expires), addressText(from)
	_, err := s.change(ctx, "prolong a session", true, touchSession, until, micros(at), until, address, address, d[:], micros(at), until)
	return err
}

// sessionCondition turns a selection into a condition. It is "" if nothing is
// selected.
func sessionCondition(sel store.SessionSelection) (where string, args []any) {
	var f filter
	if sel.ID != 0 {
		f.and("id = ?", sel.ID)
	}
	if sel.Digest != (store.Digest{}) {
		f.and("digest = ?", bytesOf(sel.Digest))
	}
	if sel.UserID != "" {
		f.and("user_id = ?", sel.UserID)
	}
	if sel.All && f.parts == nil {
		f.and("1 = 1")
	}
	if sel.Except != (store.Digest{}) && f.parts != nil {
		f.and("digest <> ?", bytesOf(sel.Except))
	}
	return f.text(), f.args
}

// EndSessions implements [store.Sessions].
func (s *Store) EndSessions(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	where, args := sessionCondition(sel)
	if where == "" {
		return 0, ctx.Err()
	}
	if sel.ID != 0 || sel.Digest != (store.Digest{}) {
		n, err := s.change(ctx, "end sessions", true, endSessions+where, endArgs(reason, at, args)...)
		return int(n), err
	}
	return s.endMany(ctx, sel, reason, at)
}

// endStep is how many sessions one step of the end of many sessions ends.
const endStep = 500

// endMany ends the sessions of a user, or of everybody, in steps that are transactions
// of their own. One statement for all would hold up logins, and with enough sessions it
// would run into the timeout and end none.
func (s *Store) endMany(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (ended int, err error) {
	for after, more := int64(math.MinInt64), true; more; {
		var ids []int64
		var n int64
		err := s.write(ctx, "end sessions", func(tx *tx) (err error) {
			if sel.UserID == "" {
				ids, err = column[int64](tx, sessionsToEnd, after, bytesOf(sel.Except), endStep)
			} else if err = tx.useUser(sel.UserID); err == nil {
				// A statement that waits for one session does not see another that
				// was stored meanwhile, though it may end later.
				ids, err = tx.sessionsOf(sel)
			}
			if err == nil {
				n, err = tx.each(endSessions+"id", ids, endArgs(reason, at, nil)...)
			}
			return err
		})
		if err != nil {
			return ended, err
		}
		ended += int(n)
		if more = len(ids) == endStep; more {
			after = ids[len(ids)-1]
		}
	}
	return ended, nil
}

// sessionsOf returns sessions of a user that have not ended, a step of them.
func (t *tx) sessionsOf(sel store.SessionSelection) ([]int64, error) {
	return column[int64](t, sessionsToEndOf, sel.UserID, bytesOf(sel.Except), endStep)
}

func (t *tx) endSessions(sel store.SessionSelection, reason store.EndReason, at time.Time) (int64, error) {
	where, args := sessionCondition(sel)
	return t.exec(endSessions+where, endArgs(reason, at, args)...)
}

func endArgs(reason store.EndReason, at time.Time, selection []any) []any {
	now := ending(at)
	return append([]any{now, string(reason), now, now}, selection...)
}

// ListSessions implements [store.Sessions].
func (s *Store) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) ([]store.Session, int, error) {
	var where, now filter
	columns := []string{"s.created_at", "s.id"}
	key, index := func(v store.Session) []any { return []any{micros(v.Created), v.ID} }, "auth_sessions_user"
	switch {
	case f.UserID != "":
		where.and("s.user_id = ?", f.UserID)
	case f.All:
		// The length, because a planner might read an index of user_id and sort.
		where.and("LENGTH(s.user_id) > 0")
		columns, key, index = []string{"s.id"}, func(v store.Session) []any { return []any{v.ID} }, ""
	default:
		return nil, 0, ctx.Err()
	}
	now.and("s.ended_at IS NULL AND s.expires_at > ?", micros(at))
	if f.ID != 0 {
		where.and("s.id = ?", f.ID)
	}
	if f.Epoch != nil {
		where.and("s.epoch = ?", *f.Epoch)
	}
	if !f.Before.IsZero() {
		where.and("s.created_at < ?", micros(f.Before))
	}
	return page(ctx, s, listing[store.Session]{
		what: "list sessions", count: countSessions, query: listSessions, where: where, now: now, columns: columns, key: key, index: index,
		read: func(scan func(...any) error) (v store.Session, err error) {
			err = scan(&v.ID, &v.UserID, &v.Epoch, when(&v.Created), when(&v.Seen), when(&v.Expires), &v.Revision,
				(*addressVar)(&v.Address), &v.Agent)
			return v, err
		},
	}, p)
}

// PurgeSessions implements [store.Sessions].
func (s *Store) PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (removed int, err error) {
	before := micros(endedBefore)
	err = s.write(ctx, "purge sessions", func(tx *tx) error {
		removed, err = purge[int64](tx, deleteSession, before, goneSessions, before, max)
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
