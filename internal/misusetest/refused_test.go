package misusetest

import (
	"crypto/rsa"
	"database/sql"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/sqlstore"
)

// A refused mistake does not construct. The message names what is wrong and what
// would be right.
type refused struct {
	mistake string
	make    func(h *host) error
	says    []string
}

func says(words ...string) []string { return words }

// TestRefused: E7, E8 and E9, R-220, R-221.
func TestRefused(t *testing.T) {
	for _, tt := range slices.Concat(nothingGiven, wrongParts, wrongUnits, wrongProxies, wrongAPI) {
		t.Run(tt.mistake, func(t *testing.T) {
			err := refusal(func() error { return tt.make(newHost(t)) })
			if err == nil {
				t.Fatal("it constructs")
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("the message is %q, want one with %q", err, words)
				}
			}
			if text := err.Error(); strings.Contains(text, "runtime error") || strings.Contains(text, "invalid memory") {
				t.Error("nobody foresaw this")
			}
		})
	}
}

var noStore *memory.Store

// nothingGiven are parts that are nil, as after an error that nobody looked at.
var nothingGiven = []refused{
	{"a gate without an authenticator", func(*host) error { return built(auth.NewGate(nil, nil)) }, says("NewGate", "build it before")},
	{"a gate with a session that failed", func(*host) error { return built(auth.NewGate((*auth.Session)(nil), nil)) }, says("NewGate", "error of its constructor")},
	{"a gate with a nil function", func(*host) error { return built(auth.NewGate(auth.AuthenticatorFunc(nil), nil)) }, says("NewGate")},
	{"FirstOf of an empty list", func(*host) error { return built(auth.FirstOf([]auth.Authenticator{}...)) }, says("FirstOf", "name one")},
	{"FirstOf of something nil", func(h *host) error { return built(auth.FirstOf(h.bearer, (*auth.Session)(nil))) }, says("FirstOf")},
	{"no tokens for a bearer", func(*host) error { return built(auth.NewBearer(nil)) }, says("NewBearer", "Tokens")},
	{"no passwords for Basic", func(*host) error { return built(auth.NewBasic(nil, nil)) }, says("NewBasic", "Passwords")},
	{"no store for tokens", func(h *host) error { return last(auth.NewTokens(nil, h.db, nil)) }, says("NewTokens", "store")},
	{"no users for tokens", func(h *host) error { return last(auth.NewTokens(h.db, nil, nil)) }, says("NewTokens", "store")},
	{"a store for tokens that failed to open", func(h *host) error { return last(auth.NewTokens(noStore, h.db, nil)) }, says("NewTokens")},
	{"users for tokens that failed to open", func(h *host) error { return last(auth.NewTokens(h.db, noStore, nil)) }, says("NewTokens")},
	{"no store for sessions", func(h *host) error { return last(auth.NewSession(nil, h.db, nil)) }, says("NewSession", "store")},
	{"no users for sessions", func(h *host) error { return last(auth.NewSession(h.db, nil, nil)) }, says("NewSession", "store")},
	{"no users for passwords", func(h *host) error { return last(auth.NewPasswords(nil, h.db, nil)) }, says("NewPasswords", "store")},
	{"no attempts for passwords", func(h *host) error { return last(auth.NewPasswords(h.db, noStore, nil)) }, says("NewPasswords", "store")},
	{"no tokens for applications", func(h *host) error { return last(oauth.NewServer(nil, h.db, h.db, nil)) }, says("NewServer", "Tokens")},
	{"no store for applications", func(h *host) error { return last(oauth.NewServer(h.tokens, noStore, h.db, nil)) }, says("NewServer", "store")},
	{"no attempts for applications", func(h *host) error { return last(oauth.NewServer(h.tokens, h.db, nil, nil)) }, says("NewServer", "store")},
	{"no proxy for its users", func(h *host) error { return last(auth.NewProxyUsers(nil, h.db, nil)) }, says("NewProxyUsers", "Proxy")},
	{"no users in a memory store for them", func(*host) error { return built(memory.NewWithUsers(noStore)) }, says("memory", "store.Users")},
	{"a key that was not read", func(*host) error { return last(gateway.NewSigner(nil, nil)) }, says("NewSigner", "key")},
	{"no gate for forward-auth", func(*host) error { return last(gateway.NewForwardAuth(auth.Must(auth.NewProxy(nil)), nil, nil)) }, says("NewForwardAuth", "Gate")},
	{"an error for Must", func(*host) error { return built(auth.Must(auth.ParsePeers([]string{"proxy.lan"}))) }, says("PROXY_IP_ALLOWED_LIST", "addresses")},
	{"no handler behind Require", func(h *host) error { return built(h.gate.Require(nil)) }, says("Gate", "nil http.Handler")},
	{"a nil function behind Require", func(h *host) error { return built(h.gate.Require(http.HandlerFunc(nil))) }, says("Gate", "nil http.Handler")},
	{"no handler behind RequireScope", func(h *host) error { return built(h.gate.RequireScope("deploy")(nil)) }, says("Gate", "nil http.Handler")},
	{"no handler behind Identify", func(h *host) error { return built(h.gate.Identify(nil)) }, says("Gate.Identify", "nil http.Handler")},
	{"no handler behind RequireLogin", func(h *host) error { return built(h.gate.RequireLogin("/login/")(nil)) }, says("Gate.RequireLogin", "nil http.Handler")},
	{"no handler behind the session", func(h *host) error { return built(h.session.Handler(nil)) }, says("Session.Handler", "nil http.Handler")},
	{"no handler behind the proxy", func(*host) error { return built(auth.Must(auth.NewProxy(nil)).Handler(nil)) }, says("Proxy.Handler", "nil http.Handler")},
	{"no pool", func(h *host) error { return last(sqlstore.Open(h.t.Context(), nil, sqlstore.SQLite, nil)) }, says("*sql.DB", "sql.Open")},
	{"no pool to migrate", func(h *host) error { return sqlstore.Migrate(h.t.Context(), nil, sqlstore.SQLite, nil) }, says("*sql.DB", "sql.Open")},
	{"no pool to plan for", func(h *host) error { return last(sqlstore.Plan(h.t.Context(), nil, sqlstore.SQLite, nil)) }, says("*sql.DB", "sql.Open")},
}

type nilHasher struct{ plain }

// wrongParts are options of package auth that contradict each other or the parts.
var wrongParts = []refused{
	{"RequireScope of two scopes", func(h *host) error { return built(h.gate.RequireScope("read deploy")) }, says("RequireScope", "scope-token")},
	{"RequireScope of nothing", func(h *host) error { return built(h.gate.RequireScope("")) }, says("RequireScope", "scope-token")},
	{"a further scope of everything", func(h *host) error { return built(h.gate.RequireScope("deploy", "*")) }, says("RequireScope", "scope-token")},
	{"RequireScope of everything", func(h *host) error { return built(h.gate.RequireScope("*")) }, says("RequireScope", "scope-token")},
	{"tokens for no resource alone", func(h *host) error { return built(h.bearer.Only("")) }, says("Bearer.Only", "absolute URI")},
	{"RequireLogin of another host", func(h *host) error { return built(h.gate.RequireLogin("https://sso.example/")) }, says("RequireLogin", "path on this host")},
	{"RequireLogin of a name", func(h *host) error { return built(h.gate.RequireLogin("login")) }, says("RequireLogin", "path on this host")},
	{"Basic is advertised and not asked", func(h *host) error { return built(auth.NewGate(h.bearer, &auth.GateOptions{Basic: true})) }, says("GateOptions.Basic", "NewBasic")},
	{"metadata at a path", func(h *host) error {
		return built(auth.NewGate(h.bearer, &auth.GateOptions{ResourceMetadata: "/.well-known/oauth-protected-resource"}))
	}, says("GateOptions.ResourceMetadata", "absolute URL")},
	{"a realm in quotes", func(h *host) error { return built(auth.NewGate(h.bearer, &auth.GateOptions{Realm: `"api"`})) }, says("GateOptions.Realm")},
	{"a hasher that is a nil pointer", func(h *host) error {
		return last(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{Hasher: (*nilHasher)(nil)}))
	}, says("PasswordsOptions.Hasher", "leave it out")},
	{"passwords longer than any", func(h *host) error {
		return last(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{MinLength: 2048}))
	}, says("MinLength", "MaxPassword")},
	{"the list of scopes in one string", func(h *host) error {
		return last(auth.NewTokens(h.db, h.db, &auth.TokensOptions{Scopes: []string{"deploy audit"}}))
	}, says("TokensOptions.Scopes", "scope-token")},
	{"a resource without a scheme", func(h *host) error {
		return last(auth.NewTokens(h.db, h.db, &auth.TokensOptions{Resource: "api.example"}))
	}, says("TokensOptions.Resource", "absolute URI")},
	{"a trusted origin with its last slash", func(h *host) error {
		return last(auth.NewSession(h.db, h.db, &auth.SessionOptions{TrustedOrigins: []string{"https://app.example/"}}))
	}, says("SessionOptions.TrustedOrigins", "https://host")},
	{"a trusted origin of plain HTTP", func(*host) error { return last(auth.NewOrigins("http://app.example")) }, says("NewOrigins", "plain HTTP")},
	{"the name of AWX's cookie with a prefix over plain HTTP", func(h *host) error {
		return last(auth.NewSession(h.db, h.db, &auth.SessionOptions{CookieName: "__Secure-awx_sessionid", InsecureCookie: true}))
	}, says("SessionOptions.CookieName", "InsecureCookie")},
}

// wrongUnits are durations without a unit, which are nanoseconds. They would switch
// off what they should set.
var wrongUnits = []refused{
	{"an idle timeout of 30", func(h *host) error { return last(auth.NewSession(h.db, h.db, &auth.SessionOptions{IdleTimeout: 30})) }, says("SessionOptions.IdleTimeout", "below a second")},
	{"a lifetime of tokens of 3600", func(h *host) error {
		return last(auth.NewTokens(h.db, h.db, &auth.TokensOptions{PersonalLifetime: 3600}))
	}, says("TokensOptions.PersonalLifetime", "a second")},
	{"a touch interval of 60", func(h *host) error { return last(auth.NewTokens(h.db, h.db, &auth.TokensOptions{TouchInterval: 60})) }, says("TokensOptions.TouchInterval", "a millisecond")},
	{"a window of passwords of 60", func(h *host) error {
		return last(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{PerClient: store.Limit{Max: 10, Window: 60}}))
	}, says("PasswordsOptions.PerClient", "a millisecond")},
	{"a window of networks of 3600", func(h *host) error {
		return last(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{PerNetwork: store.Limit{Max: 10, Window: 3600}}))
	}, says("PasswordsOptions.PerNetwork", "a millisecond")},
	{"a refusal time of 300", func(h *host) error {
		return last(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{RefusalTime: 300}))
	}, says("PasswordsOptions.RefusalTime", "a millisecond")},
	{"a refusal time of an hour", func(h *host) error {
		return last(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{RefusalTime: time.Hour}))
	}, says("PasswordsOptions.RefusalTime", "a minute")},
	{"access tokens of 36000", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{AccessLifetime: 36000}))
	}, says("Options.AccessLifetime", "a second")},
	{"a refresh grace of 30", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{RefreshGrace: 30}))
	}, says("Options.RefreshGrace", "a millisecond")},
	{"a window of clients of 60", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{ClientFailures: store.Limit{Max: 30, Window: 60}}))
	}, says("Options.ClientFailures", "a millisecond")},
	{"a window of devices of 600", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Issuer: "https://api.example", Devices: &oauth.DeviceOptions{Guesses: store.Limit{Max: 20, Window: 600}}}))
	}, says("DeviceOptions.Guesses", "a millisecond")},
	{"a proof of 300", func(*host) error { return last(auth.NewProxy(signedBy(&auth.ProofOptions{Past: 300}))) }, says("ProofOptions.Past", "a millisecond")},
	{"keys of 24", func(*host) error {
		return last(auth.NewProxy(signedBy(&auth.ProofOptions{MaxKeyAge: 24, Refresh: fetches})))
	}, says("ProofOptions.MaxKeyAge", "2 minutes")},
	{"proofs that are used for 5", func(*host) error {
		return last(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true, Reuse: 5}))
	}, says("SignerOptions.Reuse", "a millisecond")},
	{"a timeout of a database of 10", func(h *host) error {
		return last(sqlstore.Open(h.t.Context(), new(sql.DB), sqlstore.SQLite, &sqlstore.Options{Timeout: 10}))
	}, says("Options.Timeout", "a millisecond")},
}

// wrongProxies are proxies and gateways that would believe too much or nothing.
var wrongProxies = []refused{
	{"everybody is a proxy", func(*host) error { return last(auth.NewProxy(&auth.ProxyOptions{Peers: peers("0.0.0.0/0")})) }, says("ProxyOptions.Peers", "too wide")},
	{"a proxy by name", func(*host) error { return last(auth.ParsePeers([]string{"nginx"})) }, says("host names are not looked up", "addresses behind the name")},
	{"a proxy by the address of its network", func(*host) error { return last(auth.ParsePeers([]string{"10.1.2.3/16"})) }, says("10.1.0.0/16")},
	{"a field of the address that is misspelt", func(*host) error {
		return last(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.1/32"), AddressFields: []string{"X Forwarded For"}}))
	}, says("ProxyOptions.AddressFields")},
	{"an address in the field of the host", func(*host) error {
		return last(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.1/32"), AddressFields: []string{"X-Forwarded-Host"}}))
	}, says("ProxyOptions.AddressFields", "no address")},
	{"users by address alone", func(h *host) error {
		return last(auth.NewProxyUsers(auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.1/32"), UserField: "X-Remote-User", Logger: h.logger})), h.db, nil))
	}, says("NewProxyUsers", "ProxyOptions.Proof")},
	{"users without a field", func(h *host) error { return last(auth.NewProxyUsers(auth.Must(auth.NewProxy(nil)), h.db, nil)) }, says("ProxyOptions.UserField")},
	{"the user in X-Forwarded-For", func(*host) error {
		return last(auth.NewProxy(&auth.ProxyOptions{UnixSocket: true, UserField: "X-Forwarded-For"}))
	}, says("ProxyOptions.UserField", "another field")},
	{"a proof of anybody", func(*host) error {
		return last(auth.NewProxy(&auth.ProxyOptions{Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}}}))
	}, says("ProxyOptions.Proof", "list the addresses")},
	{"a proof without keys", func(*host) error {
		return last(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.1/32"), Proof: &auth.ProofOptions{}}))
	}, says("ProofOptions", "Keys", "Refresh")},
	{"the second version without an audience", func(*host) error { return last(auth.NewProxy(signedBy(&auth.ProofOptions{RequireV2: true}))) }, says("RequireV2", "Audience")},
	{"the key of the gateway by plain HTTP", func(*host) error { return last(gateway.FetchKeys("http://gateway.lan", nil)) }, says("ANSIBLE_BASE_JWT_KEY", "https")},
	{"the path of a key as it is", func(*host) error { return last(gateway.FetchKeys("/etc/key.pem", nil)) }, says("ANSIBLE_BASE_JWT_KEY", "file:///path")},
	{"a signer for no service", func(*host) error { return last(gateway.NewSigner(gatewayKey(), nil)) }, says("SignerOptions.Audience")},
	{"forward-auth whose method anybody sets", func(h *host) error { return last(gateway.NewForwardAuth(auth.Must(auth.NewProxy(nil)), h.gate, nil)) }, says("MethodField", "ProxyOptions.Protected")},
}

// wrongAPI are configurations of applications, of the API and of databases.
var wrongAPI = []refused{
	{"an issuer with its last slash", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Issuer: "https://api.example/"}))
	}, says("Options.Issuer", "last slash")},
	{"devices without an address to show", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Devices: &oauth.DeviceOptions{}}))
	}, says("Options.Devices", "Issuer")},
	{"a scope of tokens that asks for a refresh token", func(h *host) error {
		tokens := auth.Must(auth.NewTokens(h.db, h.db, &auth.TokensOptions{Scopes: []string{"offline_access"}}))
		return last(oauth.NewServer(tokens, h.db, h.db, nil))
	}, says("TokensOptions.Scopes", "offline_access")},
	{"metadata of a resource that no token is for", func(h *host) error {
		server := auth.Must(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Issuer: "https://api.example"}))
		return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Tokens: h.tokens, OAuth: server,
			Resources: []httpapi.Resource{{URI: "https://api.example/mcp", Scopes: []string{"read"}}}}))
	}, says("Config.Resources", "oauth.Options.Resources")},
	{"a private scheme with its colon", func(h *host) error {
		return last(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{PrivateSchemes: []string{"myapp://"}}))
	}, says("Options.PrivateSchemes")},
	{"no gate for the API", func(h *host) error { return last(httpapi.New(httpapi.Config{Users: h.db})) }, says("Config.Gate")},
	{"a gate that asks for sessions only, with tokens", func(h *host) error {
		return last(httpapi.New(httpapi.Config{Gate: auth.NewGate(h.session, nil), Users: h.db, Tokens: h.tokens}))
	}, says("Config.Gate", "Config.Tokens", "NewBearer")},
	{"a gate with other tokens than the API", func(h *host) error {
		others := auth.Must(auth.NewTokens(h.db, h.db, nil))
		return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Tokens: others}))
	}, says("Config.Gate", "Config.Tokens")},
	{"a gate with another session than the API", func(h *host) error {
		another := auth.Must(auth.NewSession(h.db, h.db, nil))
		return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Session: another, Passwords: h.passwords}))
	}, says("Config.Gate", "the same *auth.Session")},
	{"a login without a session", func(h *host) error {
		return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Passwords: h.passwords}))
	}, says("Config.Passwords", "Config.Session")},
	{"a session without a login", func(h *host) error {
		return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Session: h.session}))
	}, says("Config.Passwords", "Config.LoginPage")},
	{"the login page of another host", func(h *host) error {
		return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Session: h.session, LoginPage: "https://sso.example/"}))
	}, says("Config.LoginPage", "path on this host")},
	{"a page of a misspelt name", func(h *host) error { return h.page("login.htm", "") }, says("Config.Pages", "login.html")},
	{"a page with a misspelt field", func(h *host) error {
		return h.page("login.html", `{{define "title"}}{{end}}{{define "main"}}{{if .Error}}{{.Usename}}{{end}}{{end}}`)
	}, says("login.html", "Usename")},
	{"an unknown dialect", func(h *host) error { return last(sqlstore.Open(h.t.Context(), new(sql.DB), 0, nil)) }, says("dialect", "SQLite")},
	{"a prefix with a dash", func(h *host) error {
		return last(sqlstore.Open(h.t.Context(), new(sql.DB), sqlstore.SQLite, &sqlstore.Options{Prefix: "my-app_"}))
	}, says("Options.Prefix", "underscores")},
	{"the table of the host's users that failed to open", func(h *host) error {
		return last(sqlstore.Open(h.t.Context(), new(sql.DB), sqlstore.SQLite, &sqlstore.Options{Users: noStore}))
	}, says("Options.Users", "nil pointer")},
}

// page builds the API with a page of the host.
func (h *host) page(name, text string) error {
	return last(httpapi.New(httpapi.Config{Gate: h.gate, Users: h.db, Pages: fs.FS(fstest.MapFS{name: {Data: []byte(text)}})}))
}
