package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/cmd/ostiary/internal/printable"
)

// The exit statuses.
const (
	exitOK       = 0
	exitFailed   = 1 // the database, the system, or a finding of check
	exitUsage    = 2 // wrong arguments or invalid values
	exitNotFound = 3
	exitRefused  = 4 // not allowed, not confirmed, or in conflict with what is there
)

// refusedError is an act that must not be done, or was not confirmed.
type refusedError struct{ error }

func refusedf(form string, args ...any) error { return refusedError{fmt.Errorf(form, args...)} }

// missingError is a thing that does not exist.
type missingError struct{ error }

func missingf(form string, args ...any) error { return missingError{fmt.Errorf(form, args...)} }

// errFound ends a command whose output says what is wrong.
var errFound = errors.New("")

// exit prints an error and returns the exit status.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, syscall.EPIPE) { // as with ostiary user list | head
		return exitFailed
	}
	for _, line := range sentences(err) {
		fmt.Fprintln(a.Err, "ostiary:", printable.Text(line))
	}
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return exitFailed
	case !a.started || is[usageError](err) || is[importer.UsageError](err):
		return exitUsage
	case is[missingError](err):
		return exitNotFound
	case is[refusedError](err), errors.Is(err, importer.ErrHeld):
		return exitRefused
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		switch {
		case e.Code == "unique": // a name that is taken
			return exitRefused
		case e.Status == http.StatusBadRequest:
			return exitUsage
		case e.Status == http.StatusNotFound:
			return exitNotFound
		case e.Status < 500:
			return exitRefused
		}
	}
	return exitFailed
}

// is404 reports whether err is a refusal that says that there is nothing.
func is404(err error) bool {
	e, ok := errors.AsType[*auth.Error](err)
	return ok && e.Status == http.StatusNotFound
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// flagNames are the flags and arguments of what the library calls otherwise.
var flagNames = map[string]string{
	"UserName": "NAME", "Name": "NAME", "Email": "--email", "FirstName": "--first-name", "LastName": "--last-name",
	"Password": "the password", "Scopes": "--scope", "Expires": "--expires-in", "Addresses": "--address", "Description": "--description",
	"OrganizationID": "--organization", "ClientType": "--client-type", "GrantType": "--grant-type", "RedirectURIs": "--redirect-uri",
	"SkipConsent": "--skip-consent", "RequirePKCE": "--require-pkce", "Overlap": "--overlap",
}

// sentences returns what an error says, a line for each of several. It names fields as
// the command line does.
func sentences(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []string
		for _, err := range joined.Unwrap() {
			list = append(list, sentences(err)...)
		}
		return list
	}
	if e, ok := err.(*auth.Error); ok {
		text := e.Detail
		if name := flagNames[e.Field]; name != "" {
			text = name + ": " + text
		} else if e.Field != "" {
			text = e.Field + ": " + text
		}
		return []string{text}
	}
	if e, ok := err.(usageError); ok {
		if e.error == nil {
			return nil
		}
		return sentences(e.error)
	}
	text := err.Error()
	if text == "" {
		return nil
	}
	var list []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		list = append(list, strings.TrimSpace(line))
	}
	return list
}
