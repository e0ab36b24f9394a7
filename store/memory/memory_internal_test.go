package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

func TestQueueIsInOrder(t *testing.T) {
	type record struct {
		ends  instant
		place int32
	}
	q := queue[record]{place: func(r *record) *int32 { return &r.place }}
	r := rand.New(rand.NewPCG(1, 2))
	var all []*record
	for range 300 {
		x := &record{ends: instant(r.IntN(1000))}
		q.add(x, x.ends)
		all = append(all, x)
	}
	for _, x := range all[:100] {
		x.ends = instant(r.IntN(1000))
		q.move(x, x.ends)
	}
	for _, x := range all[250:] {
		q.remove(x)
	}
	var last instant
	n := q.purge(500, 1000, func(x *record) {
		if x.ends < last || x.ends >= 500 {
			t.Errorf("%d after %d", x.ends, last)
		}
		last = x.ends
		q.remove(x)
	})
	for _, x := range all[:250] {
		if x.ends < 500 {
			n--
		}
	}
	if n != 0 {
		t.Errorf("%d more records purged than ended", n)
	}
}

func TestInstantKeepsMicroseconds(t *testing.T) {
	for _, at := range []time.Time{
		{},
		time.Unix(0, 0),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.FixedZone("", 3600)),
		time.Date(2026, 7, 1, 12, 0, 0, 123_456_789, time.UTC),
	} {
		if got, want := micro(at), at.UTC().Truncate(time.Microsecond); got != want {
			t.Errorf("micro(%v) = %v, want %v", at, got, want)
		}
	}
}

// What is purged leaves nothing behind in any index.
func TestPurgeForgetsEverything(t *testing.T) {
	ctx := t.Context()
	s := New()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var apps [3]int64 // the first is none
	for i := range apps[1:] {
		app, err := s.InsertApplication(ctx, store.Application{ClientID: fmt.Sprint(i), Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		apps[i+1] = app.ID
	}
	for i := range byte(100) {
		_, err := s.InsertToken(ctx, store.Token{
			Digest: store.Digest{i}, UserID: fmt.Sprint(i % 7), ApplicationID: apps[i%3], Family: int64(i % 5), ParentID: int64(i % 2),
			Created: now, Expires: now.Add(time.Hour), Refresh: store.Refresh{Digest: store.Digest{i, 1}, Expires: now.Add(time.Hour)},
		}, store.InsertLimits{Depth: 2, Live: 100})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.InsertSession(ctx, store.Session{Digest: store.Digest{i}, UserID: fmt.Sprint(i % 11), Created: now, Expires: now.Add(time.Hour)}, store.Digest{}, 0); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			_, err = s.Charge(ctx, []store.Charge{{Key: fmt.Sprint(i), Limit: store.Limit{Max: 1, Window: time.Hour}, Spare: i%4 == 0}}, now)
		} else {
			err = s.Settle(ctx, store.Settlement{Remember: store.Memory{Key: fmt.Sprint(i), Group: fmt.Sprint(i % 3), Until: now.Add(time.Hour), Most: 50}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	later := now.Add(2 * time.Hour)
	for _, purge := range []func(context.Context, time.Time, int) (int, error){s.Purge, s.PurgeSessions, s.PurgeAttempts} {
		if n, err := purge(ctx, later, 30); n != 30 || err != nil {
			t.Errorf("purged %d, %v, want 30", n, err)
		}
		if n, err := purge(ctx, later, 1000); n != 70 || err != nil {
			t.Errorf("purged %d, %v, want 70", n, err)
		}
	}
	left := map[string]int{
		"accounts": s.accounts.byID.held, "tokens": s.byDigest.held, "by ID": s.byID.n, "by refresh": s.byRefresh.held,
		"by way": len(s.byVia), "families": s.familyByID.held, "crowds": len(s.crowds), "all": s.every.n, "cut-offs": len(s.cuts.byKey),
		"endings": s.endings.n, "sessions": s.sessionByDigest.held, "sessions by ID": s.sessionByID.n,
		"sessions' end": s.sessionsEnd.n, "counters": len(s.attempts.counters), "windows": s.attempts.ends.Len(),
		"memories": len(s.attempts.memories.byKey), "groups": len(s.attempts.memories.byGroup), "memories' end": s.attempts.memories.ends.Len(),
	}
	for what, n := range left {
		if n != 0 {
			t.Errorf("%s: %d left", what, n)
		}
	}
}

// Codes leave nothing behind, however they end.
func TestCodesLeaveNothingBehind(t *testing.T) {
	ctx := t.Context()
	s := New()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	if _, err := s.InsertApplication(ctx, store.Application{ClientID: "c"}); err != nil {
		t.Fatal(err)
	}
	for i := range byte(20) {
		c := store.Code{Digest: store.Digest{i}, UserID: fmt.Sprint(i % 2), ApplicationID: 1, Created: now, Expires: now.Add(time.Minute)}
		err := s.InsertCode(ctx, c, 100)
		switch i % 3 {
		case 0:
			err = errors.Join(err, s.SpendCode(ctx, c.Digest, now))
		case 1:
			_, redeemed := s.Redeem(ctx, store.Redemption{Code: c.Digest, ApplicationID: 1, At: now, Token: store.Token{Digest: c.Digest, Expires: now}})
			err = errors.Join(err, redeemed)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if unspent := len(s.unspent[holder{1, "0"}]) + len(s.unspent[holder{1, "1"}]); unspent != 6 {
		t.Errorf("%d codes are unspent, want 6", unspent)
	}
	if _, err := s.Purge(ctx, now.Add(time.Hour), 1000); err != nil {
		t.Fatal(err)
	}
	if len(s.codes) != 0 || len(s.unspent) != 0 || s.codesEnd.Len() != 0 {
		t.Errorf("left are %d codes, %d lists of them, %d in the queue", len(s.codes), len(s.unspent), s.codesEnd.Len())
	}
}

// A flood of names takes bounded memory, and neither evicts nor resets what was
// counted before. Beyond the bound no key gets more than its limit.
func TestChargeUnderFlood(t *testing.T) {
	ctx := t.Context()
	s := New()
	s.attempts.most = 1000
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	charge := func(key string, limit int) bool {
		v, err := s.Charge(ctx, []store.Charge{{Key: key, Limit: store.Limit{Max: limit, Window: time.Hour}}}, now)
		if err != nil {
			t.Fatal(err)
		}
		return v.Allowed
	}
	for range 5 {
		charge("victim", 5)
	}
	for i := range 200_000 {
		charge(fmt.Sprint("flood ", i), 1_000_000)
	}
	if charge("victim", 5) {
		t.Error("the flood reset the victim's counter")
	}
	if got, most := len(s.attempts.counters), 1000+sharedCounters; got > most {
		t.Errorf("%d counters, want at most %d", got, most)
	}
	allowed := 0
	for range 10 {
		if charge("late", 20) {
			allowed++
		}
	}
	if err := s.Settle(ctx, store.Settlement{Forget: []string{"flood 0", "flood 1"}}); err != nil { // there is room again
		t.Fatal(err)
	}
	if err := s.Settle(ctx, store.Settlement{Forget: []string{"late"}}); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if charge("late", 20) {
			allowed++
		}
	}
	if allowed > 20 {
		t.Errorf("%d attempts allowed, want at most 20", allowed)
	}
	now = now.Add(4 * time.Hour)
	for i := range 100_000 {
		charge(fmt.Sprint("next hours ", i%10), 1_000_000)
	}
	if got := len(s.attempts.counters); got > 10 {
		t.Errorf("%d counters hours after the flood, want 10: ended windows are not dropped", got)
	}
}

// B3: what a flood of names that nobody has leaves behind is bounded, makes room
// for others, and refuses nobody.
func TestSpareCountersMakeRoom(t *testing.T) {
	ctx := t.Context()
	s := New()
	s.attempts.most = 50_000
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	charge := func(key string, spare bool) bool {
		v, err := s.Charge(ctx, []store.Charge{{Key: key, Limit: store.Limit{Max: 1, Window: time.Hour}, Spare: spare}}, now)
		if err != nil {
			t.Fatal(err)
		}
		return v.Allowed
	}
	charge("victim", false)
	refused := 0
	for i := range 80_000 {
		if !charge(fmt.Sprint("nobody ", i), true) {
			refused++
		}
	}
	for i := range 100 {
		if !charge(fmt.Sprint("user ", i), false) {
			refused++
		}
	}
	if refused > 0 {
		t.Errorf("%d keys of 80,100 were refused for what others did", refused)
	}
	for i := range 100 {
		if charge(fmt.Sprint("user ", i), false) {
			t.Errorf("user %d has been forgotten", i)
		}
	}
	if charge("victim", false) {
		t.Error("the victim's counter has been forgotten")
	}
	if got := len(s.attempts.counters); got > s.attempts.most {
		t.Errorf("%d counters, want at most %d", got, s.attempts.most)
	}
	if n, err := s.PurgeAttempts(ctx, now.Add(2*time.Hour), 1<<30); err != nil || n != s.attempts.most || len(s.attempts.counters) != 0 || s.attempts.spares.Len() != 0 {
		t.Errorf("purged %d, %v; %d left", n, err, len(s.attempts.counters))
	}
}
