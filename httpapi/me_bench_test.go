package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A sink is a response that goes nowhere.
type sink struct {
	header http.Header
	body   []byte
	status int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(p []byte) (int, error) {
	s.body = append(s.body[:0], p...)
	return len(p), nil
}

// BenchmarkMe is GET /api/v2/me/ by a bearer token, in memory, beside a handler that
// writes the same bytes, and that handler behind the gate. They take turns, so that
// what else the machine does hits all of them. The users are 10 and 100,000.
func BenchmarkMe(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	newAPI := func(users int) (http.Handler, *auth.Gate, *http.Request) {
		db := memory.New()
		tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
		gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
		var u store.User
		for i := range users {
			u = authtest.AddUser(b, db, store.User{Name: fmt.Sprint("user", i), Email: "user@example.com"}, "")
		}
		r, err := http.NewRequest(http.MethodGet, "/api/v2/me/", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set("Authorization", "Bearer "+authtest.AddToken(b, tokens, u, auth.ScopeRead))
		r.Header.Set("Accept", "*/*")
		return auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: db, Tokens: tokens})), gate, r
	}
	few, gate, r := newAPI(10)
	many, _, manyR := newAPI(100_000)
	w := &sink{header: http.Header{}}
	few.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		b.Fatalf("%d %s", w.status, w.body)
	}
	body := append([]byte(nil), w.body...)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
	})
	contestants := []struct {
		name    string
		handler http.Handler
		request *http.Request
	}{{"bare", bare, r}, {"gate", gate.Require(bare), r}, {"me", few, r}, {"me100000", many, manyR}}
	took := make([]time.Duration, len(contestants))
	for b.Loop() {
		for i, c := range contestants {
			began := time.Now()
			for range 50 {
				clear(w.header)
				c.handler.ServeHTTP(w, c.request)
			}
			took[i] += time.Since(began)
		}
	}
	for i, c := range contestants {
		b.ReportMetric(float64(took[i].Nanoseconds())/float64(50*b.N), "ns/"+c.name)
		b.ReportMetric(testing.AllocsPerRun(100, func() {
			clear(w.header)
			c.handler.ServeHTTP(w, c.request)
		}), "allocs/"+c.name)
	}
	b.ReportMetric(0, "ns/op") // of all of them together
}
