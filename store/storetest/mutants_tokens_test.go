package storetest_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

var tokenMutants = []mutant{
	{"tells of the last instant", "ListExpiring/personal tokens by expiry, behind a position", func(r right) storetest.Store { return expiringToo{r} }},
	{"tells of all tokens of an instant again", "ListExpiring/personal tokens by expiry, behind a position", func(r right) storetest.Store { return expiringAgain{r} }},
	{"a short list is not the last one", "ListExpiring/what is revoked is left out", func(r right) storetest.Store { return expiringShort{r} }},
	{"local time", "Tokens/every field is kept", func(r right) storetest.Store { return localTime{r} }},
	{"64 bits of nanoseconds", "Tokens/every field is kept", func(r right) storetest.Store { return nanoseconds{r} }},
	{"shares addresses", "Tokens/records share no memory", func(r right) storetest.Store { return sharesAddresses{r, map[int64][]netip.Prefix{}} }},
	{"takes orphans", "Tokens/a parent must live", func(r right) storetest.Store { return takesOrphans{r} }},
	{"forgets the grant of a child", "Tokens/a parent must live", func(r right) storetest.Store { return forgetsGrant{r} }},
	{"finds a refresh token that is none", "Tokens/no refresh token is no digest", func(r right) storetest.Store { return findsNone{r} }},
	{"a refresh token opens doors", "Tokens/an absent token is ErrNotFound", func(r right) storetest.Store { return refreshOpens{r} }},
	{"notes one use in a call", "Tokens/Touch: the newest wins", func(r right) storetest.Store { return notesOne{r} }},
	{"a use is a revision", "Tokens/Touch: the newest wins", func(r right) storetest.Store { return useIsRevision{r} }},
	{"cannot touch what is gone", "Tokens/Touch ignores tokens that are revoked or gone", func(r right) storetest.Store { return touchFails{r} }},
	{"last writer wins", "UpdateToken/a stale revision is ErrConflict and changes nothing", func(r right) storetest.Store { return lastWriterWins{r} }},
	{"reads, then updates", "UpdateToken/of 64 updates of one revision one succeeds", func(r right) storetest.Store { return readsThenUpdates{r} }},
	{"updates the dead", "UpdateToken/a revoked token is ErrConflict and stays as it is", func(r right) storetest.Store { return updatesDead{r} }},
	{"updates all but the digest", "UpdateToken/a taken digest is ErrExists and changes nothing", func(r right) storetest.Store { return updatesTaken{r} }},
	{"its own users", "AccessByDigest/the user is the one that users has", func(right) storetest.Store { return memory.New() }},
	{"an outage is nobody", "AccessByDigest/an outage of users is an outage", func(r right) storetest.Store { return outageIsNobody{r} }},
	{"hides the revoked", "AccessByDigest/token and user, whatever their state", func(r right) storetest.Store { return hidesRevoked{r} }},
	{"nothing is everything", "RevokeTokens/nothing set selects nothing", func(r right) storetest.Store { return nothingIsAll{r} }},
	{"or", "RevokeTokens/selections are combined with and", func(r right) storetest.Store { return selectsOr{r} }},
	{"grandchildren live", "RevokeTokens/children end with their parent, however deep", func(r right) storetest.Store { return grandchildrenLive{r} }},
	{"counts what it finds", "RevokeTokens/repeating it changes nothing and counts nothing", func(r right) storetest.Store { return countsFound{r} }},
	{"reads the parent, then inserts", "RevokeTokens/no order of a revocation and an insert leaves a live child", func(r right) storetest.Store { return readsParent{r} }},
	{"forgets what the parent was", "Trees/a parent mints as it was read", func(r right) storetest.Store { return forgetsParent{r} }},
	{"compares scopes alone", "Trees/a parent mints as it was read", func(r right) storetest.Store { return comparesScopes{r} }},
	{"compares the parent, then inserts", "Trees/no order of a mint and a change of the parent leaves a child of what it was", func(r right) storetest.Store { return comparesFirst{r} }},
	{"any number of tokens", "Trees/a user has so many tokens", func(r right) storetest.Store { return ownsAny{r} }},
	{"nobody has so many tokens", "Trees/a user has so many tokens", func(r right) storetest.Store { return nobodyOwns{r} }},
	{"nobody is everybody", "ListTokens/who may be listed", func(r right) storetest.Store { return nobodyIsEverybody{r} }},
	{"and instead of or", "ListTokens/who may be listed", func(r right) storetest.Store { return userHidesOrganizations{r} }},
	{"ignores the kind", "ListTokens/each filter narrows the list", func(r right) storetest.Store { return ignoresKind{r} }},
	{"folds case in a search", "ListTokens/text is matched byte for byte", func(r right) storetest.Store { return foldsSearch{r} }},
	{"wildcards in a search", "ListTokens/text is matched byte for byte", func(r right) storetest.Store { return wildcards{r} }},
	{"no limit is all", "ListTokens/orders and pages", func(r right) storetest.Store { return noLimit{r} }},
	{"the total of a page", "ListTokens/orders and pages", func(r right) storetest.Store { return pageTotal{r} }},
	{"purges too many", "Purge/at most max in a call", func(r right) storetest.Store { return purgesAll{r} }},
	{"purges too early", "Purge/what ended before goes and nothing else", func(r right) storetest.Store { return purgesEarly{r} }},
	{"purges spent refresh tokens", "Purge/a replay is recognised as long as the family lives", func(r right) storetest.Store { return &purgesSpent{right: r} }},
	{"purges sessions too early", "Purge/what ended before goes and nothing else, sessions", func(r right) storetest.Store { return purgesSessionsEarly{r} }},
	{"a cache", "Concurrency/what was reported is visible at once to others", func(r right) storetest.Store { return &caches{right: r} }},
	{"goes on when cancelled", "Context/a cancelled call fails and changes nothing", func(r right) storetest.Store { return goesOn{r} }},
	{"cancelled is not found", "Context/a cancelled call fails and changes nothing", func(r right) storetest.Store { return cancelledIsAbsent{r} }},
}

type localTime struct{ right }

func (m localTime) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	t, err := m.Store.TokenByID(ctx, id)
	t.Created = t.Created.In(time.FixedZone("", 3600))
	return t, err
}

type nanoseconds struct{ right }

func (m nanoseconds) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	t, err := m.Store.TokenByID(ctx, id)
	if !t.Expires.IsZero() {
		t.Expires = time.Unix(0, t.Expires.UnixNano()).UTC()
	}
	return t, err
}

type sharesAddresses struct {
	right
	given map[int64][]netip.Prefix
}

func (m sharesAddresses) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	stored, err := m.Store.InsertToken(ctx, t, limits)
	m.given[stored.ID] = t.Addresses
	return stored, err
}

func (m sharesAddresses) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	t, err := m.Store.TokenByID(ctx, id)
	if shared, ok := m.given[id]; ok {
		t.Addresses = shared
	}
	return t, err
}

type takesOrphans struct{ right }

func (m takesOrphans) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	stored, err := m.Store.InsertToken(ctx, t, limits)
	if errors.Is(err, store.ErrConflict) {
		t.ParentID = 0
		return m.Store.InsertToken(ctx, t, limits)
	}
	return stored, err
}

type findsNone struct{ right }

func (m findsNone) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	if d == (store.Digest{}) {
		return store.Token{}, nil
	}
	return m.Store.TokenByRefresh(ctx, d)
}

type refreshOpens struct{ right }

func (m refreshOpens) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	if t, err := m.TokenByRefresh(ctx, d); err == nil {
		d = t.Digest
	}
	return m.right.AccessByDigest(ctx, d)
}

type notesOne struct{ right }

func (m notesOne) Touch(ctx context.Context, seen []store.Sighting) error {
	return m.Store.Touch(ctx, seen[:min(len(seen), 1)])
}

type useIsRevision struct{ right }

func (m useIsRevision) Touch(ctx context.Context, seen []store.Sighting) error {
	for _, s := range seen {
		if t, err := m.TokenByID(ctx, s.TokenID); err == nil {
			_ = m.UpdateToken(ctx, t, store.KeepMinted)
		}
	}
	return m.Store.Touch(ctx, seen)
}

type touchFails struct{ right }

func (m touchFails) Touch(ctx context.Context, seen []store.Sighting) error {
	for _, s := range seen {
		if _, err := m.TokenByID(ctx, s.TokenID); err != nil {
			return err
		}
	}
	return m.Store.Touch(ctx, seen)
}

type lastWriterWins struct{ right }

func (m lastWriterWins) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	now, err := m.TokenByID(ctx, t.ID)
	if err != nil {
		return err
	}
	t.Revision = now.Revision
	return m.Store.UpdateToken(ctx, t, minted)
}

type readsThenUpdates struct{ right }

func (m readsThenUpdates) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	now, err := m.TokenByID(ctx, t.ID)
	if err != nil {
		return err
	}
	if t.Revision != now.Revision {
		return store.ErrConflict
	}
	gap()
	return lastWriterWins(m).UpdateToken(ctx, t, minted)
}

type updatesDead struct{ right }

func (m updatesDead) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	now, err := m.TokenByID(ctx, t.ID)
	if err == nil && !now.Revoked.IsZero() {
		return nil
	}
	return m.Store.UpdateToken(ctx, t, minted)
}

type updatesTaken struct{ right }

func (m updatesTaken) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	err := m.Store.UpdateToken(ctx, t, minted)
	if errors.Is(err, store.ErrExists) {
		now, _ := m.TokenByID(ctx, t.ID)
		t.Digest = now.Digest
		_ = m.Store.UpdateToken(ctx, t, minted)
	}
	return err
}

type outageIsNobody struct{ right }

func (m outageIsNobody) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	a, err := m.right.AccessByDigest(ctx, d)
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return a, err
}

type hidesRevoked struct{ right }

func (m hidesRevoked) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	a, err := m.right.AccessByDigest(ctx, d)
	if !a.Revoked.IsZero() {
		return store.Access{}, store.ErrNotFound
	}
	return a, err
}

type nothingIsAll struct{ right }

func (m nothingIsAll) RevokeTokens(ctx context.Context, s store.Selection, at time.Time) (int, error) {
	if s == (store.Selection{}) {
		s.All = true
	}
	return m.Store.RevokeTokens(ctx, s, at)
}

type selectsOr struct{ right }

func (m selectsOr) RevokeTokens(ctx context.Context, s store.Selection, at time.Time) (int, error) {
	if s.UserID == "" || s.ApplicationID == 0 {
		return m.Store.RevokeTokens(ctx, s, at)
	}
	n, err := m.Store.RevokeTokens(ctx, store.Selection{UserID: s.UserID}, at)
	if err != nil {
		return n, err
	}
	k, err := m.Store.RevokeTokens(ctx, store.Selection{ApplicationID: s.ApplicationID}, at)
	return n + k, err
}

// grandchildrenLive forgets who minted a token that was minted by a child.
type grandchildrenLive struct{ right }

func (m grandchildrenLive) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if parent, err := m.TokenByID(ctx, t.ParentID); err == nil && parent.ParentID != 0 {
		t.ParentID = 0
	}
	return m.Store.InsertToken(ctx, t, limits)
}

// forgetsGrant lets the grant of a child outlive the parent.
type forgetsGrant struct{ right }

func (m forgetsGrant) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if parent, err := m.TokenByID(ctx, t.ParentID); err == nil && parent.Expires.Before(t.Refresh.GrantExpires) {
		t.Refresh.GrantExpires = parent.Expires
	}
	return m.Store.InsertToken(ctx, t, limits)
}

type countsFound struct{ right }

func (m countsFound) RevokeTokens(ctx context.Context, s store.Selection, at time.Time) (int, error) {
	n, err := m.Store.RevokeTokens(ctx, s, at)
	return max(n, 1), err
}

// readsParent reads whether the parent lives and relies on it later.
type readsParent struct{ right }

func (m readsParent) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if parent, err := m.TokenByID(ctx, t.ParentID); err != nil || !parent.Revoked.IsZero() {
		return m.Store.InsertToken(ctx, t, limits)
	}
	gap()
	return takesOrphans(m).InsertToken(ctx, t, limits)
}

type forgetsParent struct{ right }

func (m forgetsParent) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	limits.ParentDigest = store.Digest{}
	return m.Store.InsertToken(ctx, t, limits)
}

type comparesScopes struct{ right }

func (m comparesScopes) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if parent, err := m.TokenByID(ctx, t.ParentID); err == nil && parent.Scopes == limits.ParentScopes && limits.ParentDigest != (store.Digest{}) {
		limits.ParentDigest = parent.Digest
	}
	return m.Store.InsertToken(ctx, t, limits)
}

// comparesFirst compares what the parent is and relies on it later.
type comparesFirst struct{ right }

func (m comparesFirst) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if parent, err := m.TokenByID(ctx, t.ParentID); err != nil || parent.Digest != limits.ParentDigest || parent.Scopes != limits.ParentScopes {
		return m.Store.InsertToken(ctx, t, limits)
	}
	gap()
	return forgetsParent(m).InsertToken(ctx, t, limits)
}

type ownsAny struct{ right }

func (m ownsAny) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	limits.Owned = 0
	return m.Store.InsertToken(ctx, t, limits)
}

type nobodyOwns struct{ right }

func (m nobodyOwns) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if _, n, _ := m.ListTokens(ctx, store.TokenFilter{All: true}, store.Page{CountTo: limits.Owned}); t.UserID == "" && limits.Owned > 0 && n >= limits.Owned {
		return store.Token{}, store.ErrLimit
	}
	return m.Store.InsertToken(ctx, t, limits)
}

type nobodyIsEverybody struct{ right }

func (m nobodyIsEverybody) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	if f.UserID == "" && f.Organizations == nil {
		f.All = true
	}
	return m.Store.ListTokens(ctx, f, p)
}

type userHidesOrganizations struct{ right }

func (m userHidesOrganizations) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	if f.UserID != "" {
		f.Organizations = nil
	}
	return m.Store.ListTokens(ctx, f, p)
}

type ignoresKind struct{ right }

func (m ignoresKind) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	f.Kind = store.AnyToken
	return m.Store.ListTokens(ctx, f, p)
}

// searchTokens lists with a search of its own.
func searchTokens(ctx context.Context, st store.Tokens, f store.TokenFilter, found func(description, search string) bool) (list []store.Token, total int, err error) {
	search := f.Search
	f.Search = ""
	all, _, err := st.ListTokens(ctx, f, store.Page{Limit: 1000})
	for _, t := range all {
		if found(t.Description, search) {
			list = append(list, t)
		}
	}
	return list, len(list), err
}

type foldsSearch struct{ right }

func (m foldsSearch) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	return searchTokens(ctx, m.Store, f, func(description, search string) bool {
		return strings.Contains(strings.ToLower(description), strings.ToLower(search))
	})
}

// wildcards is LIKE without ESCAPE, as far as the percent sign goes.
type wildcards struct{ right }

func (m wildcards) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	return searchTokens(ctx, m.Store, f, func(description, search string) bool {
		for part := range strings.SplitSeq(search, "%") {
			_, rest, ok := strings.Cut(description, part)
			if !ok {
				return false
			}
			description = rest
		}
		return true
	})
}

type noLimit struct{ right }

func (m noLimit) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	if p.Limit == 0 {
		p.Limit = 1000
	}
	return m.Store.ListTokens(ctx, f, p)
}

type pageTotal struct{ right }

func (m pageTotal) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	list, _, err := m.Store.ListTokens(ctx, f, p)
	return list, len(list), err
}

type purgesAll struct{ right }

func (m purgesAll) Purge(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	return m.Store.Purge(ctx, endedBefore, 1000)
}

type purgesEarly struct{ right }

func (m purgesEarly) Purge(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	return m.Store.Purge(ctx, endedBefore.Add(time.Microsecond), max)
}

type purgesSessionsEarly struct{ right }

func (m purgesSessionsEarly) PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	return m.Store.PurgeSessions(ctx, endedBefore.Add(time.Microsecond), max)
}

// purgesSpent does not know spent refresh tokens after a purge.
type purgesSpent struct {
	right
	purged bool
}

func (m *purgesSpent) Purge(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	m.purged = true
	return m.Store.Purge(ctx, endedBefore, max)
}

func (m *purgesSpent) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	t, err := m.TokenByRefresh(ctx, r.Refresh)
	if err == nil && m.purged && !t.Refresh.Spent.IsZero() {
		return store.RotateOutcome{}, store.ErrNotFound
	}
	return m.Store.Rotate(ctx, r)
}

type caches struct {
	right
	known sync.Map
}

func (m *caches) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	if a, ok := m.known.Load(d); ok {
		return a.(store.Access), nil
	}
	a, err := m.right.AccessByDigest(ctx, d)
	if err == nil {
		m.known.Store(d, a)
	}
	return a, err
}

type goesOn struct{ right }

func (m goesOn) Settle(ctx context.Context, s store.Settlement) error {
	return m.Store.Settle(context.WithoutCancel(ctx), s)
}

type cancelledIsAbsent struct{ right }

func (m cancelledIsAbsent) CodeByDigest(ctx context.Context, d store.Digest) (store.Code, error) {
	if ctx.Err() != nil {
		return store.Code{}, store.ErrNotFound
	}
	return m.Store.CodeByDigest(ctx, d)
}
