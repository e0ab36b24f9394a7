package storetest_test

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

type expiringToo struct{ right }

func (m expiringToo) ListExpiring(ctx context.Context, from time.Time, after int64, until time.Time, max int) ([]store.Token, error) {
	return m.Store.ListExpiring(ctx, from, after, until.Add(time.Microsecond), max)
}

type expiringAgain struct{ right }

func (m expiringAgain) ListExpiring(ctx context.Context, from time.Time, _ int64, until time.Time, max int) ([]store.Token, error) {
	return m.Store.ListExpiring(ctx, from, 0, until, max)
}

// expiringShort takes revoked tokens out of a page and does not fill it up.
type expiringShort struct{ right }

func (m expiringShort) ListExpiring(ctx context.Context, from time.Time, after int64, until time.Time, max int) ([]store.Token, error) {
	list, err := m.Store.ListExpiring(ctx, from, after, until, max)
	if len(list) > 1 && len(list) == max {
		list = list[:max-1]
	}
	return list, err
}
