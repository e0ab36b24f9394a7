package auth_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// BenchmarkSession compares sessions with plain scs and its codec, gob, and with
// the least that one would write by hand for the same checks.
func BenchmarkSession(b *testing.B) {
	for _, c := range sessionContestants(b) {
		b.Run(c.name, func(b *testing.B) {
			*c.reached = 0
			bench(b, c.handler, c.requests, c.reached, true)
		})
	}
}

// A contestant serves requests, and counts those that its handler has served.
type contestant struct {
	name     string
	handler  http.Handler
	requests []*http.Request
	reached  *int
}

func sessionContestants(tb testing.TB) []contestant {
	n := new(int)
	var list []contestant
	add := func(name string, h http.Handler, requests []*http.Request) {
		list = append(list, contestant{name, h, requests, n})
	}
	strangers := []*http.Request{request(tb, func(http.Header) {})}

	add("floor/identity", floorSession(tb, countingFloor(n)), floorRequests(tb))
	add("floor/no cookie", counted(n), strangers)

	m := plainSCS(func(m *scs.SessionManager) { m.HashTokenInStore = true })
	names := map[string]string{"7": "alice"}
	logged := func(f func(ctx context.Context)) http.Handler {
		return m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if names[m.GetString(r.Context(), "user")] == "alice" {
				f(r.Context())
				*n++
			}
		}))
	}
	theirs := theirRequests(tb, m)
	add("scs/identity", logged(func(context.Context) {}), theirs)
	addUses(m, func(name string, f func(context.Context)) { add("scs/"+name, logged(f), theirs) })
	add("scs/no cookie", m.LoadAndSave(counted(n)), strangers)

	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet, PerUser: -1}))
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	alice := authtest.AddUser(tb, db, store.User{Name: "alice"}, "")
	var bare, full []*http.Request
	for range benchPresented {
		bare = append(bare, loggedIn(tb, session, alice))
		full = append(full, loggedIn(tb, session, alice))
	}
	in := func(f func(context.Context)) http.Handler {
		count := counting(n)
		return session.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f(r.Context())
			count.ServeHTTP(w, r)
		})))
	}
	fill := in(func(ctx context.Context) { putValues(session.Manager(), ctx) })
	for _, r := range full {
		fill.ServeHTTP(&nowhere{make(http.Header)}, r)
	}
	add("gate alone", gate.Require(counting(n)), bare)
	add("no values", in(func(context.Context) {}), bare)
	add("values that nobody reads", in(func(context.Context) {}), full)
	addUses(session.Manager(), func(name string, f func(context.Context)) { add(name, in(f), full) })
	add("no cookie", session.Handler(counted(n)), strangers)
	return list
}

// addUses adds what a handler does with values.
func addUses(m *scs.SessionManager, add func(string, func(context.Context))) {
	puts := 0
	add("values read", func(ctx context.Context) {
		if m.GetString(ctx, "backend") == "" || m.GetString(ctx, "hash") == "" || m.GetString(ctx, "csrf") == "" {
			panic("no values")
		}
	})
	add("equal value put", func(ctx context.Context) { m.Put(ctx, "backend", "model") })
	add("value put", func(ctx context.Context) {
		puts++
		m.Put(ctx, "visits", puts)
	})
}

// putValues puts what a login of Django stores.
func putValues(m *scs.SessionManager, ctx context.Context) {
	m.Put(ctx, "user", "7")
	m.Put(ctx, "backend", "model")
	m.Put(ctx, "hash", strings.Repeat("h", 64))
	m.Put(ctx, "csrf", strings.Repeat("c", 32))
	m.Put(ctx, "visits", 0)
}

// theirRequests returns requests with sessions of plain scs.
func theirRequests(tb testing.TB, m *scs.SessionManager) (list []*http.Request) {
	for range benchPresented {
		_, cookie := plainDo(m, "", func(_ http.ResponseWriter, r *http.Request) { putValues(m, r.Context()) })
		list = append(list, request(tb, func(h http.Header) { h.Set("Cookie", cookie) }))
	}
	return list
}

// floorLogin is a session of the floor.
type floorLogin struct {
	record           floorRecord
	epoch            int64
	created, expires time.Time
	ended            atomic.Bool
	user             *floorUser
}

type floorUser struct {
	id, name string
	active   bool
	epoch    int64
}

func floorID(i int) string {
	return strings.Repeat(string(rune('a'+i%26)), 40) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)) + "0"
}

func floorRequests(tb testing.TB) (list []*http.Request) {
	for i := range benchPresented {
		list = append(list, request(tb, func(h http.Header) { h.Set("Cookie", "__Host-session="+floorID(i)) }))
	}
	return list
}

// floorSession finds a session by the digest of its identifier, checks what
// [auth.Session] checks, and passes the user on in one allocation.
//
//go:noinline
func floorSession(tb testing.TB, next http.Handler) http.Handler {
	alice := &floorUser{"7", "alice", true, 1}
	now := time.Now()
	table := make(map[[32]byte]*floorLogin)
	for i := range benchPresented {
		table[sha256.Sum256([]byte(floorID(i)))] = &floorLogin{record: floorRecord{user: "alice"}, epoch: 1, created: now, expires: now.Add(time.Hour), user: alice}
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
			return
		}
		var scratch [64]byte
		s := table[sha256.Sum256(append(scratch[:0], id...))]
		now := time.Now()
		if s == nil || s.ended.Load() || !now.Before(s.expires) || now.Sub(s.created) > 12*time.Hour || !s.user.active || s.user.epoch != s.epoch {
			return
		}
		c := &floorCarrier{Context: r.Context(), record: &s.record}
		c.request = *r.WithContext(c)
		next.ServeHTTP(w, &c.request)
	})
}
