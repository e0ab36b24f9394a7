package storetest_test

import (
	"context"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

// stream is a store.Activities that keeps every promise.
type stream struct{ store.Activities }

// streaming returns how to open a store with a mutant of its activities.
func streaming(mutate func(stream) store.Activities) func(right) storetest.Store {
	return func(r right) storetest.Store {
		return struct {
			right
			store.Activities
		}{r, mutate(stream{r.Store.(store.Activities)})}
	}
}

type cutsChanges struct{ stream }

func (m cutsChanges) InsertActivity(ctx context.Context, a store.Activity, keep int) (store.Activity, error) {
	a.Changes = a.Changes[:min(len(a.Changes), store.MaxChanges-1)]
	return m.Activities.InsertActivity(ctx, a, keep)
}

type trimsUsers struct{ stream }

func (m trimsUsers) InsertActivity(ctx context.Context, a store.Activity, keep int) (store.Activity, error) {
	a.User = strings.TrimSpace(a.User)
	return m.Activities.InsertActivity(ctx, a, keep)
}

type keepsAll struct{ stream }

func (m keepsAll) InsertActivity(ctx context.Context, a store.Activity, _ int) (store.Activity, error) {
	return m.Activities.InsertActivity(ctx, a, 1_000_000)
}

type keepsNone struct{ stream }

func (m keepsNone) InsertActivity(ctx context.Context, a store.Activity, keep int) (store.Activity, error) {
	return m.Activities.InsertActivity(ctx, a, keep-1)
}

// keepsLate trims by what it has seen before.
type keepsLate struct{ stream }

func (m keepsLate) InsertActivity(ctx context.Context, a store.Activity, keep int) (store.Activity, error) {
	_, n, err := m.ListActivities(ctx, store.ActivityFilter{UserID: a.UserID}, store.Page{})
	if err != nil || a.UserID == "" {
		return m.Activities.InsertActivity(ctx, a, keep)
	}
	gap()
	if n < keep {
		keep = 1_000_000
	}
	return m.Activities.InsertActivity(ctx, a, keep)
}

type activitiesNewest struct{ stream }

func (m activitiesNewest) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	p.Descending = true
	return m.Activities.ListActivities(ctx, f, p)
}

type activitiesCountPage struct{ stream }

func (m activitiesCountPage) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	list, _, err := m.Activities.ListActivities(ctx, f, p)
	return list, len(list), err
}

// seesAll lists everything for whoever narrows the list.
type seesAll struct{ stream }

func (m seesAll) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	f.All = f.All || f.ID != 0
	return m.Activities.ListActivities(ctx, f, p)
}

// seesActs lists for users what they did to others.
type seesActs struct{ stream }

func (m seesActs) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	if f.UserID != "" && len(f.Organizations) == 0 && !f.All {
		f.All, f.Where = true, append(store.Where{{
			{Column: store.ColumnUser, Values: []any{f.UserID}}, {Column: store.ColumnActor, Values: []any{f.UserID}},
		}}, f.Where...)
	}
	return m.Activities.ListActivities(ctx, f, p)
}

type anyToken struct{ stream }

func (m anyToken) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	f.TokenID = 0
	return m.Activities.ListActivities(ctx, f, p)
}

type anyWhere struct{ stream }

func (m anyWhere) ListActivities(ctx context.Context, f store.ActivityFilter, p store.Page) ([]store.Activity, int, error) {
	f.Where = nil
	return m.Activities.ListActivities(ctx, f, p)
}

type purgesMore struct{ stream }

func (m purgesMore) PurgeActivities(ctx context.Context, before time.Time, max int) (int, error) {
	return m.Activities.PurgeActivities(ctx, before.Add(time.Microsecond), max)
}

type purgesEverything struct{ stream }

func (m purgesEverything) PurgeActivities(ctx context.Context, before time.Time, _ int) (int, error) {
	return m.Activities.PurgeActivities(ctx, before, 1_000_000)
}

var activityMutants = []mutant{
	{"cuts long changes", "Activities/an entry comes back as it went in", streaming(func(s stream) store.Activities { return cutsChanges{s} })},
	{"trims names of activities", "Activities/an entry comes back as it went in", streaming(func(s stream) store.Activities { return trimsUsers{s} })},
	{"keeps all activities", "Activities/the newest of a subject stay", streaming(func(s stream) store.Activities { return keepsAll{s} })},
	{"keeps one activity too few", "Activities/the newest of a subject stay", streaming(func(s stream) store.Activities { return keepsNone{s} })},
	{"trims by an older count", "Activities/the newest of a subject stay in a race", streaming(func(s stream) store.Activities { return keepsLate{s} })},
	{"activities newest first", "Activities/a list comes in pages", streaming(func(s stream) store.Activities { return activitiesNewest{s} })},
	{"counts a page of activities", "Activities/totals are as exact as the page asks for", streaming(func(s stream) store.Activities { return activitiesCountPage{s} })},
	{"lists an activity for its ID", "Activities/who may see what", streaming(func(s stream) store.Activities { return seesAll{s} })},
	{"lists acts on others", "Activities/who may see what", streaming(func(s stream) store.Activities { return seesActs{s} })},
	{"ignores the token of activities", "Activities/filters are combined with and", streaming(func(s stream) store.Activities { return anyToken{s} })},
	{"ignores conditions on activities", "Activities/filters are combined with and", streaming(func(s stream) store.Activities { return anyWhere{s} })},
	{"purges activities of that instant", "Activities/what is older goes and nothing else", streaming(func(s stream) store.Activities { return purgesMore{s} })},
	{"purges more activities than it may", "Activities/what is older goes and nothing else", streaming(func(s stream) store.Activities { return purgesEverything{s} })},
}
