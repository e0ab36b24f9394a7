package database

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The variables that name the database.
const (
	EnvDSN     = "OSTIARY_DSN"
	EnvDSNFile = "OSTIARY_DSN_FILE"
)

// maxDSN is the length of the longest data source name, in bytes.
const maxDSN = 64 << 10

// Name returns the data source name: the content of file if that is given,
// otherwise that of the environment. Two different places at once are refused.
func Name(file string, env func(string) string) (string, error) {
	name, envFile := env(EnvDSN), env(EnvDSNFile)
	switch {
	case file != "":
		return read(file)
	case name != "" && envFile != "":
		return "", fmt.Errorf("%s and %s are both set: unset one of them", EnvDSN, EnvDSNFile)
	case envFile != "":
		name, err := read(envFile)
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

func read(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxDSN+1)) // a device has no size, and no end
	if err != nil {
		return "", err
	}
	if len(content) > maxDSN {
		return "", fmt.Errorf("%s: longer than %d bytes; the file must have the data source name and nothing else", file, maxDSN)
	}
	name := strings.TrimSpace(string(content))
	if name == "" {
		return "", errors.New(file + ": the file is empty; it must have the data source name")
	}
	return name, nil
}
