package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/printable"
	"github.com/ostiary/auth/cmd/ostiary/internal/private"
	"github.com/ostiary/auth/store/sqlstore"
)

// The variables of the environment for secrets. Each may end in _FILE and then names
// a file that has the secret.
const (
	envSource    = "OSTIARY_SOURCE_DSN"
	envSecretKey = "OSTIARY_AWX_SECRET_KEY"
)

const long = `Bring users, applications and tokens from a database of AWX or Django.

  awx     AWX up to 24.6.1 and Ascender
  django  Django's auth_user, with django-oauth-toolkit or without
  dab     django-ansible-base

The source is PostgreSQL or a SQLite file and is never written to. Its data source
name comes from --source-file, OSTIARY_SOURCE_DSN or OSTIARY_SOURCE_DSN_FILE. Stop the
old service first. A run that was interrupted is repeated as it was; nothing is brought
twice. Nothing of the target is ever overwritten.

` + MustAccept

// A UsageError is a mistake in the arguments, or in what they name.
type UsageError struct{ error }

// Unwrap returns the mistake.
func (e UsageError) Unwrap() error { return e.error }

// A command has the flags that are not options of [Run].
type command struct {
	Options
	open  database.Opener
	env   func(string) string
	audit Audit

	sourceFile, secretKeyFile, clientSecrets string
	report, existing                         string
	quiet                                    bool
	warn                                     func(string)
}

// Audit opens the log of audit events, in which each has the operator for its actor.
type Audit func() (log *slog.Logger, closeLog func() error, err error)

// Command returns the command import. Open opens the target, and env reads the
// environment.
func Command(open database.Opener, env func(string) string, audit Audit) *cobra.Command {
	c := &command{open: open, env: env, audit: audit}
	cmd := &cobra.Command{
		Use:       "import {awx|django|dab}",
		Short:     "Bring users, applications and tokens from AWX or Django",
		Long:      long,
		Args:      oneKind,
		ValidArgs: []string{string(AWX), string(Django), string(DAB)},
		Example:   "  ostiary import awx --source-file awx.dsn --dry-run\n  ostiary import awx --source-file awx.dsn --secret-key-file SECRET_KEY --report report.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Kind = Kind(args[0])
			return c.run(cmd)
		},
	}
	c.flags(cmd)
	return cmd
}

// oneKind wants a kind of source.
func oneKind(_ *cobra.Command, args []string) error {
	if len(args) == 1 && slices.Contains(kinds, Kind(args[0])) {
		return nil
	}
	return errors.New("say what the source is: ostiary import awx, django or dab")
}

func (c *command) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.sourceFile, "source-file", "", "`file` with the data source name of the source")
	f.StringVar(&c.Name, "source-name", "", "`name` by which the target remembers the source (default: the kind and its first migration)")
	f.BoolVar(&c.DryRun, "dry-run", false, "write nothing, and report what would be done")
	f.StringVar(&c.report, "report", "", "`file` for the whole report, in JSON")
	f.BoolVar(&c.quiet, "quiet", false, "show no progress")
	f.BoolVar(&c.Again, "again", false, "forget how far earlier runs came: what ended in the target since then comes back")

	f.StringVar(&c.secretKeyFile, "secret-key-file", "", "`file` with SECRET_KEY of AWX (default: the one that OSTIARY_AWX_SECRET_KEY_FILE names, or OSTIARY_AWX_SECRET_KEY)")
	f.StringVar(&c.clientSecrets, "client-secrets", "", "`file` with secrets that are known: client identifier and secret, one client a line")
	f.StringVar(&c.NewSecrets, "new-secrets", "", "`file` for the secrets of clients whose old ones cannot be taken; it gets the mode 0600")
	f.StringVar(&c.Memberships, "memberships", "", "`file` for the members of organizations, in CSV")

	end := func(of *time.Duration, otherwise time.Duration, name, usage string) {
		*of = otherwise
		f.Var((*lifetime)(of), name, usage)
	}
	end(&c.PersonalLifetime, 365*day, "personal-lifetime", "personal tokens end at most this `time` after the start")
	end(&c.AccessLifetime, 30*day, "access-lifetime", "access tokens of applications end at most this `time` after the start")
	end(&c.RefreshLifetime, 30*day, "refresh-lifetime", "refresh tokens end at most this `time` after the start")
	end(&c.GrantLifetime, 365*day, "grant-lifetime", "grants end this `time` after the start, however often they are refreshed")
	f.Var((*lifetime)(&c.SourceRefreshLifetime), "source-refresh-lifetime", "`time` that the source lets an unused refresh token live; negative for ever (default: AWX's setting; for ever in Django)")
	f.StringSliceVar(&c.Scopes, "scope", nil, "`name` of a scope that the target knows besides read and write")
	f.StringToStringVar(&c.RenameScopes, "rename-scope", nil, "scope of the source and the one that stands for it, as `old=new`")

	f.StringVar(&c.existing, "existing", "skip", "what becomes of a user or application whose name the target has: `skip or link`")
	if err := cmd.RegisterFlagCompletionFunc("existing", cobra.FixedCompletions([]string{"skip", "link"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag
	}
	f.BoolVar(&c.NewIDs, "new-ids", false, "give the users new numbers")
	f.Int64Var(&c.Organization, "organization", 0, "`number` of the organization that gets all applications (default: as in the source)")
	f.BoolVar(&c.Redirects.InsecureHTTPRedirects, "insecure-http-redirects", false, "keep redirect URIs with http to any host")
	f.StringSliceVar(&c.Redirects.PrivateSchemes, "private-scheme", nil, "`scheme` without a dot that redirect URIs may have")

	f.StringVar(&c.Tables.Users, "users-table", "", "`name` of the table of users (default: the one that the tokens refer to)")
	f.StringVar(&c.Tables.Applications, "applications-table", "", "`name` of the table of applications")
	f.StringVar(&c.Tables.AccessTokens, "access-tokens-table", "", "`name` of the table of access tokens")
	f.StringVar(&c.Tables.RefreshTokens, "refresh-tokens-table", "", "`name` of the table of refresh tokens")
	f.BoolVar(&c.RebuildIndexes, "rebuild-indexes", false, "drop the indexes of tokens in PostgreSQL and make them again at the end, which is faster for many; while no service runs")
	f.IntVar(&c.Workers, "workers", 8, "`number` of writers")
}

// run imports, and reports in any case.
func (c *command) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	c.warn = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "ostiary: warning:", printable.Text(text)) }
	from, err := c.source(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := private.Distinct(c.files(cmd, from)...); err != nil {
		return UsageError{err}
	}
	if err := c.readSecrets(); err != nil {
		return UsageError{err}
	}
	switch c.existing {
	case "skip":
	case "link":
		c.Link = true
	default:
		return UsageError{errors.New("--existing is skip or link")}
	}
	log, closeLog, err := c.audit()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	to, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := private.Distinct(append(c.files(cmd, from), private.Named{What: "the target", Name: to.File})...); err != nil {
		return UsageError{err}
	}
	report, err := c.openReport()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, report.Close()) }()
	to.Pool.SetMaxOpenConns(c.Workers + 2)
	to.Pool.SetMaxIdleConns(c.Workers + 2)
	b := &bar{out: cmd.ErrOrStderr(), now: time.Now, terminal: onTerminal(cmd.ErrOrStderr())}
	if !c.quiet {
		c.Progress = b.update
	}
	c.Tell = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), "ostiary:", printable.Text(text)) }
	log = log.With(slog.String("kind", string(c.Kind)))
	if c.DryRun { // which changes nothing
		log = slog.New(slog.DiscardHandler)
	}
	log.LogAttrs(ctx, slog.LevelInfo, "ostiary: import begun")
	done, err := Run(ctx, from, to, c.Options)
	b.end()
	log.LogAttrs(ctx, slog.LevelInfo, "ostiary: import ended", append(done.totals(), slog.Bool("complete", err == nil))...)
	if done.Source != "" {
		show := done.WriteText
		if f := cmd.Flag("output"); f != nil && f.Value.String() == "json" {
			show = done.WriteJSON
		}
		_ = report.Truncate(0) // a device has no length
		err = errors.Join(err, show(cmd.OutOrStdout()), done.WriteJSON(report))
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted; run the same command again to go on: %w", err)
	}
	return err
}

// openReport opens the file for the report, before there is anything to report.
func (c *command) openReport() (*os.File, error) {
	if c.report == "" {
		return private.Open(os.DevNull)
	}
	return private.Open(c.report)
}

// files are those that the command reads and writes. One that it writes would destroy
// another.
func (c *command) files(cmd *cobra.Command, from *database.DB) []private.Named {
	list := []private.Named{{What: "the source", Name: from.File}}
	for _, name := range []string{"report", "memberships", "new-secrets", "client-secrets", "secret-key-file", "source-file", "dsn-file", "audit-log"} {
		if f := cmd.Flag(name); f != nil {
			list = append(list, private.Named{What: "--" + name, Name: f.Value.String()})
		}
	}
	return list
}

// source opens the source.
func (c *command) source(ctx context.Context) (*database.DB, error) {
	name, err := c.secret(c.sourceFile, envSource)
	if err != nil {
		return nil, UsageError{err}
	}
	if name == "" {
		return nil, UsageError{fmt.Errorf("no source is named: set %s, or name a file with %s_FILE or --source-file", envSource, envSource)}
	}
	db, err := database.Connect(name, sqlstore.Options{})
	if err != nil {
		return nil, UsageError{fmt.Errorf("the source: %w", err)}
	}
	if err := db.Pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the source: %w", err), db.Close())
	}
	return db, nil
}

func (c *command) readSecrets() error {
	key, err := c.secret(c.secretKeyFile, envSecretKey)
	if err != nil {
		return err
	}
	c.SecretKey = key
	if c.clientSecrets == "" {
		return nil
	}
	f, err := os.Open(c.clientSecrets)
	if err != nil {
		return err
	}
	defer f.Close()
	private.Look(f, c.clientSecrets, c.warn)
	if c.ClientSecrets, err = ReadSecrets(f); err != nil {
		return fmt.Errorf("%s: %w", c.clientSecrets, err)
	}
	return nil
}

// secret returns the content of a file, or what the environment says. Two different
// places at once are refused.
func (c *command) secret(file, variable string) (string, error) {
	value, byFile := c.env(variable), c.env(variable+"_FILE")
	switch {
	case file == "" && value != "" && byFile != "":
		return "", fmt.Errorf("%s and %s_FILE are both set: unset one of them", variable, variable)
	case file == "" && value != "":
		return strings.TrimSpace(value), nil
	case file == "":
		file = byFile
	}
	if file == "" {
		return "", nil
	}
	return private.Read(file, c.warn)
}

// onTerminal reports whether w is a terminal.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
