package bench

import (
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
)

// Refused returns the contest of requests whose access token nobody knows.
func Refused(tb testing.TB) Contest {
	s, other := newSystem(tb), newSystem(tb)
	s.issue(tb, Stored)
	unknown := other.issue(tb, Presented)
	fields := Fields("Authorization", prefixed("Bearer ", unknown))
	none := []http.Header{{}}
	text := slog.New(slog.NewTextHandler(io.Discard, nil))
	loud := auth.NewGate(s.chain, &auth.GateOptions{Logger: text})
	table := floorTable(nil)

	return Contest{"refused", []Contestant{
		Serving("floor, unknown token", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if look(table, r) == nil {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}), http.StatusUnauthorized, fields),
		Serving("Check, unknown token", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := s.gate.Check(r); err != nil {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}), http.StatusUnauthorized, fields),
		Serving("floor, whole refusal", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if look(table, r) == nil {
				refuse(w)
			}
		}), http.StatusUnauthorized, fields),
		Serving("Require, unknown token", s.gate.Require(ours), http.StatusUnauthorized, fields),
		Serving("floor, whole refusal with an event", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if look(table, r) == nil {
				text.LogAttrs(r.Context(), slog.LevelWarn, audit.RequestRefused,
					slog.String(audit.KeyOutcome, "failure"), slog.Int(audit.KeyStatus, http.StatusUnauthorized),
					slog.String(audit.KeyCode, "invalid_token"), slog.String(audit.KeyReason, "The access token is invalid or revoked."),
					slog.String(audit.KeyMethod, r.Method), slog.String(audit.KeyPath, r.URL.Path), slog.String(audit.KeyClient, "127.0.0.1"))
				refuse(w)
			}
		}), http.StatusUnauthorized, fields),
		Serving("Require, unknown token, with an event", loud.Require(ours), http.StatusUnauthorized, fields),
		Serving("Require, no credential", s.gate.Require(ours), http.StatusUnauthorized, none),
	}}
}

var refusal = []byte(`{"detail":"Authentication credentials were not provided."}`)

// refuse writes what a gate writes, as somebody would by hand.
func refuse(w http.ResponseWriter) {
	h := w.Header()
	h["Www-Authenticate"] = []string{`Bearer realm="api", error="invalid_token", error_description="The access token is invalid or revoked."`}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{"58"}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Vary"] = []string{"Authorization, Cookie"}
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(refusal)
}
