package promauth_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/promauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// BenchmarkBearer is a request with a token, without a hook, with one that does
// nothing, and with metrics. Compare the runs of one process.
func BenchmarkBearer(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	token := authtest.AddToken(b, tokens, authtest.AddUser(b, db, store.User{Name: "alice"}, ""), auth.ScopeRead)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	for _, bb := range []struct {
		name string
		hook observe.Func
	}{
		{"nil", nil},
		{"empty", func(context.Context, observe.Event) {}},
		{"prometheus", auth.Must(promauth.New(prometheus.NewRegistry()))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			h := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet, Observe: bb.hook}).
				Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Header())
				h.ServeHTTP(w, r)
			}
		})
	}
}
