package cli

import (
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
)

const rootHelp = `Manages the users, tokens, sessions, applications and consents of a service that
authenticates with Ostiary, in its database. The service need not run.

The data source name of the database is a secret, so no flag takes it. It comes from
the variable OSTIARY_DSN, or from the file that OSTIARY_DSN_FILE or --dsn-file names:

  postgres://user:password@host:5432/database?sslmode=verify-full
  mysql://user:password@host:3306/database?tls=true
  /var/lib/service/ostiary.db

Users are named by their name, or by id:NUMBER. Applications are named by their ID,
their client ID or their name.`

const (
	groupObjects  = "objects"
	groupDatabase = "database"
	groupAWX      = "awx"
)

func (a *app) root() *cobra.Command {
	root := a.group("ostiary", "Operate a service that authenticates with Ostiary", rootHelp)
	root.Example = examples(
		"export OSTIARY_DSN_FILE=/etc/service/dsn",
		"ostiary user list",
		"ostiary token create --user erika --scope read --expires-in 30d",
		"ostiary check",
	)
	root.Version = version()
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		a.started = true
		if a.prefix != "" && !goodPrefix.MatchString(a.prefix) {
			return usagef("--prefix: %q is not at most 30 lower-case letters, digits and underscores that begin with a letter", a.prefix)
		}
		return nil
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddGroup(
		&cobra.Group{ID: groupObjects, Title: "Users and what they have:"},
		&cobra.Group{ID: groupDatabase, Title: "The database:"},
		&cobra.Group{ID: groupAWX, Title: "AWX's names:"},
	)
	flags := root.PersistentFlags()
	flags.StringVar(&a.dsnFile, "dsn-file", "", "`file` with the data source name (default: the one that OSTIARY_DSN_FILE names)")
	flags.StringVar(&a.prefix, "prefix", "", "`text` that begins the names of all tables (default \"auth_\")")
	flags.StringVar(&a.operator, "operator", "", "`name` of the operator in audit events (default: the user of this system)")
	flags.StringVar(&a.auditLog, "audit-log", "", "`file` that audit events are appended to (default: standard error)")
	flags.VarP(&a.output, "output", "o", "`format` of the output: table or json")
	complete(root, "output", "table", "json")

	in := func(group string, list ...*cobra.Command) {
		for _, c := range list {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	in(groupObjects, a.users(), a.tokens(), a.sessions(), a.applications(), a.consents())
	in(groupDatabase, a.migrate(), a.purge(), a.check(), a.stats(), importer.Command(a.open, a.Env, a.audit))
	in(groupAWX, a.awx()...)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, needsCommand
		case "help": // cobra shows the help of the command above one that does not exist
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err == nil && len(rest) > 0 {
					return unknown(found, rest[0])
				}
				return nil
			}
		}
	}
	return root
}

// goodPrefix are the prefixes that package sqlstore takes.
var goodPrefix = regexp.MustCompile(`^[a-z][a-z0-9_]{0,29}$`)

// version returns the version of the module that was built, or what it was built of.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// group returns a command that has only subcommands.
func (a *app) group(name, short, long string, list ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Long: long}
	c.Args, c.RunE = cobra.ArbitraryArgs, needsCommand
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(list...)
	return c
}

// needsCommand runs a command that has only subcommands. A wrong one is an argument.
func needsCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		_ = c.Help()
		return usageError{}
	}
	return unknown(c, args[0])
}

// unknown returns that a command has no such subcommand.
func unknown(c *cobra.Command, name string) error {
	hint := "see " + c.CommandPath() + " --help"
	if near := c.SuggestionsFor(name); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s has no command %q; %s", c.CommandPath(), name, hint)
}

// examples returns lines as cobra shows them.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }

// complete makes the shell offer these values of a flag.
func complete(c *cobra.Command, flag string, values ...string) {
	// An error means that there is no such flag.
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// exactly wants these arguments, which are named in capitals.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("%s is missing: %s", names[len(args)], c.UseLine())
		}
		if len(args) > len(names) {
			return usagef("unexpected argument %q: %s", args[len(names)], c.UseLine())
		}
		return nil
	}
}

// some wants one or more arguments of a name.
func some(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s is missing: %s", name, c.UseLine())
		}
		return nil
	}
}

// either refuses two of these flags at once.
func either(c *cobra.Command, flags ...string) {
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		var given []string
		for _, name := range flags {
			if c.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			return usagef("give either %s", strings.Join(given, " or "))
		}
		return nil
	}
}

// A usageError is a mistake of the one who typed. Without an error the help has been
// shown.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(form string, args ...any) error { return usageError{fmt.Errorf(form, args...)} }
