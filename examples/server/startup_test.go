package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Several servers that start at once on an empty database all come up. One of
// them creates the administrator, whose password is good at each of them.
func TestSeveralServersStartAtOnce(t *testing.T) {
	t.Setenv(adminPassword, "") // each would generate one
	dir := t.TempDir()
	users := filepath.Join(dir, "users.json")
	list := `[
		{"username": "ann", "password": "ann-password-123", "organizations": [2, 3]},
		{"username": "bob", "password": "bob-password-123", "admin_of": [2]}
	]`
	if err := os.WriteFile(users, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("SQLite", func(t *testing.T) {
		for range 2 {
			testStartAtOnce(t, users, filepath.Join(t.TempDir(), "test.db"))
		}
	})
	onServers(t, func(t *testing.T, database string) {
		times := 2 // creating the schema takes MySQL long
		if strings.HasPrefix(database, "postgres") {
			times = 5
		}
		for n := range times {
			testStartAtOnce(t, users, emptyDatabase(t, database, fmt.Sprintf("empty%d", n)))
		}
	})
}

func testStartAtOnce(t *testing.T, users, database string) {
	const processes = 3
	var all []*server
	for range processes {
		all = append(all, launchServer(t, t.TempDir(), "-db", database, "-users", users))
	}
	var passwords []string
	for _, s := range all {
		if !s.listens() {
			t.Fatalf("a server did not start:\n%s", s.out)
		}
		if m := regexp.MustCompile(`password, which is shown only now:\s+(\S+)`).FindStringSubmatch(s.out.String()); m != nil {
			passwords = append(passwords, m[1])
		}
	}
	if len(passwords) != 1 {
		t.Fatalf("%d servers of %d say that they created admin", len(passwords), processes)
	}
	// Each server has another user: a login costs a second under the race detector.
	for i, user := range [processes][2]string{{adminName, passwords[0]}, {"ann", "ann-password-123"}, {"bob", "bob-password-123"}} {
		s := all[i]
		r, err := http.NewRequest(http.MethodGet, s.url+"/api/v2/me/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user[0], user[1])
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s is answered %d\n%s", user[0], resp.StatusCode, s.out)
		}
	}
	http.DefaultClient.CloseIdleConnections() // the servers end sooner
}

// emptyDatabase creates a database beside the one named, and returns its name.
func emptyDatabase(t *testing.T, database, name string) string {
	t.Helper()
	pool, _, err := connect(database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	before, after, _ := strings.Cut(database, "?")
	return before[:strings.LastIndex(before, "/")+1] + name + "?" + after
}
