package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// cases 53, 64, 282: weak or contradictory settings do not
// construct, and the error names the field.
func TestSettings(t *testing.T) {
	db := memory.New()
	passwords := func(o auth.PasswordsOptions) error { _, err := auth.NewPasswords(db, db, &o); return err }
	tokens := func(o auth.TokensOptions) error { _, err := auth.NewTokens(db, db, &o); return err }
	session := func(o auth.SessionOptions) error { _, err := auth.NewSession(db, db, &o); return err }
	const year = 365 * 24 * time.Hour
	minute := store.Limit{Max: 1, Window: time.Minute}
	for _, tt := range []struct {
		name  string
		err   error
		field string // "" constructs
	}{
		{"passwords, defaults", passwords(auth.PasswordsOptions{}), ""},
		{"refusals in no time", passwords(auth.PasswordsOptions{RefusalTime: time.Nanosecond}), "RefusalTime"},
		{"refusals that take very long", passwords(auth.PasswordsOptions{RefusalTime: time.Hour}), "RefusalTime"},
		{"weak hasher", passwords(auth.PasswordsOptions{Hasher: auth.Argon2id{Memory: 64}}), "Hasher"},
		{"weak hasher by pointer", passwords(auth.PasswordsOptions{Hasher: &auth.Argon2id{Memory: 64}}), "Hasher"},
		{"hasher that embeds another has its own Hash", passwords(auth.PasswordsOptions{Hasher: ownHasher{auth.Argon2id{Memory: 64}}}), ""},
		{"hasher that embeds a nil one", passwords(auth.PasswordsOptions{Hasher: ownPointerHasher{}}), ""},
		{"hasher that embeds the interface", passwords(auth.PasswordsOptions{Hasher: wrappedHasher{auth.Argon2id{Time: 1}}}), ""},
		{"nil pointer to a hasher", passwords(auth.PasswordsOptions{Hasher: (*auth.Argon2id)(nil)}), "Hasher"},
		{"one pass with little memory", passwords(auth.PasswordsOptions{Hasher: auth.Argon2id{Time: 1}}), "Hasher"},
		{"one pass with enough memory", passwords(auth.PasswordsOptions{Hasher: auth.Argon2id{Time: 1, Memory: 47_104}}), ""},
		{"hasher that Verify would refuse", passwords(auth.PasswordsOptions{Hasher: auth.Argon2id{Memory: 1 << 20}}), "Hasher"},
		{"short passwords", passwords(auth.PasswordsOptions{MinLength: 7}), "MinLength"},
		{"shortest passwords", passwords(auth.PasswordsOptions{MinLength: 8}), ""},
		{"negative length", passwords(auth.PasswordsOptions{MinLength: -1}), "MinLength"},
		{"no attempts", passwords(auth.PasswordsOptions{PerClient: store.Limit{Window: time.Minute}}), "PerClient"},
		{"no window", passwords(auth.PasswordsOptions{PerClient: store.Limit{Max: 5}}), "PerClient"},
		{"negative attempts", passwords(auth.PasswordsOptions{PerAccount: store.Limit{Max: -1, Window: time.Hour}}), "PerAccount"},
		{"negative window", passwords(auth.PasswordsOptions{PerAccount: store.Limit{Max: 1, Window: -time.Hour}}), "PerAccount"},
		{"limits", passwords(auth.PasswordsOptions{PerClient: minute, PerAccount: minute}), ""},
		{"negative hashes", passwords(auth.PasswordsOptions{MaxHashes: -1}), "MaxHashes"},

		{"tokens, defaults", tokens(auth.TokensOptions{}), ""},
		{"long prefix", tokens(auth.TokensOptions{Prefix: "abcde"}), "Prefix"},
		{"longest prefix", tokens(auth.TokensOptions{Prefix: "abcd"}), ""},
		{"prefix with a sign", tokens(auth.TokensOptions{Prefix: "a_b"}), "Prefix"},
		{"prefix that starts with a digit", tokens(auth.TokensOptions{Prefix: "1ab"}), "Prefix"},
		{"prefix beyond ASCII", tokens(auth.TokensOptions{Prefix: "é"}), "Prefix"},
		{"negative lifetime", tokens(auth.TokensOptions{PersonalLifetime: -time.Hour}), "PersonalLifetime"},
		{"lifetime of milliseconds", tokens(auth.TokensOptions{PersonalLifetime: time.Millisecond}), "PersonalLifetime"},
		{"lifetime above the most", tokens(auth.TokensOptions{PersonalLifetime: 2 * time.Hour, MaxPersonalLifetime: time.Hour}), "PersonalLifetime"},
		{"long lifetime alone", tokens(auth.TokensOptions{PersonalLifetime: 3 * year}), ""},
		{"endless lifetime", tokens(auth.TokensOptions{PersonalLifetime: 200 * year}), "Lifetime"},
		{"what overflowed", tokens(auth.TokensOptions{MaxPersonalLifetime: 1<<63 - 1}), "Lifetime"},
		{"negative interval", tokens(auth.TokensOptions{TouchInterval: -time.Second}), "TouchInterval"},
		{"unknown minting", tokens(auth.TokensOptions{Minting: 9}), "Minting"},
		{"scope with a blank", tokens(auth.TokensOptions{Scopes: []string{"a b"}}), "Scopes"},
		{"scope of everything", tokens(auth.TokensOptions{Scopes: []string{"*"}}), "Scopes"},
		{"empty scope", tokens(auth.TokensOptions{Scopes: []string{""}}), "Scopes"},
		{"scope in quotes", tokens(auth.TokensOptions{Scopes: []string{`"a"`}}), "Scopes"},
		{"scope with a backslash", tokens(auth.TokensOptions{Scopes: []string{`a\b`}}), "Scopes"},
		{"scope beyond ASCII", tokens(auth.TokensOptions{Scopes: []string{"é"}}), "Scopes"},
		{"a scope", tokens(auth.TokensOptions{Scopes: []string{"jobs:run"}}), ""},

		{"session, defaults", session(auth.SessionOptions{}), ""},
		{"idle longer than absolute", session(auth.SessionOptions{IdleTimeout: 48 * time.Hour, Lifetime: 24 * time.Hour}), "Lifetime"},
		{"idle longer than the default", session(auth.SessionOptions{IdleTimeout: 48 * time.Hour}), ""},
		{"endless idle timeout", session(auth.SessionOptions{IdleTimeout: 1<<63 - 1}), "IdleTimeout"},
		{"endless lifetime of sessions", session(auth.SessionOptions{Lifetime: 200 * year}), "Lifetime"},
		{"negative idle timeout", session(auth.SessionOptions{IdleTimeout: -1}), "IdleTimeout"},
		{"idle timeout of milliseconds", session(auth.SessionOptions{IdleTimeout: time.Millisecond}), "IdleTimeout"},
		{"negative lifetime of sessions", session(auth.SessionOptions{Lifetime: -time.Hour}), "Lifetime"},
		{"lifetime below the default idle timeout", session(auth.SessionOptions{Lifetime: time.Minute}), "Lifetime"},
		{"no limit of sessions", session(auth.SessionOptions{PerUser: -1}), ""},
		{"cookie with a blank", session(auth.SessionOptions{CookieName: "a b"}), "CookieName"},
		{"cookie with a semicolon", session(auth.SessionOptions{CookieName: "a;b"}), "CookieName"},
		{"cookie with an equals sign", session(auth.SessionOptions{CookieName: "a=b"}), "CookieName"},
		{"insecure __Host-", session(auth.SessionOptions{CookieName: "__Host-s", InsecureCookie: true}), "CookieName"},
		{"insecure __host-, other case", session(auth.SessionOptions{CookieName: "__host-s", InsecureCookie: true}), "CookieName"},
		{"insecure __Secure-", session(auth.SessionOptions{CookieName: "__Secure-s", InsecureCookie: true}), "CookieName"},
		{"insecure, and says so", session(auth.SessionOptions{CookieName: "s", InsecureCookie: true}), ""},
		{"SameSite=None without Secure", session(auth.SessionOptions{SameSite: http.SameSiteNoneMode, InsecureCookie: true}), "SameSite"},
		{"no SameSite attribute", session(auth.SessionOptions{SameSite: http.SameSiteDefaultMode}), "SameSite"},
		{"unknown SameSite", session(auth.SessionOptions{SameSite: 9}), "SameSite"},
		{"negative SameSite", session(auth.SessionOptions{SameSite: -1}), "SameSite"},
		{"SameSite=None", session(auth.SessionOptions{SameSite: http.SameSiteNoneMode}), ""},
		{"SameSite=Strict without Secure", session(auth.SessionOptions{SameSite: http.SameSiteStrictMode, InsecureCookie: true}), ""},
		{"origin of plain HTTP", session(auth.SessionOptions{TrustedOrigins: []string{"http://a.example"}}), "TrustedOrigins"},
		{"origin without a scheme", session(auth.SessionOptions{TrustedOrigins: []string{"a.example"}}), "TrustedOrigins"},
		{"origin with a path", session(auth.SessionOptions{TrustedOrigins: []string{"https://a.example/"}}), "TrustedOrigins"},
		{"origin with a wildcard", session(auth.SessionOptions{TrustedOrigins: []string{"https://*.example"}}), "TrustedOrigins"},
		{"origin of everybody", session(auth.SessionOptions{TrustedOrigins: []string{"*"}}), "TrustedOrigins"},
		{"null origin", session(auth.SessionOptions{TrustedOrigins: []string{"null"}}), "TrustedOrigins"},
		{"origin with a user", session(auth.SessionOptions{TrustedOrigins: []string{"https://u@a.example"}}), "TrustedOrigins"},
		{"origin in upper case", session(auth.SessionOptions{TrustedOrigins: []string{"https://A.example"}}), "TrustedOrigins"},
		{"origin of another kind", session(auth.SessionOptions{TrustedOrigins: []string{"ftp://a.example"}}), "TrustedOrigins"},
		{"origins", session(auth.SessionOptions{TrustedOrigins: []string{"https://a.example", "https://a.example:8443", "http://[::1]:8080"}}), ""},
		{"a manager of the host", session(auth.SessionOptions{Manager: plainSCS(nil)}), ""},
		{"an empty manager of the host", session(auth.SessionOptions{Manager: &scs.SessionManager{}}), ""},
	} {
		switch {
		case tt.field == "" && tt.err != nil:
			t.Errorf("%s: %v", tt.name, tt.err)
		case tt.field != "" && (tt.err == nil || !strings.Contains(tt.err.Error(), tt.field)):
			t.Errorf("%s: %v, want an error that names %s", tt.name, tt.err, tt.field)
		}
	}
}

// options are copied at construction.
func TestSettingsAreCopied(t *testing.T) {
	scopes, origins := []string{"jobs"}, []string{"https://trusted.example"}
	manager := plainSCS(nil)
	s := newSystem(t, func(o *settings) {
		o.tokens.Scopes, o.session.TrustedOrigins, o.session.Manager = scopes, origins, manager
	})
	scopes[0], origins[0] = "other", "https://evil.example"
	if _, err := s.tokens.ParseScopes("jobs"); err != nil {
		t.Error(err)
	}
	if _, err := s.tokens.ParseScopes("other"); err == nil {
		t.Error("a scope came with a change of the options")
	}
	cookie := s.login(s.alice)
	if got := s.send("POST", "/probe/", cookie, "Origin: https://evil.example").Code; got != 403 {
		t.Errorf("status %d", got)
	}
	if manager.Lifetime != 12*time.Hour || manager.Cookie.Name != "session" {
		t.Error("the host's manager was changed")
	}
}

// Case 289: what nothing was said about is safe.
func TestZeroOptionsAreSafe(t *testing.T) {
	s := newSystem(t, func(o *settings) {
		*o = settings{passwords: auth.PasswordsOptions{Hasher: o.passwords.Hasher}}
	})
	w := s.send("POST", "/login?u=alice")
	if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-session=") || !strings.Contains(got, "; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("Set-Cookie %q", got)
	}
	if got := s.send("GET", "/probe/?access_token="+s.issue(s.alice, "write").AccessToken.Reveal(), "X-Remote-User: admin", "X-Forwarded-User: admin").Code; got != 401 {
		t.Errorf("status %d", got)
	}
}

// A host may embed [auth.Argon2id] for some of its methods. The parameters of the
// embedded one must not be checked: the Hash of the host has its own (decision 24).
type (
	ownHasher        struct{ auth.Argon2id }
	ownPointerHasher struct{ *auth.Argon2id }
	wrappedHasher    struct{ auth.PasswordHasher }
)

func (ownHasher) Hash(p string) (string, error) { return auth.Argon2id{}.Hash(p) }

func (ownPointerHasher) Hash(p string) (string, error) { return auth.Argon2id{}.Hash(p) }

func (ownPointerHasher) Verify(hash, p string) (ok, outdated bool, err error) {
	return auth.Argon2id{}.Verify(hash, p)
}
