package cli

import (
	"os/user"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth"
)

// The variables that stand for flags.
const (
	envOperator = "OSTIARY_OPERATOR"
	envAuditLog = "OSTIARY_AUDIT_LOG"
	envSudoUser = "SUDO_USER"
)

// operatorPrefix begins the name of an operator in audit events, so that nobody takes
// it for a user of the service.
const operatorPrefix = "operator:"

// actor returns the principal of the operator. It has no login, so that the name is
// what the operator says or what the system knows.
func (a *app) actor() (*auth.Principal, error) {
	name := a.operator
	if name == "" {
		name = a.Env(envOperator)
	}
	if name == "" {
		name = systemUser(a.Env)
	}
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(name) || strings.TrimSpace(name) == "" || strings.IndexFunc(name, odd) >= 0 || utf8.RuneCountInString(name) > auth.MaxUserName {
		return nil, usagef("--operator: the name must be 1 to %d printable characters", auth.MaxUserName)
	}
	name = operatorPrefix + name
	return &auth.Principal{ID: name, Name: name, Admin: true, Scopes: auth.Unrestricted}, nil
}

// systemUser returns the user that runs this process, or the one who became root by
// sudo.
func systemUser(env func(string) string) string {
	u, err := user.Current()
	switch {
	case err != nil:
		return "unknown"
	case u.Uid == "0" && env(envSudoUser) != "":
		return env(envSudoUser)
	}
	return u.Username
}
