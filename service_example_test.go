package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A service that ends as it should, and removes what is over. The guide
// doc/running.md explains it.
func Example_service() {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet})

	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintf(w, "Hello, %s.\n", p.Name)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /hello", gate.Require(hello))

	purge := func(ctx context.Context) error {
		before := time.Now().Add(-24 * time.Hour)
		_, errTokens := tokens.Purge(ctx, before)
		_, errSessions := session.Purge(ctx, before)
		_, errCounters := passwords.Purge(ctx, before)
		return errors.Join(errTokens, errSessions, errCounters)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // or signal.NotifyContext with SIGTERM
	ended := make(chan error, 1)
	go func() { ended <- serveUntil(ctx, l, session.Handler(mux), purge) }()

	u := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	alice := &auth.Principal{ID: u.ID, Name: u.Name, Scopes: auth.Unrestricted}
	issued := auth.Must(tokens.Issue(ctx, alice, auth.TokenRequest{Scopes: auth.ScopeRead}))
	r, _ := http.NewRequest("GET", "http://"+l.Addr().String()+"/hello", nil)
	r.Header.Set("Authorization", "Bearer "+issued.AccessToken.Reveal())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	fmt.Print(string(body))

	http.DefaultClient.CloseIdleConnections()
	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// Hello, alice.
	// ended: <nil>
}

// serveUntil serves h until ctx ends, and finishes the requests that have begun.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler, purge func(context.Context) error) error {
	srv := &http.Server{
		Handler:           http.MaxBytesHandler(h, 1<<20),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	purged := make(chan struct{})
	purging, stop := context.WithCancel(ctx)
	defer func() { stop(); <-purged }()
	go func() {
		defer close(purged)
		for tick := time.NewTicker(time.Hour); ; {
			if err := purge(purging); err != nil && purging.Err() == nil {
				slog.Error("purge", "error", err)
			}
			select {
			case <-tick.C:
			case <-purging.Done():
				return
			}
		}
	}()

	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return srv.Shutdown(ending)
}
