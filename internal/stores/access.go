package stores

import (
	"math"
	"net/netip"
	"time"
)

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

// Micros returns a time in UTC microseconds: Never for the zero time alone, and the one
// after that for what is not between it and the last that fits. So a time that overflows is
// long past, and what has ended counts as such.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return Never
	}
	if s := t.Unix(); s < Never/1_000_000 || s >= math.MaxInt64/1_000_000 {
		return Never + 1
	}
	return max(t.UnixMicro(), Never+1)
}
