package memory

import (
	"cmp"
	"context"
	"iter"
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
	mu     sync.RWMutex
	stream ranked[store.Activity] // by At and ID
	about  map[topic]*ranked[store.Activity]
	last   int64
}

// A topic is what entries have in common: the subject, a token, an application or an
// organization.
type topic struct {
	subject                          string
	token, application, organization int64
	organized                        bool // of an organization, which may be 0
}

// topicsOf returns those of an entry.
func topicsOf(a *store.Activity) [4]topic {
	return [4]topic{{subject: a.Subject()}, {token: a.TokenID}, {application: a.ApplicationID}, {organization: a.OrganizationID, organized: true}}
}

func newActivities() activities {
	return activities{stream: ranked[store.Activity]{order: byTime}, about: make(map[topic]*ranked[store.Activity])}
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
	l.add(&entry)
	own := l.about[topic{subject: a.Subject()}]
	for range min(max(own.n-max(keep, 1), 0), trimStep) {
		l.remove(own.first())
	}
	if l.stream.n > maxActivities {
		l.remove(l.stream.first())
	}
	return a, nil
}

func (l *activities) add(a *store.Activity) {
	l.stream.add(a)
	for _, t := range topicsOf(a) {
		if t == (topic{}) {
			continue
		}
		list := l.about[t]
		if list == nil {
			list = &ranked[store.Activity]{order: byTime}
			l.about[t] = list
		}
		list.add(a)
	}
}

func (l *activities) remove(a *store.Activity) {
	l.stream.remove(a)
	for _, t := range topicsOf(a) {
		if list := l.about[t]; list != nil {
			if list.remove(a); list.n == 0 {
				delete(l.about, t)
			}
		}
	}
}

// ListActivities implements [store.Activities].
func (s *Store) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) (list []store.Activity, total int, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	l := &s.activities
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := matcher[*store.Activity]{where: f.Where, column: activityColumn}
	found := newLister(p, byTime)
	for from := range l.sources(f, p) {
		found.take(from, func(a *store.Activity) bool { return selects(f, a) && all.meet(a) })
	}
	if all.err != nil {
		return nil, 0, all.err
	}
	for _, a := range found.page() {
		list = append(list, *a)
	}
	return list, found.total, nil
}

// sources yields the shortest lists among whose entries are all that f can name.
func (l *activities) sources(f store.ActivityFilter, p store.Page) iter.Seq[source[*store.Activity]] {
	return func(yield func(source[*store.Activity]) bool) {
		about := func(t topic, without func(*store.Activity) bool) bool {
			list := l.about[t]
			return list == nil || yield(source[*store.Activity]{records: list.all(p.Descending), ordered: true, without: without})
		}
		of := func(userID string) topic { return topic{subject: store.Activity{UserID: userID}.Subject()} }
		switch {
		case f.TokenID != 0:
			about(topic{token: f.TokenID}, nil)
		case f.ConcernedID != "":
			about(of(f.ConcernedID), nil)
		case f.ApplicationID != 0:
			about(topic{application: f.ApplicationID}, nil)
		case f.All:
			yield(source[*store.Activity]{records: l.stream.all(p.Descending), ordered: true})
		default:
			if f.UserID != "" && !about(of(f.UserID), nil) {
				return
			}
			for _, id := range slices.Compact(slices.Sorted(slices.Values(f.Organizations))) {
				own := func(a *store.Activity) bool { return f.UserID != "" && a.UserID == f.UserID }
				if !about(topic{organization: id, organized: true}, own) {
					return
				}
			}
		}
	}
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
	for ; n < max && l.stream.n > 0 && l.stream.first().At.Before(micro(before)); n++ {
		l.remove(l.stream.first())
	}
	return n, nil
}
