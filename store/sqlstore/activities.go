package sqlstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// trimStep is how many old entries of a subject one call removes at most.
const trimStep = 100

// InsertActivity implements [store.Activities].
func (s *Store) InsertActivity(ctx context.Context, a store.Activity, keep int) (out store.Activity, err error) {
	a.At = stored(a.At)
	subject := a.Subject()
	err = s.write(ctx, "insert an activity", func(tx *tx) error {
		// Two calls at the same time would not see each other's entry, and leave
		// one too many.
		if err := tx.useSlot(slotOf(userSlots, subject)); err != nil {
			return err
		}
		out = a
		out.ID, err = tx.insert(insertActivity, micros(a.At), string(a.Operation), string(a.Object), string(a.Associated),
			a.ActorID, a.Actor, a.ActorTokenID, subject, a.UserID, a.User, a.TokenID, a.ApplicationID, a.Application,
			a.OrganizationID, a.Changes)
		if err != nil {
			return err
		}
		beyond, err := column[int64](tx, activitiesBeyond, subject, trimStep, max(keep, 1))
		if err != nil {
			return err
		}
		_, err = tx.each(deleteActivities, beyond)
		return err
	})
	if err != nil {
		return store.Activity{}, err
	}
	return out, nil
}

var activityWhere = whereColumns{
	store.ColumnID:          {"e.id", numberColumn},
	store.ColumnCreated:     {"e.happened_at", timeColumn},
	store.ColumnOperation:   {"e.operation", textColumn},
	store.ColumnObject:      {"e.object", textColumn},
	store.ColumnActor:       {"e.actor_id", textColumn},
	store.ColumnUser:        {"e.user_id", textColumn},
	store.ColumnToken:       {"e.token_id", numberColumn},
	store.ColumnApplication: {"e.application_id", numberColumn},
}

// concerning returns the subject of all entries that concern a user.
func concerning(userID string) string { return store.Activity{UserID: userID}.Subject() }

// ListActivities implements [store.Activities].
func (s *Store) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ranges, err := s.activityRanges(f)
	if err != nil || len(ranges) == 0 {
		return nil, 0, errors.Join(err, ctx.Err())
	}
	read := func(from start, limit, offset int) ([]store.Activity, error) {
		query, args := s.activityPage(ranges, from, from.descending(p), limit, offset)
		return list(ctx, s, "list activities", query, args, func(scan func(...any) error) (a store.Activity, err error) {
			return a, scan(&a.ID, when(&a.At), &a.Operation, &a.Object, &a.Associated, &a.ActorID, &a.Actor, &a.ActorTokenID,
				&a.UserID, &a.User, &a.TokenID, &a.ApplicationID, &a.Application, &a.OrganizationID, &a.Changes)
		})
	}
	found, err := paged(p, walk[store.Activity]{
		lists: &s.lists,
		list:  func() store.Digest { return listDigest("activities", ranges, p.Descending) },
		key:   func(a store.Activity) []any { return []any{micros(a.At), a.ID} },
		read:  read,
	}, func(limit int) (int, error) {
		query, args := union(ranges, func(r rowRange) string {
			query := activityIDs + r.filter.where()
			if len(ranges) > 1 {
				query += limitTo(limit)
			}
			return query
		})
		return s.count(ctx, "count activities", listDigest("activities", ranges, limit), query, args, limit)
	})
	return found.list, found.total, err
}

// activityRanges returns where the entries are that f names, none if there are none.
func (s *Store) activityRanges(f store.ActivityFilter) (ranges []rowRange, err error) {
	var narrow filter
	all := rowRange{}
	only := func(name string, value any) {
		narrow.only(s.dialect, name, value)
		all.column, all.value = name, value
	}
	if f.ApplicationID != 0 {
		only("e.application_id", f.ApplicationID)
	}
	if f.TokenID != 0 {
		only("e.token_id", f.TokenID)
	}
	if f.ConcernedID != "" {
		only("e.subject", concerning(f.ConcernedID))
	}
	if f.ID != 0 {
		narrow.and("e.id = ?", f.ID)
	}
	if err := narrow.andWhere(s.dialect, f.Where, activityWhere); err != nil {
		return nil, err
	}
	if checkText(narrow.args) != nil {
		return nil, nil // nothing like that is stored
	}
	if f.All {
		all.filter = narrow
		return []rowRange{all}, nil
	}
	if f.UserID != "" && checkText([]any{f.UserID}) == nil {
		own := s.rangeOf("", narrow, "e.subject", concerning(f.UserID))
		own.overlaps = true
		ranges = append(ranges, own)
	}
	organizations := slices.Compact(slices.Sorted(slices.Values(f.Organizations)))
	if !narrow.fit(len(organizations)) {
		r := all
		r.and("e.organization_id"+inList(len(organizations)), numbers(organizations)...)
		r.add(narrow)
		return append(ranges, r), nil
	}
	for _, id := range organizations {
		ranges = append(ranges, s.rangeOf("", narrow, "e.organization_id", id))
	}
	return ranges, nil
}

// activityIndexes are the indexes that begin with a column.
var activityIndexes = map[string]string{
	"e.subject": "auth_activities_subject", "e.token_id": "auth_activities_token",
	"e.application_id": "auth_activities_application", "e.organization_id": "auth_activities_organization",
}

// activityPage returns a query for a page. That of several ranges is made of as many
// entries of each as it may need.
func (s *Store) activityPage(ranges []rowRange, from start, descending bool, limit, offset int) (query string, args []any) {
	columns := []string{"e.happened_at", "e.id"}
	ranges = slices.Clone(ranges)
	for i, r := range ranges {
		ranges[i] = r.startingAt(s.dialect, from, columns, descending)
	}
	order := func(r rowRange) string {
		columns := columns
		if s.dialect == Postgres && r.column != "" { // see filter.only
			columns = append([]string{r.column}, columns...)
		}
		return orderBy(descending, columns...)
	}
	if len(ranges) == 1 {
		r := ranges[0]
		query := listActivities
		if from.key != nil && r.column != "" {
			query += s.dialect.force(activityIndexes[r.column])
		}
		return query + r.filter.where() + order(r) + limitTo(limit) + " OFFSET ?", append(slices.Clip(r.args), offset)
	}
	query, args = union(ranges, func(r rowRange) string {
		return activityKeys + r.filter.where() + order(r) + limitTo(offset+limit)
	})
	return listActivities + joinedIDs + mergedIDs + query + mergedIDsEnd + orderBy(descending, "u.happened_at", "u.id") +
		limitTo(limit) + " OFFSET ?" + joinedIDsEnd + orderBy(descending, "e.happened_at", "e.id"), append(args, offset)
}

// PurgeActivities implements [store.Activities].
func (s *Store) PurgeActivities(ctx context.Context, before time.Time, max int) (removed int, err error) {
	at := micros(before)
	err = s.write(ctx, "purge activities", func(tx *tx) error {
		removed, err = purge[int64](tx, deleteActivity, at, oldActivities, at, max)
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
