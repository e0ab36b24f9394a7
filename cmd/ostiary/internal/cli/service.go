package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/sqlstore"
)

// settings are the options of a host that the command cannot know, as far as the
// operator gives them.
type settings struct {
	minLength   int    // of passwords
	tokenPrefix string // of tokens
	scopes      []string
	redirects   redirects
}

// redirects widen what may be a redirect URI.
type redirects struct {
	insecureHTTP bool
	schemes      []string
}

// A service is the library over the database, and the operator who acts.
type service struct {
	*sqlstore.Store
	by        *auth.Principal
	log       *slog.Logger
	passwords *auth.Passwords
	accounts  *auth.Accounts
	tokens    *auth.Tokens
	session   *auth.Session
	server    *oauth.Server
}

// with opens the database and calls do with the service in it. What do did is in the
// activity stream when with returns.
func (a *app) with(c *cobra.Command, set settings, do func(context.Context, *service) error) (err error) {
	by, err := a.actor()
	if err != nil {
		return err
	}
	events, closeLog, err := a.openAuditLog()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	db, err := a.open(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, stream, err := newService(db, by, events, set)
	if err != nil {
		return usageError{err}
	}
	defer func() {
		done, cancel := context.WithCancel(context.WithoutCancel(c.Context()))
		cancel()
		stream.Run(done) // stores the entries that wait
	}()
	return do(c.Context(), s)
}

// openAuditLog returns where audit events go.
func (a *app) openAuditLog() (events slog.Handler, closeLog func() error, err error) {
	name := a.auditLog
	if name == "" {
		name = a.Env(envAuditLog)
	}
	if name == "" {
		return slog.NewTextHandler(a.Err, brief), func() error { return nil }, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--audit-log: %w", err)
	}
	return slog.NewJSONHandler(f, inUTC), f.Close, nil
}

// audit opens the log of audit events for commands that the library does not do, and
// so does not log.
func (a *app) audit() (log *slog.Logger, closeLog func() error, err error) {
	by, err := a.actor()
	if err != nil {
		return nil, nil, err
	}
	events, closeLog, err := a.openAuditLog()
	if err != nil {
		return nil, nil, err
	}
	return slog.New(events).With(slog.String(audit.KeyActor, by.Name)), closeLog, nil
}

// brief is inUTC without what says nothing, for people who read along.
var brief = &slog.HandlerOptions{ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
	v := attr.Value
	if v.Equal(slog.StringValue("")) || v.Equal(slog.Int64Value(0)) || v.Kind() == slog.KindTime && v.Time().IsZero() {
		return slog.Attr{}
	}
	return inUTC.ReplaceAttr(groups, attr)
}}

// inUTC writes all times in UTC.
var inUTC = &slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindTime {
		attr.Value = slog.TimeValue(attr.Value.Time().UTC())
	}
	return attr
}}

// warnings returns a logger for what is odd about the database.
func warnings(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// anyOrganization says that every organization exists: the host keeps them.
var anyOrganization = auth.Organizations{
	ByID: func(_ context.Context, id int64) (auth.Organization, error) { return auth.Organization{ID: id}, nil },
	Of:   func(context.Context, string) (auth.Memberships, error) { return auth.Memberships{}, nil },
}

func newService(db *database.DB, by *auth.Principal, events slog.Handler, set settings) (*service, *activity.Stream, error) {
	st := db.Store
	stream, err := activity.NewStream(st, &activity.Options{Applications: st, Logger: slog.New(events)})
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(stream.Handler(events))
	s := &service{Store: st, by: by, log: log}
	if s.passwords, err = auth.NewPasswords(st, st, &auth.PasswordsOptions{MinLength: set.minLength, Logger: log}); err != nil {
		return nil, nil, err
	}
	if s.accounts, err = auth.NewAccounts(st, s.passwords, &auth.AccountsOptions{Logger: log}); err != nil {
		return nil, nil, err
	}
	s.tokens, err = auth.NewTokens(st, st, &auth.TokensOptions{
		Prefix: set.tokenPrefix, Scopes: set.scopes, Organizations: anyOrganization, Logger: log,
	})
	if err != nil {
		return nil, nil, err
	}
	if s.session, err = auth.NewSession(st, st, &auth.SessionOptions{Logger: log}); err != nil {
		return nil, nil, err
	}
	s.server, err = oauth.NewServer(s.tokens, st, st, &oauth.Options{
		InsecureHTTPRedirects: set.redirects.insecureHTTP, PrivateSchemes: set.redirects.schemes, Logger: log,
	})
	return s, stream, err
}
