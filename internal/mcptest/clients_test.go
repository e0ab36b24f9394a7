package mcptest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// challenge is the field WWW-Authenticate of the tools with these parameters.
func (x tools) challenge(parameters string) string {
	return `Bearer realm="api", resource_metadata="` + x.issuer + `/.well-known/oauth-protected-resource/mcp", ` + parameters
}

const (
	first = `scope="notes"`
	dead  = `error="invalid_token", error_description="The access token is invalid or revoked.", scope="notes"`
	wider = `error="insufficient_scope", scope="notes notes:write"`
)

// A tape is an HTTP transport that writes down what a client does.
type tape struct {
	http.RoundTripper
	mu         sync.Mutex
	challenges []string
	grants     []string
}

func (x *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	var form url.Values
	if r.URL.Path == "/api/o/token/" {
		clone := r.Clone(r.Context())
		clone.Body, _ = r.GetBody()
		if err := clone.ParseForm(); err != nil {
			return nil, err
		}
		form = clone.PostForm
	}
	answer, err := x.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if form != nil {
		x.grants = append(x.grants, form.Get("grant_type"))
	}
	if c := answer.Header.Get("WWW-Authenticate"); c != "" {
		x.challenges = append(x.challenges, c)
	}
	return answer, nil
}

// goClient has the SDK for Go find the authorization server, log in, call a tool and
// step up. It refreshes its token before each request: it holds one that lives for ten
// seconds for expired.
func goClient(t *testing.T, ctx context.Context, binary string) {
	forget(t, ctx)
	x := start(t, binary, "10s")
	callbacks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(callbacks.Close)
	recorded := &tape{RoundTripper: transport(t)}
	client := &http.Client{Transport: recorded}
	var asked []string
	handler, err := sdkauth.NewAuthorizationCodeHandler(&sdkauth.AuthorizationCodeHandlerConfig{
		ClientIDMetadataDocumentConfig: &sdkauth.ClientIDMetadataDocumentConfig{URL: x.document},
		RedirectURL:                    callbacks.URL + "/callback",
		RequestRefreshToken:            true,
		Client:                         client,
		AuthorizationCodeFetcher: func(_ context.Context, args *sdkauth.AuthorizationArgs) (*sdkauth.AuthorizationResult, error) {
			asked = append(asked, request(t, args.URL))
			back, consent := agree(t, ctx, args.URL, "alice")
			wantConsent(t, consent, args.URL)
			return &sdkauth.AuthorizationResult{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "v1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: x.address, HTTPClient: client, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	t.Logf("protocol %s", session.InitializeResult().ProtocolVersion)
	smuggle(t, x, handler)
	for _, call := range []struct {
		tool      string
		arguments map[string]any
		want      []any
	}{
		{"list_notes", map[string]any{}, []any{}},
		{"add_note", map[string]any{"text": "from Go"}, []any{"from Go"}},
		{"list_notes", map[string]any{}, []any{"from Go"}},
	} {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: call.tool, Arguments: call.arguments})
		if err != nil {
			t.Fatalf("%s: %v", call.tool, err)
		}
		if diff := cmp.Diff(any(map[string]any{"notes": call.want}), result.StructuredContent); diff != "" {
			t.Errorf("%s (-want +got):\n%s", call.tool, diff)
		}
	}
	if diff := cmp.Diff([]string{x.challenge(first), x.challenge(wider)}, recorded.challenges); diff != "" {
		t.Errorf("challenges (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"notes offline_access for " + x.address, "notes notes:write offline_access for " + x.address}, asked); diff != "" {
		t.Errorf("authorization requests (-want +got):\n%s", diff)
	}
	t.Logf("grants: %s", strings.Join(recorded.grants, ", "))
	counts := make(map[string]int)
	for _, grant := range recorded.grants {
		counts[grant]++
	}
	if counts["authorization_code"] != 2 || counts["refresh_token"] == 0 || len(counts) != 2 {
		t.Errorf("grants: %v", counts)
	}
}

// smuggle calls a tool that needs another scope, in words that the handler in front of the
// SDK reads as another tool: package json folds the case of names.
func smuggle(t *testing.T, x tools, handler *sdkauth.AuthorizationCodeHandler) {
	t.Helper()
	source, err := handler.TokenSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", x.address, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_note","NAME":"list_notes","arguments":{"text":"smuggled"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	token.SetAuthHeader(r)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	answer, err := transport(t).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), "lacks a scope") {
		t.Errorf("a smuggled call: %s %s %v", answer.Status, body, err)
	}
}

// request returns the scopes and the resource of an authorization request.
func request(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" {
		t.Errorf("no PKCE in %s", link)
	}
	scopes := strings.Fields(q.Get("scope"))
	slices.Sort(scopes)
	return strings.Join(scopes, " ") + " for " + strings.Join(q["resource"], " ")
}

// wantConsent checks that the page says what the request asks for, and who asks.
func wantConsent(t *testing.T, page, link string) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	words := append([]string{"use the scope “notes”"}, u.Query()["resource"]...)
	if strings.Contains(u.Query().Get("scope"), "notes:write") {
		words = append(words, "use the scope “notes:write”")
	}
	if id, err := url.Parse(u.Query().Get("client_id")); err == nil && id.Host != "" {
		words = append(words, id.Host, "Any program on your computer can pretend to be this application.")
	} else {
		words = append(words, "Notes client")
	}
	for _, w := range words {
		if !strings.Contains(page, w) {
			t.Errorf("the consent page does not say %q:\n%s", w, page)
		}
	}
}

// typeScriptClient has a version of the SDK for TypeScript do the same. Its script
// makes the access token a dead one to have it refreshed.
func typeScriptClient(t *testing.T, ctx context.Context, binary, version string) {
	forget(t, ctx)
	x := start(t, binary, "1h")
	refused := func(status, parameters string) string {
		b, _ := json.Marshal(x.challenge(parameters)) // of a string
		return `{"status":` + status + `,"challenge":` + string(b) + `}`
	}
	id, want := x.document, []string{
		refused("401", first), "asked for notes offline_access for " + x.address, `{"tokens":"notes","refreshable":true}`, `{"list_notes":[]}`,
		refused("401", dead), `{"tokens":"notes","refreshable":true}`, `{"list_notes":[]}`,
		refused("403", wider), "asked for notes notes:write offline_access for " + x.address, `{"tokens":"notes notes:write","refreshable":true}`,
		`{"add_note":["from v2"]}`,
	}
	if version == "v1" {
		id, want = x.registered, []string{
			refused("401", first), "asked for notes for " + x.address, `{"tokens":"notes","refreshable":true}`, `{"list_notes":[]}`,
			refused("401", dead), `{"tokens":"notes","refreshable":true}`, `{"list_notes":[]}`,
			refused("403", wider), `{"tokens":"notes","refreshable":true}`, refused("403", wider), `{"error":403}`, `{"list_notes":[]}`,
			refused("403", wider), "asked for notes notes:write for " + x.address, `{"tokens":"notes notes:write","refreshable":true}`,
			`{"add_note":["from v1"]}`,
		}
	}
	out, wait := lines(t, node(t, "client.mjs", version, x.address, id))
	var got []string
	for out.Scan() {
		line := out.Text()
		var action struct{ Open string }
		if err := json.Unmarshal(out.Bytes(), &action); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if link := action.Open; link != "" {
			line = "asked for " + request(t, link)
			_, consent := agree(t, ctx, link, "alice")
			wantConsent(t, consent, link)
		}
		t.Log(line)
		got = append(got, line)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the client did (-want +got):\n%s", diff)
	}
}
