package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store/sqlstore"
)

func (a *app) migrate() *cobra.Command {
	var plan, create bool
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the schema up to date, or print what that would run", Args: exactly(),
		Long:    "Brings the schema to the version of this command, forward only. Services of the former\nversion go on meanwhile. With --plan it prints the SQL and changes nothing.",
		Example: examples("ostiary migrate --plan", "ostiary migrate", "ostiary migrate --create"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if plan && create {
				return usagef("--plan changes nothing, and --create makes a file: give one of them")
			}
			if create {
				if err := a.createFile(); err != nil {
					return err
				}
			}
			return a.runMigrate(c, plan)
		},
	}
	c.Flags().BoolVar(&plan, "plan", false, "print the SQL in place of running it")
	c.Flags().BoolVar(&create, "create", false, "create the SQLite file if it is missing")
	return c
}

// createFile makes an empty SQLite file, readable by its owner alone.
func (a *app) createFile() error {
	name, err := a.name()
	if err != nil {
		return err
	}
	if strings.Contains(name, "://") {
		return usagef("--create is for a SQLite file; the database of a server is created there")
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (a *app) runMigrate(c *cobra.Command, planOnly bool) (err error) {
	log, closeLog, err := a.audit()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	db, err := a.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	plan, err := sqlstore.Plan(c.Context(), db.Pool, db.Dialect, &db.Options)
	if err != nil {
		return err
	}
	switch {
	case plan == "":
		return a.done(map[string]any{"up_to_date": true, "changed": false}, "The schema is up to date.")
	case planOnly && a.output == formatJSON:
		return a.json(map[string]any{"up_to_date": false, "changed": false, "plan": plan})
	case planOnly:
		_, err := fmt.Fprint(a.Out, plan)
		return err
	}
	if err := sqlstore.Migrate(c.Context(), db.Pool, db.Dialect, &db.Options); err != nil {
		return err
	}
	log.LogAttrs(c.Context(), slog.LevelInfo, "ostiary: schema migrated")
	return a.done(map[string]any{"up_to_date": true, "changed": true}, "Brought the schema up to date.")
}
