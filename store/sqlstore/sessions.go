package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// SessionByDigest implements [store.Sessions].
func (s *Store) SessionByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Session, store.User, error) {
	var v store.Session
	var u store.User
	query := sessionByDigest
	dest := append(make([]any, 0, 21),
		&v.ID, (*digestVar)(&v.Digest), &v.UserID, &v.Epoch, &v.Data, when(&v.Created), when(&v.Seen), when(&v.Expires),
		when(&v.Ended), &v.Reason, &v.Revision)
	own := s.owns(users)
	if own {
		query = sessionAndUser
		dest = appendUser(dest, &u)
	}
	if err := s.get(ctx, "look up a session", query, []any{d[:]}, dest...); err != nil {
		return store.Session{}, store.User{}, err
	}
	if !own {
		var err error
		if u, err = foreignUser(ctx, users, v.UserID); err != nil {
			return store.Session{}, store.User{}, err
		}
	}
	return v, u, nil
}

// InsertSession implements [store.Sessions].
func (s *Store) InsertSession(ctx context.Context, v store.Session, replaces store.Digest, keep int) (out store.Session, evicted int, err error) {
	out = v
	out.Data = bytes.Clone(v.Data)
	out.Created, out.Seen, out.Expires, out.Ended = stored(v.Created), stored(v.Seen), stored(v.Expires), stored(v.Ended)
	out.Revision = 1
	gone := out.Expires
	if !out.Ended.IsZero() {
		gone = out.Ended
	}
	limited := keep > 0 && v.UserID != ""
	err = s.write(ctx, "insert a session", func(tx *tx) error {
		evicted = 0
		if v.UserID != "" {
			// Two logins at the same time would not see each other's session,
			// nor would EndSessions.
			if err := tx.lockSlot(slotOf("user", v.UserID)); err != nil {
				return err
			}
		}
		out.ID, err = tx.insert(insertSession, bytesOf(out.Digest), out.UserID, out.Epoch, out.Data, micros(out.Created),
			micros(out.Seen), micros(out.Expires), orNever(out.Ended), string(out.Reason), micros(gone))
		if err != nil {
			return err
		}
		if replaces != (store.Digest{}) && replaces != out.Digest {
			if _, err := tx.endSessions(store.SessionSelection{Digest: replaces}, store.EndedRenewed, out.Created); err != nil {
				return err
			}
		}
		if limited {
			evicted, err = tx.evict(out, keep)
		}
		return err
	})
	if err != nil {
		return store.Session{}, 0, err
	}
	return out, evicted, nil
}

// evict ends the live sessions of v's user but v and the keep-1 newest others.
func (t *tx) evict(v store.Session, keep int) (int, error) {
	others, err := column[int64](t, otherSessions, v.UserID, v.ID, micros(v.Created))
	if err != nil {
		return 0, err
	}
	at := micros(v.Created)
	n, err := t.each(endSessions+"id", others[min(keep-1, len(others)):], at, string(store.EndedLimit), at, at)
	return int(n), err
}

// slotOf returns the lock of a kind of name.
func slotOf(kind, name string) int64 {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return int64(sum[0]) % slots
}

// lockSlot holds a slot until the end of the transaction. Who writes to SQLite
// holds everything already.
func (t *tx) lockSlot(slot int64) error {
	if t.s.dialect == SQLite {
		return nil
	}
	return t.get(lockSlot, []any{slot}, &slot)
}

// SaveSession implements [store.Sessions].
func (s *Store) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	n, err := s.change(ctx, "save a session", false, saveSession, data, d[:], revision, micros(at))
	if err != nil || n == 1 {
		return err
	}
	v, _, err := s.SessionByDigest(ctx, d, s)
	if err != nil {
		return err
	}
	if !v.Ended.IsZero() || !stored(at).Before(v.Expires) {
		return store.ErrNotFound
	}
	return store.ErrConflict
}

// TouchSession implements [store.Sessions].
func (s *Store) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time) error {
	until := micros(expires)
	_, err := s.change(ctx, "prolong a session", true, touchSession, until, micros(at), until, d[:], micros(at), until)
	return err
}

// sessionCondition turns a selection into a condition. It is "" if nothing is
// selected.
func sessionCondition(sel store.SessionSelection) (where string, args []any) {
	var parts []string
	and := func(part string, arg any) {
		parts = append(parts, part)
		args = append(args, arg)
	}
	if sel.ID != 0 {
		and("id = ?", sel.ID)
	}
	if sel.Digest != (store.Digest{}) {
		and("digest = ?", bytesOf(sel.Digest))
	}
	if sel.UserID != "" {
		and("user_id = ?", sel.UserID)
	}
	if parts == nil {
		if !sel.All {
			return "", nil
		}
		parts = append(parts, "1 = 1")
	}
	if sel.Except != (store.Digest{}) {
		and("digest <> ?", bytesOf(sel.Except))
	}
	return strings.Join(parts, " AND "), args
}

// EndSessions implements [store.Sessions].
func (s *Store) EndSessions(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	where, args := sessionCondition(sel)
	if where == "" {
		return 0, ctx.Err()
	}
	if sel.UserID == "" || sel.ID != 0 || sel.Digest != (store.Digest{}) {
		n, err := s.change(ctx, "end sessions", true, endSessions+where, endArgs(reason, at, args)...)
		return int(n), err
	}
	var n int64
	err := s.write(ctx, "end sessions", func(tx *tx) error {
		// A statement that waits for one session does not see another that
		// was stored meanwhile, though it may end later.
		err := tx.lockSlot(slotOf("user", sel.UserID))
		if err == nil {
			n, err = tx.endSessions(sel, reason, at)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}

func (t *tx) endSessions(sel store.SessionSelection, reason store.EndReason, at time.Time) (int64, error) {
	where, args := sessionCondition(sel)
	return t.exec(endSessions+where, endArgs(reason, at, args)...)
}

func endArgs(reason store.EndReason, at time.Time, selection []any) []any {
	now := micros(at)
	return append([]any{now, string(reason), now, now}, selection...)
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
