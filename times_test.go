package auth_test

import (
	"context"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// odd is a store of a host that has the times which change says.
type odd struct {
	*spy
	access  func(*store.Access)
	session func(*store.Session)
}

func (o *odd) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	a, err := o.spy.AccessByDigest(ctx, d)
	o.access(&a)
	return a, err
}

func (o *odd) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	r, u, err := o.spy.SessionByDigest(ctx, d)
	o.session(&r)
	return r, u, err
}

// a time that a store of a host invents lets nobody in for longer than it says.
// One that is out of the range of microseconds has passed.
func TestOddTimes(t *testing.T) {
	s := newSystem(t, nil)
	db := &odd{spy: s.db}
	tokens := auth.Must(auth.NewTokens(db, s.db, &auth.TokensOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, s.db, &auth.SessionOptions{Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet, WarnBefore: 40 * 24 * time.Hour})
	h := session.Handler(gate.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	token := bearer(s.issue(s.alice, "write"))

	const most, us = math.MaxInt64, int64(1_000_000)
	now, zone := time.Now(), time.FixedZone("", 14*3600)
	for _, tt := range []struct {
		name          string
		at            time.Time
		expires, ends int // the answers if it is when a credential expires, and when it was revoked
	}{
		{"zero", time.Time{}, 401, 200},
		{"zero in a zone", time.Time{}.In(zone), 401, 200},
		{"least above zero", time.Time{}.Add(1), 401, 401},
		{"less than a microsecond above zero", time.Time{}.Add(999).In(zone), 401, 401},
		{"before zero", time.Time{}.Add(-1), 401, 401},
		{"1970", time.Unix(0, 0), 401, 401},
		{"now, with a monotonic part", now, 401, 401},
		{"soon", now.Add(time.Hour), 200, 401},
		{"soon, in a zone, without a monotonic part", now.Add(time.Hour).In(zone).Round(0), 200, 401},
		{"year 9999", time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), 200, 401},
		{"the last that fits", time.Unix(most/us-1, 999_999_999), 200, 401},
		{"too late", time.Unix(most/us+1, 0), 401, 401},
		{"much too late", time.Unix(most/3, 0), 401, 401},
		{"so early that it overflows to what is to come", time.Unix(math.MinInt64/us-1, 0), 401, 401},
		{"that again and again", time.Unix(math.MinInt64/us*3, 0), 401, 401},
		{"overflows to zero", time.Unix(-62_135_596_800+1<<58, 0), 401, 401},
		{"the last of all", time.Unix(most, 999_999_999), 401, 401},
		{"the first of all", time.Unix(math.MinInt64, 0), 401, 401},
	} {
		for as, want := range map[string]int{"expires": tt.expires, "ended": tt.ends} {
			db.access = func(a *store.Access) {
				if as == "expires" {
					a.Expires = tt.at
				} else {
					a.Revoked = tt.at
				}
			}
			db.session = func(r *store.Session) {
				if as == "expires" {
					r.Expires = tt.at
				} else {
					r.Ended = tt.at
				}
			}
			w := send(h, "GET", "/", token)
			if w.Code != want {
				t.Errorf("a token %s at %s: %d, want %d", as, tt.name, w.Code, want)
			}
			if shown, expires := w.Header().Get("X-Token-Expires"), tt.at.UTC().Format(time.RFC3339); as == "expires" && shown != "" && shown != expires {
				t.Errorf("a token that expires at %s: the answer says %s, want %s", tt.name, shown, expires)
			}
			if got := send(h, "GET", "/", s.login(s.alice)).Code; got != want {
				t.Errorf("a session %s at %s: %d, want %d", as, tt.name, got, want)
			}
		}
	}

	// The same of a session's beginning, which its whole lifetime counts from.
	db.access, db.session = func(*store.Access) {}, func(r *store.Session) { r.Created = time.Unix(most/us+1, 0) }
	if got := send(h, "GET", "/", s.login(s.alice)).Code; got != 401 {
		t.Errorf("a session that begins too late: %d, want 401", got)
	}
}
