package stores

import "github.com/ostiary/auth/store"

// A SessionRow is what a request needs of a [store.Session], as a store reads it that
// copies nothing else.
type SessionRow struct {
	ID, Epoch, Revision int64
	UserID              string
	Created, Expires    int64 // UTC microseconds
	Ended               bool
	Reason              store.EndReason

	Place uint32 // in the store, by which it finds Data later

	// Read reports whether the store has read Data, which has Revision.
	Read bool
	Data []byte
}
