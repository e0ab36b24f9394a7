// Package sse sends server-sent events to people and programs, for as long as their
// session or token is good.
package sse

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

// New returns the service. It asks every so often whether a credential is still
// good: half a minute is a good value.
func New(db *memory.Store, every time.Duration) http.Handler {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)

	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	mux.Handle("GET /events", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		w.Header().Set("Content-Type", "text/event-stream")
		out := http.NewResponseController(w)
		send := func(event, data string) error {
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
			return out.Flush()
		}
		if send("hello", p.Name) != nil {
			return
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select { // and the events of yours
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
			// The status was sent long ago, so the end is an event. EventSource
			// comes back by itself, and gets the refusal of the gate.
			if _, err := gate.Recheck(r); err != nil {
				_ = send("ended", "log in again")
				return
			}
			if send("ping", "") != nil {
				return
			}
		}
	})))
	return session.Handler(mux)
}
