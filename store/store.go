// Package store is the contract between Ostiary and databases: records,
// interfaces and sentinel errors, without behaviour of its own.
//
// There are four consistency boundaries, one interface each: [Users], which is
// usually the host's own table, [OAuth] (tokens, grants and applications),
// [Sessions] and [Attempts]. An adapter implements those it has a table for;
// package storetest checks every promise made here.
//
// Rules that hold for every method:
//
//   - Secrets never get here. A store sees a [Digest] and nothing that would
//     open a door if the database leaked.
//   - Records go in and out by value and share no memory with the store.
//   - The caller gives the time. A store never asks a clock, its own or the
//     database's. Times are kept in UTC to the microsecond, finer ones are
//     truncated; the zero time means never and comes back as the zero time.
//   - Text is compared byte for byte, without case folding, collation or
//     normalization. NUL and invalid UTF-8 do not reach a store.
//   - A record that does not exist is [ErrNotFound]. Every error that is not
//     one of the sentinels below is an outage: the caller answers 503.
//   - A method that changes something changes all of it or nothing, and what it
//     reported is durable and visible to every later call.
//   - Methods are safe for concurrent use and honour the context.
package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"
)

// What callers branch on. Stores may wrap these; anything else is an outage.
var (
	// ErrNotFound reports that there is no such record.
	ErrNotFound = errors.New("store: not found")
	// ErrExists reports that a unique value (a name, a digest, a client
	// identifier) is taken.
	ErrExists = errors.New("store: already exists")
	// ErrConflict reports that the record changed since it was read, that what
	// it depends on is gone, or that there are as many of them as there may be.
	// Read again and decide again.
	ErrConflict = errors.New("store: conflict")
	// ErrUsed reports the second use of something that may be used once.
	ErrUsed = errors.New("store: already used")
)

// Digest is the SHA-256 of a secret. Secrets are uniform and at least 128 bits
// long, so neither salt nor stretching would add anything, and a look-up by
// digest tells an attacker nothing he could use.
type Digest [32]byte

// DigestOf returns the digest of secret. It does not allocate for secrets of up
// to 128 bytes.
func DigestOf(secret string) Digest {
	var buf [128]byte
	return sha256.Sum256(append(buf[:0], secret...))
}

// A User is a resource owner: the person or the machine a credential acts for.
type User struct {
	// ID is the host's key, never reused. Where it is a number the HTTP API
	// writes it as one.
	ID        string
	Name      string // the login name, unique byte for byte
	Email     string
	FirstName string
	LastName  string

	Admin   bool // may do everything: is_superuser on the wire
	Auditor bool // may read everything: is_system_auditor on the wire
	// Active users can authenticate. The zero User cannot.
	Active bool

	// Epoch changes whenever everything issued before must end, such as when
	// the password changes. Sessions of another epoch are dead.
	Epoch int64

	Created time.Time
}

// Users finds users and keeps their password hashes.
type Users interface {
	// UserByID returns the user whose ID is id, active or not.
	UserByID(ctx context.Context, id string) (User, error)

	// UserByName returns the user whose Name is name, active or not.
	UserByName(ctx context.Context, name string) (User, error)

	// PasswordHash returns the stored password hash, "" where the user has no
	// password. For a name that nobody has it is asked for the ID "", so that
	// this takes as long as for any other: that is ErrNotFound.
	PasswordHash(ctx context.Context, userID string) (string, error)

	// SwapPasswordHash replaces the hash prev by next, in one step. It returns
	// ErrConflict, and changes nothing, if the stored hash is not prev. The
	// epoch stays: this is for the same password, hashed better.
	SwapPasswordHash(ctx context.Context, userID, prev, next string) error

	// SetPasswordHash stores the hash of a new password, "" for none, and
	// changes the user's Epoch in the same step.
	SetPasswordHash(ctx context.Context, userID, hash string) error
}

// Accounts is what the adapters of this module add to [Users] for hosts that
// have no user table of their own. A host that has one need not implement it.
type Accounts interface {
	Users

	// InsertUser stores u without a password and returns it. It assigns ID, a
	// decimal number that is never reused, where that is empty. It returns
	// ErrExists if the ID or the name is taken.
	InsertUser(ctx context.Context, u User) (User, error)

	// UpdateUser replaces everything but ID, Epoch and Created. It changes the
	// Epoch in the same step if u was active and no longer is. It returns
	// ErrExists if the name is taken.
	UpdateUser(ctx context.Context, u User) error

	// DeleteUser removes the user and the user's codes, revokes the user's
	// tokens with everything they minted, and ends the user's sessions with
	// EndedAdmin, in one step.
	DeleteUser(ctx context.Context, id string, at time.Time) error

	// ListUsers returns one page of the users whose name is name, or of all if
	// that is "", and how many there are in all. The order is OrderID, by
	// number where IDs are numbers, or OrderName.
	ListUsers(ctx context.Context, name string, p Page) (list []User, total int, err error)
}

// A Token is an access token and, where Refresh is set, the refresh token that
// was issued with it. The two are one record, so that they end together.
type Token struct {
	ID     int64  // assigned by the store, never reused
	Digest Digest // of the access token

	// UserID is the resource owner. It is empty for a token that acts for its
	// application alone (RFC 6749 section 4.4).
	UserID        string
	ApplicationID int64 // 0 for a personal access token

	// ParentID is the token that minted this one, 0 for none. A child ends
	// when its parent is revoked.
	ParentID int64
	// Family is shared by all tokens that go back to one grant. The store sets
	// it to ID where it is 0.
	Family int64

	Scopes    string         // space-separated, RFC 6749 section 3.3; "" permits nothing
	Audience  string         // space-separated resources, RFC 8707; "" for any
	Addresses []netip.Prefix // client addresses it is accepted from; none for any
	Epoch     int64          // of the user when the token was issued

	Description string
	Created     time.Time
	Modified    time.Time
	Expires     time.Time // valid strictly before this instant
	LastUsed    time.Time // zero if never
	Revoked     time.Time // zero if not

	Refresh Refresh

	Revision int64 // counted by the store, for UpdateToken
}

// Refresh is the refresh token of a [Token]; its zero value means none.
type Refresh struct {
	Digest  Digest
	Scopes  string    // what the grant allowed; an access token may hold less
	Expires time.Time // valid strictly before this instant
	// GrantExpires is the end of the whole family. Rotation never moves it;
	// zero means no such end.
	GrantExpires time.Time
	Spent        time.Time // zero while it can be used
	// Nonce is what the rotation that spent it was done with; see [Rotation].
	Nonce [32]byte
}

// Access is what a bearer check needs to know, read in one go.
type Access struct {
	TokenID       int64
	UserID        string // "" where the token acts for its application alone
	ApplicationID int64
	Scopes        string
	Audience      string
	Addresses     []netip.Prefix
	Epoch         int64 // of the user when the token was issued
	Expires       time.Time
	Revoked       time.Time
	LastUsed      time.Time
	User          User // zero if the user is gone or there is none
}

// A Selection names tokens. The fields that are set are combined with "and";
// nothing set selects nothing, and only All selects everything.
type Selection struct {
	TokenID       int64
	UserID        string
	ApplicationID int64
	Family        int64
	All           bool
}

// TokenKind narrows a [TokenFilter].
type TokenKind uint8

// The kinds of tokens to list.
const (
	AnyToken TokenKind = iota
	PersonalToken
	ApplicationToken
)

// A TokenFilter says which tokens to list. Revoked tokens never are.
type TokenFilter struct {
	// Who may be listed: tokens of UserID, and tokens of applications that
	// belong to one of Organizations, or All. None of them set lists nothing.
	UserID        string
	Organizations []int64
	All           bool

	// Each of these narrows the list further where it is not zero.
	Kind          TokenKind
	ID            int64
	OwnerID       string // exact
	ApplicationID int64
	Scopes        string  // exact
	Description   *string // exact
	Search        string  // part of the description, byte for byte
}

// OrderBy is a column that lists can be ordered by. No secret is among them.
type OrderBy uint8

// The orders of a list. Equal values are ordered by ID.
const (
	OrderID OrderBy = iota
	OrderCreated
	OrderModified
	OrderExpires      // tokens
	OrderLastUsed     // tokens, never used first
	OrderName         // applications
	OrderOrganization // applications, then by name
)

// A Page is a part of a list. A negative Offset counts as 0; a Limit below 1
// returns no records, only the total.
type Page struct {
	Offset, Limit int
	Order         OrderBy
	Descending    bool
}

// A Sighting says that a token was used.
type Sighting struct {
	TokenID int64
	At      time.Time
}

// Tokens keeps access tokens.
type Tokens interface {
	// AccessByDigest returns the access token with digest d and its user as
	// users has it, whatever the state of either: the caller checks expiry,
	// revocation and whether the user is active. A missing user is a zero User
	// and no error. Where users is the store itself, both come from one read.
	AccessByDigest(ctx context.Context, d Digest, users Users) (Access, error)

	// TokenByDigest returns the token whose access token has digest d, revoked
	// or not.
	TokenByDigest(ctx context.Context, d Digest) (Token, error)

	// TokenByID returns the token with that ID, revoked or not.
	TokenByID(ctx context.Context, id int64) (Token, error)

	// ListTokens returns one page of the tokens that f names, and how many
	// there are in all.
	ListTokens(ctx context.Context, f TokenFilter, p Page) (list []Token, total int, err error)

	// InsertToken stores t and returns it with ID, Family and Revision set. It
	// returns ErrExists if a digest is taken, and ErrConflict if t.ParentID
	// names a token that does not exist, is revoked, or has expired at
	// t.Created: of a concurrent revocation of the parent and an insert of a
	// child, no order leaves a live child. It does not ask whether the
	// application exists, but who still finds that afterwards knows that its
	// deletion ends t.
	InsertToken(ctx context.Context, t Token) (Token, error)

	// UpdateToken replaces Digest, Scopes, Description, Expires and Modified
	// of the token t.ID and, where it has a refresh token, Refresh.Scopes; all
	// else stays. It returns ErrConflict, and changes
	// nothing, unless t.Revision is the current one and the token is not
	// revoked, and ErrExists if the digest is taken.
	UpdateToken(ctx context.Context, t Token) error

	// RevokeTokens revokes the tokens that s names, their refresh tokens and,
	// through ParentID, everything they minted, and returns how many tokens it
	// ended. Those revoked before stay as they were and do not count, so
	// repeating it is harmless.
	RevokeTokens(ctx context.Context, s Selection, at time.Time) (int, error)

	// Touch notes last uses. The newest wins. It ignores tokens that are
	// revoked or gone, and never brings one back. Losing a note in a crash is
	// acceptable.
	Touch(ctx context.Context, seen []Sighting) error

	// Purge removes at most max tokens, codes and devices that ended before the given
	// instant, and returns how many it removed. A token has ended when it is
	// revoked, or when it and its refresh token have expired. Spent refresh
	// tokens stay until their family has ended, so that a replay is still
	// recognised, and parents until their children have, so that RevokeTokens
	// finds those through them.
	Purge(ctx context.Context, endedBefore time.Time, max int) (int, error)
}

// A Code is an authorization code (RFC 6749 section 4.1.2).
type Code struct {
	Digest        Digest
	ApplicationID int64
	UserID        string
	Scopes        string
	Audience      string
	Epoch         int64 // of the user when the code was issued
	RedirectURI   string
	// Challenge is the S256 code challenge of RFC 7636, "" for none.
	Challenge string
	Created   time.Time
	Expires   time.Time // valid strictly before this instant
	Spent     time.Time // zero while it can be used
	Family    int64     // of the tokens it was redeemed for, 0 before
}

// A Redemption spends a code.
type Redemption struct {
	Code          Digest
	ApplicationID int64 // must be the code's
	At            time.Time
	Token         Token // to insert; ID, Family and Revision are assigned
}

// A Rotation spends a refresh token.
//
// The successors are derived from the spent token and Nonce, so that one who
// still holds the spent token can be given the same successors again without
// anybody having stored them.
type Rotation struct {
	Refresh       Digest
	ApplicationID int64 // must be the token's
	Revision      int64 // of the token that Token was made from
	At            time.Time
	Token         Token // the successor to insert; ID, Family and Revision are assigned
	Nonce         [32]byte
	// Grace is how long after it was spent the token may be presented again,
	// as long as its successor's refresh token is unspent and nothing is
	// revoked. As long before is as good, for the clocks of two servers differ.
	// Zero is never.
	Grace time.Duration
}

// A RotateOutcome says what became of a [Rotation].
type RotateOutcome struct {
	// Replayed reports that the token had been spent before, within the grace
	// period: Token is the successor of that rotation and Nonce its nonce;
	// nothing was inserted.
	Replayed bool
	Token    Token
	Nonce    [32]byte
}

// Grants keeps authorization codes and rotates refresh tokens.
type Grants interface {
	// InsertCode stores a code, or returns ErrExists. It returns ErrConflict,
	// and stores nothing, if most codes of the same application and user are
	// pending: neither spent nor expired at c.Created. No number of concurrent
	// calls gets above that.
	InsertCode(ctx context.Context, c Code, most int) error

	// CodeByDigest returns a code, spent or not, so that what it is bound to
	// can be checked before it is spent.
	CodeByDigest(ctx context.Context, d Digest) (Code, error)

	// SpendCode spends a code without issuing anything, for a caller that
	// failed to prove it is the code's. Spending it again is harmless.
	SpendCode(ctx context.Context, d Digest, at time.Time) error

	// Redeem spends a code and stores the token it pays for, in one atomic
	// step. Of any number of concurrent calls with one code exactly one
	// succeeds. The others return ErrUsed, and when they do, every token of the
	// code's family is revoked, durably (RFC 6749 section 4.1.2); so does a
	// code that has expired since it was spent. An unknown code, one of another
	// application and one that expired unspent are ErrNotFound and unchanged.
	Redeem(ctx context.Context, r Redemption) (Token, error)

	// TokenByRefresh returns the token whose refresh token has digest d,
	// whatever its state, so that it can be checked before it is spent.
	TokenByRefresh(ctx context.Context, d Digest) (Token, error)

	// Rotate spends a refresh token, revokes the access token it belongs to and
	// stores the successor, in one atomic step. Children of the access token
	// become children of the successor. Of any number of concurrent calls with
	// one token exactly one rotates. The others return the same successor
	// within the grace period, and otherwise ErrUsed, and when they do, the
	// whole family is revoked, durably; so does a token that has expired since
	// it was spent. An unknown token, one of another application and one that
	// expired or was revoked unspent are ErrNotFound and unchanged. One that
	// none of this applies to is ErrConflict and unchanged unless r.Revision is
	// the current one, and if r.Token.ParentID names a token that InsertToken
	// would not have as a parent.
	Rotate(ctx context.Context, r Rotation) (RotateOutcome, error)
}

// Decision is what a user said to a device.
type Decision uint8

// The decisions about a [Device].
const (
	Undecided Decision = iota
	Approved
	Denied
)

// A Device is a device that asks for a user's consent (RFC 8628).
type Device struct {
	Digest        Digest // of the device code
	UserCode      Digest // of the user code, in the one spelling that is compared
	ApplicationID int64
	Scopes        string
	Audience      string
	Created       time.Time
	Expires       time.Time // valid strictly before this instant

	// Interval is how long the device must wait between polls.
	Interval time.Duration
	Polled   time.Time // zero before the first poll

	Decision Decision
	UserID   string // who decided
	Epoch    int64  // of the user at the decision
	Spent    time.Time
	Family   int64 // of the tokens it was redeemed for, 0 before
}

// Devices keeps device codes.
type Devices interface {
	// InsertDevice stores d, or returns ErrExists if one of its codes is taken.
	InsertDevice(ctx context.Context, d Device) error

	// DeviceByUserCode returns the device that shows this user code, whatever
	// its state.
	DeviceByUserCode(ctx context.Context, d Digest) (Device, error)

	// DecideDevice notes what the user said, once. An unknown user code and one
	// that has expired at the given instant are ErrNotFound, one that was
	// decided before is ErrUsed.
	DecideDevice(ctx context.Context, userCode Digest, say Decision, userID string, epoch int64, at time.Time) error

	// PollDevice notes a poll and returns the device as it was before. If the
	// device polled less than its Interval ago, the Interval grows by slower in
	// the same step. An unknown code and one of another application are
	// ErrNotFound.
	PollDevice(ctx context.Context, d Digest, applicationID int64, slower time.Duration, at time.Time) (Device, error)

	// RedeemDevice is [Grants.Redeem] for an approved device: r.Code is the
	// device code. One that is not approved is ErrNotFound.
	RedeemDevice(ctx context.Context, r Redemption) (Token, error)
}

// An Application is an OAuth client (RFC 6749 section 2).
type Application struct {
	ID       int64  // assigned by the store, never reused
	ClientID string // unique

	// Secret is the digest of the client secret; zero for public clients.
	// After a rotation the previous one stays good until OldSecretExpires.
	Secret           Digest
	OldSecret        Digest
	OldSecretExpires time.Time

	Name           string // unique within the organization
	Description    string
	OrganizationID int64
	Confidential   bool
	GrantType      string // authorization_grant_type on the wire
	RedirectURIs   []string
	SkipConsent    bool // skip_authorization on the wire
	Created        time.Time
	Modified       time.Time

	Revision int64 // counted by the store, for UpdateApplication
}

// An ApplicationFilter says which applications to list.
type ApplicationFilter struct {
	// Applications of one of Organizations, or All. Neither lists nothing.
	Organizations []int64
	All           bool

	// Each of these narrows the list further where it is not zero.
	ID     int64
	Name   string // exact
	Search string // part of name or description, byte for byte
}

// Applications keeps OAuth clients.
type Applications interface {
	ApplicationByID(ctx context.Context, id int64) (Application, error)
	ApplicationByClientID(ctx context.Context, clientID string) (Application, error)

	// ListApplications returns one page of the applications that f names, and
	// how many there are in all.
	ListApplications(ctx context.Context, f ApplicationFilter, p Page) (list []Application, total int, err error)

	// InsertApplication stores a and returns it with ID and Revision set, or
	// ErrExists if the client identifier, or the name within the organization,
	// is taken.
	InsertApplication(ctx context.Context, a Application) (Application, error)

	// UpdateApplication replaces everything but ID, ClientID and Created. It
	// returns ErrConflict, and changes nothing, unless a.Revision is the
	// current one, and ErrExists if the name is taken.
	UpdateApplication(ctx context.Context, a Application) error

	// DeleteApplication removes the application, its codes and devices, and
	// revokes its tokens with everything they minted, in one step.
	DeleteApplication(ctx context.Context, id int64, at time.Time) error
}

// OAuth is everything that must change together when tokens are issued.
type OAuth interface {
	Tokens
	Grants
	Devices
	Applications
}

// A Session is a login session. What security depends on stands in fields of
// its own; Data is the host's and is never consulted for a decision.
type Session struct {
	ID     int64  // assigned by the store; a handle that opens nothing
	Digest Digest // of the session identifier
	UserID string // "" for a session without a login
	Epoch  int64  // of the user at login

	Data []byte // encoded values of the host, opaque

	Created time.Time // login; absolute lifetime counts from here
	Seen    time.Time // last time the expiry was moved
	Expires time.Time // valid strictly before this instant
	Ended   time.Time // zero while it lives
	Reason  EndReason // why it ended

	Revision int64 // of Data; counted by the store
}

// EndReason tells why a session ended. Stores keep it as the text it is.
type EndReason string

// Why a session ended.
const (
	EndedLogout  EndReason = "logout"
	EndedRenewed EndReason = "renewed"       // the same browser logged in again
	EndedLimit   EndReason = "session_limit" // newer sessions of the user pushed it out
	EndedAdmin   EndReason = "revoked"
)

// A SessionSelection names sessions. The fields that are set are combined with
// "and"; nothing set selects nothing, and only All selects everything.
type SessionSelection struct {
	ID     int64
	Digest Digest
	UserID string
	All    bool

	// Except is left alone, so that a user can end all other sessions.
	Except Digest
}

// Sessions keeps login sessions. A session that ended stays as a tombstone until
// it is purged: nothing brings it back.
type Sessions interface {
	// SessionByDigest returns the session and its user as users has it,
	// whatever the state of either: the caller checks Ended, Expires, the epoch
	// and whether the user is active. A missing user is a zero User and no
	// error. Where users is the store itself, both come from one read.
	SessionByDigest(ctx context.Context, d Digest, users Users) (Session, User, error)

	// InsertSession stores s and returns it with ID and Revision set. In the
	// same step it ends, with EndedRenewed, the session with digest replaces
	// unless that is zero, and, with EndedLimit, all live sessions of the user
	// but the newest keep, this one included, unless keep is 0. It returns how
	// many the limit ended. Sessions that have expired at s.Created do not
	// count. A taken digest is ErrExists.
	InsertSession(ctx context.Context, s Session, replaces Digest, keep int) (stored Session, evicted int, err error)

	// SaveSession replaces the data of a live session. It returns ErrNotFound
	// if there is no such session or it has ended or expired at the given
	// instant, and ErrConflict unless revision is the current one.
	SaveSession(ctx context.Context, d Digest, data []byte, revision int64, at time.Time) error

	// TouchSession moves the expiry of a live session to a later instant, and
	// Seen to at. It does nothing, without an error, if the session has ended,
	// has expired at that instant, or already expires later.
	TouchSession(ctx context.Context, d Digest, expires, at time.Time) error

	// EndSessions ends the sessions that s names and returns how many. Those
	// that ended before stay as they were and do not count, so repeating it is
	// harmless.
	EndSessions(ctx context.Context, s SessionSelection, reason EndReason, at time.Time) (int, error)

	// ListSessions returns the sessions of a user that are live at the given
	// instant, newest first, without Digest and Data.
	ListSessions(ctx context.Context, userID string, at time.Time) ([]Session, error)

	// PurgeSessions removes at most max sessions that ended or expired before
	// the given instant, and returns how many it removed.
	PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (int, error)
}

// A Limit allows Max attempts in each Window. A window starts with the first
// attempt in it. If it starts in the future, because the clock was set back, it
// starts now and lasts as long as it would have, with what it has counted.
type Limit struct {
	Max    int
	Window time.Duration
}

// A Charge is an attempt against one key, such as an account or an address.
type Charge struct {
	Key   string
	Limit Limit
}

// A Verdict is the answer to a charge.
type Verdict struct {
	Allowed    bool
	RetryAfter time.Duration // until the refusing window ends; 0 if allowed
}

// Attempts counts attempts to guess a secret.
type Attempts interface {
	// Charge counts one attempt against every key, in one step, unless one of
	// them has used up its limit: then nothing is counted and the verdict is
	// no. Of any number of concurrent calls with one key at most Limit.Max are
	// allowed in a window.
	Charge(ctx context.Context, charges []Charge, now time.Time) (Verdict, error)

	// Forgive forgets the attempts against the keys.
	Forgive(ctx context.Context, keys []string) error

	// PurgeAttempts removes at most max counters whose window ended before the
	// given instant, and returns how many it removed.
	PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (int, error)
}
