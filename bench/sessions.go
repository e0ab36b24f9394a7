package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Sessions returns the contest of requests with the cookie of a login.
func Sessions(tb testing.TB) Contest {
	s := newSystem(tb)
	m := s.session.Manager()
	put := func(r *http.Request) { PutValues(m, r.Context()) }
	var bare, full, written []string // the last have other values each time
	for range Presented {
		bare = append(bare, s.login(func(*http.Request) {}))
		full, written = append(full, s.login(put)), append(written, s.login(put))
	}
	in := func(f func(context.Context)) http.Handler {
		return s.session.Handler(s.gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f(r.Context())
			ours(w, r)
		})))
	}
	unread := func(context.Context) {}
	var puts atomic.Int64
	return Contest{"session", []Contestant{
		Serving("floor, identity", floorSession(theirs), Passed, Fields("Cookie", floorCookies())),
		Serving("floor, identity, every duty", dutifulSession(s.alice, dutiful), Passed, Fields("Cookie", floorCookies())),
		Serving("Gate alone", s.gate.Require(ours), Passed, Fields("Cookie", bare)),
		Serving("Handler and Gate, no values", in(unread), Passed, Fields("Cookie", bare)),
		Serving("Handler and Gate, values that nobody reads", in(unread), Passed, Fields("Cookie", full)),
		Serving("Handler and Gate, values read", in(func(ctx context.Context) { _ = m.GetString(ctx, "backend") }), Passed, Fields("Cookie", full)),
		Serving("Handler and Gate, equal value put", in(func(ctx context.Context) { m.Put(ctx, "backend", "model") }), Passed, Fields("Cookie", full)),
		Serving("Handler and Gate, value written", in(func(ctx context.Context) { m.Put(ctx, "visits", int(puts.Add(1))) }), Passed, Fields("Cookie", written)),
		Serving("Handler, no cookie", s.session.Handler(http.HandlerFunc(anybody)), Passed, Fields("Accept", []string{"*/*"})),
	}}
}

// anybody answers requests of anybody.
func anybody(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(Passed) }

// PutValues puts what a login of Django stores.
func PutValues(m *scs.SessionManager, ctx context.Context) {
	m.Put(ctx, "user", "alice")
	m.Put(ctx, "backend", "model")
	m.Put(ctx, "hash", strings.Repeat("h", 64))
	m.Put(ctx, "csrf", strings.Repeat("c", 32))
}

func floorID(i int) string { return strings.Repeat("s", 37) + fmt.Sprintf("%06d", i) }

func floorCookies() (list []string) {
	for i := range Presented {
		list = append(list, "__Host-session="+floorID(i))
	}
	return list
}

// floorSession finds a login by the digest of its identifier, checks what a session
// of this module checks, and passes the user on in one allocation.
//
//go:noinline
func floorSession(next http.Handler) http.Handler {
	type user struct {
		active bool
		epoch  int64
	}
	type login struct {
		record
		epoch          int64
		created, ended time.Time
		user           *user
	}
	alice, now := &user{true, 1}, time.Now()
	table := make(map[[32]byte]*login)
	for i := range Stored {
		table[sha256.Sum256([]byte(floorID(i)))] = &login{record: record{user: "alice", expires: now.Add(time.Hour)}, epoch: 1, created: now, user: alice}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ""
		for _, line := range r.Header["Cookie"] {
			for rest := line; rest != ""; {
				var pair string
				pair, rest, _ = strings.Cut(rest, ";")
				if k, v, _ := strings.Cut(strings.TrimSpace(pair), "="); k == "__Host-session" {
					id = v
				}
			}
		}
		if len(id) != 43 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var scratch [64]byte
		s := table[sha256.Sum256(append(scratch[:0], id...))]
		now := time.Now()
		if s == nil || !s.ended.IsZero() || !now.Before(s.expires) || now.Sub(s.created) > 12*time.Hour || !s.user.active || s.user.epoch != s.epoch {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pass(w, r, &s.record, next)
	})
}
