package store

import (
	"context"
	"strconv"
	"time"
)

// An Activity is an entry of the activity stream: an act of management, for people
// to read. No decision depends on it, and nothing in it is secret. A store must
// keep any name of at most 1,024 bytes.
type Activity struct {
	ID        int64 // assigned by the store; later entries have greater ones
	At        time.Time
	Operation Operation

	// Object is what was changed. Associated is what it was associated with or
	// dissociated from, and is empty for all other operations.
	Object, Associated ObjectKind

	// ActorID is the user who acted, "" if no user did. Actor is the name at that
	// time. ActorTokenID is the token that it was done with, 0 for none.
	ActorID, Actor string
	ActorTokenID   int64

	// UserID is the user whom the entry concerns: the object itself, or the owner
	// of the token. It is "" if the entry concerns no user. User is the name of the
	// object at that time.
	UserID, User string
	TokenID      int64 // of the object, 0 for none

	// ApplicationID is the application that the entry concerns: the object itself,
	// or that of the token. It is 0 if the entry concerns no application.
	// Application is its name at that time, and OrganizationID its organization.
	ApplicationID  int64
	Application    string
	OrganizationID int64

	// Changes describes the change. A store must keep any text of at most
	// MaxChanges bytes.
	Changes string
}

// MaxChanges is the length of the longest [Activity].Changes, in bytes.
const MaxChanges = 16 << 10

// Subject returns whom the entry concerns first: the user, otherwise the
// application. The number of entries is limited for each subject.
func (a Activity) Subject() string {
	if a.UserID != "" {
		return "user " + a.UserID
	}
	return "application " + strconv.FormatInt(a.ApplicationID, 10)
}

// Operation says what was done. A store must accept any text of at most 20 bytes.
type Operation string

// The operations.
const (
	OperationCreate       Operation = "create"
	OperationUpdate       Operation = "update"
	OperationDelete       Operation = "delete"
	OperationAssociate    Operation = "associate"
	OperationDisassociate Operation = "disassociate"
)

// ObjectKind is a kind of object. A store must accept any text of at most 20 bytes.
type ObjectKind string

// The kinds of objects.
const (
	ObjectUser        ObjectKind = "user"
	ObjectToken       ObjectKind = "token"
	ObjectApplication ObjectKind = "application"
)

// An ActivityFilter says which entries to list.
type ActivityFilter struct {
	// UserID selects the entries that concern a user, Organizations those that
	// concern applications of these organizations, and All every entry. An entry
	// must match one of them. Without any of them nothing is listed.
	UserID        string
	Organizations []int64
	All           bool

	// Each of these narrows the list further if it is not zero.
	ID            int64
	ConcernedID   string // exact; the UserID of the entry
	TokenID       int64
	ApplicationID int64
	Where         Where
}

// Activities keeps the activity stream.
type Activities interface {
	// InsertActivity stores a and returns it with its ID. In the same step it
	// removes the oldest entries of the same Subject, so that the newest keep of
	// them stay, whatever calls run at the same time. If there are more than 100
	// to remove, later calls go on. A keep below 1 counts as 1. A store with
	// limited room may remove the oldest entries of all.
	InsertActivity(ctx context.Context, a Activity, keep int) (Activity, error)

	// ListActivities returns one page of the entries that f selects, and the
	// number of all of them. The order is by At and then by ID. ListActivities
	// ignores p.Order.
	ListActivities(ctx context.Context, f ActivityFilter, p Page) (list []Activity, total int, err error)

	// PurgeActivities removes at most max entries with an At before the given
	// instant, and returns the number of removed ones.
	PurgeActivities(ctx context.Context, before time.Time, max int) (int, error)
}
