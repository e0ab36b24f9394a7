package oauth_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// what clients see of one grant while they use it at the
// same time must be explained by some order of their calls in which each call
// happens at one instant between its begin and its end (Herlihy and Wing). The
// model below is the grant as the RFCs describe it, one call at a time.

type grantKind uint8

const (
	opExchange grantKind = iota
	opRefresh            // of token
	opVerify             // the access token of token
	opRevoke             // by token
)

// A grantOp is a call and what came of it. Tokens are numbered as they were
// first seen.
type grantOp struct {
	kind       grantKind
	token      int // presented; -1 for the code
	ok         bool
	got        int // token issued, -1 for none
	begin, end int64
}

func (o grantOp) String() string {
	return fmt.Sprintf("[%d %d] %s(%d) = %v %d", o.begin, o.end, []string{"exchange", "refresh", "verify", "revoke"}[o.kind], o.token, o.ok, o.got)
}

// A grantState is the state of the model.
type grantState struct {
	redeemed, dead bool
	current        int8   // the newest token, -1 before there is one
	before         int8   // the one that current replaced, -1 for none
	spent          uint64 // tokens whose refresh token was used
}

// step returns the state after o, and whether o can have had its outcome in s.
func (s grantState) step(o grantOp, grace bool) (grantState, bool) {
	switch o.kind {
	case opExchange:
		if !s.redeemed {
			s.redeemed, s.current = true, int8(o.got)
			return s, o.ok
		}
		s.dead = true
		return s, !o.ok
	case opRefresh:
		switch {
		case s.dead:
			return s, !o.ok
		case int(s.current) == o.token:
			s.spent |= 1 << o.token
			s.before, s.current = s.current, int8(o.got)
			return s, o.ok && s.spent&(1<<o.got) == 0
		case grace && int(s.before) == o.token:
			return s, o.ok && o.got == int(s.current)
		}
		s.dead = true
		return s, !o.ok
	case opVerify:
		return s, o.ok == (!s.dead && int(s.current) == o.token)
	default:
		s.dead = true
		return s, o.ok
	}
}

// linearizable reports whether there is an order of the calls that the model
// explains (Wing and Gong, with the memory of Lowe).
func linearizable(h []grantOp, grace bool) bool {
	type node struct {
		done  uint64
		state grantState
	}
	seen := make(map[node]bool)
	var search func(n node) bool
	search = func(n node) bool {
		if bits.OnesCount64(n.done) == len(h) {
			return true
		}
		if seen[n] {
			return false
		}
		seen[n] = true
		firstEnd := int64(1) << 62
		for i, o := range h {
			if n.done&(1<<i) == 0 {
				firstEnd = min(firstEnd, o.end)
			}
		}
		for i, o := range h {
			if n.done&(1<<i) != 0 || o.begin > firstEnd {
				continue
			}
			if next, ok := n.state.step(o, grace); ok && search(node{n.done | 1<<i, next}) {
				return true
			}
		}
		return false
	}
	return search(node{0, grantState{current: -1, before: -1}})
}

// The checker must be able to say no.
func TestLinearizableSaysNo(t *testing.T) {
	exchange := grantOp{opExchange, -1, true, 0, 1, 2}
	for name, tt := range map[string]struct {
		h     []grantOp
		grace bool
		want  bool
	}{
		"a code once":                     {[]grantOp{exchange}, false, true},
		"a code twice":                    {[]grantOp{exchange, {opExchange, -1, true, 1, 1, 3}}, false, false},
		"refresh and the old one is dead": {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 6}, {opVerify, 0, false, -1, 7, 8}}, false, true},
		"the old one lives on":            {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 6}, {opVerify, 0, true, -1, 7, 8}}, false, false},
		"at the same time it may":         {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 6}, {opVerify, 0, true, -1, 4, 8}}, false, true},
		"two winners":                     {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 6}, {opRefresh, 0, true, 2, 3, 6}}, false, false},
		"one successor for two, in grace": {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 6}, {opRefresh, 0, true, 1, 3, 6}}, true, true},
		"and none without":                {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 6}, {opRefresh, 0, true, 1, 3, 6}}, false, false},
		"a replay that ends nothing":      {[]grantOp{exchange, {opRefresh, 0, true, 1, 3, 4}, {opRefresh, 0, false, -1, 5, 6}, {opVerify, 1, true, -1, 7, 8}}, false, false},
		"a revocation that does not hold": {[]grantOp{exchange, {opRevoke, 0, true, -1, 3, 4}, {opVerify, 0, true, -1, 5, 6}}, false, false},
	} {
		if got := linearizable(tt.h, tt.grace); got != tt.want {
			t.Errorf("%s: linearizable: %v, want %v", name, got, tt.want)
		}
	}
}

// recordGrant lets clients use one grant at random and returns what they saw.
func recordGrant(s *oauthSystem, app oauth.IssuedApplication, clients, calls int, seed uint64) []grantOp {
	var mu sync.Mutex
	var h []grantOp
	var tokens []auth.IssuedToken
	var clock atomic.Int64
	x := exchange(s.code(app, s.alice))
	number := func(issued auth.IssuedToken) int { // mu is held
		for i, known := range tokens {
			if known.AccessToken == issued.AccessToken {
				return i
			}
		}
		tokens = append(tokens, issued)
		return len(tokens) - 1
	}
	if seed%4 > 0 { // otherwise most histories end with a race for the code
		issued, err := s.server.Exchange(s.t.Context(), app.Application, x)
		if err != nil {
			s.t.Fatal(err)
		}
		h = append(h, grantOp{opExchange, -1, true, number(issued), clock.Add(1), clock.Add(1)})
	}
	var wg sync.WaitGroup
	for c := range clients {
		r := rand.New(rand.NewPCG(seed, uint64(c)))
		wg.Go(func() {
			for range calls {
				mu.Lock()
				o := grantOp{kind: opExchange, token: -1, got: -1}
				known := slices.Clone(tokens)
				mu.Unlock()
				if n := len(known); n > 0 && r.IntN(60) > 0 {
					o.token = n - 1 // most often the newest
					if r.IntN(8) == 0 {
						o.token = r.IntN(n)
					}
					o.kind = opVerify
					if r.IntN(5) == 0 {
						o.kind = opRefresh
					}
					if r.IntN(60) == 0 {
						o.kind = opRevoke
					}
				}
				var issued auth.IssuedToken
				var err error
				ctx := s.t.Context()
				o.begin = clock.Add(1)
				switch o.kind {
				case opExchange:
					issued, err = s.server.Exchange(ctx, app.Application, x)
				case opRefresh:
					issued, err = s.server.Refresh(ctx, app.Application, refresh(known[o.token]))
				case opVerify:
					_, err = s.tokens.Verify(ctx, known[o.token].AccessToken.Reveal())
				case opRevoke:
					err = s.server.Revoke(ctx, app.Application, known[o.token].RefreshToken.Reveal())
				}
				o.end = clock.Add(1)
				o.ok = err == nil
				mu.Lock()
				if issued.AccessToken != "" {
					o.got = number(issued)
				}
				h = append(h, o)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return h
}

func TestGrantsAreLinearizable(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprintf("grace %v", grace), func(t *testing.T) {
			s := newOAuth(t, func(o *settings) { o.RefreshGrace = grace })
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
			issued := 0
			for seed := range uint64(10 * rounds()) {
				h := recordGrant(s, app, 8, 7, seed) // 57 at most: they must fit 64 bits
				for _, o := range h {
					if o.got >= 0 {
						issued++
					}
				}
				if !linearizable(h, grace > 0) {
					slices.SortFunc(h, func(a, b grantOp) int { return int(a.begin - b.begin) })
					t.Fatalf("no order explains\n%v", h)
				}
			}
			t.Logf("%d tokens issued", issued)
		})
	}
}
