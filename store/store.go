// Package store is the contract between Ostiary and databases: records,
// interfaces and sentinel errors, without behaviour of its own.
//
// # What to implement
//
//   - Passwords, and HTTP Basic: [Users] and [Attempts].
//   - Login sessions: [Sessions].
//   - Personal access tokens: [Tokens].
//   - An authorization server: [OAuth], which is [Tokens], [Grants], [Devices],
//     [Consents] and [Applications] in one database.
//   - A host without a table of users: [Accounts].
//   - The activity stream: [Activities].
//
// Each of [Users], [OAuth], [Sessions], [Attempts] and [Activities] is one consistency
// boundary and may live in a database of its own. A host usually implements
// Users and takes the rest from package sqlstore. Package storetest has a suite
// for each part; it checks every promise made here.
//
// # Rules for every method
//
//   - A store must not receive a secret. It gets a [Digest].
//   - Records are values. A store must not share memory with its caller.
//   - The caller gives the time. A store must not ask a clock, neither its own
//     nor the database's. It keeps times in UTC to the microsecond and truncates
//     finer ones. The zero time means never and must come back as the zero time. A
//     time that does not fit in 64 bits of microseconds counts as long past. Only
//     what a method is told to end ends in any case: an end at the zero time is
//     kept as another one.
//   - A store must compare text byte for byte, without case folding, collation
//     or normalization. Callers never pass NUL or invalid UTF-8.
//   - A method returns [ErrNotFound] for a record that does not exist. An error
//     that is none of the sentinels is an outage: the caller answers 503.
//   - A method that changes something must change all of it or nothing. A
//     reported change must be durable and visible to every later call.
//   - Methods must be safe for concurrent use and must honour the context.
//   - A method must do a bounded amount of work, whatever the number of records
//     is. If work remains, its documentation names the method that finishes it.
//
// # Users
//
// A store keeps users itself or gets the host's [Users] at its construction.
// [Tokens.AccessByDigest] and [Sessions.SessionByDigest] return the user from
// there.
package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// The errors that callers branch on. A store may wrap them. Every other error is
// an outage.
var (
	// ErrNotFound reports that there is no such record.
	ErrNotFound = errors.New("store: not found")
	// ErrExists reports that a unique value (a name, a digest, a client
	// identifier) is taken.
	ErrExists = errors.New("store: already exists")
	// ErrConflict reports that the record has changed since it was read, or
	// that a record it depends on is gone. The caller must read and decide
	// again.
	ErrConflict = errors.New("store: conflict")
	// ErrLimit reports that the number of records has reached its limit. It
	// wraps ErrConflict.
	ErrLimit = fmt.Errorf("store: limit reached: %w", ErrConflict)
	// ErrLastAdmin reports that a change would leave no active administrator.
	// It wraps ErrConflict.
	ErrLastAdmin = fmt.Errorf("store: the last active administrator: %w", ErrConflict)
	// ErrUsed reports the second use of a one-time code or token.
	ErrUsed = errors.New("store: already used")
	// ErrOrder reports that a list has more than [MaxCount] records, and that the
	// store has no index with them in the order of a [Page].
	ErrOrder = errors.New("store: too many records for this order")
)

// Digest is the SHA-256 of a secret. A secret has at least 128 random bits, so
// that neither salt nor stretching is needed, and the time of a look-up by
// digest reveals nothing useful. Only the user code of a [Device] has fewer, 35:
// it lives for minutes, and opens nothing without a login.
type Digest [32]byte

// DigestOf returns the digest of secret. It does not allocate for secrets of up
// to 128 bytes.
func DigestOf(secret string) (d Digest) {
	var buf [128]byte
	h := sha256.New() // which with Sum takes fewer copies than Sum256
	_, _ = h.Write(append(buf[:0], secret...))
	h.Sum(d[:0])
	return d
}

// OrderBy is a column for ordering lists. No column is secret.
type OrderBy uint8

// The orders of a list. Records with equal values are ordered by ID.
const (
	OrderID OrderBy = iota
	OrderCreated
	OrderModified
	OrderExpires      // tokens
	OrderLastUsed     // tokens, never used first
	OrderName         // applications and users
	OrderOrganization // applications, then by name
)

// MaxCount is up to what number the total of a list is exact unless a [Page] says
// otherwise, and of how many records a store sorts a list that no index has in order.
const MaxCount = 10_000

// A Page is a part of a list. A negative Offset counts as 0. A Limit below 1
// returns no records, only the total.
//
// In an Order for which it has no index a store sorts up to MaxCount records, and counts
// them before, whatever CountTo says. It may refuse a longer list with [ErrOrder], but none
// in OrderID, or of the applications of organizations in OrderOrganization.
//
// From the greater of MaxCount and CountTo on, a store may find a page by another one of
// the list that it read within the last minute, instead of by its Offset. Records that
// were added or removed during a walk then shift the page and its total. A walk from page
// to page, with less than a minute between them, sees each record once that is there all
// the time, unless other walks through the same list at that time disturb it.
type Page struct {
	Offset, Limit int
	Order         OrderBy
	Descending    bool

	// CountTo bounds what counting costs. A total of up to CountTo must be
	// exact. A greater one must be greater than CountTo, and may be smaller than
	// the number of records, or greater if the page was not found by its Offset. In
	// both cases the total is greater than
	// Offset+Limit exactly if more records follow the page. Zero means
	// MaxCount. With a negative CountTo nothing is counted: all that the total
	// tells is whether more records follow.
	CountTo int
}

// A Limit allows Max attempts in each Window. A window starts with the first
// attempt in it.
//
// The clocks of several callers may differ. The start of a window must never
// decrease, and a caller whose clock is behind the start counts in that window.
// A caller whose clock is ahead ends a window early by that difference; later
// windows follow its clock and have the full length. For a caller more than two
// windows behind, the window ends after Window on the clock of the caller,
// counted from its first call in that window. A wrong clock therefore refuses
// nobody for longer than three windows.
type Limit struct {
	Max    int
	Window time.Duration
}

// A Charge is an attempt against one key, such as an account or an address.
type Charge struct {
	Key   string
	Limit Limit

	// Unless is a key of a [Memory]. While the store remembers it, the attempt
	// is counted against Instead with the same Limit, and not against Key. If
	// Instead is empty, it is not counted.
	Unless, Instead string

	// Spare marks a counter of low value. A store with limited room must drop
	// spare counters before any other.
	Spare bool
}

// A Verdict is the answer to a charge.
type Verdict struct {
	Allowed    bool
	RetryAfter time.Duration // until the refusing window ends; 0 if allowed

	// Reserved has the counted attempts, for [Settlement.Return]. It is empty
	// if the verdict is no.
	Reserved []Reservation

	// Behind is the time by which the clock of the caller is behind the latest
	// start of the windows of this charge. It is 0 if the clocks of all callers
	// agree.
	Behind time.Duration
}

// A Reservation is one attempt that was counted against Key, in the window that
// started at Start.
type Reservation struct {
	Key   string
	Start time.Time
}

// A Memory is a key that is remembered before the instant Until.
type Memory struct {
	Key   string
	Until time.Time

	// Group is the group of Key, such as an account. Of each group the store
	// remembers the keys with the latest Until, at most the number Most, and
	// forgets the others.
	Group string
	Most  int
}

// A Settlement has the changes of counters after a right attempt.
type Settlement struct {
	// Return has the attempts to take back. An attempt whose window has ended
	// or was forgotten changes nothing.
	Return []Reservation
	// Forget has the keys whose windows end. The next attempt starts a new
	// window.
	Forget []string
	// Remember is a key to remember. A key that is already remembered until a
	// later instant does not change. An empty Key remembers nothing.
	Remember Memory
}

// Attempts counts attempts to guess a secret. An attempt is counted before it
// is compared, and a settlement takes a right one back.
type Attempts interface {
	// Charge counts one attempt against every key, in one step, unless one of
	// them has used up its limit: then nothing is counted and the verdict is
	// no. Of any number of concurrent calls with one key, at most Limit.Max are
	// allowed in a window, not counting those that were returned. The store
	// looks up remembered keys in the same step.
	Charge(ctx context.Context, charges []Charge, now time.Time) (Verdict, error)

	// Settle applies s in one step. The caller must not repeat it, because a
	// repetition returns the attempts again. A store may lose the step in a
	// crash, so that a right attempt counts as a wrong one. It must not lose a
	// charge.
	Settle(ctx context.Context, s Settlement) error

	// Remembers reports whether a key is remembered at the given instant.
	Remembers(ctx context.Context, key string, at time.Time) (bool, error)

	// PurgeAttempts removes counters whose window ended before the given
	// instant, and keys whose Until is before it, at most max in all. It
	// returns the number of removed ones. A caller whose clock may be ahead of
	// others must give an instant that is earlier by the difference.
	PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (int, error)
}
