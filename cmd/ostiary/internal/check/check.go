// Package check looks for mistakes in the configuration, the database and the data of a
// service.
package check

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store/sqlstore"
)

// A Level says how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, and should be changed
	Error   Level = "error"   // does not work, or is not safe
)

// A Finding is what a check found. Remedy says what to do, "" for nothing.
type Finding struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	Remedy  string `json:"remedy"`
}

// A Target is what is checked.
type Target struct {
	DSN     string
	DSNFile string // the file that DSN came from, "" for none
	Env     func(string) string
	Prefix  string

	// URL is the address that clients reach the service by, "" to leave it alone.
	URL    string
	Client *http.Client

	Now func() time.Time
}

// A report collects findings.
type report struct {
	Target
	findings []Finding
}

func (r *report) add(level Level, subject, remedy, form string, args ...any) {
	// Some errors of drivers have several lines.
	text := strings.Join(strings.Fields(fmt.Sprintf(form, args...)), " ")
	r.findings = append(r.findings, Finding{level, subject, text, remedy})
}

// section adds that a subject is right, unless do finds something.
func (r *report) section(subject, right string, do func()) {
	before := len(r.findings)
	do()
	if len(r.findings) == before {
		r.add(OK, subject, "", "%s", right)
	}
}

// Run checks the target. What it cannot look at it reports as an error.
func Run(ctx context.Context, t Target) []Finding {
	r := &report{Target: t}
	r.section("settings", "the data source name is kept and protected as it should be", r.checkSource)
	if t.URL != "" {
		r.section("address", "the service answers at "+t.URL, func() { r.checkURL(ctx) })
	}
	db, err := database.Connect(t.DSN, sqlstore.Options{Prefix: t.Prefix, Logger: r.logger()})
	if err != nil {
		r.add(Error, "database", "mend the data source name", "%v", database.Hint(err))
		return r.findings
	}
	defer db.Close()
	reachable := false
	r.section("database", "it answers", func() { reachable = r.checkReachable(ctx, db) })
	if !reachable {
		return r.findings
	}
	r.section("server", "its settings keep what is acknowledged", func() { r.checkServer(ctx, db) })
	r.section("clock", "it agrees with the clock of the database", func() { r.checkClock(ctx, db) })
	opened := false
	r.section("schema", "it is up to date", func() { opened = r.checkSchema(ctx, db) })
	if !opened {
		return r.findings
	}
	r.section("superusers", "there is one who can log in", func() { r.checkSuperusers(ctx, db.Store) })
	r.section("passwords", "their hashes are of the present kind", func() { r.checkPasswords(ctx, db.Store) })
	r.section("tokens", "none lives too long, and what ended is purged", func() { r.checkTokens(ctx, db.Store) })
	r.checkImport(ctx, db)
	r.section("applications", "none is weaker than it has to be", func() { r.checkApplications(ctx, db.Store) })
	return r.findings
}

// failed reports a check that could not be made.
func (r *report) failed(subject string, err error) bool {
	if err != nil {
		r.add(Error, subject, "see what the database says", "%v", err)
	}
	return err != nil
}
