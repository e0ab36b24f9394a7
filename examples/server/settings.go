package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"
)

// settings are the flags of a command, which have their values from the arguments,
// the environment, a file and the defaults, in this order.
type settings struct {
	flags  *flag.FlagSet
	origin map[string]origin // of those that are not defaults

	// unknown are variables with the prefix that are no setting.
	unknown []string
	// readable is the configuration file if it has a secret and others can read it.
	readable string
}

// An origin is where a setting has its value from.
type origin struct {
	rank rank
	name string // the flag, the variable, or file, line and key
	path string // the file that a secret was read from
}

type rank int

const (
	fromDefault rank = iota
	fromFile
	fromEnvironment
	fromFlag
)

func (o origin) String() string {
	if o.path != "" {
		return o.name + ", " + o.path
	}
	return o.name
}

const envPrefix = "OSTIARY_"

// secrets are the settings that can have a file of their own, NAME-file. Their values
// are never shown.
var secrets = []string{"db", "admin-password"}

// secretFiles are the settings that name a file with a secret. The configuration file may
// have one, too.
var secretFiles = []string{"db-file", "admin-password-file", "users", "tls-key"}

// commands are flags that are no settings.
var commands = map[string]bool{"config": true, "print-config": true, "healthcheck": true}

func newSettings(f *flag.FlagSet) *settings {
	return &settings{flags: f, origin: make(map[string]origin)}
}

// given reports whether somebody has set the setting.
func (s *settings) given(name string) bool { return s.origin[name].rank != fromDefault }

// at names a setting in an error, by where its value is from: -addr, OSTIARY_ADDR, or
// the line of the file.
func (s *settings) at(name string) string {
	if o := s.origin[name]; o.rank != fromDefault {
		return o.String()
	}
	return "-" + name
}

// variable returns the name of a setting in the environment.
func variable(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// read fills the flags. An empty variable, and an empty value in the file, is none.
func (s *settings) read(args []string, environ []string) error {
	if err := s.readArguments(args); err != nil {
		return err
	}
	file := s.flags.Lookup("config")
	env := s.environment(environ)
	if name := env[variable("config")]; name != "" && !s.given("config") {
		if err := s.set("config", name, origin{rank: fromEnvironment, name: variable("config")}); err != nil {
			return err
		}
	}
	var entries []entry
	if path := file.Value.String(); path != "" {
		var err error
		if entries, err = readFile(path, s.known()); err != nil {
			return fmt.Errorf("%s: %w", s.at("config"), err)
		}
		s.noteReadable(path, entries)
	} else if s.given("config") {
		return errors.New("-config: the name of the file is empty")
	}

	for _, name := range s.known() {
		if value := env[variable(name)]; value != "" && !s.given(name) {
			if err := s.set(name, value, origin{rank: fromEnvironment, name: variable(name)}); err != nil {
				return err
			}
		}
	}
	for _, e := range entries {
		if e.value != "" && !s.given(e.name) {
			if err := s.set(e.name, e.value, origin{rank: fromFile, name: e.at()}); err != nil {
				return err
			}
		}
	}
	return s.readSecrets()
}

func (s *settings) readArguments(args []string) error {
	if err := s.flags.Parse(args); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
			return fmt.Errorf("%w%s; see -help", err, suggest(name, s.all(), "-"))
		}
		if text, ok := strings.CutSuffix(err.Error(), ": parse error"); ok && strings.HasPrefix(text, "invalid boolean") {
			return errors.New(text + ": write true or false")
		}
		return err
	}
	if s.flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: every setting is a flag, see -help", s.flags.Arg(0))
	}
	s.flags.Visit(func(f *flag.Flag) {
		s.origin[f.Name] = origin{rank: fromFlag, name: "-" + f.Name}
	})
	if s.given("admin-password") {
		return errors.New("-admin-password: every user of the machine sees the arguments of a process; use OSTIARY_ADMIN_PASSWORD or -admin-password-file")
	}
	return nil
}

// environment returns the variables with the prefix, and notes those that are no
// setting.
func (s *settings) environment(environ []string) map[string]string {
	known := []string{variable("config")}
	for _, name := range s.known() {
		known = append(known, variable(name))
	}
	is := make(map[string]bool)
	for _, name := range known {
		is[name] = true
	}
	env := make(map[string]string)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		if env[name] = value; !is[name] {
			s.unknown = append(s.unknown, name+suggest(name, known, ""))
		}
	}
	return env
}

// all returns the names of all flags, known those of the settings among them.
func (s *settings) all() (names []string) {
	s.flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func (s *settings) known() (names []string) {
	for _, name := range s.all() {
		if !commands[name] {
			names = append(names, name)
		}
	}
	return names
}

func (s *settings) set(name, value string, from origin) error {
	f := s.flags.Lookup(name)
	if err := s.flags.Set(name, value); err != nil {
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			err = errors.New("write true or false")
		}
		return fmt.Errorf("%s: %q: %w", from, value, err)
	}
	s.origin[name] = from
	return nil
}

// checkDurations refuses times that are too short.
func (s *settings) checkDurations() (err error) {
	s.flags.VisitAll(func(f *flag.Flag) {
		d, ok := f.Value.(*duration)
		if !ok || !s.given(f.Name) || err != nil {
			return
		}
		if bad := d.check(); bad != nil {
			err = fmt.Errorf("%s: %w", s.at(f.Name), bad)
		}
	})
	return err
}

// maxSecret limits a file with a secret, in bytes.
const maxSecret = 16 << 10

// readSecrets reads the secrets that have a file of their own.
func (s *settings) readSecrets() error {
	for _, name := range secrets {
		from, direct := s.origin[name+"-file"], s.origin[name]
		if from.rank == fromDefault || from.rank < direct.rank {
			continue
		}
		if from.rank == direct.rank {
			return fmt.Errorf("%s: there is %s, too; leave one of them out", from, direct)
		}
		path := s.flags.Lookup(name + "-file").Value.String()
		if path == "" {
			return fmt.Errorf("%s: the name of the file is empty", from)
		}
		value, err := readSecret(path)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		from.path = path
		if err := s.flags.Set(name, value); err != nil {
			return fmt.Errorf("%s: not a value of %s", from, name) // err would quote it
		}
		s.origin[name] = from
	}
	return nil
}

// readSecret returns what is in a file, without the end of its line.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+3)) // a device has no end
	if err != nil {
		return "", err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case value == "":
		return "", fmt.Errorf("%s is empty", path)
	case len(value) > maxSecret || strings.ContainsAny(value, "\r\n\x00") || !utf8.ValidString(value):
		return "", fmt.Errorf("%s must have one line of UTF-8 text", path)
	}
	return value, nil
}

// readable reports whether others than its owner can read a file. Windows does not say.
func readable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0 && runtime.GOOS != "windows"
}

// noteReadable remembers a file that shows a secret to others.
func (s *settings) noteReadable(path string, entries []entry) {
	if !readable(path) {
		return
	}
	for _, e := range entries {
		if e.value != "" && (e.name == "admin-password" || e.name == "db" && hasPassword(e.value)) {
			s.readable = path
		}
	}
}
