package memory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// taken returns how many records of a slab are in use.
func taken[T any](s *slab[T]) (n int) {
	for _, chunk := range s.free {
		for i := range chunkSize {
			if chunk>>i&1 == 0 {
				n++
			}
		}
	}
	if n != int(s.used) {
		panic(fmt.Sprint(n, " records are taken, counted as ", s.used))
	}
	return n
}

// agreeSessions reports where the lists, indexes and counts of sessions and users do
// not agree. The store has no tokens.
func agreeSessions(t *testing.T, s *Store) {
	t.Helper()
	inOrder := func(what string, n int, list []*session, compare func(a, b *session) int) {
		t.Helper()
		if n != len(list) || !slices.IsSortedFunc(list, compare) {
			t.Errorf("%s: %d sessions, counted as %d, or out of order", what, len(list), n)
		}
	}
	all, logins := slices.Collect(s.sessionsEnd.all(false)), slices.Collect(s.logins.all(false))
	inOrder("sessions' ends", s.sessionsEnd.n, all, s.sessionsEnd.compare)
	inOrder("logins", s.logins.n, logins, s.logins.compare)
	listed, owned := map[*account][]*session{}, map[*account]int{}
	blocks, long, named := 0, 0, 0
	texts := map[ref]int32{}
	for _, x := range all {
		if s.session(x.getDigest()) != x || s.sessionSlab.at(s.sessionByID.find(x.id.Load())) != x {
			t.Errorf("session %d is not found", x.id.Load())
		}
		if n := int(x.size.Load()); n < longData {
			blocks += blocksOf(n)
		} else {
			long++
		}
		for _, r := range []uint32{x.agent.Load(), x.zone.Load(), x.reason.Load()} {
			texts[ref(r)]++
		}
		owner := s.ownerOfSession(x)
		owned[owner]++
		if x.ended.Load() == 0 {
			listed[owner] = append(listed[owner], x)
			if owner.id != "" {
				named++
			}
		}
	}
	delete(texts, 0)
	for r, n := range texts {
		if got := s.texts.get(r).refs; got != n {
			t.Errorf("%q has %d holders, counted as %d", s.texts.of(r), n, got)
		}
	}
	users, admins := 0, 0
	for _, a := range accountsOf(s) {
		got := s.sessionsOf(a.id)
		slices.SortFunc(got, sessionsByID)
		slices.SortFunc(listed[a], sessionsByID)
		if !slices.Equal(got, listed[a]) || int(a.logins) != owned[a] || s.account(a.id) != a {
			t.Errorf("account %q: %d sessions on its list, want %d; %d in all, counted as %d", a.id, len(got), len(listed[a]), owned[a], a.logins)
		}
		delete(owned, a)
		if u := a.user.Load(); u != nil {
			users++
			if s.userByName(u.Name) != u {
				t.Errorf("user %q is not found", u.Name)
			}
			if activeAdmin(u.User) {
				admins++
			}
		}
	}
	for _, by := range userOrders {
		l := &s.accounts.ordered[by]
		if list := slices.Collect(l.all(false)); l.n != users || len(list) != users || !slices.IsSortedFunc(list, l.compare) {
			t.Errorf("users by order %d: %d, counted as %d, want %d, or out of order", by, len(list), l.n, users)
		}
	}
	for what, n := range map[string][2]int{
		"records": {taken(&s.sessionSlab), len(all)}, "by digest": {s.sessionByDigest.held, len(all)}, "by ID": {s.sessionByID.n, len(all)},
		"logins": {len(logins), named}, "blocks": {taken(&s.sessions.data.slab), blocks}, "long data": {taken(&s.sessions.data.long.slab), long}, "texts": {taken(&s.texts.slab), len(texts)},
		"accounts": {taken(&s.accounts.slab), s.accounts.byID.held}, "names": {s.accounts.byName.held, users},
		"administrators": {s.accounts.admins, admins}, "owners without an account": {len(owned), 0},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d, want %d", what, n[0], n[1])
		}
	}
}

// All lists, indexes and counts of sessions and users agree after any changes, and
// nothing is left in the end.
func TestSessionsAgreeWithThemselves(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			ctx, s, r := t.Context(), New(), rand.New(rand.NewPCG(seed, 2))
			now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
			var users []string
			digests := 0
			for op := range 6000 {
				d := store.DigestOf(fmt.Sprint(max(0, digests-r.IntN(60))))
				user := ""
				if len(users) > 0 {
					user = users[r.IntN(len(users))]
				}
				data := make([]byte, r.IntN(9)*r.IntN(80))
				addr := []netip.Addr{{}, netip.AddrFrom4([4]byte{10, 0, 0, byte(op)}), netip.MustParseAddr("fe80::1%eth" + fmt.Sprint(r.IntN(3)))}[r.IntN(3)]
				yes, no, name := true, r.IntN(2) == 0, fmt.Sprint("n", r.IntN(40))
				switch do := r.IntN(100); {
				case do < 4:
					if u, err := s.InsertUser(ctx, store.User{Name: name, Active: true, Admin: no, Created: now}); err == nil {
						users = append(users, u.ID)
					}
				case do < 6:
					_ = s.DeleteUser(ctx, user, now)
				case do < 14:
					_, _ = s.ChangeUser(ctx, user, []store.UserChange{{Name: &name}, {Active: &no}, {Admin: &no}, {Admin: &yes}, {Service: &no}}[r.IntN(5)])
				case do < 45:
					digests++
					_, _, _ = s.InsertSession(ctx, store.Session{
						Digest: store.DigestOf(fmt.Sprint(digests)), UserID: user, Data: data, Address: addr, Agent: fmt.Sprint(r.IntN(9)),
						Created: now, Seen: now, Expires: now.Add(time.Duration(r.IntN(7200)) * time.Second),
					}, []store.Digest{{}, d}[r.IntN(2)], r.IntN(9))
				case do < 60:
					_ = s.SaveSession(ctx, d, data, 1, now)
				case do < 75:
					_ = s.TouchSession(ctx, d, now.Add(time.Hour), now, addr)
				case do < 90:
					sel := []store.SessionSelection{{Digest: d}, {ID: s.lastSession - r.Int64N(50)}, {Digest: d, UserID: user}, {UserID: user, Except: d}, {All: true}}
					_, _ = s.EndSessions(ctx, sel[min(r.IntN(50), r.IntN(5))], store.EndReason(fmt.Sprint(r.IntN(3))), now)
				case do < 97:
					now = now.Add(time.Duration(r.IntN(60)) * time.Second)
				default:
					_, _ = s.PurgeSessions(ctx, now.Add(-time.Minute*time.Duration(r.IntN(60))), 1+r.IntN(200))
				}
				if op%300 == 299 {
					if agreeSessions(t, s); t.Failed() {
						t.Fatalf("after operation %d", op)
					}
				}
			}
			if _, err := s.PurgeSessions(ctx, now.Add(1000*time.Hour), 1_000_000); err != nil {
				t.Fatal(err)
			}
			agreeSessions(t, s)
			for _, a := range accountsOf(s) {
				if a.user.Load() == nil {
					t.Errorf("account %q is left", a.id)
				}
			}
			if n := taken(&s.sessionSlab) + taken(&s.sessions.data.slab) + taken(&s.sessions.data.long.slab) + taken(&s.texts.slab); n != 0 {
				t.Errorf("%d records are left", n)
			}
		})
	}
}

// The zero time, which means never, and the instants that are kept as it end sessions
// like any other: no session leaves the list of its user and lives on, nor takes
// others off it.
func TestEndsAtTheZeroTime(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	session := func(d string) store.Session {
		return store.Session{Digest: store.DigestOf(d), UserID: "7", Created: now, Expires: now.Add(time.Hour)}
	}
	for name, end := range map[string]func(*Store) error{
		"an end": func(s *Store) error {
			_, err := s.EndSessions(ctx, store.SessionSelection{Digest: store.DigestOf("b")}, store.EndedLogout, time.Time{})
			return err
		},
		"a renewal": func(s *Store) error {
			next := session("next")
			next.Created = time.Time{}
			_, _, err := s.InsertSession(ctx, next, store.DigestOf("b"), 0)
			return err
		},
		"one that had ended": func(s *Store) error {
			next := session("next")
			next.Ended = time.Time{}.Add(time.Nanosecond)
			_, _, err := s.InsertSession(ctx, next, store.DigestOf("b"), 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			insert := func(d string) {
				if _, _, err := s.InsertSession(ctx, session(d), store.Digest{}, 0); err != nil {
					t.Fatal(err)
				}
			}
			insert("a")
			insert("b")
			if err := end(s); err != nil {
				t.Fatal(err)
			}
			agreeSessions(t, s)
			insert("c")
			for _, sel := range []store.SessionSelection{{Digest: store.DigestOf("b")}, {UserID: "7"}} {
				if _, err := s.EndSessions(ctx, sel, store.EndedAdmin, now); err != nil {
					t.Fatal(err)
				}
			}
			agreeSessions(t, s)
			for _, d := range []string{"a", "b", "c"} {
				if x, _, err := s.SessionByDigest(ctx, store.DigestOf(d)); err != nil || x.Ended.IsZero() {
					t.Errorf("session %s outlives the end of all of the user: %v", d, err)
				}
			}
			if n, err := s.PurgeSessions(ctx, now.Add(2*time.Hour), 10); err != nil || n < 3 {
				t.Errorf("%d purged, %v", n, err)
			}
			agreeSessions(t, s)
		})
	}
}

// Data of any length comes back, and leaves no block behind.
func TestDataInBlocks(t *testing.T) {
	var b blobs
	type kept struct {
		first ref
		data  []byte
	}
	var held []kept
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 2 * longData {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		first := b.put(data)
		if (first == 0) != (n == 0) {
			t.Fatalf("%d bytes begin at block %d", n, first)
		}
		if n%3 == 0 {
			b.drop(first, n)
		} else {
			held = append(held, kept{first, data})
		}
	}
	for _, k := range held {
		if got := b.read(k.first, len(k.data)); !slices.Equal(got, k.data) {
			t.Fatalf("%d bytes came back as %x", len(k.data), got)
		}
		b.drop(k.first, len(k.data))
	}
	if n := taken(&b.slab) + taken(&b.long.slab); n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}
