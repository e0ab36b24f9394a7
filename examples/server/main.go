// Server is a service with users, tokens and a protected resource, on SQLite. It
// shows how the parts of the module go together, and speaks AWX's API:
//
//	go run ./server -addr 127.0.0.1:8080 -db ostiary.db
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

func main() {
	c, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		err = run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	addr, db, users string
	basic           bool
	cookie          string
	insecureCookie  bool

	idle, access, refresh, code time.Duration
}

func parseFlags(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: server [flags]\n\nServes AWX's authentication API and a protected resource. The user admin is\ncreated on the first start, with the password in OSTIARY_ADMIN_PASSWORD or one\nthat is printed once.\n\n")
		f.PrintDefaults()
	}
	f.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	f.StringVar(&c.db, "db", "ostiary.db", "SQLite database `file`, created if missing")
	f.StringVar(&c.users, "users", "", "JSON `file` with a list of users to create if they are missing: username, password,\nemail, is_superuser, is_system_auditor, is_active (default true)")
	f.BoolVar(&c.basic, "basic", true, "accept HTTP Basic")
	f.StringVar(&c.cookie, "session-cookie", "", "`name` of the session cookie (default \"__Host-session\", or \"session\" with\n-insecure-cookie; AWX has \"awx_sessionid\")")
	f.DurationVar(&c.idle, "session-idle", 30*time.Minute, "how long a session lives without a request")
	f.DurationVar(&c.access, "access-lifetime", 0, "how long access tokens live (default 1h for tokens of applications, 720h for\npersonal ones)")
	f.DurationVar(&c.refresh, "refresh-lifetime", 0, "how long refresh tokens live (default 720h)")
	f.DurationVar(&c.code, "code-lifetime", 0, "how long authorization codes live (default 1m)")
	f.BoolVar(&c.insecureCookie, "insecure-cookie", false, "send the session cookie over plain HTTP, too (default true if -addr is a loopback\naddress)")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q: every setting is a flag, see -help", f.Arg(0))
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, d := range map[string]time.Duration{
		"session-idle": c.idle, "access-lifetime": c.access, "refresh-lifetime": c.refresh, "code-lifetime": c.code,
	} {
		if given[name] && d <= 0 {
			return c, fmt.Errorf("-%s %v must be positive", name, d)
		}
	}
	if !given["insecure-cookie"] {
		c.insecureCookie = loopback(c.addr)
	}
	return c, nil
}

// loopback reports whether only this machine can reach the address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func run(ctx context.Context, c config) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(log)
	db, st, err := open(ctx, c.db)
	if err != nil {
		return err
	}
	defer func() {
		if err := errors.Join(st.Close(), db.Close()); err != nil {
			log.Error("close the database", "error", err)
		}
	}()
	if err := createUsers(ctx, st, c.users); err != nil {
		return err
	}
	handler, purge, err := wire(c, st, db)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with -addr", c.addr, err)
	}
	fmt.Printf("Listening on http://%s/\n", listener.Addr())
	return serve(ctx, listener, handler, purge)
}

// wire puts the parts together.
func wire(c config, st database, db *sql.DB) (http.Handler, func(context.Context) error, error) {
	passwords, err := auth.NewPasswords(st, st, nil)
	if err != nil {
		return nil, nil, err
	}
	tokens, err := auth.NewTokens(st, st, &auth.TokensOptions{
		PersonalLifetime: c.access,
		AccessLifetime:   c.access,
		RefreshLifetime:  c.refresh,
		CodeLifetime:     c.code,
	})
	if err != nil {
		return nil, nil, err
	}
	session, err := auth.NewSession(st, st, &auth.SessionOptions{
		IdleTimeout:    c.idle,
		CookieName:     c.cookie,
		InsecureCookie: c.insecureCookie,
	})
	if err != nil {
		return nil, nil, err
	}
	gate := auth.NewGate(auth.FirstOf(
		auth.NewBearer(tokens), session,
		auth.NewBasic(passwords, &auth.BasicOptions{Enabled: func() bool { return c.basic }}),
	), nil)
	api, err := httpapi.New(httpapi.Config{
		Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens,
	})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/api/v2/job_templates/{$}", gate.Require(jobTemplates{db}))
	mux.Handle("GET /healthz", healthz(db))
	mux.Handle("GET /{$}", http.RedirectHandler("/api/login/", http.StatusFound))
	purge := func(ctx context.Context) error {
		// Long enough ago that a replayed refresh token is still recognised.
		before := time.Now().Add(-24 * time.Hour)
		_, errTokens := tokens.Purge(ctx, before)
		_, errSessions := session.Purge(ctx, before)
		_, errAttempts := passwords.Purge(ctx, before)
		return errors.Join(errTokens, errSessions, errAttempts)
	}
	return session.Handler(mux), purge, nil
}

// serve answers until ctx ends, and then finishes what has begun.
func serve(ctx context.Context, l net.Listener, h http.Handler, purge func(context.Context) error) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		slog.Info("shutting down")
		timeout, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(timeout)
	}()
	go func() {
		tick := time.NewTicker(time.Hour)
		defer tick.Stop()
		for {
			if err := purge(ctx); err != nil && ctx.Err() == nil {
				slog.Error("purge", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func healthz(db *sql.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := db.PingContext(r.Context()); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
