package sqlstore

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A tables is what a schema says: the columns and the keys of each table, in
// words that are the same for all dialects.
type tables map[string]*tableShape

type tableShape struct {
	Columns map[string]string // "integer, not null"
	Keys    map[string]string // by columns: "primary", "unique", or the name of an index
}

var (
	comment     = regexp.MustCompile(`(?m)--.*$`)
	blank       = regexp.MustCompile(`\s+`)
	createTable = regexp.MustCompile(`^CREATE TABLE (?:IF NOT EXISTS )?(\w+) \((.*)\)(?: ENGINE = InnoDB| WITHOUT ROWID)?$`)
	alterTable  = regexp.MustCompile(`^ALTER TABLE (\w+) (.*)$`)
	createIndex = regexp.MustCompile(`^CREATE (UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+) ON (\w+) \(([^)]*)\)( WHERE .*)?$`)
	dropIndex   = regexp.MustCompile(`^DROP INDEX (?:IF EXISTS )?(\w+)$`)
	renameIndex = regexp.MustCompile(`^ALTER INDEX (\w+) RENAME TO (\w+)$`)
	key         = regexp.MustCompile(`^(PRIMARY KEY|UNIQUE|KEY (\w+)) \((.*)\)$`)
)

// shape reads the schema of a dialect, all steps of it.
func shape(t *testing.T, d Dialect) tables {
	t.Helper()
	steps, err := migrations(d, defaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	all := tables{"auth_schema": {Columns: map[string]string{}, Keys: map[string]string{}}}
	for _, step := range steps {
		for _, statement := range step.statements() {
			text := strings.TrimSpace(blank.ReplaceAllString(comment.ReplaceAllString(statement, ""), " "))
			if err := all.read(text); err != nil {
				t.Fatalf("%v: %v", d, err)
			}
		}
	}
	return all
}

func (all tables) read(text string) error {
	if m := createTable.FindStringSubmatch(text); m != nil {
		if all[m[1]] != nil {
			return fmt.Errorf("two tables %s", m[1])
		}
		table := &tableShape{map[string]string{}, map[string]string{}}
		all[m[1]] = table
		for _, part := range topLevel(m[2]) {
			table.add(part)
		}
		return nil
	}
	if m := alterTable.FindStringSubmatch(text); m != nil {
		for _, part := range topLevel(m[2]) {
			if name, ok := strings.CutPrefix(part, "DROP KEY "); ok {
				all[m[1]].drop(name)
			} else {
				all[m[1]].add(strings.TrimPrefix(strings.TrimPrefix(part, "ADD "), "COLUMN "))
			}
		}
		return nil
	}
	if m := createIndex.FindStringSubmatch(text); m != nil {
		kind := m[2] + m[5]
		if m[1] != "" {
			kind = "unique"
		}
		all[m[3]].Keys[m[4]] = kind
		return nil
	}
	if m := renameIndex.FindStringSubmatch(text); m != nil {
		for _, table := range all {
			for columns, is := range table.Keys {
				if name, rest, cond := strings.Cut(is, " WHERE "); name == m[1] {
					if table.Keys[columns] = m[2]; cond {
						table.Keys[columns] += " WHERE " + rest
					}
				}
			}
		}
		return nil
	}
	if m := dropIndex.FindStringSubmatch(text); m != nil {
		for _, table := range all {
			table.drop(m[1])
		}
		return nil
	}
	for _, data := range []string{"INSERT ", "UPDATE ", "WITH "} {
		if strings.HasPrefix(text, data) {
			return nil
		}
	}
	return fmt.Errorf("a statement that this test cannot read: %s", text)
}

// drop removes an index.
func (s *tableShape) drop(name string) {
	for columns, is := range s.Keys {
		if is, _, _ := strings.Cut(is, " WHERE "); is == name {
			delete(s.Keys, columns)
		}
	}
}

// topLevel cuts at the commas that stand in no parentheses.
func topLevel(list string) (parts []string) {
	depth, from := 0, 0
	for i, c := range list {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	return append(parts, strings.TrimSpace(list[from:]))
}

// add reads one line of CREATE TABLE.
func (s *tableShape) add(part string) {
	if m := key.FindStringSubmatch(part); m != nil {
		name := strings.ToLower(strings.TrimSuffix(m[1], " KEY"))
		if m[2] != "" {
			name = m[2]
		}
		s.Keys[m[3]] = name
		return
	}
	name, rest, _ := strings.Cut(part, " ")
	text := kindOf(rest)
	if !strings.Contains(rest, "NOT NULL") && !strings.Contains(rest, "PRIMARY KEY") {
		text += ", or null"
	}
	if _, value, ok := strings.Cut(rest, " DEFAULT "); ok {
		text += ", default " + value
	}
	s.Columns[name] = text
	switch {
	case strings.Contains(rest, "PRIMARY KEY"):
		s.Keys[name] = "primary"
	case strings.Contains(rest, "UNIQUE"):
		s.Keys[name] = "unique"
	}
}

// kindOf names the type of a column. MySQL has no text that is compared byte for
// byte, so that its texts are binary, too.
func kindOf(definition string) string {
	for _, kind := range []struct {
		name  string
		types []string
	}{
		{"integer", []string{"INTEGER", "BIGINT"}},
		{"text", []string{"TEXT", "VARBINARY(", "MEDIUMBLOB"}},
		{"boolean", []string{"BOOLEAN"}},
		{"bytes", []string{"BYTEA", "BLOB", "BINARY(32)", "LONGBLOB"}},
	} {
		if slices.ContainsFunc(kind.types, func(prefix string) bool { return strings.HasPrefix(definition, prefix) }) {
			return kind.name
		}
	}
	return "unknown: " + definition
}

// The three schemas have the same tables, columns and indexes. Partial indexes,
// which MySQL does not have, index everything there. How they say what is live, and
// that the ID comes last, is their own: see step 13.
func TestSchemasAgree(t *testing.T) {
	postgres := shape(t, Postgres)
	if len(postgres) < 9 || len(postgres["auth_tokens"].Columns) < 25 {
		t.Fatalf("read only %d tables", len(postgres))
	}
	live := map[string]bool{}
	for _, table := range postgres {
		for _, name := range table.Keys {
			if name, ok := strings.CutSuffix(name, " WHERE revoked_at IS NULL"); ok {
				live[name] = true
			}
		}
	}
	if len(live) < 6 {
		t.Fatalf("only %d indexes of live tokens", len(live))
	}
	postgres.alike(live)
	sqlite, mysql := shape(t, SQLite), shape(t, MySQL)
	sqlite.alike(live)
	mysql.alike(live)
	if diff := cmp.Diff(postgres, sqlite); diff != "" {
		t.Errorf("PostgreSQL and SQLite (-PostgreSQL +SQLite):\n%s", diff)
	}
	for _, table := range postgres {
		for columns, name := range table.Keys {
			table.Keys[columns], _, _ = strings.Cut(name, " WHERE ")
		}
	}
	if diff := cmp.Diff(postgres, mysql); diff != "" {
		t.Errorf("PostgreSQL and MySQL (-PostgreSQL +MySQL):\n%s", diff)
	}
}

// alike writes indexes alike: those of live tokens without revoked_at, and those of records
// with a number without that number at their end.
func (all tables) alike(live map[string]bool) {
	for _, table := range all {
		keys := map[string]string{}
		for columns, name := range table.Keys {
			if first, _, _ := strings.Cut(name, " WHERE "); live[first] {
				columns = strings.Replace(columns, "revoked_at, ", "", 1)
			}
			if table.Columns["id"] == "integer" {
				columns = strings.TrimSuffix(columns, ", id")
			}
			keys[columns] = name
		}
		table.Keys = keys
	}
}

// The test sees what it is there for.
func TestSchemaShapes(t *testing.T) {
	table := func(statements ...string) *tableShape {
		all := tables{}
		for _, s := range statements {
			if err := all.read(s); err != nil {
				t.Fatal(err)
			}
		}
		return all["x"]
	}
	want := table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT NOT NULL, c BLOB UNIQUE )", "CREATE INDEX i ON x (b)")
	for name, other := range map[string]*tableShape{
		"a column less":       table("CREATE TABLE x ( a INTEGER PRIMARY KEY, c BLOB UNIQUE )", "CREATE INDEX i ON x (b)"),
		"another type":        table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b BIGINT NOT NULL, c BLOB UNIQUE )", "CREATE INDEX i ON x (b)"),
		"may be null":         table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT, c BLOB UNIQUE )", "CREATE INDEX i ON x (b)"),
		"a default":           table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT NOT NULL DEFAULT '', c BLOB UNIQUE )", "CREATE INDEX i ON x (b)"),
		"no unique key":       table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT NOT NULL, c BLOB )", "CREATE INDEX i ON x (b)"),
		"no index":            table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT NOT NULL, c BLOB UNIQUE )"),
		"an index dropped":    table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT NOT NULL, c BLOB UNIQUE )", "CREATE INDEX i ON x (b)", "DROP INDEX i"),
		"an index of another": table("CREATE TABLE x ( a INTEGER PRIMARY KEY, b TEXT NOT NULL, c BLOB UNIQUE )", "CREATE INDEX i ON x (b, c)"),
	} {
		if cmp.Equal(want, other) {
			t.Errorf("%s: no difference", name)
		}
	}
	same := table("CREATE TABLE IF NOT EXISTS x ( a BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, c BINARY(32) UNIQUE, KEY i (b) ) ENGINE = InnoDB", "ALTER TABLE x ADD COLUMN b MEDIUMBLOB NOT NULL")
	if diff := cmp.Diff(want, same); diff != "" {
		t.Errorf("the same in MySQL's words:\n%s", diff)
	}
}
