package cli

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/cmd/ostiary/internal/check"
	"github.com/ostiary/auth/cmd/ostiary/internal/database"
)

func (a *app) check() *cobra.Command {
	var address string
	var strict bool
	c := &cobra.Command{
		Use: "check", Short: "Look for mistakes in settings, schema, clock, pool and data", Args: exactly(),
		Long:    "Looks for mistakes: who can read the data source name, TLS to the database, settings\nof the database that lose data, its clock, its connections, the schema, superusers,\npassword hashes, tokens and applications. With --url it also looks at the service from\noutside. It changes nothing.",
		Example: examples("ostiary check", "ostiary check --url https://api.example", "ostiary check --strict -o json"),
		RunE: func(c *cobra.Command, _ []string) error {
			name, err := a.nameWith(func(string) {}) // which is a finding
			if err != nil {
				return err
			}
			list := check.Run(c.Context(), check.Target{
				DSN: name, DSNFile: database.File(a.dsnFile, a.Env), Env: a.Env, Prefix: a.prefix,
				URL: address, Client: &http.Client{CheckRedirect: noRedirect}, Now: time.Now,
			})
			return a.findings(list, strict)
		},
	}
	c.Flags().StringVar(&address, "url", "", "`address` that clients reach the service by, such as https://api.example")
	c.Flags().BoolVar(&strict, "strict", false, "fail on warnings, too")
	return c
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// findings prints what was found and fails if an error is among it.
func (a *app) findings(list []check.Finding, strict bool) error {
	count := make(map[check.Level]int)
	rows := make([]row, len(list))
	for i, f := range list {
		rows[i] = findingRow{f}
		count[f.Level]++
	}
	if err := a.list("LEVEL SUBJECT FINDING", rows); err != nil {
		return err
	}
	if a.output == formatTable || a.output == "" {
		fmt.Fprintf(a.Out, "\n%s, %s\n", several(count[check.Error], "error"), several(count[check.Warning], "warning"))
	}
	if count[check.Error] > 0 || strict && count[check.Warning] > 0 {
		return errFound
	}
	return nil
}

// several returns a number of things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// A findingRow is a finding in the output.
type findingRow struct{ check.Finding }

func (r findingRow) cells() []string {
	text := r.Text
	if r.Remedy != "" {
		text += "; " + r.Remedy
	}
	return []string{string(r.Level), r.Subject, text}
}
