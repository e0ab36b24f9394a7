package store

import (
	"context"
	"net/netip"
	"time"
)

// A Session is a login session. Data has values of the host, and no decision
// about the session depends on it.
type Session struct {
	ID     int64  // assigned by the store; no credential
	Digest Digest // of the session identifier
	UserID string // "" for a session without a login
	Epoch  int64  // of the user at login

	Data []byte // encoded values of the host, opaque

	// Address is the last address of the client, the zero Addr for an unknown
	// one. Agent is a description of the browser that logged in, "" for an
	// unknown one. Both are for people to read. A store must keep any text of
	// at most MaxAgent bytes.
	Address netip.Addr
	Agent   string

	Created time.Time // of the login; the absolute lifetime starts here
	Seen    time.Time // last move of the expiry
	Expires time.Time // valid strictly before this instant
	Ended   time.Time // zero for a live session
	Reason  EndReason // zero for a live session

	Revision int64 // of Data; counted by the store
}

// MaxAgent is the length of the longest [Session].Agent, in bytes.
const MaxAgent = 255

// EndReason is the reason for which a session ended. A store must accept any
// text.
type EndReason string

// The reasons that this module gives.
const (
	EndedLogout  EndReason = "logout"
	EndedRenewed EndReason = "renewed"       // the same browser logged in again
	EndedLimit   EndReason = "session_limit" // the user has too many newer sessions
	EndedAdmin   EndReason = "revoked"
)

// A SessionSelection selects sessions. A session must match all fields that are
// set. Without any field it selects nothing; only All selects every session.
type SessionSelection struct {
	ID     int64
	Digest Digest
	UserID string
	All    bool

	// Except is never selected, so that a user can end all other sessions.
	Except Digest
}

// A SessionFilter selects live sessions for a list. A session without a login is
// never listed.
type SessionFilter struct {
	// UserID selects the sessions of a user, All those of every user, and both
	// together those of the user. Without either nothing is listed.
	UserID string
	All    bool

	// Each of these narrows the list further unless it is zero.
	ID     int64
	Epoch  *int64    // exact
	Before time.Time // sessions whose Created is before this instant
}

// Sessions keeps login sessions. A session that ended stays as a tombstone until
// it is purged. No method may bring it back.
type Sessions interface {
	// SessionByDigest returns the session and its user, in any state. The
	// caller checks Ended, Expires, the epoch and whether the user is active. A
	// missing user is a zero User and no error. A store that keeps the users
	// itself must read both in one step.
	SessionByDigest(ctx context.Context, d Digest) (Session, User, error)

	// InsertSession stores s and returns it with ID and Revision set. If
	// replaces is not zero, it ends the session with that digest in the same
	// step, with EndedRenewed. If keep is not 0, it ends all live sessions of
	// the user except the newest keep in the same step, with EndedLimit; s is
	// one of the newest. Sessions that have expired at s.Created do not count.
	// InsertSession returns the number of sessions that the limit ended. It
	// returns ErrExists if the digest is taken. Where the limit ends many, a store
	// may end the newest of them in that step and the others in later steps. If a
	// later step fails, InsertSession returns the error with the number of sessions
	// that the limit ended. The session that it replaces has ended then, s is ended
	// if the store can still do that, and a later login ends the rest. Nobody may be
	// given the secret of s then.
	InsertSession(ctx context.Context, s Session, replaces Digest, keep int) (stored Session, evicted int, err error)

	// SaveSession replaces the data of a live session. It returns ErrNotFound
	// if there is no such session, or if it has ended or expired at the given
	// instant. It returns ErrConflict unless revision is the current one.
	SaveSession(ctx context.Context, d Digest, data []byte, revision int64, at time.Time) error

	// TouchSession moves the expiry of a live session to a later instant, Seen to
	// at and, unless that is the zero Addr, Address to from. It does nothing, and
	// returns no error, if the session has ended, has expired at that instant, or
	// already expires later. A store may lose the step in a crash, so that the
	// session expires as it would have before.
	TouchSession(ctx context.Context, d Digest, expires, at time.Time, from netip.Addr) error

	// EndSessions ends the sessions that s selects and returns their number.
	// Sessions that ended before stay as they were and do not count: repeating
	// the call is harmless. With All or UserID the store may end many in steps that
	// hold up nobody: if it returns an error, some can have ended, and another call
	// ends the rest.
	EndSessions(ctx context.Context, s SessionSelection, reason EndReason, at time.Time) (int, error)

	// ListSessions returns one page of the sessions that f selects and that are
	// live at the given instant, and the number of all of them. The sessions of
	// the list have no Digest and no Data. The order is by Created and then by
	// ID, and by ID alone for a filter without UserID. ListSessions ignores
	// p.Order.
	ListSessions(ctx context.Context, f SessionFilter, at time.Time, p Page) (list []Session, total int, err error)

	// PurgeSessions removes at most max sessions that ended or expired before
	// the given instant, and returns the number of removed ones.
	PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (int, error)
}
