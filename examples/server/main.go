// Server is a service with users, sessions, tokens, OAuth applications and a
// protected resource, on SQLite, PostgreSQL or MySQL. It shows how the parts of
// the module go together, and speaks AWX's API:
//
//	go run ./server -addr 127.0.0.1:8080 -db ostiary.db
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	c, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		context.AfterFunc(ctx, stop) // the second signal does not wait
		err = run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(log) // where the parts send their audit events

	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w; is another server running there? Choose another address, such as 127.0.0.1:0 for any free port", err)
	}
	defer listener.Close()
	c.completeURL(listener.Addr())

	db, err := open(ctx, c.db)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			log.Error("close the database", "error", err)
		}
	}()
	if err := createUsers(ctx, db, c.users); err != nil {
		return err
	}
	s, err := newService(c, db)
	if err != nil {
		return err
	}
	fmt.Printf("Listening on http://%s/\n", listener.Addr())
	return serve(ctx, listener, s)
}

// Limits of the HTTP server. The API itself limits bodies.
const (
	headerTimeout   = 10 * time.Second
	readTimeout     = 30 * time.Second
	writeTimeout    = 60 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeaderBytes  = 64 << 10
	shutdownTimeout = 20 * time.Second
)

// serve answers until ctx ends, and then finishes the requests that have begun.
func serve(ctx context.Context, l net.Listener, s *service) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { s.purgeHourly(ctx) })

	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	slog.Info("shutting down")
	timeout, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer stop()
	if err := srv.Shutdown(timeout); err != nil {
		return errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
	}
	return nil
}
