// Package websocket opens WebSockets behind a gate, and closes them when their
// session or token has ended.
package websocket

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

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
	// The gate refuses the upgrade that a page of another origin asks for with
	// the cookie of its visitor.
	mux.Handle("/echo", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer conn.CloseNow()
		ctx, cancel := context.WithCancel(r.Context())
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			watch(ctx, gate, r, conn, every)
		}()
		defer func() { cancel(); <-watched }()
		for {
			kind, message, err := conn.Read(ctx)
			if err != nil || conn.Write(ctx, kind, message) != nil {
				return
			}
		}
	})))
	return session.Handler(mux)
}

// watch closes conn when the credential of r is good no more.
func watch(ctx context.Context, gate *auth.Gate, r *http.Request, conn *websocket.Conn, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := gate.Recheck(r); err != nil {
				_ = conn.Close(websocket.StatusPolicyViolation, "log in again")
				return
			}
		}
	}
}
