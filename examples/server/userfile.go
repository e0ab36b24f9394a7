package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth"
)

// A userEntry is a user in the file that -users names.
type userEntry struct {
	username, password, email, firstName, lastName string
	superuser, auditor, active                     bool
	organizations, adminOf                         []int64
}

// readUsers reads the file. An error names the entry and the field and never
// quotes a value: it could be a password.
func readUsers(file string) ([]userEntry, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) { // the decoder would repair it silently
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var raw []json.RawMessage
	if err := d.Decode(&raw); err != nil || raw == nil {
		return nil, fmt.Errorf("must be a JSON list of objects with username and password%s", position(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something behind the list")
	}
	list := make([]userEntry, len(raw))
	seen := make(map[string]int)
	for i := range raw {
		e, err := parseUser(raw[i])
		if err != nil {
			return nil, fmt.Errorf("entry %d (username %q): %w", i+1, e.username, err)
		}
		if first, twice := seen[e.username]; twice {
			return nil, fmt.Errorf("entry %d (username %q): username: entry %d has the same", i+1, e.username, first)
		}
		seen[e.username] = i + 1
		list[i] = e
	}
	return list, nil
}

func position(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf(": %v at byte %d", e, e.Offset)
	}
	return ""
}

// parseUser is stricter than json.Unmarshal, which takes the last of duplicate
// names, folds their case and reads null as nothing.
func parseUser(raw json.RawMessage) (userEntry, error) {
	e := userEntry{active: true}
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return e, errors.New("must be an object")
	}
	fields := map[string]any{
		"username": &e.username, "password": &e.password, "email": &e.email,
		"first_name": &e.firstName, "last_name": &e.lastName,
		"is_superuser": &e.superuser, "is_system_auditor": &e.auditor, "is_active": &e.active,
		"organizations": &e.organizations, "admin_of": &e.adminOf,
	}
	given := make(map[string]bool)
	var bad error // the first one; the rest is read for the name of the user
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return e, err
		}
		key, _ := name.(string) // the decoder accepts nothing else here
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return e, err
		}
		switch to, known := fields[key]; {
		case !known:
			err = errors.New("unknown field")
		case given[key]:
			err = errors.New("given twice")
		default:
			given[key] = true
			err = parseField(value, to)
		}
		if err != nil && bad == nil {
			bad = fmt.Errorf("%s: %w", key, err)
		}
	}
	switch {
	case bad != nil:
		return e, bad
	case !given["username"]:
		return e, errors.New("username: missing")
	case !validName(e.username):
		return e, fmt.Errorf("username: must have 1 to %d characters, none of them a control character, and no space at either end", auth.MaxUserName)
	case !given["password"]:
		return e, errors.New("password: missing")
	}
	if err := checkPassword(e.password); err != nil {
		return e, fmt.Errorf("password: %w", err)
	}
	for name, text := range map[string]string{"email": e.email, "first_name": e.firstName, "last_name": e.lastName} {
		if strings.ContainsFunc(text, unicode.IsControl) {
			return e, fmt.Errorf("%s: must not have control characters", name)
		}
	}
	return e, nil
}

func parseField(value json.RawMessage, to any) error {
	null := string(value) == "null"
	switch to := to.(type) {
	case *string:
		if null || json.Unmarshal(value, to) != nil {
			return errors.New("must be a string")
		}
	case *bool:
		if null || json.Unmarshal(value, to) != nil {
			return errors.New("must be true or false")
		}
	case *[]int64:
		if null || json.Unmarshal(value, to) != nil {
			return errors.New("must be a list of IDs")
		}
		for _, id := range *to {
			if id < 1 {
				return errors.New("must be a list of IDs, which are positive numbers")
			}
		}
	}
	return nil
}

// validName reports whether the module lets a user of that name log in.
func validName(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= auth.MaxUserName && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.C, r) || r == utf8.RuneError })
}

// checkPassword refuses passwords that could never be right.
func checkPassword(s string) error {
	if s == "" || len(s) > auth.MaxPassword || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("must have 1 to %d bytes of UTF-8, without control characters", auth.MaxPassword)
	}
	return nil
}
