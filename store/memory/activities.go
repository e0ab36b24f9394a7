package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// maxActivities is how many entries of the activity stream are kept at most. The
// oldest give way.
const maxActivities = 100_000

// trimStep is how many old entries of a subject one call removes at most.
const trimStep = 100

// activities is the activity stream. It has a lock of its own, because no other
// record depends on it.
type activities struct {
	mu       sync.RWMutex
	stream   []*store.Activity // by At and ID
	subjects map[string][]*store.Activity
	last     int64
}

func newActivities() activities {
	return activities{subjects: make(map[string][]*store.Activity)}
}

// byTime is the order of the stream.
func byTime(a, b *store.Activity) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
}

// InsertActivity implements [store.Activities].
func (s *Store) InsertActivity(ctx context.Context, a store.Activity, keep int) (store.Activity, error) {
	if err := ctx.Err(); err != nil {
		return store.Activity{}, err
	}
	l := &s.activities
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	a.ID, a.At = l.last, micro(a.At)
	entry := a
	l.stream = inserted(l.stream, &entry)
	own := inserted(l.subjects[a.Subject()], &entry)
	l.subjects[a.Subject()] = own
	for _, old := range slices.Clone(own[:min(max(len(own)-max(keep, 1), 0), trimStep)]) {
		l.remove(old)
	}
	if len(l.stream) > maxActivities {
		l.remove(l.stream[0])
	}
	return a, nil
}

// inserted returns the list with an entry, which is usually the newest.
func inserted(list []*store.Activity, a *store.Activity) []*store.Activity {
	at, _ := slices.BinarySearchFunc(list, a, byTime)
	return slices.Insert(list, at, a)
}

func removed(list []*store.Activity, a *store.Activity) []*store.Activity {
	at, found := slices.BinarySearchFunc(list, a, byTime)
	if !found {
		return list
	}
	return slices.Delete(list, at, at+1)
}

func (l *activities) remove(a *store.Activity) {
	l.stream = removed(l.stream, a)
	subject := a.Subject()
	if l.subjects[subject] = removed(l.subjects[subject], a); len(l.subjects[subject]) == 0 {
		delete(l.subjects, subject)
	}
}

// ListActivities implements [store.Activities].
func (s *Store) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	l := &s.activities
	l.mu.RLock()
	defer l.mu.RUnlock()
	var found []*store.Activity
	for _, a := range l.stream {
		if selects(f, a) {
			found = append(found, a)
		}
	}
	found, err := narrow(found, f.Where, activityColumn)
	if err != nil {
		return nil, 0, err
	}
	total := len(found)
	var list []store.Activity
	for _, a := range page(found, p, byTime) {
		list = append(list, *a)
	}
	return list, total, nil
}

func selects(f store.ActivityFilter, a *store.Activity) bool {
	visible := f.All || f.UserID != "" && a.UserID == f.UserID || slices.Contains(f.Organizations, a.OrganizationID)
	return visible && (f.ID == 0 || a.ID == f.ID) && (f.ConcernedID == "" || a.UserID == f.ConcernedID) &&
		(f.TokenID == 0 || a.TokenID == f.TokenID) && (f.ApplicationID == 0 || a.ApplicationID == f.ApplicationID)
}

func activityColumn(a *store.Activity, c store.Column) (any, bool) {
	switch c {
	case store.ColumnID:
		return a.ID, true
	case store.ColumnCreated:
		return a.At, true
	case store.ColumnOperation:
		return string(a.Operation), true
	case store.ColumnObject:
		return string(a.Object), true
	case store.ColumnActor:
		return a.ActorID, true
	case store.ColumnUser:
		return a.UserID, true
	case store.ColumnToken:
		return a.TokenID, true
	case store.ColumnApplication:
		return a.ApplicationID, true
	}
	return nil, false
}

// PurgeActivities implements [store.Activities].
func (s *Store) PurgeActivities(ctx context.Context, before time.Time, max int) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l := &s.activities
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; n < max && len(l.stream) > 0 && l.stream[0].At.Before(micro(before)); n++ {
		l.remove(l.stream[0])
	}
	return n, nil
}
