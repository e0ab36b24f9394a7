package sqlstore

import (
	"context"
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
	var where filter
	own, organizations := f.UserID != "", len(f.Organizations) > 0
	switch {
	case f.All:
	case own && organizations:
		where.and("(e.subject = ? OR e.organization_id"+inList(len(f.Organizations))+")",
			append([]any{concerning(f.UserID)}, numbers(f.Organizations)...)...)
	case own:
		where.and("e.subject = ?", concerning(f.UserID))
	case organizations:
		where.and("e.organization_id"+inList(len(f.Organizations)), numbers(f.Organizations)...)
	default:
		return nil, 0, ctx.Err()
	}
	if f.ID != 0 {
		where.and("e.id = ?", f.ID)
	}
	if f.ConcernedID != "" {
		where.and("e.subject = ?", concerning(f.ConcernedID))
	}
	if f.TokenID != 0 {
		where.and("e.token_id = ?", f.TokenID)
	}
	if f.ApplicationID != 0 {
		where.and("e.application_id = ?", f.ApplicationID)
	}
	if err := where.andWhere(s.dialect, f.Where, activityWhere); err != nil {
		return nil, 0, err
	}
	return page(ctx, s, "list activities", countActivities, listActivities, where.where(), orderBy(p.Descending, "e.happened_at", "e.id"), where.args, p,
		func(scan func(...any) error) (a store.Activity, err error) {
			return a, scan(&a.ID, when(&a.At), &a.Operation, &a.Object, &a.Associated, &a.ActorID, &a.Actor, &a.ActorTokenID,
				&a.UserID, &a.User, &a.TokenID, &a.ApplicationID, &a.Application, &a.OrganizationID, &a.Changes)
		})
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
