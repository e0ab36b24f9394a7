package importer_test

import (
	"context"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store"
)

const (
	webID = "awxWebClientIdentifier0000000000000000001"
	cliID = "awxCliClientIdentifier0000000000000000002"
)

func TestAWX(t *testing.T) {
	for i, p := range places {
		t.Run("from "+p.name, func(t *testing.T) {
			_, from := sourceOf(t, p, "awx.sql")
			secret, key := "s3cret+of%the web", "the key of the installation"
			run(t, from, "UPDATE main_oauth2application SET client_secret = '"+encrypted(t, secret, key)+"' WHERE id = 3")
			to := target(t, places[1-i].fresh(t))
			members := filepath.Join(t.TempDir(), "members")
			report := mustImport(t, from, to, importer.Options{Kind: importer.AWX, SecretKey: key, Now: start, Memberships: members})
			checkAWX(t, to, report)
			checkMembers(t, members)
			s := serve(t, to)
			if status, access, _ := s.token(webID, secret, refreshOf("webrefreshABCDEFGHIJ0123456789")); status != 200 || s.me(access) != "alice" {
				t.Errorf("refresh with the old secret: %d", status)
			}
			if status, access, _ := s.token(cliID, "", refreshOf("clirefreshABCDEFGHIJ0123456789")); status != 200 || s.me(access) != "Alice" {
				t.Errorf("refresh by a public client: %d", status)
			}
			for _, dead := range []string{"oldrefreshABCDEFGHIJ0123456789", "orphan0001ABCDEFGHIJ0123456789", "revoked001ABCDEFGHIJ0123456789"} {
				if status, _, _ := s.token(webID, secret, refreshOf(dead)); status != 400 {
					t.Errorf("%s: %d", dead, status)
				}
			}
		})
	}
}

// encrypted is a client secret as AWX stores it, by Python's cryptography.
func encrypted(t testing.TB, secret, key string) string {
	t.Helper()
	cmd := exec.Command(python(), "-B", filepath.Join("testdata", "awxsecret.py"))
	cmd.Stdin = strings.NewReader(key + "\n" + secret)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("Python (Debian: python3-cryptography): %v", err)
	}
	return string(out)
}

func checkAWX(t *testing.T, to *database.DB, report *importer.Report) {
	t.Helper()
	ctx, s := t.Context(), serve(t, to)
	for _, name := range []string{"admin", "alice", "Alice", "auditor"} {
		if !s.logsIn(name, "correct horse") {
			t.Errorf("%s does not log in", name)
		}
	}
	if s.logsIn("ldapuser", "") || remarked(report, importer.Note, "the user has no password") != 1 {
		t.Error("a user without a password")
	}
	for id, want := range map[string]store.User{
		"1": {ID: "1", Name: "admin", Email: "admin@example.org", FirstName: "Ada", LastName: "Admin", Admin: true, Active: true, Created: time.Date(2020, 1, 2, 3, 4, 5, 678901000, time.UTC)},
		"2": {ID: "2", Name: "auditor", Auditor: true, Active: true, Created: time.Date(2020, 1, 2, 3, 4, 6, 0, time.UTC)},
		"9": {ID: "9", Name: "profileauditor", Auditor: true, Active: true, Created: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		got, err := to.Store.UserByID(ctx, id)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("user (-want +got):\n%s%v", diff, err)
		}
	}
	for text, want := range map[string]string{
		"abcdefghijABCDEFGHIJ0123456789": "alice", "webaccess1ABCDEFGHIJ0123456789": "alice", "cliaccess1ABCDEFGHIJ0123456789": "Alice",
		"oldaccess1ABCDEFGHIJ0123456789": "alice", "expired001ABCDEFGHIJ0123456789": "",
	} {
		if got := s.me(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	tok, err := to.Store.TokenByDigest(ctx, store.DigestOf("abcdefghijABCDEFGHIJ0123456789"))
	if err != nil || tok.Description != "nightly backup" || tok.Scopes != "write" || !tok.Expires.Equal(start.Add(365*24*time.Hour)) ||
		!tok.Created.Equal(time.Date(2021, 5, 5, 0, 0, 0, 0, time.UTC)) || tok.LastUsed.Before(used) {
		t.Errorf("personal token %+v, %v", tok, err)
	}
	tok, err = to.Store.TokenByRefresh(ctx, store.DigestOf("webrefreshABCDEFGHIJ0123456789"))
	if err != nil || !tok.Expires.Equal(start.Add(30*24*time.Hour)) || tok.Refresh.Scopes != "read write" ||
		!tok.Refresh.Expires.Equal(recent.Add(2_628_000*time.Second)) {
		t.Errorf("token of an application %+v, %v", tok, err)
	}
	app, err := to.Store.ApplicationByClientID(ctx, webID)
	if err != nil || !app.SkipConsent || !app.Confidential || app.OrganizationID != 2 || app.Name != "web" || app.Description != "The web application" {
		t.Errorf("application %+v, %v", app, err)
	}
	want := []importer.Setting{
		{Name: "OAUTH2_PROVIDER", Value: report.Settings[0].Value, Here: report.Settings[0].Here},
		{Name: "SESSIONS_PER_USER", Value: "5", Here: "SessionOptions.PerUser"},
	}
	if diff := cmp.Diff(want, report.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if c := *report.Counts["tokens"]; c != (importer.Counts{Read: 5, Stored: 4, LeftOut: 1}) {
		t.Errorf("tokens %+v", c)
	}
}

func checkMembers(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := csv.NewReader(f).ReadAll()
	want := [][]string{
		{"user_id", "user", "organization_id", "organization", "administers"},
		{"3", "alice", "1", "Default", "true"},
		{"5", "Alice", "1", "Default", "false"},
		{"3", "alice", "2", `Research, "R"`, "false"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("members (-want +got):\n%s%v", diff, err)
	}
}

// Without the key clients get new secrets, which the file has and the report has not;
// with a wrong one nothing is guessed.
func TestAWXSecrets(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	run(t, from, "UPDATE main_oauth2application SET client_secret = '"+encrypted(t, "old secret", "key")+"' WHERE id = 3")
	file := filepath.Join(t.TempDir(), "secrets")
	o := importer.Options{Kind: importer.AWX, Now: start, NewSecrets: file}

	wrong := o
	wrong.SecretKey = "another key"
	to := target(t, places[0].fresh(t))
	if _, err := importer.Run(t.Context(), from, to, wrong); err == nil || !strings.Contains(err.Error(), "SECRET_KEY does not decrypt") {
		t.Errorf("a wrong key: %v", err)
	}
	none := o
	none.NewSecrets = ""
	if _, err := importer.Run(t.Context(), from, to, none); err == nil || !strings.Contains(err.Error(), "--new-secrets") {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := importer.Run(t.Context(), from, to, o); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a file for everybody: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	dry := o
	dry.DryRun = true
	mustImport(t, from, to, dry)
	if _, err := os.Stat(file); err == nil {
		t.Error("a dry run wrote secrets")
	}
	report := mustImport(t, from, to, o)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, secret, _ := strings.Cut(strings.TrimSpace(string(content)), "\t")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || id != webID {
		t.Errorf("the file of %s has the mode %v, %v", id, info.Mode(), err)
	}
	s := serve(t, to)
	if status, _, _ := s.token(webID, secret, refreshOf("webrefreshABCDEFGHIJ0123456789")); status != 200 {
		t.Errorf("refresh with the new secret: %d", status)
	}
	var shown strings.Builder
	if err := report.WriteJSON(&shown); err != nil {
		t.Fatal(err)
	}
	if err := report.WriteText(&shown); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{secret, "clear-secret", "webrefresh", "webaccess1", "abcdefghij", "ci3bAL4Ix1j40CN6", "never shown"} {
		if strings.Contains(shown.String(), text) {
			t.Errorf("the report has %q", text)
		}
	}
	again := mustImport(t, from, to, o)
	if now, err := os.ReadFile(file); err != nil || string(now) != string(content) {
		t.Errorf("a second run changed the file to %q, %v", now, err)
	}
	if c := *again.Counts["applications"]; c != (importer.Counts{Read: 2, Before: 2}) {
		t.Errorf("applications %+v", c)
	}
}

func TestDAB(t *testing.T) {
	for i, p := range places {
		t.Run("from "+p.name, func(t *testing.T) {
			_, from := sourceOf(t, p, "dab.sql")
			to := target(t, places[1-i].fresh(t))
			members := filepath.Join(t.TempDir(), "members")
			report := mustImport(t, from, to, importer.Options{
				Kind: importer.DAB, Now: start, Memberships: members, ClientSecrets: map[string]string{"dabClientIdentifier": "correct horse"},
			})
			s := serve(t, to)
			for text, want := range map[string]string{
				"dabaccess1ABCDEFGHIJ0123456789": "alice", "dabpersonaABCDEFGHIJ0123456789": "auditor", "dabbefore1ABCDEFGHIJ0123456789": "admin",
			} {
				if got := s.me(text); got != want {
					t.Errorf("%s is %q, want %q", text, got, want)
				}
			}
			if status, access, _ := s.token("dabClientIdentifier", "correct horse", refreshOf("dabrefreshABCDEFGHIJ0123456789")); status != 200 || s.me(access) != "alice" {
				t.Errorf("refresh with the old secret: %d", status)
			}
			for id, auditor := range map[string]bool{"2": false, "3": true, "4": true} {
				if u, err := to.Store.UserByID(context.Background(), id); err != nil || u.Auditor != auditor {
					t.Errorf("%+v, %v", u, err)
				}
			}
			app, err := to.Store.ApplicationByClientID(t.Context(), "dabClientIdentifier")
			if err != nil || !app.RequirePKCE || remarked(report, importer.LeftOut, "members") != 2 {
				t.Errorf("%+v, %v", app, err)
			}
		})
	}
}

// Who does not tell the old secret, or a wrong one, gets a new one.
func TestHashedSecretNotKnown(t *testing.T) {
	for name, known := range map[string]map[string]string{"none": nil, "wrong": {"dabClientIdentifier": "wrong"}} {
		_, from := sourceOf(t, places[0], "dab.sql")
		to := target(t, places[0].fresh(t))
		report := mustImport(t, from, to, importer.Options{Kind: importer.DAB, Now: start, ClientSecrets: known})
		if remarked(report, importer.Changed, "the client has a new secret") != 1 {
			t.Errorf("%s: no remark", name)
		}
		if status, _, _ := serve(t, to).token("dabClientIdentifier", "wrong", refreshOf("dabrefreshABCDEFGHIJ0123456789")); status != 401 {
			t.Errorf("%s: %d", name, status)
		}
	}
}
