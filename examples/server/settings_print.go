package main

import (
	"flag"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const masked = "xxxxx"

var dependent = regexp.MustCompile(`[(;] ?default ([^;)]*)`)

// print writes the settings as a configuration file, with the origin of each. What
// nobody has set is a comment if it has no value of its own.
func (s *settings) print(w io.Writer) error {
	width := 0
	lines := make(map[string]string)
	for _, name := range s.known() {
		if strings.HasSuffix(name, "-file") && !s.given(name) {
			continue // only another way to a secret
		}
		line, err := s.line(name)
		if err != nil {
			return err
		}
		lines[name] = line
		width = max(width, min(len(line), 48))
	}
	var err error
	s.flags.VisitAll(func(f *flag.Flag) {
		if line, ok := lines[f.Name]; ok && err == nil {
			_, err = fmt.Fprintf(w, "%-*s  # %s\n", width, line, s.source(f.Name))
		}
	})
	return err
}

func (s *settings) line(name string) (string, error) {
	value := s.shown(name)
	if value == "" {
		return name + ":", nil
	}
	b, err := yaml.Marshal(map[string]yaml.Node{name: {Kind: yaml.ScalarNode, Value: value}})
	return strings.TrimSuffix(string(b), "\n"), err
}

func (s *settings) source(name string) string {
	if o := s.origin[name]; o.rank != fromDefault {
		return o.String()
	}
	// The usage has a default that depends on others.
	usage := strings.ReplaceAll(s.flags.Lookup(name).Usage, "\n", " ")
	if found := dependent.FindStringSubmatch(usage); found != nil && s.shown(name) == "" {
		return "default: " + found[1]
	}
	return "default"
}

// shown is the value of a setting without a secret.
func (s *settings) shown(name string) string {
	value := s.flags.Lookup(name).Value.String()
	switch {
	case value == "":
		return ""
	case name == "db":
		return maskURL(value)
	case name == "admin-password":
		return masked
	}
	return value
}

// maskURL hides the passwords in the name of a database.
func maskURL(name string) string {
	if !strings.Contains(name, "://") {
		return name
	}
	u, err := url.Parse(name)
	if err != nil {
		return masked
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return masked
	}
	changed := false
	for key := range query {
		if strings.Contains(strings.ToLower(key), "password") {
			query.Set(key, masked)
			changed = true
		}
	}
	if changed {
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}

// hasPassword reports whether the name of a database has one.
func hasPassword(name string) bool {
	return maskURL(name) != name && strings.Contains(maskURL(name), masked)
}
