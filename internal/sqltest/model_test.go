package sqltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A modelStore is what a model runs on.
type modelStore interface {
	store.Accounts
	store.OAuth
}

// A model calls two stores with the same random operations, and holds their answers
// against each other.
type model struct {
	t     *testing.T
	r     *rand.Rand
	a, b  modelStore
	now   time.Time
	n     int // digests so far
	ops   int
	mints bool
	last  int64 // token
	users []string
	names map[string]int
	apps  []int64
	codes []store.Digest
	live  []store.Digest // access digests, of any state
	fresh []store.Digest // refresh digests, of any state
	grant []store.Digest
}

// The memory store answers as SQLite does, whatever was done before.
func TestMemoryAnswersAsSQLite(t *testing.T) {
	ops, seeds := 1_000, 2 // more by OSTIARY_MODEL_OPS
	if n, err := strconv.Atoi(os.Getenv("OSTIARY_MODEL_OPS")); err == nil {
		ops, seeds = n, 8
	}
	first, _ := strconv.Atoi(os.Getenv("OSTIARY_MODEL_SEED"))
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			p := freshSQLite(t)
			db := p.pool(t)
			m := &model{
				t: t, mints: seed%2 == 0, r: rand.New(rand.NewPCG(uint64(seed), 1)), a: memory.New(), b: openIn(t, db, p),
				now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), names: map[string]int{},
			}
			for m.ops = 0; m.ops < ops && !t.Failed(); m.ops++ {
				m.step()
				if m.ops%200 == 199 {
					m.compareAll()
				}
			}
			m.compareAll()
		})
	}
}

// both calls f with each store, and compares what it returns.
func both[T any](m *model, what string, f func(modelStore) (T, error)) (T, error) {
	m.t.Helper()
	x, errX := f(m.a)
	y, errY := f(m.b)
	if kind(errX) != kind(errY) || errX == nil && fmt.Sprintf("%+v", x) != fmt.Sprintf("%+v", y) {
		m.t.Errorf("op %d: %s:\nmemory %+v, %v\nSQLite %+v, %v", m.ops, what, x, errX, y, errY)
	}
	return x, errX
}

func kind(err error) string {
	for _, known := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrLimit, store.ErrUsed, store.ErrLastAdmin} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "other"
	}
	return ""
}

// plain is a token without what stores may differ in.
func plain(t store.Token) store.Token {
	if !t.Revoked.IsZero() {
		t.Revoked = time.Unix(0, 0)
	}
	if len(t.Addresses) == 0 {
		t.Addresses = nil
	}
	return t
}

func plains(list []store.Token) []store.Token {
	for i := range list {
		list[i] = plain(list[i])
	}
	return list
}

func (m *model) digest() store.Digest {
	m.n++
	return store.DigestOf(fmt.Sprint(m.n))
}

func pick[T any](m *model, list []T) (x T) {
	if len(list) == 0 {
		return x
	}
	if m.r.IntN(3) > 0 { // more often a late one
		return list[len(list)-1-m.r.IntN(min(len(list), 20))]
	}
	return list[m.r.IntN(len(list))]
}

func (m *model) user() string {
	if m.r.IntN(10) == 0 {
		return ""
	}
	return pick(m, m.users)
}

func (m *model) app() int64 {
	if m.r.IntN(3) == 0 {
		return 0
	}
	return pick(m, m.apps)
}

func (m *model) id() int64 {
	switch m.r.IntN(30) {
	case 0:
		return -m.r.Int64N(100)
	case 1:
		return m.last + 1 + m.r.Int64N(5)
	}
	if m.last == 0 {
		return 0
	}
	if m.r.IntN(4) > 0 {
		return max(1, m.last-m.r.Int64N(40))
	}
	return 1 + m.r.Int64N(m.last)
}

func (m *model) scopes() string {
	return []string{"", "read", "write", "read write", "x" + fmt.Sprint(m.r.IntN(50))}[m.r.IntN(5)]
}

func (m *model) token() store.Token {
	t := store.Token{
		Digest: m.digest(), UserID: m.user(), ApplicationID: m.app(), Scopes: m.scopes(), Epoch: m.r.Int64N(3),
		Description: []string{"", "laptop", "d" + fmt.Sprint(m.r.IntN(9))}[m.r.IntN(3)],
		Created:     m.now, Modified: m.now, Expires: m.now.Add(time.Duration(1+m.r.IntN(3600)) * time.Second),
	}
	if m.r.IntN(20) == 0 && len(m.live) > 0 {
		t.Digest = pick(m, m.live)
	}
	if t.UserID == "" && t.ApplicationID == 0 {
		t.UserID = "1"
	}
	if m.r.IntN(5) == 0 {
		t.Audience = "https://a.example"
		t.Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}[:m.r.IntN(3)]
	}
	if t.ApplicationID != 0 && m.r.IntN(2) == 0 {
		t.Refresh = m.refresh()
	}
	return t
}

func (m *model) refresh() store.Refresh {
	r := store.Refresh{Digest: m.digest(), Scopes: m.scopes(), Expires: m.now.Add(time.Duration(1+m.r.IntN(7200)) * time.Second)}
	if m.r.IntN(4) > 0 {
		r.Grant = m.digest()
	}
	if m.r.IntN(2) == 0 {
		r.GrantExpires = m.now.Add(time.Duration(3600+m.r.IntN(7200)) * time.Second)
	}
	if m.r.IntN(20) == 0 && len(m.fresh) > 0 {
		r.Digest = pick(m, m.fresh)
	}
	return r
}

func (m *model) stored(t store.Token, err error) {
	if err != nil {
		return
	}
	m.last = max(m.last, t.ID)
	m.live = append(m.live, t.Digest)
	if t.Refresh.Digest != (store.Digest{}) {
		m.fresh = append(m.fresh, t.Refresh.Digest)
		if t.Refresh.Grant != (store.Digest{}) {
			m.grant = append(m.grant, t.Refresh.Grant)
		}
	}
}

func (m *model) step() {
	ctx := context.Background()
	m.t.Helper()
	if m.r.IntN(4) == 0 {
		m.now = m.now.Add(time.Duration(m.r.IntN(60_000)) * time.Millisecond)
	}
	switch op := m.r.IntN(100); {
	case op < 3 || len(m.users) < 3:
		name := fmt.Sprint("u", len(m.users))
		u, err := both(m, "InsertUser", func(s modelStore) (store.User, error) {
			return s.InsertUser(ctx, store.User{Name: name, Active: true, Created: m.now})
		})
		if err == nil {
			m.users = append(m.users, u.ID)
		}
	case op < 5 || len(m.apps) < 3:
		name := fmt.Sprint("a", len(m.apps))
		a, err := both(m, "InsertApplication", func(s modelStore) (store.Application, error) {
			return s.InsertApplication(ctx, store.Application{ClientID: name, Name: name, OrganizationID: int64(len(m.apps) % 4), Created: m.now, Modified: m.now})
		})
		if err == nil {
			m.apps = append(m.apps, a.ID)
		}
	case op < 25: // a token, minted or not
		t := m.token()
		if m.mints && m.r.IntN(2) == 0 {
			t.ParentID, t.Independent = m.id(), m.r.IntN(3) == 0
			if p, err := m.a.TokenByID(ctx, t.ParentID); err == nil && m.r.IntN(4) > 0 {
				t.ParentID = p.Family
				t.Expires = t.Created.Add(p.Expires.Sub(t.Created) / 2)
			}
		}
		if _, err := m.a.TokenByDigest(ctx, t.Digest); err == nil {
			t.ParentID, t.Independent, t.ApplicationID = 0, false, 0
		}
		if _, err := m.a.TokenByRefresh(ctx, t.Refresh.Digest); err == nil {
			t.ParentID, t.Independent, t.ApplicationID, t.Refresh = 0, false, 0, store.Refresh{}
		}
		limits := store.InsertLimits{Depth: m.r.IntN(10), Live: m.r.IntN(30)}
		m.stored(both(m, fmt.Sprintf("InsertToken %+v", t), func(s modelStore) (store.Token, error) {
			x, err := s.InsertToken(ctx, t, limits)
			return plain(x), err
		}))
	case op < 35:
		t, err := m.a.TokenByID(ctx, m.id())
		if err != nil {
			return
		}
		if m.r.IntN(2) == 0 {
			t.Digest = m.digest()
			m.live = append(m.live, t.Digest)
		}
		if m.r.IntN(20) == 0 {
			t.Digest = pick(m, m.live)
		}
		t.Scopes, t.Description, t.Modified = m.scopes(), fmt.Sprint("new", m.r.IntN(5)), m.now
		t.Expires = t.Expires.Add(time.Duration(m.r.IntN(1000)-500) * time.Second)
		t.Refresh.Scopes = m.scopes()
		if m.r.IntN(20) == 0 {
			t.Revision++
		}
		end := store.Minted(m.r.IntN(6) / 5)
		both(m, "UpdateToken", func(s modelStore) (int, error) { return 0, s.UpdateToken(ctx, t, end) })
	case op < 40:
		c := store.Code{
			Digest: m.digest(), ApplicationID: pick(m, m.apps), UserID: pick(m, m.users), Scopes: m.scopes(),
			RedirectURI: "https://x.example/", Created: m.now, Expires: m.now.Add(time.Duration(m.r.IntN(600)) * time.Second),
		}
		if _, err := both(m, "InsertCode", func(s modelStore) (int, error) { return 0, s.InsertCode(ctx, c, 50) }); err == nil {
			m.codes = append(m.codes, c.Digest)
		}
	case op < 46:
		d := pick(m, m.codes)
		c, err := both(m, "CodeByDigest", func(s modelStore) (store.Code, error) { return s.CodeByDigest(ctx, d) })
		if err != nil {
			return
		}
		if m.r.IntN(10) == 0 {
			both(m, "SpendCode", func(s modelStore) (int, error) { return 0, s.SpendCode(ctx, d, m.now) })
			return
		}
		t := m.token()
		t.UserID, t.ApplicationID, t.Refresh = c.UserID, c.ApplicationID, m.refresh()
		m.stored(both(m, "Redeem", func(s modelStore) (store.Token, error) {
			x, err := s.Redeem(ctx, store.Redemption{Code: d, ApplicationID: c.ApplicationID, At: m.now, Token: t})
			return plain(x), err
		}))
	case op < 60:
		d := pick(m, m.fresh)
		old, err := both(m, "TokenByRefresh", func(s modelStore) (store.Token, error) {
			x, err := s.TokenByRefresh(ctx, d)
			return plain(x), err
		})
		t := m.token()
		t.UserID, t.ApplicationID = old.UserID, cmp.Or(old.ApplicationID, pick(m, m.apps))
		t.Refresh = m.refresh()
		t.Refresh.GrantExpires = old.Refresh.GrantExpires
		if t.Refresh.Grant = old.Refresh.Grant; err != nil {
			t.Refresh.Grant = pick(m, m.grant)
		}
		grace := time.Duration(m.r.IntN(3)) * time.Minute
		var nonce [32]byte
		nonce[0] = byte(m.n)
		out, err := both(m, "Rotate", func(s modelStore) (store.RotateOutcome, error) {
			x, err := s.Rotate(ctx, store.Rotation{Refresh: d, ApplicationID: t.ApplicationID, Revision: old.Revision, At: m.now, Token: t, Nonce: nonce, Grace: grace})
			x.Token = plain(x.Token)
			return x, err
		})
		if !out.Replayed {
			m.stored(out.Token, err)
		}
	case op < 68:
		var sel store.Selection
		switch m.r.IntN(12) {
		case 0, 1, 2, 3:
			sel.TokenID = m.id()
		case 4, 5:
			sel.Family = m.id()
		case 6, 7:
			sel.MintedBy = m.id()
		case 8:
			sel.UserID = pick(m, m.users)
		case 9:
			sel.ApplicationID = pick(m, m.apps)
		case 10:
			sel.UserID, sel.ApplicationID = pick(m, m.users), pick(m, m.apps)
		case 11:
			sel = store.Selection{TokenID: m.id() * int64(m.r.IntN(2)), Family: m.id() * int64(m.r.IntN(2)), UserID: m.user(), ApplicationID: m.app(), MintedBy: m.id() * int64(m.r.IntN(2)), All: m.r.IntN(30) == 0}
		}
		both(m, fmt.Sprintf("RevokeTokens %+v", sel), func(s modelStore) (int, error) {
			_, err := s.RevokeTokens(ctx, sel, m.now)
			return 0, err
		})
	case op < 69:
		id := pick(m, m.users)
		both(m, "DeleteUser", func(s modelStore) (int, error) { return 0, s.DeleteUser(ctx, id, m.now) })
	case op < 70:
		id := pick(m, m.apps)
		switch m.r.IntN(3) {
		case 0:
			both(m, "DeleteApplication", func(s modelStore) (int, error) { return 0, s.DeleteApplication(ctx, id, m.now) })
		case 1:
			a, err := both(m, "ApplicationByID", func(s modelStore) (store.Application, error) { return s.ApplicationByID(ctx, id) })
			if err == nil {
				a.Disabled = !a.Disabled
				a.Modified = m.now
				both(m, "UpdateApplication", func(s modelStore) (int, error) { return 0, s.UpdateApplication(ctx, a) })
			}
		}
	case op < 72:
		user, app := pick(m, m.users), pick(m, m.apps)
		both(m, "WithdrawConsent", func(s modelStore) (int, error) { return 0, s.WithdrawConsent(ctx, user, app, m.now) })
	case op < 77:
		seen := []store.Sighting{{TokenID: m.id(), At: m.now.Add(-time.Duration(m.r.IntN(100)) * time.Second)}, {TokenID: m.id(), At: m.now}}
		both(m, "Touch", func(s modelStore) (int, error) { return 0, s.Touch(ctx, seen) })
	case op < 79:
		if m.mints {
			return // SQL keeps a token that minted as long as what it minted
		}
		before := m.now.Add(-time.Duration(m.r.IntN(1800)) * time.Second)
		purge := func(s modelStore) (int, error) {
			for calm := 0; calm < 3; calm++ {
				n, err := s.Purge(ctx, before, 1_000_000)
				if err != nil {
					return 0, err
				}
				if n > 0 {
					calm = -1
				}
			}
			return 0, nil // the codes that a revocation ended may be gone before
		}
		both(m, fmt.Sprint("Purge ", before), purge)
		m.compareAll()
	case op < 90:
		m.list()
	default:
		d := pick(m, m.live)
		m.access(d)
		g := pick(m, m.grant)
		both(m, "TokenByGrant", func(s modelStore) (store.Token, error) {
			x, err := s.TokenByGrant(ctx, g)
			return plain(x), err
		})
	}
}
