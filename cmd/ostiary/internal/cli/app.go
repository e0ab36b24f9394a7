// Package cli is the command line of the operator.
package cli

import (
	"context"
	"io"
	"os"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store/sqlstore"
)

// A World is what a command sees of the system. In that is a terminal is asked for
// passwords and confirmations.
type World struct {
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) string
}

// System returns the world of this process.
func System() World { return World{os.Stdin, os.Stdout, os.Stderr, os.Getenv} }

// An app is one run of the command.
type app struct {
	World
	dsnFile, prefix    string
	operator, auditLog string
	output             format
	started            bool // the arguments were right
}

// Main runs the command with these arguments and returns its exit status.
func Main(ctx context.Context, w World, args []string) int {
	a := &app{World: w}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(w.In)
	root.SetOut(w.Out)
	root.SetErr(w.Err)
	return a.exit(ctx, root.ExecuteContext(ctx))
}

// name returns the data source name.
func (a *app) name() (string, error) { return a.nameWith(a.warn) }

func (a *app) nameWith(warn func(string)) (string, error) {
	name, err := database.Name(a.dsnFile, a.Env, warn)
	if err != nil {
		return "", usageError{err}
	}
	return name, nil
}

// options are those of the store.
func (a *app) options() sqlstore.Options {
	return sqlstore.Options{Prefix: a.prefix, Logger: warnings(a.Err)}
}

// open is the [database.Opener] of all commands.
func (a *app) open(ctx context.Context) (*database.DB, error) {
	name, err := a.name()
	if err != nil {
		return nil, err
	}
	return database.Open(ctx, name, a.options())
}

// connect is open for commands that come before the schema.
func (a *app) connect() (*database.DB, error) {
	name, err := a.name()
	if err != nil {
		return nil, err
	}
	db, err := database.Connect(name, a.options())
	return db, database.Hint(err)
}
