package stores

import "net/netip"

// An AccessRow is what a request needs of a [store.Access], without its user. Times are
// UTC microseconds, which are quicker to compare.
type AccessRow struct {
	TokenID, Family                 int64
	ApplicationID, ViaApplicationID int64
	UserID, Scopes, Audience        string
	Addresses                       []netip.Prefix
	Epoch                           int64
	Expires, Revoked, LastUsed      int64 // Never for the zero time
}

// Never is the zero time in UTC microseconds.
const Never = -62_135_596_800_000_000
