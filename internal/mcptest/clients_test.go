package mcptest_test

import (
	"context"
	"encoding/json"
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
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// challenges are the fields WWW-Authenticate of the tool server.
func challenges(base string) (first, wider string) {
	metadata := `Bearer realm="api", resource_metadata="` + base + `/.well-known/oauth-protected-resource/mcp", `
	return metadata + `scope="notes"`, metadata + `error="insufficient_scope", scope="notes notes:write"`
}

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

// TestGoClient has the SDK for Go find the authorization server, log in, call a tool,
// refresh its token before each request, because tokens live too short for it, and
// step up.
func TestGoClient(t *testing.T) {
	ctx := browser(t)
	base, tools, id := toolServer(t)
	callbacks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(callbacks.Close)
	x := &tape{RoundTripper: transport(t)}
	client := &http.Client{Transport: x}
	var asked []string
	handler, err := sdkauth.NewAuthorizationCodeHandler(&sdkauth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: id, Issuer: base},
		RedirectURL:         callbacks.URL + "/callback",
		RequestRefreshToken: true,
		Client:              client,
		AuthorizationCodeFetcher: func(_ context.Context, args *sdkauth.AuthorizationArgs) (*sdkauth.AuthorizationResult, error) {
			asked = append(asked, request(t, args.URL))
			back, consent := agree(t, ctx, args.URL, "alice")
			wantConsent(t, consent, args.URL, tools)
			return &sdkauth.AuthorizationResult{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "v1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: tools, HTTPClient: client, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	t.Logf("protocol %s", session.InitializeResult().ProtocolVersion)
	call := func(name string, arguments any, want ...string) {
		t.Helper()
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		notes := []string{}
		for _, n := range result.StructuredContent.(map[string]any)["notes"].([]any) {
			notes = append(notes, n.(string))
		}
		if diff := cmp.Diff(append([]string{}, want...), notes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	call("list_notes", map[string]any{})
	call("add_note", map[string]any{"text": "from Go"}, "from Go")
	call("list_notes", map[string]any{}, "from Go")

	first, wider := challenges(base)
	if diff := cmp.Diff([]string{first, wider}, x.challenges); diff != "" {
		t.Errorf("challenges (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"notes offline_access for " + tools, "notes notes:write offline_access for " + tools}, asked); diff != "" {
		t.Errorf("authorization requests (-want +got):\n%s", diff)
	}
	t.Logf("grants: %s", strings.Join(x.grants, ", "))
	counts := make(map[string]int)
	for _, grant := range x.grants {
		counts[grant]++
	}
	if counts["authorization_code"] != 2 || counts["refresh_token"] == 0 || len(counts) != 2 {
		t.Errorf("grants: %v", counts)
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

// wantConsent checks that the page says what the request asks for.
func wantConsent(t *testing.T, page, link, tools string) {
	t.Helper()
	words := []string{"Notes client", tools, "use the scope “notes”"}
	if strings.Contains(request(t, link), "notes:write") {
		words = append(words, "use the scope “notes:write”")
	}
	for _, w := range words {
		if !strings.Contains(page, w) {
			t.Errorf("the consent page does not say %q:\n%s", w, page)
		}
	}
}

// TestTypeScriptClient has both versions of the SDK for TypeScript do the same. V2
// speaks the protocol of 2026.
func TestTypeScriptClient(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			ctx := browser(t)
			base, tools, id := toolServer(t)
			first, wider := challenges(base)
			dead := strings.Replace(first, "scope=", `error="invalid_token", error_description="The access token is malformed.", scope=`, 1)
			out, wait := lines(t, node(t, "client.mjs", version, tools, id))
			var got []string
			for out.Scan() {
				t.Log(out.Text())
				var line map[string]any
				if err := json.Unmarshal(out.Bytes(), &line); err != nil {
					t.Fatal(err)
				}
				if link, ok := line["open"].(string); ok {
					got = append(got, "asked for "+request(t, link))
					_, consent := agree(t, ctx, link, "alice")
					wantConsent(t, consent, link, tools)
					continue
				}
				got = append(got, strings.NewReplacer(first, "FIRST", wider, "WIDER", dead, "DEAD").Replace(describe(line)))
			}
			if err := wait(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%q", got)
		})
	}
}

// describe returns a line of the client with its members in order.
func describe(line map[string]any) string {
	b, _ := json.Marshal(line) // of what was JSON
	return strings.ReplaceAll(string(b), `\"`, `"`)
}
