package store

import (
	"context"
	"time"
)

// OAuth is the store of an authorization server. Its parts must be in one
// database, because tokens, grants and applications change together.
type OAuth interface {
	Tokens
	Grants
	Devices
	Consents
	Applications
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
	// Token is inserted. The store sets the same fields as InsertToken.
	// ParentID and Independent are ignored.
	Token Token
}

// A Rotation spends a refresh token.
//
// The successors are derived from the spent token and Nonce. A caller that
// presents the spent token again can therefore get the same successors,
// although the store has only their digests.
type Rotation struct {
	Refresh       Digest
	ApplicationID int64 // must be the token's
	Revision      int64 // of the token that Token was made from
	At            time.Time
	// Token is the successor to insert. The store sets the same fields as
	// InsertToken. Family, ParentID, RootID, Depth, ViaApplicationID and
	// Independent are those of the spent token. Refresh.Grant is what the two
	// refresh tokens have in common, also if the record of the spent one has
	// none.
	Token Token
	Nonce [32]byte
	// Grace is the time after Spent in which the token may be presented again,
	// if the refresh token of its successor is unspent and not revoked. It also
	// counts before Spent, because the clocks of two servers differ. Zero means
	// never.
	Grace time.Duration
}

// A RotateOutcome is the result of a [Rotation].
type RotateOutcome struct {
	// Replayed reports that the token was spent before, within the grace
	// period. Token is then the successor of that rotation and Nonce its nonce,
	// and nothing was inserted.
	Replayed bool
	Token    Token
	Nonce    [32]byte
}

// Grants keeps authorization codes and rotates refresh tokens.
type Grants interface {
	// InsertCode stores a code, or returns ErrExists. It returns ErrConflict if
	// the application does not exist or is disabled. It returns ErrLimit, and
	// stores nothing, if the application and user already have the number most
	// of pending codes, which are neither spent nor expired at c.Created.
	// Concurrent calls must not exceed the limit.
	InsertCode(ctx context.Context, c Code, most int) error

	// CodeByDigest returns a code, spent or not, so that the caller can check
	// it before it is spent. Codes that a revocation ended are ErrNotFound. See
	// [Tokens.RevokeTokens]; deleting an application or a user, disabling an
	// application and withdrawing a consent are revocations, too.
	CodeByDigest(ctx context.Context, d Digest) (Code, error)

	// SpendCode spends a code without issuing tokens, after a wrong code
	// verifier. Repeating it is harmless.
	SpendCode(ctx context.Context, d Digest, at time.Time) error

	// Redeem spends a code and stores r.Token, in one atomic step. Of any
	// number of concurrent calls with one code exactly one succeeds. The others
	// return ErrUsed, and when they do, every token of the code's family is
	// revoked, durably (RFC 6749 section 4.1.2). A code that has expired since
	// it was spent is ErrUsed, too. Redeem returns ErrNotFound, and changes
	// nothing, for a code that CodeByDigest does not return, that belongs to
	// another application, or that expired unspent. It returns ErrConflict, and
	// changes nothing, if the application is disabled.
	Redeem(ctx context.Context, r Redemption) (Token, error)

	// TokenByRefresh returns the token whose refresh token has digest d, in any
	// state, so that the caller can check it before it is spent.
	TokenByRefresh(ctx context.Context, d Digest) (Token, error)

	// TokenByGrant returns the newest token whose Refresh.Grant is grant, in any
	// state. It returns ErrNotFound for the zero Digest.
	TokenByGrant(ctx context.Context, grant Digest) (Token, error)

	// Rotate spends a refresh token, revokes the access token it belongs to and
	// stores the successor, in one atomic step. Of any number of concurrent
	// calls with one token exactly one rotates. The others return the same
	// successor within the grace period. Otherwise they return ErrUsed, and
	// when they do, the whole family is revoked, durably. A token that has
	// expired since it was spent is ErrUsed, too. Rotate returns ErrNotFound,
	// and changes nothing, for a token of an unknown grant, for one of another
	// application, and for one that expired or was revoked unspent. Otherwise
	// it returns ErrConflict, and changes nothing, unless r.Revision is the
	// current one. Refresh.Number of the successor is one more than that of the
	// spent token.
	//
	// In the same step Rotate removes the tokens of the family that were spent
	// before this one and have the Refresh.Grant of the successor, so that not
	// every refresh leaves a record. Their use is still a second one: for a
	// refresh token without a record Rotate returns ErrUsed, and the family is
	// revoked, if a token of the application has r.Token.Refresh.Grant. Rotate
	// returns ErrConflict instead if the record appears meanwhile.
	Rotate(ctx context.Context, r Rotation) (RotateOutcome, error)
}

// Decision is the answer of a user to a device.
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
	UserCode      Digest // of the user code, in its canonical form
	ApplicationID int64
	Scopes        string
	Audience      string
	Created       time.Time
	Expires       time.Time // valid strictly before this instant

	// Interval is how long the device must wait between polls.
	Interval time.Duration
	Polled   time.Time // zero before the first poll

	Decision Decision
	UserID   string // of the deciding user
	Epoch    int64  // of the user at the decision
	Spent    time.Time
	Family   int64 // of the tokens it was redeemed for, 0 before
}

// Devices keeps device codes. Devices that a revocation ended are ErrNotFound, as
// codes are; see [Grants.CodeByDigest].
type Devices interface {
	// InsertDevice stores d, or returns ErrExists if one of its codes is taken,
	// or ErrConflict if the application does not exist or is disabled.
	InsertDevice(ctx context.Context, d Device) error

	// DeviceByUserCode returns the device with this user code, in any state.
	DeviceByUserCode(ctx context.Context, d Digest) (Device, error)

	// DecideDevice stores the decision of the user, once. It returns
	// ErrNotFound for an unknown user code and for one that has expired at the
	// given instant, and ErrUsed for one that was decided before.
	DecideDevice(ctx context.Context, userCode Digest, say Decision, userID string, epoch int64, at time.Time) error

	// PollDevice sets Polled and returns the device as it was before. If the
	// device polled less than its Interval ago, the Interval grows by slower in
	// the same step. PollDevice returns ErrNotFound for an unknown code and for
	// one of another application.
	PollDevice(ctx context.Context, d Digest, applicationID int64, slower time.Duration, at time.Time) (Device, error)

	// RedeemDevice is [Grants.Redeem] for an approved device: r.Code is the
	// device code. It returns ErrNotFound for a device that is not approved.
	RedeemDevice(ctx context.Context, r Redemption) (Token, error)
}

// A Consent records that a user allowed an application to act for the user.
type Consent struct {
	UserID        string
	ApplicationID int64
	// ApplicationEpoch is the Epoch of the application at the time of the
	// consent. A consent with another epoch does not count.
	ApplicationEpoch int64
	RedirectURI      string
	Scopes           string // space-separated
	Audience         string // space-separated
	Created          time.Time
}

// Consents keeps the consents of users, one record for each user, application
// and redirect URI.
type Consents interface {
	// SaveConsent stores c in place of prev, in one step. Prev is the record of
	// the same user, application and redirect URI as ConsentFor returned it, or
	// the zero Consent if there was none. SaveConsent returns ErrConflict, and
	// changes nothing, if that is not what is stored, because another call saved
	// or withdrew the consent. Of any number of concurrent calls with one prev
	// exactly one succeeds. It returns ErrNotFound if the application does not
	// exist.
	SaveConsent(ctx context.Context, c, prev Consent) error

	// ConsentFor returns the record of that user, application and redirect URI,
	// whatever its epoch. Records of a deleted application or user are
	// ErrNotFound.
	ConsentFor(ctx context.Context, userID string, applicationID int64, redirectURI string) (Consent, error)

	// ListConsents returns one page of the user's records, and the number of
	// all of them. The order is OrderID, by application, or OrderCreated.
	// Records of deleted applications are not listed.
	ListConsents(ctx context.Context, userID string, p Page) (list []Consent, total int, err error)

	// WithdrawConsent removes the user's records of that application. In the
	// same step it ends the user's tokens whose ViaApplicationID it is, the
	// application's pending codes of the user, and the devices that the user
	// approved for it. It ends them as [Tokens.RevokeTokens] does, with the
	// same bounds. Repeating it is harmless.
	WithdrawConsent(ctx context.Context, userID string, applicationID int64, at time.Time) error
}

// An Application is an OAuth client (RFC 6749 section 2).
type Application struct {
	ID       int64  // assigned by the store, never used again
	ClientID string // unique

	// Secret is the digest of the client secret; zero for public clients.
	// After a rotation OldSecret stays good until OldSecretExpires.
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
	// RequirePKCE refuses authorization requests without a code challenge also
	// of a confidential client. pkce_required on the wire.
	RequirePKCE bool
	// Resource is the resource that the application stands for, "" for none. It
	// may introspect the tokens for that resource (RFC 8707, RFC 7662).
	Resource string
	// Disabled applications have no live tokens and get no new ones.
	Disabled bool
	Created  time.Time
	Modified time.Time

	// Epoch grows with each change of a field that a consent depends on:
	// RedirectURIs, Confidential, Secret, OrganizationID or SkipConsent. The
	// store sets it.
	Epoch int64

	Revision int64 // counted by the store, for UpdateApplication
}

// An ApplicationFilter selects applications for a list.
type ApplicationFilter struct {
	// Organizations selects the applications of these organizations, and All
	// selects every application. Without either nothing is listed.
	Organizations []int64
	All           bool

	// Each of these narrows the list further if it is not zero.
	ID     int64
	IDs    []int64 // any of them
	Name   string  // exact
	Search string  // part of name or description, byte for byte
	Where  Where
}

// A TokenSummary is the number of tokens of an application, and the first of
// them.
type TokenSummary struct {
	Total int
	First []TokenRef // by ID
}

// A TokenRef is a token in a [TokenSummary].
type TokenRef struct {
	ID     int64
	Scopes string
}

// Applications keeps OAuth clients.
type Applications interface {
	// ApplicationByID returns the application with that ID.
	ApplicationByID(ctx context.Context, id int64) (Application, error)

	// ApplicationByClientID returns the application with that client
	// identifier.
	ApplicationByClientID(ctx context.Context, clientID string) (Application, error)

	// ListApplications returns one page of the applications that f selects, and
	// the number of all of them.
	ListApplications(ctx context.Context, f ApplicationFilter, p Page) (list []Application, total int, err error)

	// SummarizeTokens returns a summary for each of the applications, in the
	// given order: the number of its tokens that f selects, and the first of
	// them by ID, at most the number most. An application that does not exist
	// has none. The number of queries must not depend on the number of
	// applications.
	SummarizeTokens(ctx context.Context, applications []int64, f TokenFilter, most int) ([]TokenSummary, error)

	// InsertApplication stores a and returns it with ID, Epoch and Revision
	// set. It returns ErrExists if the client identifier, or the name within
	// the organization, is taken.
	InsertApplication(ctx context.Context, a Application) (Application, error)

	// UpdateApplication replaces everything but ID, ClientID, Created and
	// Epoch. In the same step it raises the Epoch as [Application].Epoch says.
	// If the application becomes Disabled, its tokens end in the same step, at
	// a.Modified and as by [Selection] with ApplicationID. It returns
	// ErrConflict, and changes nothing, unless a.Revision is the current one.
	// It returns ErrExists if the name is taken.
	UpdateApplication(ctx context.Context, a Application) error

	// DeleteApplication removes the application, in one step. In the same step
	// its tokens end as by [Selection] with ApplicationID, and its codes,
	// devices and consents are no longer found.
	DeleteApplication(ctx context.Context, id int64, at time.Time) error
}
