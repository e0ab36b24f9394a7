package mcptest_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMCP has every client use the servers, in one browser.
func TestMCP(t *testing.T) {
	ctx := browser(t)
	tools := built(t, "mcp")
	t.Run("conformance", func(t *testing.T) { conformance(t, ctx, tools) })
	t.Run("Go", func(t *testing.T) { goClient(t, ctx, tools) })
	t.Run("TypeScript v1", func(t *testing.T) { typeScriptClient(t, ctx, tools, "v1") })
	t.Run("TypeScript v2", func(t *testing.T) { typeScriptClient(t, ctx, tools, "v2") })
}

// A tools is a running examples/mcp.
type tools struct {
	issuer, address string
	registered      string // client_id of the application that the program registers
	document        string // client_id of a client that nobody has registered
}

// start starts examples/mcp with access tokens of that lifetime.
func start(t *testing.T, binary, lifetime string) tools {
	t.Helper()
	document, ca := describeClient(t)
	words := server(t, binary, []string{"OSTIARY_MCP_PASSWORD=" + password, "SSL_CERT_FILE=" + ca}, "-addr", "127.0.0.1:0", "-access-lifetime", lifetime)
	x := tools{address: strings.TrimSuffix(words[0], ","), registered: strings.TrimSuffix(words[2], ","), document: document}
	u, err := url.Parse(x.address)
	if err != nil {
		t.Fatal(err)
	}
	x.issuer = "http://" + u.Host
	return x
}

// describeClient serves a client ID metadata document, and returns its address and the
// file of the authority for that.
func describeClient(t *testing.T) (clientID, authority string) {
	t.Helper()
	var document []byte
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	}))
	t.Cleanup(srv.Close)
	clientID = srv.URL + "/client.json"
	var err error
	document, err = json.Marshal(map[string]any{
		"client_id": clientID, "client_name": "A test", "redirect_uris": []string{"http://127.0.0.1/callback"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "none",
	})
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return clientID, authority
}
