package memory_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 123_456_000, time.UTC)

func digest(n int) (d store.Digest) {
	binary.LittleEndian.PutUint64(d[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(d[8:], uint64(n))
	return d
}

// must fails the test on an error.
func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func addUser(t testing.TB, s *memory.Store, name string) store.User {
	t.Helper()
	u, err := s.InsertUser(t.Context(), store.User{Name: name, Active: true, Created: now})
	return must(t, u, err)
}

// newStore returns a store with one application, 1.
func newStore(t testing.TB) *memory.Store {
	t.Helper()
	s := memory.New()
	app, err := s.InsertApplication(t.Context(), store.Application{ClientID: "c", Name: "c"})
	must(t, app, err)
	return s
}

// grant is a token with a refresh token, whose digests begin at n.
func grant(user string, n int) store.Token {
	return store.Token{
		Digest: digest(n), UserID: user, ApplicationID: 1, Scopes: "read", Created: now, Modified: now, Expires: now.Add(time.Hour),
		Refresh: store.Refresh{Digest: digest(n + 1), Scopes: "read", Expires: now.Add(24 * time.Hour)},
	}
}

func TestTokenComesBackAsItWent(t *testing.T) {
	s := newStore(t)
	in := grant("9", 1)
	in.Audience, in.Addresses = "https://a.example", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	in.Created = in.Created.Add(999 * time.Nanosecond) // truncated
	in.Refresh.GrantExpires = now.Add(48 * time.Hour).In(time.FixedZone("", 3600))
	out, err := s.InsertToken(t.Context(), in, store.InsertLimits{})
	must(t, out, err)
	in.Addresses[0], out.Addresses[0] = netip.Prefix{}, netip.Prefix{} // no shared memory

	want := in
	want.ID, want.Family, want.Revision = 1, 1, 1
	want.Created, want.Refresh.GrantExpires = now, now.Add(48*time.Hour)
	want.ViaApplicationID, want.Refresh.GrantCreated = 1, now
	want.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	got, err := s.TokenByRefresh(t.Context(), in.Refresh.Digest)
	if diff := cmp.Diff(want, must(t, got, err), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
	if got.Expires.Location() != time.UTC || !got.Revoked.IsZero() {
		t.Errorf("times are %v and %v, want UTC and the zero time", got.Expires, got.Revoked)
	}
}

func TestRotation(t *testing.T) {
	const grace = 10 * time.Second
	for _, tt := range []struct {
		name   string
		at     time.Duration // of the replay, after the rotation
		grace  time.Duration
		before func(t *testing.T, s *memory.Store, next store.Token)
		want   error // nil is a replay
	}{
		{"within the grace period the successor is given again", 9 * time.Second, grace, nil, nil},
		{"without grace the family ends", 0, 0, nil, store.ErrUsed},
		{"after the grace period the family ends", grace, grace, nil, store.ErrUsed},
		{"a spent token that has expired ends the family", 25 * time.Hour, 100 * time.Hour, nil, store.ErrUsed},
		{"a successor that was spent is not given again", 1, grace, func(t *testing.T, s *memory.Store, next store.Token) {
			out, err := s.Rotate(t.Context(), store.Rotation{Refresh: next.Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: grant("9", 30)})
			must(t, out, err)
		}, store.ErrUsed},
		{"nothing is given again after a revocation", 1, grace, func(t *testing.T, s *memory.Store, next store.Token) {
			n, err := s.RevokeTokens(t.Context(), store.Selection{TokenID: next.ID}, now)
			if must(t, n, err) != 2 {
				t.Errorf("%d tokens revoked, want the successor and its child", n)
			}
		}, store.ErrUsed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, s := t.Context(), newStore(t)
			first, err := s.InsertToken(ctx, grant("9", 1), store.InsertLimits{})
			must(t, first, err)
			child := grant("9", 10)
			child.ParentID, child.Refresh = first.ID, store.Refresh{}
			child, err = s.InsertToken(ctx, child, store.InsertLimits{Depth: 1, Live: 1})
			must(t, child, err)

			r := store.Rotation{Refresh: first.Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: grant("9", 20), Nonce: [32]byte{1}, Grace: tt.grace}
			out, err := s.Rotate(ctx, r)
			must(t, out, err)
			if out.Token.Family != first.Family || out.Replayed {
				t.Errorf("rotated to %+v, want family %d", out, first.Family)
			}
			child, err = s.TokenByID(ctx, child.ID)
			if must(t, child, err).ParentID != first.Family {
				t.Errorf("child of %d, want of the family, %d", child.ParentID, first.Family)
			}
			if tt.before != nil {
				tt.before(t, s, out.Token)
			}
			r.At, r.Nonce = now.Add(tt.at), [32]byte{2}
			r.Token.Digest, r.Token.Refresh.Digest = digest(40), digest(41)
			again, err := s.Rotate(ctx, r)
			if !errors.Is(err, tt.want) {
				t.Fatalf("second use: %v, want %v", err, tt.want)
			}
			if tt.want == nil {
				if diff := cmp.Diff(store.RotateOutcome{Replayed: true, Token: out.Token, Nonce: [32]byte{1}}, again); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
				return
			}
			for _, n := range []int{1, 10, 20} {
				tok, err := s.TokenByDigest(ctx, digest(n))
				if must(t, tok, err).Revoked.IsZero() {
					t.Errorf("token %d is alive", tok.ID)
				}
			}
		})
	}
}

// A spent refresh token stays as long as any of its family lives, and goes with
// the last of them.
func TestPurgeKeepsSpentTokens(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	first, err := s.InsertToken(ctx, grant("9", 1), store.InsertLimits{})
	must(t, first, err)
	next := grant("9", 20)
	next.Expires = now.Add(72 * time.Hour)
	out, err := s.Rotate(ctx, store.Rotation{Refresh: digest(2), ApplicationID: 1, Revision: 1, At: now, Token: next})
	must(t, out, err)

	purged := func(at time.Duration, want int) {
		t.Helper()
		n, err := s.Purge(ctx, now.Add(at), 100)
		if must(t, n, err) != want {
			t.Errorf("purged %d at %v, want %d", n, at, want)
		}
	}
	purged(71*time.Hour, 0)
	n, err := s.RevokeTokens(ctx, store.Selection{TokenID: out.Token.ID}, now.Add(2*time.Hour))
	must(t, n, err)
	purged(2*time.Hour, 0)
	purged(3*time.Hour, 2)
}

// A check sees a token and its user as they were at one instant, while both
// change, and never a digest that the token does not have any more.
func TestAccessIsOneRead(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	u := addUser(t, s, "alice")
	tok, err := s.InsertToken(ctx, store.Token{Digest: digest(1), UserID: u.ID, Scopes: "0", Created: now, Expires: now.Add(time.Hour)}, store.InsertLimits{})
	must(t, tok, err)
	u.Email = tok.Scopes // as long, before anybody looks
	if err := s.UpdateUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	stop := readers(t, 2, func() bool {
		for d := range 2 {
			a, err := s.AccessByDigest(ctx, digest(d+1))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			// The writer changes the user first, then the token.
			if len(a.User.Email) != len(a.Scopes) && len(a.User.Email) != len(a.Scopes)+1 || len(a.Scopes)%2 != 1-d {
				t.Errorf("digest %d: scopes %q with user %q, %v", d+1, a.Scopes, a.User.Email, err)
				return false
			}
		}
		return true
	})
	text := make([]byte, 0, 1000)
	tok.Scopes = ""
	for i := range cap(text) {
		text = append(text, 'x')
		u.Email = string(text)
		if err := s.UpdateUser(ctx, u); err != nil {
			t.Fatal(err)
		}
		tok.Scopes, tok.Digest = string(text), digest(i%2+1)
		if err := s.UpdateToken(ctx, tok, store.KeepMinted); err != nil {
			t.Fatal(err)
		}
		tok.Revision++
	}
	stop()
}

func TestUsers(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	must(t, 0, func() error { _, err := s.InsertUser(ctx, store.User{ID: "7", Name: "seven"}); return err }())
	alice := addUser(t, s, "alice")
	if alice.ID != "8" {
		t.Errorf("ID %s after 7, want 8", alice.ID)
	}
	if _, err := s.InsertUser(ctx, store.User{Name: "alice"}); !errors.Is(err, store.ErrExists) {
		t.Errorf("second alice: %v, want ErrExists", err)
	}
	alice.Name, alice.Active, alice.Epoch = "Alice", false, 99
	if err := s.UpdateUser(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UserByName(ctx, "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("old name: %v, want ErrNotFound", err)
	}
	got, err := s.UserByName(ctx, "Alice")
	if must(t, got, err); got.Epoch != 1 || got.Active {
		t.Errorf("%+v, want epoch 1 and inactive", got)
	}
	if err := s.DeleteUser(ctx, alice.ID, now); err != nil {
		t.Fatal(err)
	}
	if again := addUser(t, s, "Alice"); again.ID != "9" {
		t.Errorf("ID %s was used before", again.ID)
	}
}

// Sessions of a user that lives elsewhere are found with that user, and a user
// of ours that comes later is seen with what was there before.
func TestUsersMayComeLater(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	tok, err := s.InsertToken(ctx, store.Token{Digest: digest(1), UserID: "5", Created: now, Expires: now.Add(time.Hour)}, store.InsertLimits{})
	must(t, tok, err)
	a, err := s.AccessByDigest(ctx, digest(1))
	if must(t, a, err); a.User != (store.User{}) {
		t.Errorf("user %+v of nobody", a.User)
	}
	must(t, 0, func() error { _, err := s.InsertUser(ctx, store.User{ID: "5", Name: "five"}); return err }())
	a, err = s.AccessByDigest(ctx, digest(1))
	if must(t, a, err); a.User.Name != "five" {
		t.Errorf("user %+v, want five", a.User)
	}
}

func TestSessionLimit(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	insert := func(n int, at time.Time, replaces store.Digest, keep int) int {
		t.Helper()
		_, evicted, err := s.InsertSession(ctx, store.Session{
			Digest: digest(n), UserID: "9", Data: []byte{1}, Created: at, Expires: at.Add(time.Hour),
		}, replaces, keep)
		return must(t, evicted, err)
	}
	insert(1, now, store.Digest{}, 0)
	insert(2, now.Add(1), store.Digest{}, 0)
	insert(3, now.Add(2*time.Second), digest(1), 0)
	if n := insert(4, now.Add(3*time.Second), digest(3), 2); n != 0 {
		t.Errorf("%d evicted, want 0: the one that was replaced does not count", n)
	}
	if n := insert(5, now.Add(-time.Minute), store.Digest{}, 1); n != 2 {
		t.Errorf("%d evicted, want 2: the new one stays, though the oldest", n)
	}
	for n, want := range map[int]store.EndReason{1: store.EndedRenewed, 2: store.EndedLimit, 3: store.EndedRenewed, 4: store.EndedLimit, 5: ""} {
		x, _, err := s.SessionByDigest(ctx, digest(n))
		if must(t, x, err); x.Reason != want || x.Ended.IsZero() != (want == "") {
			t.Errorf("session %d ended at %v by %q, want %q", n, x.Ended, x.Reason, want)
		}
	}
	if err := s.SaveSession(ctx, digest(1), nil, 1, now); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("saving a dead session: %v, want ErrNotFound", err)
	}
	list, _, err := s.ListSessions(ctx, store.SessionFilter{UserID: "9"}, now, store.Page{Limit: 1000, Descending: true})
	if must(t, list, err); len(list) != 1 || list[0].ID != 5 || list[0].Data != nil || list[0].Digest != (store.Digest{}) {
		t.Errorf("listed %+v, want session 5 without digest and data", list)
	}
}

// Of many who charge one key at the same time no more than the limit get through,
// and a refused charge counts nothing against the other key.
func TestChargeIsAtomic(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	charges := []store.Charge{{Key: "a", Limit: store.Limit{Max: 3, Window: time.Minute}}, {Key: "b", Limit: store.Limit{Max: 100, Window: time.Hour}}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	allowed := 0
	for range 64 {
		wg.Go(func() {
			v, err := s.Charge(ctx, charges, now)
			if err != nil || !v.Allowed && v.RetryAfter != time.Minute {
				t.Errorf("%+v, %v", v, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if v.Allowed {
				allowed++
			}
		})
	}
	wg.Wait()
	if allowed != 3 {
		t.Errorf("%d allowed, want 3", allowed)
	}
	for want := 97; want > 0; want-- {
		v, err := s.Charge(ctx, charges[1:], now)
		if must(t, v, err); !v.Allowed {
			t.Fatalf("refused with %d to go", want)
		}
	}
	v, err := s.Charge(ctx, []store.Charge{charges[0]}, now.Add(time.Minute))
	if must(t, v, err); !v.Allowed {
		t.Error("refused after the window")
	}
}

func TestCancelledContextDoesNothing(t *testing.T) {
	s := memory.New()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.InsertToken(ctx, grant("9", 1), store.InsertLimits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("InsertToken: %v", err)
	}
	if _, err := s.TokenByDigest(t.Context(), digest(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("TokenByDigest: %v, want ErrNotFound", err)
	}
	if _, err := s.AccessByDigest(ctx, digest(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("AccessByDigest: %v", err)
	}
}

// What every request does allocates nothing.
func TestLookUpsDoNotAllocate(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	u := addUser(t, s, "alice")
	tok, err := s.InsertToken(ctx, grant(u.ID, 1), store.InsertLimits{})
	must(t, tok, err)
	x, _, err := s.InsertSession(ctx, store.Session{Digest: digest(1), UserID: u.ID, Created: now, Expires: now.Add(time.Hour)}, store.Digest{}, 0)
	must(t, x, err)
	for name, f := range map[string]func() error{
		"AccessByDigest":          func() error { _, err := s.AccessByDigest(ctx, digest(1)); return err },
		"AccessByDigest, unknown": func() error { _, _ = s.AccessByDigest(ctx, digest(99)); return nil },
		"SessionByDigest":         func() error { _, _, err := s.SessionByDigest(ctx, digest(1)); return err },
		"UserByName":              func() error { _, err := s.UserByName(ctx, "alice"); return err },
		"UserByID":                func() error { _, err := s.UserByID(ctx, u.ID); return err },
		"PasswordHash":            func() error { _, err := s.PasswordHash(ctx, u.ID); return err },
		"ReadUser":                func() error { _, err := s.ReadUser(ctx, "alice", &u); return err },
	} {
		if n := testing.AllocsPerRun(100, func() { must(t, 0, f()) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestNilUsers(t *testing.T) {
	for _, users := range []store.Users{nil, (*memory.Store)(nil)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewWithUsers(%T) does not panic", users)
				}
			}()
			memory.NewWithUsers(users)
		}()
	}
}

// A family that was chosen by its ID is that of the token that gets this ID: its end
// ends both.
func TestFamilyThatWasChosenBefore(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	for n, family := range []int64{2, 0} {
		tok, err := s.InsertToken(ctx, store.Token{Digest: digest(n), UserID: "9", Family: family, Created: now, Expires: now.Add(time.Hour)}, store.InsertLimits{})
		if must(t, tok, err).Family != 2 {
			t.Errorf("token %d is of family %d", tok.ID, tok.Family)
		}
	}
	if n, err := s.RevokeTokens(ctx, store.Selection{Family: 2}, now); n != 2 || err != nil {
		t.Errorf("%d tokens ended, %v", n, err)
	}
}

// Only a token that names no family gets the one that was chosen by its ID. An
// application that such a token has is the one that its right comes from, so that the
// end of the application ends it.
func TestChosenFamilyTakesNobodyElse(t *testing.T) {
	ctx, s := t.Context(), newStore(t) // with application 1
	insert := func(n int, r store.Token) store.Token {
		r.Digest, r.UserID, r.Created, r.Expires = digest(n), "9", now, now.Add(time.Hour)
		tok, err := s.InsertToken(ctx, r, store.InsertLimits{Depth: 1, Live: 1})
		return must(t, tok, err)
	}
	for n, family := range []int64{2, 7, 4} {
		insert(n, store.Token{Family: family})
	}
	minted := insert(3, store.Token{ParentID: 7})
	if minted.Family != minted.ID || minted.ParentID != 7 {
		t.Errorf("the minted token is %+v", minted)
	}
	for _, family := range []int64{2, 7, 4} {
		if n, err := s.RevokeTokens(ctx, store.Selection{Family: family}, now); n == 0 || err != nil {
			t.Errorf("family %d: %d tokens ended, %v", family, n, err)
		}
	}
	for n := range 4 {
		if a, err := s.AccessByDigest(ctx, digest(n)); err != nil || a.Revoked.IsZero() {
			t.Errorf("token %d is alive: %+v, %v", n, a, err)
		}
	}

	next := minted.ID + 2
	insert(4, store.Token{Family: next})
	if tok := insert(5, store.Token{ApplicationID: 1}); tok.ID != next || tok.Family != next || tok.ViaApplicationID != 1 {
		t.Errorf("the token of the application is %+v", tok)
	}
	if _, err := s.RevokeTokens(ctx, store.Selection{ApplicationID: 1}, now); err != nil {
		t.Fatal(err)
	}
	if a, err := s.AccessByDigest(ctx, digest(5)); err != nil || a.Revoked.IsZero() {
		t.Errorf("a token outlives its application: %+v, %v", a, err)
	}
	insert(6, store.Token{Family: next + 2})
	if tok := insert(7, store.Token{Family: next + 9}); tok.ID != next+2 || tok.Family != next+9 {
		t.Errorf("token %d asked for family %d and got %d", tok.ID, next+9, tok.Family)
	}
}
