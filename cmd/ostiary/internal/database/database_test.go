package database_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store/sqlstore"
)

func environment(pairs ...string) func(string) string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestName(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good, empty, long := write("good", "  postgres://x/y\n"), write("empty", "\n"), write("long", strings.Repeat("x", 64<<10+1))
	for _, tt := range []struct {
		name, file string
		env        func(string) string
		want       string
		fails      string
	}{
		{"variable", "", environment(database.EnvDSN, " a.db\n"), "a.db", ""},
		{"variable with a file", "", environment(database.EnvDSNFile, good), "postgres://x/y", ""},
		{"flag", good, environment(), "postgres://x/y", ""},
		{"flag before variables", good, environment(database.EnvDSN, "a.db"), "postgres://x/y", ""},
		{"both variables", "", environment(database.EnvDSN, "a.db", database.EnvDSNFile, good), "", "are both set"},
		{"nothing", "", environment(), "", "no database is named"},
		{"blank", "", environment(database.EnvDSN, " "), "", "is empty"},
		{"no file", filepath.Join(dir, "none"), environment(), "", "no such file"},
		{"an empty file", empty, environment(), "", "the file is empty"},
		{"a long file", "", environment(database.EnvDSNFile, long), "", "longer than"},
		{"a folder", dir, environment(), "", "directory"},
		{"a device without an end", "/dev/zero", environment(), "", "longer than"},
	} {
		got, err := database.Name(tt.file, tt.env, func(text string) { t.Errorf("%s: %s", tt.name, text) })
		if got != tt.want || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

// Nothing that is wrong about a data source name shows the password in it.
func TestErrorsHaveNoPassword(t *testing.T) {
	const password = "hunter2"
	for _, name := range []string{
		"", "nothing.db", "/none/such.db", t.TempDir(),
		"host=db user=u password=hunter2", "u:hunter2@tcp(db:3306)/x", "u:hunter2@db/x", "postgres:u:hunter2@db",
		"oracle://u:hunter2@db/x", "postgres://u:hunter2@db:port/x", "postgres://u:hunter2@db/x?sslmode=perhaps", "postgres://u:hunter2@d b/x",
		"postgres://u:%zz@db/hunter2", "postgres://u:hunter2@db/x?connect_timeout=long",
		"mysql://u:hunter2@db:port/x", "mysql://u:hunter2@db/x?a=%zz", "mysql://u:hunter2@db/x?timeout=1", "mysql://u:hunter2@db/x?tls=perhaps", "mysql://u:hunter2@d b/x",
	} {
		db, err := database.Connect(name, sqlstore.Options{})
		if err == nil {
			t.Errorf("%s: accepted", name)
			_ = db.Close()
			continue
		}
		if strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "mysql://u:hunter2@127.0.0.1:1/x"} {
		_, err := database.Open(t.Context(), name, sqlstore.Options{})
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A command that looks must not make a file of each mistyped name.
func TestOpenCreatesNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.db")
	if _, err := database.Open(t.Context(), name, sqlstore.Options{}); err == nil || !strings.Contains(err.Error(), "ostiary migrate --create") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("the file is there: %v", err)
	}
}
