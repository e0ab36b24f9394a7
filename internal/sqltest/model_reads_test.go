package sqltest

import (
	"context"
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

func (m *model) access(d store.Digest) {
	both(m, "AccessByDigest", func(s modelStore) (store.Access, error) {
		a, err := s.AccessByDigest(context.Background(), d)
		if !a.Revoked.IsZero() {
			a.Revoked = time.Unix(0, 0)
		}
		if len(a.Addresses) == 0 {
			a.Addresses = nil
		}
		return a, err
	})
}

func (m *model) list() {
	ctx := context.Background()
	f := store.TokenFilter{All: m.r.IntN(2) == 0, Kind: store.TokenKind(m.r.IntN(3))}
	if m.r.IntN(2) == 0 {
		f.UserID = m.user()
	}
	if m.r.IntN(3) == 0 {
		f.Organizations = []int64{m.r.Int64N(4), m.r.Int64N(4)}
	}
	if m.r.IntN(3) == 0 {
		f.OwnerID = pick(m, m.users)
	}
	if m.r.IntN(3) == 0 {
		f.ApplicationID = pick(m, m.apps)
	}
	if m.r.IntN(8) == 0 {
		f.ID = m.id()
	}
	if m.r.IntN(4) == 0 {
		f.Scopes = m.scopes()
	}
	if m.r.IntN(6) == 0 {
		d := "new1"
		f.Description = &d
	}
	if m.r.IntN(6) == 0 {
		f.Search = "e"
	}
	if m.r.IntN(6) == 0 {
		f.Where = store.Where{{{Column: store.ColumnExpires, Is: store.Greater, Values: []any{m.now}}, {Column: store.ColumnLastUsed, Is: store.Unset}}}
	}
	p := store.Page{Offset: m.r.IntN(30) - 2, Limit: m.r.IntN(30) - 1, Order: store.OrderBy(m.r.IntN(5)), Descending: m.r.IntN(2) == 0}
	type answer struct {
		List  []store.Token
		Total int
	}
	both(m, fmt.Sprintf("ListTokens %+v %+v", f, p), func(s modelStore) (answer, error) {
		list, n, err := s.ListTokens(ctx, f, p)
		return answer{plains(list), n}, err
	})
	from, after, until := m.now.Add(time.Duration(m.r.IntN(1000)-500)*time.Second), m.id(), m.now.Add(time.Duration(m.r.IntN(5000))*time.Second)
	if t, err := m.a.TokenByID(ctx, after); err == nil {
		from = t.Expires
	}
	both(m, "ListExpiring", func(s modelStore) ([]store.Token, error) {
		list, err := s.ListExpiring(ctx, from, after, until, 20)
		return plains(list), err
	})
}

// compareAll compares every token that there ever was.
func (m *model) compareAll() {
	ctx := context.Background()
	for id := int64(-3); id <= m.last+3 && !m.t.Failed(); id++ {
		both(m, fmt.Sprint("TokenByID ", id), func(s modelStore) (store.Token, error) {
			x, err := s.TokenByID(ctx, id)
			return plain(x), err
		})
	}
	for _, d := range m.live {
		if m.t.Failed() {
			return
		}
		m.access(d)
	}
	for _, d := range m.fresh {
		if m.t.Failed() {
			return
		}
		both(m, "TokenByRefresh", func(s modelStore) (store.Token, error) {
			x, err := s.TokenByRefresh(ctx, d)
			return plain(x), err
		})
	}
}
