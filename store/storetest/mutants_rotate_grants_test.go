package storetest_test

import (
	"context"
	"errors"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var rotateGrantMutants = []mutant{
	{"keeps every spent token", "Grants/of many refreshes the last spent token stays", func(r right) storetest.Store { return keepsSpent{r} }},
	{"removes the last spent token, too", "Grants/of many refreshes the last spent token stays", func(r right) storetest.Store { return removesSpent{r} }},
	{"finds any token of the grant", "Grants/TokenByGrant returns the newest token", func(r right) storetest.Store { return &firstOfGrant{right: r, first: map[store.Digest]int64{}} }},
	{"finds a grant of none", "Grants/TokenByGrant returns the newest token", func(r right) storetest.Store { return noGrantIsOne{r} }},
	{"does not know what it removed", "Grants/a token without a record ends the family", func(r right) storetest.Store { return forgetsRemoved{r} }},
	{"a removed token ends nothing", "Grants/a token without a record ends the family", func(r right) storetest.Store { return usedInVain{r} }},
	{"knows a removed token until it expires", "Grants/so it does after the grant has expired", func(r right) storetest.Store { return forgetsExpired{r} }},
	{"a stranger ends the grant", "Grants/another application changes nothing", func(r right) storetest.Store { return strangerEndsGrant{r} }},
	{"every unknown token was removed", "Grants/an unknown grant is ErrNotFound, and so is none", func(r right) storetest.Store { return unknownIsRemoved{r} }},
	{"removes before it rotates", "Grants/a rotation that is refused removes nothing", func(r right) storetest.Store { return &removesFirst{right: r} }},
	{"removes whatever was spent", "Grants/records of other grants and without one stay", func(r right) storetest.Store { return &onlyTheLast{right: r, last: map[int64]store.Digest{}} }},
	{"a removed token ends what it minted", "Grants/what was minted by a removed token lives on", func(r right) storetest.Store { return &endsChildren{right: r} }},
	{"a grant without grace", "Grants/the last spent token is replayed within the grace period", func(r right) storetest.Store { return noGrace{r} }},
	{"the grant ends a little later", "Grants/of 64 calls with the newest token and old ones one rotates at most", func(r right) storetest.Store { return endsGrantLater{r} }},
}

// removed reports whether Rotate has removed the token of r.
func (m right) removed(ctx context.Context, r store.Rotation) (newest store.Token, removed bool) {
	if _, err := m.TokenByRefresh(ctx, r.Refresh); !errors.Is(err, store.ErrNotFound) {
		return store.Token{}, false
	}
	newest, err := m.TokenByGrant(ctx, r.Token.Refresh.Grant)
	return newest, err == nil
}

type keepsSpent struct{ right }

func (m keepsSpent) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	r.Token.Refresh.Grant = store.Digest{}
	return m.Store.Rotate(ctx, r)
}

type removesSpent struct{ right }

func (m removesSpent) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	t, err := m.Store.TokenByRefresh(ctx, d)
	if err == nil && !t.Refresh.Spent.IsZero() && t.Refresh.Grant != (store.Digest{}) {
		return store.Token{}, store.ErrNotFound
	}
	return t, err
}

type firstOfGrant struct {
	right
	first map[store.Digest]int64
}

func (m *firstOfGrant) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	t, err := m.Store.InsertToken(ctx, t, limits)
	m.first[t.Refresh.Grant] = t.ID
	return t, err
}

func (m *firstOfGrant) TokenByGrant(ctx context.Context, grant store.Digest) (store.Token, error) {
	if t, err := m.TokenByID(ctx, m.first[grant]); err == nil {
		return t, nil
	}
	return m.Store.TokenByGrant(ctx, grant)
}

type noGrantIsOne struct{ right }

func (m noGrantIsOne) TokenByGrant(ctx context.Context, grant store.Digest) (store.Token, error) {
	if grant == (store.Digest{}) {
		return store.Token{}, nil
	}
	return m.Store.TokenByGrant(ctx, grant)
}

type forgetsRemoved struct{ right }

func (m forgetsRemoved) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if _, removed := m.removed(ctx, r); removed {
		return store.RotateOutcome{}, store.ErrNotFound
	}
	return m.Store.Rotate(ctx, r)
}

type usedInVain struct{ right }

func (m usedInVain) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if _, removed := m.removed(ctx, r); removed {
		return store.RotateOutcome{}, store.ErrUsed
	}
	return m.Store.Rotate(ctx, r)
}

type forgetsExpired struct{ right }

func (m forgetsExpired) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if newest, removed := m.removed(ctx, r); removed && !r.At.Before(newest.Refresh.Expires) {
		return store.RotateOutcome{}, store.ErrNotFound
	}
	return m.Store.Rotate(ctx, r)
}

type strangerEndsGrant struct{ right }

func (m strangerEndsGrant) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if newest, removed := m.removed(ctx, r); removed {
		r.ApplicationID = newest.ApplicationID
	}
	return m.Store.Rotate(ctx, r)
}

type unknownIsRemoved struct{ right }

func (m unknownIsRemoved) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	out, err := m.Store.Rotate(ctx, r)
	if _, unknown := m.TokenByRefresh(ctx, r.Refresh); unknown != nil && errors.Is(err, store.ErrNotFound) {
		err = store.ErrUsed
	}
	return out, err
}

// removesFirst hides the token that was spent last after a rotation that failed.
type removesFirst struct {
	right
	failed bool
}

func (m *removesFirst) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	out, err := m.Store.Rotate(ctx, r)
	m.failed = err != nil
	return out, err
}

func (m *removesFirst) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	t, err := m.Store.TokenByRefresh(ctx, d)
	if err == nil && m.failed && !t.Refresh.Spent.IsZero() {
		return store.Token{}, store.ErrNotFound
	}
	return t, err
}

// onlyTheLast knows the token of a family that was spent last, whatever its grant
// is.
type onlyTheLast struct {
	right
	last map[int64]store.Digest
}

func (m *onlyTheLast) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	out, err := m.Store.Rotate(ctx, r)
	if err == nil {
		m.last[out.Token.Family] = r.Refresh
	}
	return out, err
}

func (m *onlyTheLast) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	t, err := m.Store.TokenByRefresh(ctx, d)
	if err == nil && !t.Refresh.Spent.IsZero() && m.last[t.Family] != d {
		return store.Token{}, store.ErrNotFound
	}
	return t, err
}

// endsGrantLater tells the caller before the family has ended.
type endsGrantLater struct{ right }

func (m endsGrantLater) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if _, removed := m.removed(ctx, r); removed {
		go m.Store.Rotate(context.WithoutCancel(ctx), r)
		return store.RotateOutcome{}, store.ErrUsed
	}
	return m.Store.Rotate(ctx, r)
}
