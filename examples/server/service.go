package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

// A service is the handler and what has to be done beside it.
type service struct {
	handler   http.Handler
	passwords *auth.Passwords
	tokens    *auth.Tokens
	session   *auth.Session
}

// newService puts the parts together.
func newService(c config, db *database) (*service, error) {
	st := db.store
	passwords, err := auth.NewPasswords(st, st, nil)
	if err != nil {
		return nil, err
	}
	tokens, err := auth.NewTokens(st, st, tokenOptions(c, db))
	if err != nil {
		return nil, fmt.Errorf("-access-lifetime, -refresh-lifetime, -code-lifetime or -url: %w", err)
	}
	applications, err := auth.NewApplications(tokens, st, nil)
	if err != nil {
		return nil, err
	}
	var devices *auth.Devices
	if tokens.Issuer() != "" {
		if devices, err = auth.NewDevices(tokens, st, nil); err != nil {
			return nil, err
		}
	}
	sessionOptions := auth.SessionOptions{
		IdleTimeout:    c.idle,
		CookieName:     c.cookie,
		InsecureCookie: c.insecureCookie,
	}
	if c.url != "" { // a proxy may have ended the TLS of its pages
		sessionOptions.TrustedOrigins = []string{c.url}
	}
	session, err := auth.NewSession(st, st, &sessionOptions)
	if err != nil {
		return nil, fmt.Errorf("-session-cookie, -session-idle or -url: %w", err)
	}
	gate := auth.NewGate(auth.FirstOf(
		auth.NewBearer(tokens), session,
		auth.NewBasic(passwords, &auth.BasicOptions{Enabled: func() bool { return c.basic }}),
	), gateOptions(c))
	api, err := httpapi.New(httpapi.Config{
		Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens,
		Applications: applications, Devices: devices,
		Links: map[string]string{"job_templates": jobsPath, "organizations": organizationsPath},
	})
	if err != nil {
		return nil, err
	}
	peers, err := auth.ParsePeers(c.proxies)
	if err != nil {
		return nil, fmt.Errorf("-trusted-proxies: %w", err)
	}
	proxy, err := auth.NewProxy(&auth.ProxyOptions{Peers: peers, AddressFields: c.addressFields})
	if err != nil {
		return nil, fmt.Errorf("-trusted-proxies or -remote-host-headers: %w", err)
	}

	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/.well-known/", api)
	mux.Handle(jobsPath, gate.Require(&resource{
		path: jobsPath, fields: jobFields, gate: gate, list: db.jobs, add: db.addJob,
	}))
	organizations := gate.Require(&resource{
		path: organizationsPath, fields: organizationFields, gate: gate, list: db.organizations,
	})
	mux.Handle(organizationsPath+"{$}", organizations)
	mux.Handle(organizationsPath+"{id}/{$}", organizations) // what is below belongs to the API
	mux.Handle("GET /healthz", healthz(db))
	mux.Handle("GET /{$}", http.RedirectHandler("/api/login/", http.StatusFound))
	return &service{
		// The limit is outside, where it can end the connection of who sends more.
		handler:   http.MaxBytesHandler(proxy.Handler(session.Handler(mux)), maxBody),
		passwords: passwords,
		tokens:    tokens,
		session:   session,
	}, nil
}

func tokenOptions(c config, db *database) *auth.TokensOptions {
	o := &auth.TokensOptions{
		PersonalLifetime: c.access,
		AccessLifetime:   c.access,
		RefreshLifetime:  c.refresh,
		CodeLifetime:     c.code,
		Issuer:           c.url,
		Organizations:    auth.Organizations{ByID: db.organization, Of: db.memberships},
	}
	if c.url != "" {
		o.Resource = c.url + "/api/"
	}
	return o
}

// gateOptions tells clients where to find the way to a token (RFC 9728 section
// 5.1).
func gateOptions(c config) *auth.GateOptions {
	if c.url == "" {
		return nil
	}
	return &auth.GateOptions{
		Challenge: fmt.Sprintf(`Bearer realm="api", resource_metadata="%s/.well-known/oauth-protected-resource/api/"`, c.url),
	}
}

const (
	purgeInterval = time.Hour
	// keep is how long what ended stays: long enough that a replayed refresh
	// token is still recognised.
	keep = 24 * time.Hour
)

// purgeHourly forgets what ended until ctx does.
func (s *service) purgeHourly(ctx context.Context) {
	tick := time.NewTicker(purgeInterval)
	defer tick.Stop()
	for {
		before := time.Now().Add(-keep)
		_, errTokens := s.tokens.Purge(ctx, before)
		_, errSessions := s.session.Purge(ctx, before)
		_, errPasswords := s.passwords.Purge(ctx, before)
		if err := errors.Join(errTokens, errSessions, errPasswords); err != nil && ctx.Err() == nil {
			slog.Error("purge", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// healthz says whether the server can do its work.
func healthz(db *database) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := db.PingContext(r.Context()); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
