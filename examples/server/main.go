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

	"github.com/ostiary/auth/store/sqlstore"
)

func main() {
	c, err := parseFlags(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.printUsage(os.Stdout)
		return
	case c.printConfig:
		// Wrong settings are shown, too: who asks may be looking for them.
		err = errors.Join(c.settings.print(os.Stdout), err)
		if err == nil {
			_, err = c.checkAll()
		}
	case err == nil && c.healthcheck:
		err = c.probe(context.Background())
	case err == nil:
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		context.AfterFunc(ctx, stop) // the second signal does not wait
		err = run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// listenRemedy returns what to do about an address that cannot be listened on.
func listenRemedy(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return "is another server running there? Choose another address, such as 127.0.0.1:0 for any free port"
	}
	return "write an address of this machine and a port, such as 127.0.0.1:8080"
}

// checked is what the settings name, read and found good.
type checked struct {
	users []userEntry
	certs *certificate // nil without -tls-cert
}

// checkAll looks at all settings and what they name, before anything is made.
func (c *config) checkAll() (is checked, err error) {
	addr, err := c.resolve()
	if err != nil {
		return is, err
	}
	if is.users, err = wanted(*c); err != nil {
		return is, err
	}
	if c.tls() {
		if is.certs, err = loadCertificate(*c); err != nil {
			return is, err
		}
	}
	if err := checkDatabase(c.db); err != nil {
		return is, fmt.Errorf("%s: %w", c.settings.at("db"), err)
	}
	trial := *c
	if addr.Port == 0 {
		addr.Port = 1 // some other one
	}
	trial.completeURL(addr.String())
	// The parts do not touch their store until they are asked something.
	_, err = newService(trial, &database{store: new(sqlstore.Store)})
	return is, err
}

func run(ctx context.Context, c config) error {
	log := newLogger(os.Stderr, c.observeConfig)
	slog.SetDefault(log) // where the parts send their audit events
	b := thisBuild()
	log.Info("starting", "version", b.Version, "revision", b.Revision, "go", b.Go)

	is, err := c.checkAll()
	if err != nil {
		return err
	}
	c.warn()
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return c.listenError(err)
	}
	defer listener.Close()
	admin, err := c.listenAdmin()
	if err != nil {
		return err
	}
	if admin != nil {
		defer admin.Close()
	}
	c.adminHere = c.adminOnMain()
	c.completeURL(listener.Addr().String())
	if c.metrics, err = newMetrics(); err != nil {
		return err
	}

	db, err := open(ctx, c.db, limits{c.dbConns, c.dbTimeout, c.metrics})
	if err != nil {
		return fmt.Errorf("%s: %w", c.settings.at("db"), err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			log.Error("close the database", "error", err)
		}
	}()
	if err := createUsers(ctx, c, db, is.users); err != nil {
		return err
	}
	s, err := newService(c, db)
	if err != nil {
		return err
	}
	defer serveAdmin(admin, s)()
	fmt.Printf("Listening on %s://%s/\n", c.scheme(), listener.Addr())
	defer reloadOnHangup(is.certs)()
	return serve(ctx, is.certs.listen(listener), s, c.drain)
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

// serve answers until ctx ends and for as long as drain afterwards, and then
// finishes the requests that have begun.
func serve(ctx context.Context, l net.Listener, s *service, drain time.Duration) error {
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
	background.Go(func() { s.purges.run(ctx, s.purge) })
	if s.listen != nil {
		background.Go(func() { _ = s.listen(ctx) }) // until the end, whose error it returns
	}
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()                                          // after the last request
	background.Go(func() { _ = s.tokens.Run(recording) }) // until the end, whose error it returns
	if s.stream != nil {
		background.Go(func() { s.stream.Run(recording) })
	}

	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	notify("READY=1")
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	notify("STOPPING=1")
	slog.Info("shutting down")
	s.health.draining.Store(true)
	select {
	case err := <-served:
		return err
	case <-time.After(drain):
	}
	timeout, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer stop()
	if err := srv.Shutdown(timeout); err != nil {
		return errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
	}
	return nil
}
