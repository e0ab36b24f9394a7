package sqltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

// A sessionCall is a call about the sessions of one user.
type sessionCall struct {
	Do       string // insert, end, end others, save, touch, get or list
	Name     int32
	Replaces int32
	Revision int64
	Hours    int // until it expires, from now on
}

type sessionAnswer struct {
	Err      string
	N        int    // how many ended
	Revision int64  // get
	Hours    int    // get
	Reason   string // get: why it ended
	Live     string // list: the names
}

// sessionLimit is how many sessions of a user may live.
const sessionLimit = 3

var sessionWorkload = workload{
	name:    "sessions",
	prepare: func(*testing.T, storetest.Store, string) {},
	call:    callSessions,
	model:   porcupine.Model{Init: func() any { return sessionState{} }, Step: stepSessions},
}

// loggedIn is when a session began: a name is later than those before it.
func loggedIn(name int32) time.Time { return linearNow.Add(time.Duration(name) * time.Microsecond) }

func callSessions(h *history, key string) (any, any, error) {
	const at = time.Minute // everything began before
	ctx, in, out := h.t.Context(), sessionCall{Name: h.someName(key)}, sessionAnswer{}
	d := numbered("session", in.Name)
	var err error
	switch n := rand.IntN(100); {
	case n < 25:
		in = sessionCall{Do: "insert", Name: h.newName(), Replaces: h.someName(key)}
		if in.Replaces == in.Name || rand.IntN(2) == 0 {
			in.Replaces = 0
		}
		var replaces store.Digest
		if in.Replaces != 0 {
			replaces = numbered("session", in.Replaces)
		}
		_, out.N, err = h.st.InsertSession(ctx, store.Session{
			Digest: numbered("session", in.Name), UserID: key, Epoch: int64(in.Name),
			Created: loggedIn(in.Name), Seen: loggedIn(in.Name), Expires: linearNow.Add(hour),
		}, replaces, sessionLimit)
		h.returned(key, in.Name, err == nil)
	case n < 33:
		in.Do = "end"
		out.N, err = h.st.EndSessions(ctx, store.SessionSelection{Digest: d}, store.EndedLogout, linearNow.Add(at))
	case n < 36:
		in.Do = "end others"
		out.N, err = h.st.EndSessions(ctx, store.SessionSelection{UserID: key, Except: d}, store.EndedAdmin, linearNow.Add(at))
	case n < 55:
		// Mostly the revision that another call has just told, 0 where there is
		// none: nobody knows the identifier of a session before it is stored.
		in.Do = "save"
		if s, _, serr := h.st.SessionByDigest(ctx, d); serr == nil {
			in.Revision = s.Revision - rand.Int64N(4)/3
		}
		err = h.st.SaveSession(ctx, d, fmt.Append(nil, in.Revision), in.Revision, linearNow.Add(at))
	case n < 65:
		in.Do, in.Hours = "touch", 2+rand.IntN(9)
		err = h.st.TouchSession(ctx, d, linearNow.Add(time.Duration(in.Hours)*hour), linearNow.Add(at), netip.Addr{})
		if errors.Is(err, store.ErrNotFound) {
			err = nil // either answer is good where there is none
		}
	case n < 85:
		in.Do = "get"
		var s store.Session
		if s, _, err = h.st.SessionByDigest(ctx, d); err == nil {
			out.Revision, out.Hours, out.Reason = s.Revision, int(s.Expires.Sub(linearNow)/hour), string(s.Reason)
		}
	default:
		in = sessionCall{Do: "list"}
		var list []store.Session
		list, _, err = h.st.ListSessions(ctx, store.SessionFilter{UserID: key}, linearNow.Add(at), store.Page{Limit: 1000, Descending: true})
		var names []int32
		for _, s := range list {
			names = append(names, int32(s.Epoch))
		}
		out.Live = fmt.Sprint(names)
	}
	out.Err, err = sentinel(err)
	return in, out, err
}

type modelSession struct {
	name     int32
	revision int64
	hours    int
	reason   store.EndReason // "" while it lives
}

type sessionState struct {
	n        int
	sessions [64]modelSession
}

func (s *sessionState) find(name int32) *modelSession {
	for i := range s.n {
		if s.sessions[i].name == name {
			return &s.sessions[i]
		}
	}
	return nil
}

// live returns the live sessions, newest first.
func (s *sessionState) live() (list []*modelSession) {
	for i := range s.n {
		if s.sessions[i].reason == "" {
			list = append(list, &s.sessions[i])
		}
	}
	slices.SortFunc(list, func(a, b *modelSession) int { return cmp.Compare(b.name, a.name) })
	return list
}

func stepSessions(state, input, output any) (bool, any) {
	s, in, got := state.(sessionState), input.(sessionCall), output.(sessionAnswer)
	var want sessionAnswer
	x := s.find(in.Name)
	alive := x != nil && x.reason == ""
	switch in.Do {
	case "insert":
		if old := s.find(in.Replaces); old != nil && old.reason == "" {
			old.reason = store.EndedRenewed
		}
		for i, old := range s.live() {
			if i >= sessionLimit-1 {
				old.reason = store.EndedLimit
				want.N++
			}
		}
		s.sessions[s.n] = modelSession{name: in.Name, revision: 1, hours: 1}
		s.n++
	case "end":
		if alive {
			x.reason, want.N = store.EndedLogout, 1
		}
	case "end others":
		for _, other := range s.live() {
			if other.name != in.Name {
				other.reason = store.EndedAdmin
				want.N++
			}
		}
	case "save":
		switch {
		case !alive:
			want.Err = store.ErrNotFound.Error()
		case x.revision != in.Revision:
			want.Err = store.ErrConflict.Error()
		default:
			x.revision++
		}
	case "touch":
		if alive {
			x.hours = max(x.hours, in.Hours)
		}
	case "get":
		if x == nil {
			want.Err = store.ErrNotFound.Error()
			break
		}
		want.Revision, want.Hours, want.Reason = x.revision, x.hours, string(x.reason)
	case "list":
		var names []int32
		for _, x := range s.live() {
			names = append(names, x.name)
		}
		want.Live = fmt.Sprint(names)
	}
	return got == want, s
}

// racySessions saves by a revision that it read a while ago.
func racySessions(st storetest.Store) storetest.Store { return sessionsInSteps{st} }

type sessionsInSteps struct{ storetest.Store }

func (s sessionsInSteps) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	x, _, err := s.SessionByDigest(ctx, d)
	if err != nil || x.Revision != revision {
		return s.Store.SaveSession(ctx, d, data, revision, at)
	}
	gap()
	if x, _, err = s.SessionByDigest(ctx, d); err != nil {
		return err
	}
	return s.Store.SaveSession(ctx, d, data, x.Revision, at)
}

// A passwordCall is a call about the password hash of one user.
type passwordCall struct {
	Do         string // swap, set or read
	Prev, Next string
}

type passwordAnswer struct {
	Err, Hash string
}

var passwordWorkload = workload{
	name: "passwords",
	prepare: func(t *testing.T, st storetest.Store, key string) {
		if _, err := st.InsertUser(t.Context(), store.User{ID: key, Name: key, Active: true}); err != nil {
			t.Fatal(err)
		}
	},
	call: callPasswords,
	model: porcupine.Model{Init: func() any { return "" }, Step: func(state, input, output any) (bool, any) {
		hash, in, got := state.(string), input.(passwordCall), output.(passwordAnswer)
		switch {
		case in.Do == "read":
			return got == passwordAnswer{Hash: hash}, hash
		case in.Do == "swap" && in.Prev != hash:
			return got == passwordAnswer{Err: store.ErrConflict.Error()}, hash
		}
		return got == passwordAnswer{}, in.Next
	}},
}

func callPasswords(h *history, key string) (any, any, error) {
	hash := func() string {
		if n := rand.IntN(4); n > 0 {
			return fmt.Sprint(n)
		}
		return ""
	}
	ctx, in, out := h.t.Context(), passwordCall{}, passwordAnswer{}
	var err error
	switch n := rand.IntN(10); {
	case n < 6:
		in = passwordCall{"swap", hash(), hash()}
		err = h.st.SwapPasswordHash(ctx, key, in.Prev, in.Next)
	case n < 7:
		in = passwordCall{Do: "set", Next: hash()}
		err = h.st.SetPasswordHash(ctx, key, in.Next)
	default:
		in = passwordCall{Do: "read"}
		out.Hash, err = h.st.PasswordHash(ctx, key)
	}
	out.Err, err = sentinel(err)
	return in, out, err
}

func racyPasswords(st storetest.Store) storetest.Store { return passwordsInSteps{st} }

type passwordsInSteps struct{ storetest.Store }

func (s passwordsInSteps) SwapPasswordHash(ctx context.Context, id, prev, next string) error {
	hash, err := s.PasswordHash(ctx, id)
	if err != nil || hash != prev {
		return s.Store.SwapPasswordHash(ctx, id, prev, next)
	}
	gap()
	return s.SetPasswordHash(ctx, id, next)
}

// A chargeCall is a call about an account and an address.
type chargeCall struct {
	Do               string // charge, forget, or return what the call before reserved
	Account, Address bool
}

type chargeAnswer struct {
	Allowed bool
}

const accountLimit, addressLimit = 5, 8

type chargeState struct{ account, address int }

var chargeWorkload = workload{
	name:    "charges",
	prepare: func(*testing.T, storetest.Store, string) {},
	call:    callCharges,
	model: porcupine.Model{Init: func() any { return chargeState{} }, Step: func(state, input, output any) (bool, any) {
		s, in, got := state.(chargeState), input.(chargeCall), output.(chargeAnswer)
		switch in.Do {
		case "forget":
			s.account = 0
			return true, s
		case "return":
			s.address = max(s.address-1, 0)
			return true, s
		}
		if in.Account && s.account == accountLimit || in.Address && s.address == addressLimit {
			return !got.Allowed, s
		}
		if in.Account {
			s.account++
		}
		if in.Address {
			s.address++
		}
		return got.Allowed, s
	}},
}

func callCharges(h *history, key string) (any, any, error) {
	ctx := h.t.Context()
	switch rand.IntN(24) {
	case 0, 1:
		return chargeCall{Do: "forget"}, chargeAnswer{}, h.st.Settle(ctx, store.Settlement{Forget: []string{key + " account"}})
	case 2, 3, 4, 5:
		// Every window of the address begins at linearNow and ends later than
		// the history.
		return chargeCall{Do: "return"}, chargeAnswer{}, h.st.Settle(ctx, store.Settlement{
			Return: []store.Reservation{{Key: key + " address", Start: linearNow}},
		})
	}
	in := chargeCall{"charge", rand.IntN(4) > 0, rand.IntN(2) > 0}
	var charges []store.Charge
	if in.Account {
		charges = append(charges, store.Charge{Key: key + " account", Limit: store.Limit{Max: accountLimit, Window: hour}})
	}
	if in.Address {
		charges = append(charges, store.Charge{Key: key + " address", Limit: store.Limit{Max: addressLimit, Window: hour}})
	}
	v, err := h.st.Charge(ctx, charges, linearNow)
	return in, chargeAnswer{v.Allowed}, err
}

func racyCharges(st storetest.Store) storetest.Store {
	return &chargesInSteps{Store: st, n: map[string]int{}}
}

type chargesInSteps struct {
	storetest.Store
	mu sync.Mutex
	n  map[string]int
}

func (s *chargesInSteps) Charge(_ context.Context, charges []store.Charge, _ time.Time) (store.Verdict, error) {
	s.mu.Lock()
	for _, c := range charges {
		if s.n[c.Key] >= c.Limit.Max {
			s.mu.Unlock()
			return store.Verdict{}, nil
		}
	}
	s.mu.Unlock()
	gap()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range charges {
		s.n[c.Key]++
	}
	return store.Verdict{Allowed: true}, nil
}

func (s *chargesInSteps) Settle(_ context.Context, settled store.Settlement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range settled.Return {
		s.n[r.Key] = max(s.n[r.Key]-1, 0)
	}
	for _, key := range settled.Forget {
		delete(s.n, key)
	}
	return nil
}
