package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var grantMutants = []mutant{
	{"reads the code, then redeems", "Redeem/of 64 calls one succeeds, and the others end the family", func(r right) storetest.Store { return readsCode{r} }},
	{"replays without consequence", "Redeem/a second use is ErrUsed and ends the family", func(r right) storetest.Store { return replaysCode{r} }},
	{"the family ends a little later", "Redeem/of 64 calls one succeeds, and the others end the family", func(r right) storetest.Store { return endsLater{r} }},
	{"expired codes are unknown", "Redeem/a second use after it expired ends the family too", func(r right) storetest.Store { return expiredUnknown{r} }},
	{"a microsecond of mercy", "Redeem/it is valid strictly before it expires", func(r right) storetest.Store { return mercy{r} }},
	{"a stranger spends the code", "Redeem/unknown, foreign or expired is ErrNotFound and unchanged", func(r right) storetest.Store { return strangerSpends{r} }},
	{"a stranger ends the family", "Redeem/another application cannot end the family", func(r right) storetest.Store { return strangerEnds{r} }},
	{"spends before it inserts", "Redeem/a taken digest is ErrExists and leaves the code unspent", func(r right) storetest.Store { return spendsFirst{r} }},
	{"the caller's family", "Redeem/the token is stored and the code is spent", func(r right) storetest.Store { return callersFamily{r} }},
	{"cannot spend twice", "Codes/SpendCode spends it, again is harmless", func(r right) storetest.Store { return spendsOnce{r} }},
	{"no family is every family", "Codes/SpendCode spends it, again is harmless", func(r right) storetest.Store { return everyFamily{r} }},
	{"overwrites codes", "Codes/a taken digest is ErrExists", func(r right) storetest.Store { return overwritesCodes{r} }},
	{"no limit for codes", "Codes/no more may be pending than the caller says", func(r right) storetest.Store { return unlimitedCodes{r} }},
	{"spent and expired codes count", "Codes/no more may be pending than the caller says", func(r right) storetest.Store { return &countsCodes{right: r, key: ownCodes} }},
	{"everybody's codes count", "Codes/no more may be pending than the caller says", func(r right) storetest.Store { return &countsCodes{right: r, key: everybodysCodes} }},
	{"counts the codes, then inserts", "Codes/of 64 inserts as many succeed as may be pending", func(r right) storetest.Store { return &countsCodes{right: r, key: ownCodes, gap: gap} }},
	{"reads the refresh token, then rotates", "Rotate/of 64 calls one rotates, and the others end the family", func(r right) storetest.Store { return readsRefresh{r} }},
	{"rotation keeps the old access token", "Rotate/the successor is stored and the token is spent and revoked", func(r right) storetest.Store { return keepsAccess{r} }},
	{"a reuse without consequence", "Rotate/a second use is ErrUsed and ends the family", func(r right) storetest.Store { return reuses{r} }},
	{"rotation ends children", "Rotate/children move to the successor", func(r right) storetest.Store { return &endsChildren{right: r} }},
	{"a revoked token is a used one", "Rotate/unknown, foreign, expired or revoked is ErrNotFound and unchanged", func(r right) storetest.Store { return revokedIsUsed{r} }},
	{"anybody may rotate", "Rotate/another application cannot end the family", func(r right) storetest.Store { return anybodyRotates{r} }},
	{"rotates what was narrowed meanwhile", "Rotate/a stale revision is ErrConflict, but a second use is ErrUsed first", func(r right) storetest.Store { return rotatesStale{r} }},
	{"rotates past the end of the grant", "Rotate/it is valid strictly before it expires", func(r right) storetest.Store { return pastGrant{r} }},
	{"no grace", "Replay/the same successor within the grace period", func(r right) storetest.Store { return noGrace{r} }},
	{"the caller's nonce", "Replay/the same successor within the grace period", func(r right) storetest.Store { return callersNonce{r} }},
	{"grace unasked", "Replay/no grace is no replay", func(r right) storetest.Store { return graceFor(time.Second, r) }},
	{"endless grace", "Replay/the grace period ends", func(r right) storetest.Store { return graceFor(1000*time.Hour, r) }},
	{"grace after use", "Replay/a successor that was used ends the grace period", func(r right) storetest.Store { return graceAfterUse{r} }},
	{"grace after a revocation", "Replay/a revocation ends the grace period", func(r right) storetest.Store { return graceAfterUse{r} }},
	{"a loser inserts its own successor", "Replay/of 64 calls one rotates, and the others get its successor", func(r right) storetest.Store { return readsRefresh{r} }},
}

// readsCode decides by a read that somebody else may have made too.
type readsCode struct{ right }

func (m readsCode) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	c, err := m.CodeByDigest(ctx, r.Code)
	if err != nil || !c.Spent.IsZero() {
		return m.Store.Redeem(ctx, r)
	}
	gap()
	t, err := m.Store.Redeem(ctx, r)
	if errors.Is(err, store.ErrUsed) {
		return m.InsertToken(ctx, r.Token, limits)
	}
	return t, err
}

func (m right) spent(ctx context.Context, d store.Digest) bool {
	c, err := m.CodeByDigest(ctx, d)
	return err == nil && !c.Spent.IsZero()
}

type replaysCode struct{ right }

func (m replaysCode) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	if m.spent(ctx, r.Code) {
		return store.Token{}, store.ErrUsed
	}
	return m.Store.Redeem(ctx, r)
}

// endsLater tells the caller before the family has ended.
type endsLater struct{ right }

func (m endsLater) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	if m.spent(ctx, r.Code) {
		go m.Store.Redeem(context.WithoutCancel(ctx), r)
		return store.Token{}, store.ErrUsed
	}
	return m.Store.Redeem(ctx, r)
}

type expiredUnknown struct{ right }

func (m expiredUnknown) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	if c, err := m.CodeByDigest(ctx, r.Code); err == nil && !r.At.Before(c.Expires) {
		return store.Token{}, store.ErrNotFound
	}
	return m.Store.Redeem(ctx, r)
}

type mercy struct{ right }

func (m mercy) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	r.At = r.At.Add(-time.Microsecond)
	return m.Store.Redeem(ctx, r)
}

type strangerSpends struct{ right }

func (m strangerSpends) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := m.Store.Redeem(ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		_ = m.SpendCode(ctx, r.Code, r.At)
	}
	return t, err
}

type strangerEnds struct{ right }

func (m strangerEnds) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	c, err := m.CodeByDigest(ctx, r.Code)
	if err == nil && !c.Spent.IsZero() {
		r.ApplicationID = c.ApplicationID
	}
	return m.Store.Redeem(ctx, r)
}

type spendsFirst struct{ right }

func (m spendsFirst) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := m.Store.Redeem(ctx, r)
	if errors.Is(err, store.ErrExists) {
		_ = m.SpendCode(ctx, r.Code, r.At)
	}
	return t, err
}

type callersFamily struct{ right }

func (m callersFamily) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := m.Store.Redeem(ctx, r)
	if err == nil && r.Token.Family != 0 {
		t.Family = r.Token.Family
	}
	return t, err
}

type spendsOnce struct{ right }

func (m spendsOnce) SpendCode(ctx context.Context, d store.Digest, at time.Time) error {
	if m.spent(ctx, d) {
		return store.ErrUsed
	}
	return m.Store.SpendCode(ctx, d, at)
}

type everyFamily struct{ right }

func (m everyFamily) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	t, err := m.Store.Redeem(ctx, r)
	if c, _ := m.CodeByDigest(ctx, r.Code); errors.Is(err, store.ErrUsed) && c.Family == 0 {
		_, _ = m.RevokeTokens(ctx, store.Selection{All: true}, r.At)
	}
	return t, err
}

type overwritesCodes struct{ right }

func (m overwritesCodes) InsertCode(ctx context.Context, c store.Code, most int) error {
	err := m.Store.InsertCode(ctx, c, most)
	if errors.Is(err, store.ErrExists) {
		err = nil
	}
	return err
}

type unlimitedCodes struct{ right }

func (m unlimitedCodes) InsertCode(ctx context.Context, c store.Code, _ int) error {
	return m.Store.InsertCode(ctx, c, math.MaxInt)
}

// countsCodes counts in its own way, and may pause before it inserts.
type countsCodes struct {
	right
	key     func(store.Code) string
	gap     func()
	mu      sync.Mutex
	counted map[string]int
}

func ownCodes(c store.Code) string        { return fmt.Sprint(c.ApplicationID, " ", c.UserID) }
func everybodysCodes(c store.Code) string { return fmt.Sprint(c.ApplicationID) }

func (m *countsCodes) InsertCode(ctx context.Context, c store.Code, most int) error {
	m.mu.Lock()
	full := m.counted[m.key(c)] >= most
	m.mu.Unlock()
	if full {
		return store.ErrConflict
	}
	if m.gap != nil {
		m.gap()
	}
	err := m.Store.InsertCode(ctx, c, math.MaxInt)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.counted == nil {
			m.counted = make(map[string]int)
		}
		m.counted[m.key(c)]++
	}
	return err
}

func (m right) refreshSpent(ctx context.Context, d store.Digest) bool {
	t, err := m.TokenByRefresh(ctx, d)
	return err == nil && !t.Refresh.Spent.IsZero()
}

// readsRefresh decides by a read that somebody else may have made too.
type readsRefresh struct{ right }

func (m readsRefresh) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if m.refreshSpent(ctx, r.Refresh) {
		return m.Store.Rotate(ctx, r)
	}
	gap()
	if !m.refreshSpent(ctx, r.Refresh) {
		return m.Store.Rotate(ctx, r)
	}
	t, err := m.InsertToken(ctx, r.Token, limits)
	return store.RotateOutcome{Token: t, Nonce: r.Nonce}, err
}

type keepsAccess struct{ right }

func (m keepsAccess) TokenByDigest(ctx context.Context, d store.Digest) (store.Token, error) {
	t, err := m.Store.TokenByDigest(ctx, d)
	if !t.Refresh.Spent.IsZero() {
		t.Revoked = time.Time{}
	}
	return t, err
}

type reuses struct{ right }

func (m reuses) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if m.refreshSpent(ctx, r.Refresh) {
		return store.RotateOutcome{}, store.ErrUsed
	}
	return m.Store.Rotate(ctx, r)
}

type endsChildren struct {
	right
	mu       sync.Mutex
	children []int64
}

func (m *endsChildren) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	t, err := m.Store.InsertToken(ctx, t, limits)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && t.ParentID != 0 {
		m.children = append(m.children, t.ID)
	}
	return t, err
}

func (m *endsChildren) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range m.children {
		_, _ = m.RevokeTokens(ctx, store.Selection{TokenID: id}, r.At)
	}
	return m.Store.Rotate(ctx, r)
}

type revokedIsUsed struct{ right }

func (m revokedIsUsed) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if t, err := m.TokenByRefresh(ctx, r.Refresh); err == nil && !t.Revoked.IsZero() {
		return store.RotateOutcome{}, store.ErrUsed
	}
	return m.Store.Rotate(ctx, r)
}

type rotatesStale struct{ right }

func (m rotatesStale) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if t, err := m.TokenByRefresh(ctx, r.Refresh); err == nil {
		r.Revision = t.Revision
	}
	return m.Store.Rotate(ctx, r)
}

type anybodyRotates struct{ right }

func (m anybodyRotates) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if t, err := m.TokenByRefresh(ctx, r.Refresh); err == nil {
		r.ApplicationID = t.ApplicationID
	}
	return m.Store.Rotate(ctx, r)
}

type pastGrant struct{ right }

func (m pastGrant) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	t.Refresh.GrantExpires = time.Time{}
	return m.Store.InsertToken(ctx, t, limits)
}

type noGrace struct{ right }

func (m noGrace) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	r.Grace = 0
	return m.Store.Rotate(ctx, r)
}

type callersNonce struct{ right }

func (m callersNonce) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	out, err := m.Store.Rotate(ctx, r)
	out.Nonce = r.Nonce
	return out, err
}

type longerGrace struct {
	right
	by time.Duration
}

func graceFor(d time.Duration, r right) storetest.Store { return longerGrace{r, d} }

func (m longerGrace) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	r.Grace += m.by
	return m.Store.Rotate(ctx, r)
}

// graceAfterUse does not look at the successor.
type graceAfterUse struct{ right }

func (m graceAfterUse) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	t, err := m.TokenByRefresh(ctx, r.Refresh)
	if err == nil && !t.Refresh.Spent.IsZero() && r.At.Before(t.Refresh.Spent.Add(r.Grace)) {
		return store.RotateOutcome{Replayed: true, Token: t, Nonce: t.Refresh.Nonce}, nil
	}
	return m.Store.Rotate(ctx, r)
}
