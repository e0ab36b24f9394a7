package database

import (
	"fmt"
	"strings"

	"github.com/ostiary/auth/cmd/ostiary/internal/private"
)

// The variables that name the database.
const (
	EnvDSN     = "OSTIARY_DSN"
	EnvDSNFile = "OSTIARY_DSN_FILE"
)

// Name returns the data source name: the content of file if that is given,
// otherwise that of the environment. Two different places at once are refused. Warn is
// called with a sentence about a file that others can read.
func Name(file string, env func(string) string, warn func(string)) (string, error) {
	name, envFile := env(EnvDSN), env(EnvDSNFile)
	switch {
	case file != "":
		return private.Read(file, warn)
	case name != "" && envFile != "":
		return "", fmt.Errorf("%s and %s are both set: unset one of them", EnvDSN, EnvDSNFile)
	case envFile != "":
		name, err := private.Read(envFile, warn)
		if err != nil {
			return "", fmt.Errorf("%s: %w", EnvDSNFile, err)
		}
		return name, nil
	case strings.TrimSpace(name) != "":
		return strings.TrimSpace(name), nil
	case name != "":
		return "", fmt.Errorf("%s is empty", EnvDSN)
	}
	return "", fmt.Errorf("no database is named: set %s, or name a file with %s or --dsn-file", EnvDSN, EnvDSNFile)
}

// File returns the file that [Name] reads, "" for none.
func File(file string, env func(string) string) string {
	if file == "" {
		return env(EnvDSNFile)
	}
	return file
}
