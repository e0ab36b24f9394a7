package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
)

// clockRandom runs steps with a clock that jumps, and compares them with a
// model.
func clockRandom(t *tester) {
	seed := mathrand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	rnd := mathrand.New(mathrand.NewPCG(seed, 1))
	u, app := t.user(), t.application()
	type pair struct {
		store.Token
		dead, spent bool
	}
	type login struct {
		store.Session
		dead bool
	}
	var pairs []*pair
	var logins []*login
	charge := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 2, Window: hour}}
	w := modelWindow{length: hour}
	now := time.Duration(0)
	const steps = 300
	for step := range steps {
		switch rnd.IntN(10) {
		case 0:
			now += hour
		case 1:
			now -= hour
		default:
			now += time.Duration(rnd.Int64N(int64(10 * time.Minute))).Truncate(us)
		}
		switch op := rnd.IntN(7); {
		case op == 0 || len(pairs) == 0:
			tok := t.pair(u.ID, app.ID)
			tok.Created, tok.Refresh.Expires = at(now), at(now+hour)
			pairs = append(pairs, &pair{Token: t.insert(tok)})
			s := t.login(u.ID, at(now))
			logins = append(logins, &login{Session: t.insertSession(s)})
		case op <= 2:
			p := pairs[len(pairs)-1-rnd.IntN(min(len(pairs), 6))]
			r := t.rotation(p.Token, at(now))
			r.Token.Refresh.Expires = at(now + hour)
			out, err := t.st.Rotate(t.Context(), r)
			want := error(nil)
			switch {
			case p.spent:
				want = store.ErrUsed
				for _, other := range pairs {
					other.dead = other.dead || other.Family == p.Family
				}
			case p.dead, !at(now).Before(p.Refresh.Expires):
				want = store.ErrNotFound
			default:
				p.dead, p.spent = true, true
				pairs = append(pairs, &pair{Token: out.Token})
			}
			if !errors.Is(err, want) {
				t.Fatalf("step %d: Rotate: got error %v, want %v", step, err, want)
			}
		case op == 3:
			p := pairs[rnd.IntN(len(pairs))]
			_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: p.ID}, at(now))
			t.must(err)
			p.dead = true
		case op == 4:
			l := logins[rnd.IntN(len(logins))]
			t.must(t.st.TouchSession(t.Context(), l.Digest, at(now+hour), at(now), netip.Addr{}))
			if !l.dead && at(now).Before(l.Expires) && at(now+hour).After(l.Expires) {
				l.Expires = at(now + hour)
			}
		case op == 5:
			want := w.charge(now, charge.Limit.Max)
			t.charge(fmt.Sprintf("step %d", step), at(now), want, charge)
		default:
			l := logins[rnd.IntN(len(logins))]
			_, err := t.st.EndSessions(t.Context(), store.SessionSelection{ID: l.ID}, store.EndedLogout, at(now))
			t.must(err)
			l.dead = true
		}
		if step%20 != 0 && step != steps-1 {
			continue
		}
		for _, p := range pairs {
			if got := t.token(p.ID); got.Revoked.IsZero() == p.dead {
				t.Fatalf("step %d: a token: got Revoked %v, want it dead: %t", step, got.Revoked, p.dead)
			}
		}
		for _, l := range logins {
			if got := t.session(l.Digest); got.Ended.IsZero() == l.dead || !got.Expires.Equal(l.Expires) {
				t.Fatalf("step %d: a session: got %v to %v, want it dead: %t, to %v", step, got.Ended, got.Expires, l.dead, l.Expires)
			}
		}
	}
}
