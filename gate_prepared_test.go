package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/authtest"
)

// refusedRequests returns requests that a gate of s refuses, by the cause.
func refusedRequests(t *testing.T, s benchSystem) map[string]*http.Request {
	other := newBenchSystem(t)
	unknown := authtest.AddToken(t, other.tokens, other.alice, auth.ScopeRead)
	return map[string]*http.Request{
		"no credential": request(t, func(http.Header) {}),
		"unknown token": request(t, func(h http.Header) { h.Set("Authorization", "Bearer "+unknown) }),
		"malformed":     request(t, func(h http.Header) { h.Set("Authorization", "Bearer \x01") }),
	}
}

// TestRefusalAllocations holds that a stranger costs one allocation, which is the
// challenge.
func TestRefusalAllocations(t *testing.T) {
	s := newBenchSystem(t)
	h := s.gate.Require(http.NotFoundHandler())
	w := &nowhere{make(http.Header)}
	for name, r := range refusedRequests(t, s) {
		if n := testing.AllocsPerRun(1000, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}); n > 1 {
			t.Errorf("Require, %s: %v allocations, want 1", name, n)
		}
		if n := testing.AllocsPerRun(1000, func() {
			_, _ = s.gate.Check(r)
		}); n > 0 {
			t.Errorf("Check, %s: %v allocations, want 0", name, n)
		}
	}
}

// forgetful takes all records and keeps none.
type forgetful struct{ slog.Handler }

func (forgetful) Enabled(context.Context, slog.Level) bool { return true }

// TestEventAllocations holds that the event of a refusal is one allocation beside the
// challenge, which is the record of package slog.
func TestEventAllocations(t *testing.T) {
	s := newBenchSystem(t)
	loud := auth.NewGate(s.chain, &auth.GateOptions{Logger: slog.New(forgetful{slog.DiscardHandler})})
	h := loud.Require(http.NotFoundHandler())
	w := &nowhere{make(http.Header)}
	for name, r := range refusedRequests(t, s) {
		if n := testing.AllocsPerRun(1000, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}); n > 2+raceAllocations {
			t.Errorf("%s: %v allocations, want 2", name, n)
		}
	}
}

// reader counts records, as a handler of a host that only knows Handle. Its WithAttrs is
// that of the handler inside, so that a logger with attributes would bypass it.
type reader struct {
	slog.Handler
	records *int
}

func (h reader) Handle(ctx context.Context, r slog.Record) error {
	*h.records++
	return h.Handler.Handle(ctx, r)
}

// TestRefusalsReachHandlers holds that a handler of a host sees each refusal with all
// its attributes.
func TestRefusalsReachHandlers(t *testing.T) {
	s := newBenchSystem(t)
	for name, r := range refusedRequests(t, s) {
		var out bytes.Buffer
		records := 0
		gate := auth.NewGate(s.chain, &auth.GateOptions{Logger: slog.New(reader{slog.NewJSONHandler(&out, &slog.HandlerOptions{AddSource: true}), &records})})
		gate.Require(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		var event map[string]any
		if err := json.Unmarshal(out.Bytes(), &event); err != nil || records != 1 {
			t.Fatalf("%s: %d records, %v: %s", name, records, err, out.String())
		}
		for _, key := range []string{audit.KeyOutcome, audit.KeyStatus, audit.KeyCode, audit.KeyReason, audit.KeyMethod, audit.KeyPath, audit.KeyClient} {
			if event[key] == nil {
				t.Errorf("%s: no %s in %s", name, key, out.String())
			}
		}
		if !strings.Contains(fmt.Sprint(event["source"]), "gate_prepared_test.go") {
			t.Errorf("%s: the source is not where the gate was made: %v", name, event["source"])
		}
	}
}

// TestPreparedRefusals holds that a refusal that was made with the gate is the one that
// would be made now.
func TestPreparedRefusals(t *testing.T) {
	s := newBenchSystem(t)
	gate := auth.NewGate(s.chain, &auth.GateOptions{Basic: true, Scope: "read", Realm: "there", Logger: slog.New(slog.DiscardHandler)})
	for name, r := range refusedRequests(t, s) {
		_, err := gate.Check(r)
		now := &auth.Error{Status: http.StatusUnauthorized, Detail: "no credential"}
		if e, ok := errors.AsType[*auth.Error](err); ok {
			copied := *e // which the gate does not know
			now = &copied
		}
		answer := func(err error) []any {
			w := httptest.NewRecorder()
			gate.Deny(w, r, err)
			return []any{w.Code, w.Header(), w.Body.String()}
		}
		if diff := cmp.Diff(answer(now), answer(err)); diff != "" {
			t.Errorf("%s (-made now +prepared):\n%s", name, diff)
		}
	}
}
