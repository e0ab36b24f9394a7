package store

import (
	"context"
	"net/netip"
	"time"
)

// A Token is an access token and, where Refresh is set, the refresh token that
// was issued with it. The two are one record, so that they end together.
//
// A token that mints others is the top of a tree. A descendant that is not
// Independent ends with each token above it: a store must report it as revoked
// as soon as a family above it has no live token. See [Tokens.RevokeTokens].
type Token struct {
	ID     int64  // assigned by the store, never used again
	Digest Digest // of the access token

	// UserID is the resource owner. It is empty for a token that acts for its
	// application alone (RFC 6749 section 4.4).
	UserID        string
	ApplicationID int64 // 0 for a personal access token

	// Family is the same for all tokens of one grant. The store sets it to ID
	// if it is 0.
	Family int64

	// ParentID is the Family of the token that minted this one, 0 for none. A
	// rotation of the parent therefore does not change it.
	ParentID int64
	// Independent tokens do not end with the tokens above them.
	Independent bool

	// RootID is the Family at the top of the tree, 0 for a token without a
	// parent. Depth is the number of families above. ViaApplicationID is the
	// application that the right comes from: ApplicationID, or else the
	// ViaApplicationID of the parent, or 0. The store sets these fields.
	RootID           int64
	Depth            int
	ViaApplicationID int64

	Scopes    string         // space-separated, RFC 6749 section 3.3; "" permits nothing
	Audience  string         // space-separated resources, RFC 8707; "" for any
	Addresses []netip.Prefix // client addresses that may use it; none for any
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

// Refresh is the refresh token of a [Token]. Its zero value means none.
type Refresh struct {
	Digest  Digest
	Scopes  string    // of the grant; those of the access token may be fewer
	Expires time.Time // valid strictly before this instant
	// GrantExpires is the end of the whole family, zero for none. Rotation
	// never moves it.
	GrantExpires time.Time
	Spent        time.Time // zero while it can be used
	// Nonce is the nonce of the rotation that spent it; see [Rotation].
	Nonce [32]byte

	// Grant is the digest of what the refresh tokens of a grant have in common,
	// zero for none. By it a store knows a refresh token whose record Rotate has
	// removed. Older versions stored none, and imported refresh tokens have none.
	Grant Digest

	// Number is the number of refreshes of the grant so far. GrantCreated is
	// the Created of the first token of the family. The store sets both.
	// GrantCreated is zero if an older version of the store issued that token.
	Number       int64
	GrantCreated time.Time
}

// Access has the fields of a token and its user for a bearer check.
type Access struct {
	TokenID          int64
	Family           int64
	UserID           string // "" where the token acts for its application alone
	ApplicationID    int64
	ViaApplicationID int64
	Scopes           string
	Audience         string
	Addresses        []netip.Prefix
	Epoch            int64 // of the user when the token was issued
	Expires          time.Time
	Revoked          time.Time
	LastUsed         time.Time
	User             User // zero if the user does not exist
}

// A Selection selects tokens. A token must match all fields that are set.
// Without any field it selects nothing; only All selects every token.
type Selection struct {
	TokenID int64
	Family  int64
	UserID  string
	// ApplicationID selects the tokens with that ViaApplicationID.
	ApplicationID int64
	// MintedBy selects all descendants of a family, Independent or not. It does
	// not select the family itself.
	MintedBy int64
	All      bool
}

// MaxDepth is the greatest [Token.Depth], the number of families that a store
// reads above a token at each use.
const MaxDepth = 8

// InsertLimits are what must hold for a token to be inserted. The zero InsertLimits
// allow no minted token. Only Owned concerns tokens without a parent.
type InsertLimits struct {
	Depth int // the greatest Depth; MaxDepth bounds it, too
	Live  int // the most live descendants of the root at a time

	// ParentDigest and ParentScopes are those that the parent had when the caller
	// read it: what has changed since mints nothing. The zero Digest means that
	// the caller knows neither.
	ParentDigest Digest
	ParentScopes string

	// Owned is the most tokens of a user at a time, 0 for any number. It does not
	// concern tokens without a user.
	Owned int
}

// Minted is the fate of the descendants of a changed token.
type Minted uint8

// The fates of descendants.
const (
	KeepMinted Minted = iota
	EndMinted
)

// TokenKind narrows a [TokenFilter].
type TokenKind uint8

// The kinds of tokens to list.
const (
	AnyToken TokenKind = iota
	PersonalToken
	ApplicationToken
)

// A TokenFilter selects tokens for a list. Revoked tokens are never listed.
type TokenFilter struct {
	// UserID selects the tokens of a user, Organizations those of the
	// applications of these organizations, and All every token. A token must
	// match one of them. Without any of them nothing is listed.
	UserID        string
	Organizations []int64
	All           bool

	// Each of these narrows the list further if it is not zero.
	Kind          TokenKind
	ID            int64
	OwnerID       string // exact
	ApplicationID int64
	Scopes        string  // exact
	Description   *string // exact
	Search        string  // part of the description, byte for byte
	Where         Where
}

// A Sighting is a use of a token.
type Sighting struct {
	TokenID int64
	At      time.Time
}

// Tokens keeps access tokens.
type Tokens interface {
	// AccessByDigest returns the access token with digest d and its user, in
	// any state. The caller checks expiry, revocation and whether the user is
	// active. A missing user is a zero User and no error. A store that keeps
	// the users itself must read both in one step.
	AccessByDigest(ctx context.Context, d Digest) (Access, error)

	// TokenByDigest returns the token whose access token has digest d, revoked
	// or not.
	TokenByDigest(ctx context.Context, d Digest) (Token, error)

	// TokenByID returns the token with that ID, revoked or not.
	TokenByID(ctx context.Context, id int64) (Token, error)

	// ListTokens returns one page of the tokens that f selects, and the number
	// of all of them.
	ListTokens(ctx context.Context, f TokenFilter, p Page) (list []Token, total int, err error)

	// ListExpiring returns the personal access tokens that expire before until, in
	// the order of Expires and then ID, and at most max of them. It leaves out
	// tokens that expire before from. Of the tokens that expire at from it leaves
	// out those with an ID up to after, so that a caller can go on behind the
	// last token of a list. It never returns revoked tokens. A list shorter than
	// max is the last one.
	ListExpiring(ctx context.Context, from time.Time, after int64, until time.Time, max int) ([]Token, error)

	// InsertToken stores t. It returns t with ID, Family, Revision and the
	// other fields that the store sets. It returns ErrExists if a digest is
	// taken.
	//
	// It returns ErrConflict if t.ApplicationID names an application that does
	// not exist or is disabled. After a concurrent deletion of the application,
	// no live token of it may remain, in any order of the two calls.
	//
	// It returns ErrConflict if the family t.ParentID has no live token: one
	// that is not revoked, has not expired at t.Created, and does not expire
	// before t or t.Refresh.GrantExpires. With limits.ParentDigest it must have
	// that digest and limits.ParentScopes, in the same step. InsertToken returns
	// ErrLimit if t would exceed the limits, such as limits.Live below 1 where
	// there is a parent. Where the parent will not do, either, it may return
	// ErrConflict or ErrLimit. After a concurrent revocation of the parent, no
	// live child may remain unless it is Independent, in any order of the two
	// calls. Concurrent inserts may exceed limits.Live and limits.Owned by their
	// number. A store may count tokens for limits.Owned that have ended while
	// their records are not marked.
	//
	// After an error that is none of these, t may be stored, for instance when the
	// connection broke before the answer came. Nobody may be given its secrets then.
	InsertToken(ctx context.Context, t Token, limits InsertLimits) (Token, error)

	// UpdateToken replaces Digest, Scopes, Description, Expires and Modified of
	// the token t.ID and, if it has a refresh token, Refresh.Scopes. All other
	// fields stay. With EndMinted it ends the tokens that Selection.MintedBy
	// selects for the token's family, in the same step and at t.Modified.
	// UpdateToken returns ErrConflict, and changes nothing, unless t.Revision
	// is the current one and the token is not revoked. It returns ErrExists if
	// the digest is taken.
	UpdateToken(ctx context.Context, t Token, minted Minted) error

	// RevokeTokens ends the tokens that s selects, their refresh tokens, and
	// all their descendants but the Independent ones. When it returns nil, all
	// of them must be dead: every method reports them as revoked. Tokens that
	// were revoked before stay as they were.
	//
	// A selection by UserID, ApplicationID, both or All, and by no other field,
	// also ends codes and approved devices: those that were stored before are
	// not found any more.
	//
	// The work must be bounded. A store marks the named token and remembers
	// larger selections as a cut-off that every read sees. It marks the other
	// records afterwards, a bounded number of them in the call and the rest in
	// Purge. RevokeTokens returns the number of records that it marked.
	// Repeating the call is harmless. Until its record is marked, a descendant
	// may be reported as revoked at another instant than at.
	RevokeTokens(ctx context.Context, s Selection, at time.Time) (int, error)

	// Touch sets LastUsed, of which the newest counts. It ignores revoked and
	// deleted tokens, and must never bring one back. A store may lose a use in
	// a crash.
	Touch(ctx context.Context, seen []Sighting) error

	// Purge removes at most max tokens, codes and devices that ended before the
	// given instant, and returns the number of removed ones. It also finishes
	// the work that revocations left.
	//
	// A token has ended when it is revoked, or when it and its refresh token
	// have expired. A spent refresh token that Rotate has left ends with its
	// family, so that a replay is recognised until then. A family ends when
	// GrantExpires has passed, or when none of its tokens can be used or
	// refreshed.
	//
	// The work must be linear in the number of removed records and of those
	// that ended since the last call. Purge must not read a record that stays
	// in each call. It must proceed in steps that delay other calls for
	// milliseconds at most. Records of one kind that cannot be removed must not
	// keep those of another.
	Purge(ctx context.Context, endedBefore time.Time, max int) (int, error)
}
