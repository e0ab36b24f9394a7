package auth_test

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// The benchmarks drive a handler behind the gate with a writer that writes
// nowhere, beside floors of the same run: what one would write by hand for the
// same guarantees. Compare ratios, not nanoseconds.

const (
	benchTokens    = 10_000 // stored
	benchPresented = 1_024  // presented in turn
)

type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(int)             {}

// bench serves the requests in turn and fails if one does not reach the handler
// inside h, which counts in reached.
func bench(b *testing.B, h http.Handler, requests []*http.Request, reached *int, want bool) {
	b.Helper()
	w := &nowhere{make(http.Header)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, requests[i%len(requests)])
		i++
	}
	if passed := *reached == i; passed != want {
		b.Fatalf("%d of %d requests reached the handler", *reached, i)
	}
}

func request(tb testing.TB, set func(http.Header)) *http.Request {
	r := &http.Request{Method: "GET", URL: &url.URL{Path: "/probe/"}, Header: make(http.Header), Host: "app.example", RemoteAddr: "127.0.0.1:1234"}
	set(r.Header)
	// The chain of contexts that net/http builds.
	ctx := context.WithValue(context.Background(), http.ServerContextKey, nil)
	ctx, cancel := context.WithCancel(ctx)
	tb.Cleanup(cancel)
	return r.WithContext(ctx)
}

type benchSystem struct {
	chain   auth.Authenticator
	gate    *auth.Gate // without audit events
	session *auth.Session
	tokens  *auth.Tokens
	alice   store.User
}

// loud returns a gate that writes the audit events of level Info and above.
func (s benchSystem) loud() *auth.Gate {
	return auth.NewGate(s.chain, &auth.GateOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// watched returns a gate whose hook does nothing.
func (s benchSystem) watched() *auth.Gate {
	return auth.NewGate(s.chain, &auth.GateOptions{Logger: slog.New(slog.DiscardHandler), Observe: func(context.Context, observe.Event) {}})
}

func newBenchSystem(b testing.TB) benchSystem {
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	chain := auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil))
	return benchSystem{
		chain:   chain,
		gate:    auth.NewGate(chain, &auth.GateOptions{Logger: quiet}),
		session: session,
		tokens:  tokens,
		alice:   authtest.AddUser(b, db, store.User{Name: "alice"}, "correct horse battery"),
	}
}

// bearers issues tokens and returns requests with some of them.
func (s benchSystem) bearers(b testing.TB) (requests []*http.Request, presented []string) {
	for i := range benchTokens {
		token := authtest.AddToken(b, s.tokens, s.alice, auth.ScopeRead)
		if i < benchPresented {
			presented = append(presented, token)
			requests = append(requests, request(b, func(h http.Header) { h.Set("Authorization", "Bearer "+token) }))
		}
	}
	return requests, presented
}

func BenchmarkBearer(b *testing.B) {
	s := newBenchSystem(b)
	requests, presented := s.bearers(b)
	reached := 0
	b.Run("floor/naive", func(b *testing.B) {
		reached = 0
		bench(b, naive(presented, countingFloor(&reached)), requests, &reached, true)
	})
	b.Run("floor/tuned", func(b *testing.B) {
		reached = 0
		bench(b, tuned(presented, countingFloor(&reached)), requests, &reached, true)
	})
	b.Run("gate", func(b *testing.B) {
		reached = 0
		bench(b, s.gate.Require(counting(&reached)), requests, &reached, true)
	})
	b.Run("gate/with sessions", func(b *testing.B) {
		reached = 0
		bench(b, s.session.Handler(s.gate.Require(counting(&reached))), requests, &reached, true)
	})
	b.Run("gate/with events", func(b *testing.B) {
		reached = 0
		bench(b, s.loud().Require(counting(&reached)), requests, &reached, true)
	})
	b.Run("gate/with a hook", func(b *testing.B) {
		reached = 0
		bench(b, s.watched().Require(counting(&reached)), requests, &reached, true)
	})
	b.Run("refused/none", func(b *testing.B) {
		reached = 0
		bench(b, s.gate.Require(counting(&reached)), []*http.Request{request(b, func(http.Header) {})}, &reached, false)
	})
	b.Run("refused/unknown", func(b *testing.B) {
		other := newBenchSystem(b)
		token := authtest.AddToken(b, other.tokens, other.alice, auth.ScopeRead)
		reached = 0
		bench(b, s.gate.Require(counting(&reached)), []*http.Request{request(b, func(h http.Header) { h.Set("Authorization", "Bearer "+token) })}, &reached, false)
	})
}

// loggedIn returns a request with the cookie of a new session of u.
func loggedIn(tb testing.TB, session *auth.Session, u store.User) *http.Request {
	tb.Helper()
	w := &nowhere{make(http.Header)}
	session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := session.Login(r, u); err != nil {
			tb.Fatal(err)
		}
		w.WriteHeader(http.StatusOK)
	})).ServeHTTP(w, request(tb, func(http.Header) {}))
	cookie, _, _ := strings.Cut(w.header.Get("Set-Cookie"), ";")
	return request(tb, func(h http.Header) { h.Set("Cookie", cookie) })
}

func BenchmarkBasic(b *testing.B) {
	s := newBenchSystem(b)
	r := request(b, func(http.Header) {})
	r.SetBasicAuth("alice", "correct horse battery")
	reached := 0
	b.Run("repeated", func(b *testing.B) {
		reached = 0
		bench(b, s.gate.Require(counting(&reached)), []*http.Request{r}, &reached, true)
	})
	b.Run("repeated/with events", func(b *testing.B) {
		reached = 0
		bench(b, s.loud().Require(counting(&reached)), []*http.Request{r}, &reached, true)
	})
	b.Run("hash", func(b *testing.B) {
		hash, err := auth.Argon2id{}.Hash("correct horse battery")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if ok, _, err := (auth.Argon2id{}).Verify(hash, "correct horse battery"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

// TestBearerAllocations holds the one allocation that a bearer request makes.
func TestBearerAllocations(t *testing.T) {
	s := newBenchSystem(t)
	token := authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	r := request(t, func(h http.Header) { h.Set("Authorization", "Bearer "+token) })
	w := &nowhere{make(http.Header)}
	reached := 0
	h := s.gate.Require(counting(&reached))
	allocs := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	})
	if reached == 0 || allocs > 1 {
		t.Errorf("%v allocations a request, want 1; %d requests passed", allocs, reached)
	}
	// Neither does a hook.
	events := 0
	watched := auth.NewGate(s.chain, &auth.GateOptions{Logger: slog.New(slog.DiscardHandler), Observe: func(context.Context, observe.Event) { events++ }})
	h = watched.Require(counting(&reached))
	if allocs := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}); allocs > 1 || events == 0 {
		t.Errorf("%v allocations a request with a hook, want 1; %d events", allocs, events)
	}
	// A refusal costs its challenge, with an event and without.
	bad := request(t, func(h http.Header) { h.Set("Authorization", "Bearer "+token[:len(token)-1]) })
	for name, gate := range map[string]*auth.Gate{"without": s.gate, "with": s.loud()} {
		most := 1.0
		if name == "with" {
			most += raceAllocations
		}
		h := gate.Require(counting(&reached))
		before := reached
		if allocs := testing.AllocsPerRun(1000, func() {
			clear(w.header)
			h.ServeHTTP(w, bad)
		}); allocs > most || reached > before {
			t.Errorf("%v allocations a refusal %s an event, want %v", allocs, name, most)
		}
	}
	// A warning that is not due costs none either.
	warning := auth.NewGate(auth.NewBearer(s.tokens), &auth.GateOptions{Logger: slog.New(slog.DiscardHandler), WarnBefore: time.Hour})
	h = warning.Require(counting(&reached))
	if allocs := testing.AllocsPerRun(1000, func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}); allocs > 1 {
		t.Errorf("%v allocations a request with a warning that is not due, want 1", allocs)
	}
}

// countedSessions counts the calls of a store.
type countedSessions struct {
	store.Sessions
	reads, writes int
}

func (c *countedSessions) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	c.reads++
	return c.Sessions.SessionByDigest(ctx, d)
}

func (c *countedSessions) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	c.writes++
	return c.Sessions.SaveSession(ctx, d, data, revision, at)
}

func (c *countedSessions) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	c.writes++
	return c.Sessions.TouchSession(ctx, d, expires, at, from)
}

// TestSessionReadsOnce holds that a request which changes nothing costs one read
// of the store and no write, through Handler and Gate together.
func TestSessionReadsOnce(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	counted := &countedSessions{Sessions: db}
	session := auth.Must(auth.NewSession(counted, db, &auth.SessionOptions{Logger: quiet}))
	r := loggedIn(t, session, authtest.AddUser(t, db, store.User{Name: "alice"}, ""))
	*counted = countedSessions{Sessions: db}
	reached := 0
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	session.Handler(gate.Require(counting(&reached))).ServeHTTP(&nowhere{make(http.Header)}, r)
	if reached != 1 || counted.reads != 1 || counted.writes != 0 {
		t.Errorf("%d reads and %d writes, want 1 and 0; %d requests passed", counted.reads, counted.writes, reached)
	}
}

// counting counts the requests that have a principal.
func counting(n *int) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if p, ok := auth.FromContext(r.Context()); ok && p.Name == "alice" {
			*n++
		}
	})
}

func counted(n *int) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { *n++ })
}

type floorRecord struct {
	user    string
	scope   string
	expires time.Time
}

type floorKey struct{}

func countingFloor(n *int) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if c, ok := ctx.(*floorCarrier); ok && c.record.user == "alice" {
			*n++
		} else if rec, ok := ctx.Value(floorKey{}).(*floorRecord); ok && rec.user == "alice" {
			*n++
		}
	})
}

func floorTable(tokens []string) map[[32]byte]*floorRecord {
	table := make(map[[32]byte]*floorRecord, benchTokens)
	for _, token := range tokens {
		table[sha256.Sum256([]byte(token))] = &floorRecord{"alice", "read", time.Now().Add(time.Hour)}
	}
	for i := len(table); i < benchTokens; i++ {
		table[sha256.Sum256([]byte{byte(i), byte(i >> 8)})] = &floorRecord{}
	}
	return table
}

// naive is the middleware that most people would write. It is not inlined, so
// that the request escapes to a handler it does not know, as in a server.
//
//go:noinline
func naive(tokens []string, next http.Handler) http.Handler {
	var mu sync.RWMutex
	table := floorTable(tokens)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		if !ok || !strings.EqualFold(scheme, "bearer") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		sum := sha256.Sum256([]byte(token))
		mu.RLock()
		rec := table[sum]
		mu.RUnlock()
		if rec == nil || !time.Now().Before(rec.expires) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), floorKey{}, rec)))
	})
}

type floorCarrier struct {
	context.Context
	record  *floorRecord
	request http.Request
}

func (c *floorCarrier) Value(key any) any {
	if key == (floorKey{}) {
		return c.record
	}
	return c.Context.Value(key)
}

// tuned is naive with one allocation: context and request in one carrier.
//
//go:noinline
func tuned(tokens []string, next http.Handler) http.Handler {
	table := floorTable(tokens)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.Header["Authorization"]
		if len(values) != 1 || len(values[0]) < 8 || values[0][:7] != "Bearer " {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var scratch [128]byte
		rec := table[sha256.Sum256(append(scratch[:0], values[0][7:]...))]
		if rec == nil || !time.Now().Before(rec.expires) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c := &floorCarrier{Context: r.Context(), record: rec}
		c.request = *r.WithContext(c)
		next.ServeHTTP(w, &c.request)
	})
}
