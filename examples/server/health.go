package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store/sqlstore"
)

// A health answers two probes: whether the process lives, without the database,
// and whether it can serve requests.
type health struct {
	ready    func(context.Context) error
	draining atomic.Bool // the server is about to end

	turn  chan struct{} // held by the request that asks the database
	asked time.Time
	err   error // what the last one was told
}

// shareAnswer is how long an answer is good for others, so that nobody can load
// the database with the question.
const shareAnswer = 200 * time.Millisecond

func newHealth(ready func(context.Context) error) *health {
	return &health{ready: ready, turn: make(chan struct{}, 1)}
}

// A state is the answer to a probe. Reason is one of the constants below, so that
// nobody learns what the database is and where.
type state struct {
	Status   string `json:"status"`
	Reason   string `json:"reason,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
}

// Why the server is not ready.
const (
	reasonDraining = "shutting down"
	reasonDatabase = "the database does not answer"
	reasonSchema   = "the schema of the database does not fit this version"
)

// routes serves the probes. The operator's also say which version runs.
func (h *health) routes(mux router, operator bool) {
	alive := state{Status: "ok"}
	if operator {
		b := thisBuild()
		alive.Version, alive.Revision = b.Version, b.Revision
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { tell(w, alive) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { tell(w, h.state(r.Context())) })
}

func (h *health) state(ctx context.Context) state {
	if h.draining.Load() {
		return state{Status: "unavailable", Reason: reasonDraining}
	}
	switch err := h.check(ctx); {
	case errors.Is(err, sqlstore.ErrSchema):
		return state{Status: "unavailable", Reason: reasonSchema}
	case err != nil:
		return state{Status: "unavailable", Reason: reasonDatabase}
	}
	return state{Status: "ok"}
}

func tell(w http.ResponseWriter, s state) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	status := http.StatusOK
	if s.Status != "ok" {
		status = http.StatusServiceUnavailable
		if s.Reason == reasonDatabase {
			h.Set("Retry-After", "1")
		}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(s) // an error means that the client has gone
}

// check asks the database, or returns what it said a moment ago.
func (h *health) check(ctx context.Context) error {
	h.turn <- struct{}{}
	defer func() { <-h.turn }()
	if time.Since(h.asked) < shareAnswer {
		return h.err
	}
	before := h.err
	// The answer is for other requests, too, so the end of this one must not
	// cancel it.
	h.err = h.ready(context.WithoutCancel(ctx))
	h.asked = time.Now()
	switch {
	case h.err != nil && before == nil:
		slog.ErrorContext(ctx, "not ready", "error", h.err)
	case h.err == nil && before != nil:
		slog.InfoContext(ctx, "ready again")
	}
	return h.err
}
