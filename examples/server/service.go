package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/cached"
)

// A service is the handler and the work beside it.
type service struct {
	handler   http.Handler
	health    *health
	metrics   *metrics
	passwords *auth.Passwords
	tokens    *auth.Tokens
	session   *auth.Session
	stream    *activity.Stream // nil without -activity
	purges    *purges
	listen    func(context.Context) error // to other servers; nil for not

	keep, keepActivity time.Duration // how long what ended stays
}

// A router takes routes. A test gives newServiceOn one that remembers them.
type router interface {
	http.Handler
	Handle(pattern string, h http.Handler)
	HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request))
}

// newService puts the parts together.
func newService(c config, db *database) (*service, error) {
	return newServiceOn(c, db, http.NewServeMux(), http.NewServeMux())
}

// newServiceOn puts the parts together, with the routes of the service on mux and
// all others on outer.
func newServiceOn(c config, db *database, mux, outer router) (*service, error) {
	cache, err := newCache(c, db)
	if err != nil {
		return nil, err
	}
	var st cached.Backing = db.store
	if cache != nil {
		st = cache
	}
	stream, log, err := newStream(c, db)
	if err != nil {
		return nil, err
	}
	c.passwords.InsecureCookie, c.passwords.Logger, c.passwords.Observe = c.insecureCookie, log, c.metrics.observe()
	passwords, err := auth.NewPasswords(st, st, &c.passwords)
	if err != nil {
		return nil, c.settings.blame(err)
	}
	c.accounts.Logger = log
	accounts, err := auth.NewAccounts(st, passwords, &c.accounts)
	if err != nil {
		return nil, c.settings.blame(err)
	}
	tokens, err := auth.NewTokens(st, st, tokenOptions(c, db, log))
	if err != nil {
		return nil, c.settings.blame(err)
	}
	applications, err := oauthOptions(c, log)
	if err != nil {
		return nil, c.settings.blame(err)
	}
	server, err := oauth.NewServer(tokens, st, st, applications)
	if err != nil {
		return nil, c.settings.blame(err)
	}
	session, err := auth.NewSession(st, st, sessionOptions(c))
	if err != nil {
		return nil, c.settings.blame(err)
	}
	c.basics.Enabled = func() bool { return c.basic }
	gate := auth.NewGate(auth.FirstOf(
		auth.NewBearer(tokens), session,
		auth.NewBasic(passwords, &c.basics),
	), gateOptions(c))
	api, err := httpapi.New(httpapi.Config{
		Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens,
		OAuth: server, Accounts: accounts, Activity: stream, EmptyResources: true, GatewayPaths: c.gateway,
		Links: map[string]string{"job_templates": jobsPath, "organizations": organizationsPath},
		// People find their account after the login.
		Account: true, PageOptions: httpapi.PageOptions{Product: c.product},
	})
	if err != nil {
		return nil, c.settings.blame(err)
	}
	proxy, peers, err := newProxy(c)
	if err != nil {
		return nil, err
	}

	mux.Handle("/api/", api)
	mux.Handle("/.well-known/", api)
	mux.Handle(jobsPath, gate.Require(&resource{
		path: jobsPath, fields: jobFields, gate: gate, list: db.jobs, add: db.addJob,
	}))
	organizations := gate.Require(&resource{
		path: organizationsPath, fields: organizationFields, gate: gate, list: db.organizations,
	})
	mux.Handle(organizationsPath+"{$}", organizations)
	mux.Handle(organizationsPath+"{id}/{$}", organizations) // deeper paths belong to the API
	mux.Handle("GET /{$}", http.RedirectHandler("/api/login/", http.StatusFound))
	outer.Handle("/", proxy.Handler(session.Handler(mux)))
	h := newHealth(db.store.Ready)
	h.routes(outer, c.adminHere) // neither a session nor a proxy matters to it
	if c.adminHere {
		c.metrics.routes(outer)
	}
	s := &service{
		// The limit is outside, where it can close the connection of a client
		// that sends more.
		handler:   http.MaxBytesHandler(c.metrics.count(withRequestID(peers, outer)), maxBody),
		health:    h,
		metrics:   c.metrics,
		passwords: passwords,
		tokens:    tokens,
		session:   session,
		stream:    stream,
		purges:    newPurges(c, db),

		keep: c.keep, keepActivity: c.keepActivity,
	}
	if listens(c, db) {
		s.listen = cache.Run
	}
	return s, nil
}

// No user fills the database with sessions and tokens.
const (
	maxSessions = 1_000
	maxTokens   = 10_000
)

// newStream returns the activity stream, unless -activity is off, and the logger of
// the parts whose events it takes.
func newStream(c config, db *database) (*activity.Stream, *slog.Logger, error) {
	log := slog.Default()
	if !c.activity {
		return nil, log, nil
	}
	stream, err := activity.NewStream(db.store, &activity.Options{
		Organizations: organizations(db), Applications: db.store, Keep: c.activityEntries,
	})
	if err != nil {
		return nil, nil, err
	}
	return stream, slog.New(stream.Handler(log.Handler())), nil
}

func organizations(db *database) auth.Organizations {
	return auth.Organizations{ByID: db.organization, Of: db.memberships}
}

func tokenOptions(c config, db *database, log *slog.Logger) *auth.TokensOptions {
	o := c.tokens
	o.Logger, o.Observe = log, c.metrics.observe()
	o.PersonalLifetime = cmp.Or(o.PersonalLifetime, c.access)
	o.Minting = auth.Minting(c.minting)
	o.Organizations = organizations(db)
	if c.url != "" {
		o.Resource = c.url + "/api/"
	}
	return &o
}

func oauthOptions(c config, log *slog.Logger) (*oauth.Options, error) {
	o := c.oauth
	o.Logger, o.Observe = log, c.metrics.observe()
	o.AccessLifetime = c.access
	o.Issuer = c.url
	if c.url != "" {
		o.Devices = &c.devices
	}
	if c.fetcher.AllowHosts == nil {
		return &o, nil
	}
	var err error
	c.documents.Fetcher, err = clientdoc.New(&c.fetcher)
	o.Documents = &c.documents
	return &o, err
}

func sessionOptions(c config) *auth.SessionOptions {
	o := c.session
	o.InsecureCookie, o.Observe = c.insecureCookie, c.metrics.observe()
	if c.url != "" { // a proxy may have ended the TLS of its pages
		o.TrustedOrigins = append([]string{c.url}, o.TrustedOrigins...)
	}
	return &o
}

// gateOptions tells clients where to find the way to a token (RFC 9728 section
// 5.1).
func gateOptions(c config) *auth.GateOptions {
	o := c.gate
	o.Observe = c.metrics.observe()
	if c.url != "" {
		o.ResourceMetadata = c.url + "/.well-known/oauth-protected-resource/api/"
	}
	return &o
}

func newProxy(c config) (*auth.Proxy, []netip.Prefix, error) {
	peers, err := auth.ParsePeers(c.proxies)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.settings.at("trusted-proxies"), err)
	}
	proxy, err := auth.NewProxy(&auth.ProxyOptions{Peers: peers, AddressFields: c.addressFields, ForwardedHost: c.forwardedHost, Observe: c.metrics.observe()})
	return proxy, peers, c.settings.blame(err)
}
