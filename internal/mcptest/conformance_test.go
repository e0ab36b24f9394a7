package mcptest_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/internal/porttest"
)

// suite is the command of the conformance suite.
const suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"

// conformance runs the scenarios of the suite for authorization servers. Its other
// scenarios of authorization play the server and test a client. Those for servers of
// the protocol send no credential, so they cannot pass a gate.
func conformance(t *testing.T, ctx context.Context, binary string) {
	list, err := node(t, "--import", "./globsync.mjs", suite, "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, scenarios, _ := strings.Cut(string(list), "Authorization server scenarios")
	t.Logf("%d scenarios of authorization test a client; authorization server scenarios%s", strings.Count(string(list), "- auth/"), scenarios)

	t.Run("examples/server", func(t *testing.T) {
		_, ca := describeClient(t)
		address := server(t, built(t, "server"), []string{"OSTIARY_ADMIN_PASSWORD=" + password, "SSL_CERT_FILE=" + ca},
			"-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "db"), "-client-documents", "*")[0]
		base := strings.TrimSuffix(address, "/")
		conform(t, ctx, base, register(t, base), base+"/api/", "admin")
	})
	t.Run("examples/mcp", func(t *testing.T) {
		x := start(t, binary, "1h")
		t.Run("registered", func(t *testing.T) { conform(t, ctx, x.issuer, x.registered, x.address, "alice") })
		t.Run("by document", func(t *testing.T) { conform(t, ctx, x.issuer, x.document, x.address, "alice") })
	})
}

// register adds an application to examples/server, and returns its client_id.
func register(t *testing.T, base string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", base+"/api/v2/applications/", strings.NewReader(
		`{"name":"suite","client_type":"public","authorization_grant_type":"authorization-code","redirect_uris":"http://127.0.0.1/callback","organization":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("admin", password)
	r.Header.Set("Content-Type", "application/json")
	answer, err := transport(t).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var app struct {
		ClientID string `json:"client_id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&app); err != nil || answer.StatusCode != 201 {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	return app.ClientID
}

// A check is a result of the suite.
type check struct{ ID, Status, Description, ErrorMessage string }

// conform has the suite test an authorization server, with the browser of a user.
func conform(t *testing.T, ctx context.Context, issuer, client, resource, user string) {
	t.Helper()
	forget(t, ctx)
	results := t.TempDir()
	out, wait := lines(t, node(t, "--import", "./globsync.mjs", suite, "authorization", "--url", issuer, "--client-id", client,
		"--resource", resource, "--port", freePort(t), "--spec-version", "2026-07-28", "--output-dir", results))
	for out.Scan() {
		if strings.HasPrefix(out.Text(), issuer+"/api/o/authorize/?") {
			agree(t, ctx, out.Text(), user)
		}
	}
	if err := wait(); err != nil {
		t.Errorf("the suite: %v", err)
	}
	got := make(map[string]string)
	err := filepath.WalkDir(results, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var checks []check
		if err := json.Unmarshal(b, &checks); err != nil {
			return err
		}
		for _, c := range checks {
			t.Logf("%s: %s: %s %s", c.Status, c.ID, c.Description, c.ErrorMessage)
			got[c.ID] = c.Status
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	want := map[string]string{
		"authorization-server-metadata":      "SUCCESS",
		"authorization-server-metadata-cimd": "SUCCESS",
		"authorization-code-grant":           "SUCCESS",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

// freePort returns a port that nobody listened at a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	ports, err := porttest.Free("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(ports[0])
}

// transport returns a transport of which nothing is left after the test.
func transport(t *testing.T) *http.Transport {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}
