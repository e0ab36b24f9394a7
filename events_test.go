package auth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// cases 72, 73, 106, 272, 275: the record of each outcome.
func TestEventMatrix(t *testing.T) {
	request := func(method, path string) map[string]any {
		return map[string]any{"method": method, "path": path, "client": "192.0.2.1"}
	}
	allowed := func(level, user, id, credential string, token int) map[string]any {
		m := request("GET", "/probe/")
		m["level"], m["msg"], m["outcome"], m["user"], m["user_id"] = level, "auth: request", "success", user, id
		m["credential"], m["token_id"], m["application_id"] = credential, float64(token), float64(0)
		return m
	}
	refusal := func(level string, status int, code, reason string) map[string]any {
		m := request("GET", "/probe/")
		m["level"], m["msg"], m["outcome"], m["status"], m["code"], m["reason"] = level, "auth: request refused", "failure", float64(status), code, reason
		return m
	}
	password := func(level, user, reason string) map[string]any {
		return map[string]any{"level": level, "msg": "auth: password refused", "user": user, "reason": reason, "client": "192.0.2.1"}
	}
	session := func(msg, user, id string) map[string]any {
		return map[string]any{"level": "INFO", "msg": msg, "user": user, "user_id": id, "client": "192.0.2.1"}
	}
	const noCredentials = "Authentication credentials were not provided."
	const badLogin = "Incorrect user name or password."
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, s *system) func() // sets up, and returns the recorded step
		want []map[string]any
	}{
		{"nothing", func(_ *testing.T, s *system) func() { return func() { s.me() } },
			[]map[string]any{refusal("INFO", 401, "", noCredentials)}},
		{"bearer", func(_ *testing.T, s *system) func() {
			line := bearer(s.issue(s.alice, "read"))
			return func() { s.me(line) }
		}, []map[string]any{allowed("DEBUG", "alice", "3", "bearer", 1)}},
		{"session", func(_ *testing.T, s *system) func() {
			line := s.login(s.alice)
			return func() { s.me(line) }
		}, []map[string]any{allowed("DEBUG", "alice", "3", "session", 0)}},
		{"basic", func(_ *testing.T, s *system) func() {
			return func() { s.me(basicLine("alice", goodPassword)) }
		}, []map[string]any{allowed("INFO", "alice", "3", "basic", 0)}},
		{"wrong password", func(_ *testing.T, s *system) func() {
			return func() { s.me(basicLine("alice", "wrong")) }
		}, []map[string]any{password("WARN", "alice", "wrong user name or password"), refusal("WARN", 401, "", badLogin)}},
		{"unknown user", func(_ *testing.T, s *system) func() {
			return func() { s.me(basicLine("nobody", "wrong")) }
		}, []map[string]any{password("WARN", "nobody", "wrong user name or password"), refusal("WARN", 401, "", badLogin)}},
		{"disabled user", func(_ *testing.T, s *system) func() {
			return func() { s.me(basicLine("dora", goodPassword)) }
		}, []map[string]any{password("WARN", "dora", "user is disabled"), refusal("WARN", 401, "", badLogin)}},
		{"malformed name", func(_ *testing.T, s *system) func() {
			return func() { s.me(basicLine("alice ", goodPassword)) }
		}, []map[string]any{password("WARN", "alice ", "malformed"), refusal("WARN", 401, "", badLogin)}},
		{"throttled", func(_ *testing.T, s *system) func() {
			for range 10 {
				s.me(basicLine("alice", "wrong"))
			}
			return func() { s.me(basicLine("alice", "wrong")) }
		}, []map[string]any{password("WARN", "alice", "throttled"), refusal("WARN", 429, "", "Too many attempts. Try again later.")}},
		{"unreadable hash", func(t *testing.T, s *system) func() {
			if err := s.db.Store.SetPasswordHash(t.Context(), s.alice.ID, "!"); err != nil {
				t.Fatal(err)
			}
			return func() { s.me(basicLine("alice", "wrong")) }
		}, []map[string]any{password("ERROR", "alice", "unreadable hash: input does not match format"), refusal("WARN", 401, "", badLogin)}},
		{"bad token", func(_ *testing.T, s *system) func() {
			return func() { s.me("Authorization: Bearer nope") }
		}, []map[string]any{refusal("WARN", 401, "invalid_token", "The access token is invalid or revoked.")}},
		{"expired token", func(_ *testing.T, s *system) func() {
			issued := s.issue(s.alice, "read")
			time.Sleep(time.Until(issued.Expires))
			return func() { s.me(bearer(issued)) }
		}, []map[string]any{refusal("WARN", 401, "invalid_token", "The access token has expired.")}},
		{"two credentials", func(_ *testing.T, s *system) func() {
			return func() { s.me("Authorization: a", "Authorization: b") }
		}, []map[string]any{refusal("WARN", 400, "invalid_request", "The request carries more than one credential.")}},
		{"a token in the URL, R-006", func(_ *testing.T, s *system) func() {
			return func() { s.send("GET", "/probe/?access_token=secret") }
		}, []map[string]any{with(refusal("INFO", 401, "", noCredentials), "token_in_url", true)}},
		{"insufficient scope names the user", func(_ *testing.T, s *system) func() {
			line := bearer(s.issue(s.alice, "jobs"))
			return func() { s.me(line) }
		}, []map[string]any{with(refusal("WARN", 403, "insufficient_scope", "You do not have permission to perform this action."),
			"user", "alice", "user_id", "3", "credential", "bearer", "token_id", float64(1), "application_id", float64(0))}},
		{"cross-origin", func(_ *testing.T, s *system) func() {
			line := s.login(s.alice)
			return func() { s.send("POST", "/probe/", line, "Sec-Fetch-Site: cross-site") }
		}, []map[string]any{with(refusal("WARN", 403, "", "CSRF Failed: the request does not come from a page of this origin."), "method", "POST",
			"error", "if the page may do that, put its origin into TrustedOrigins; if a proxy changes scheme or host, see Proxy.Handler and ProxyOptions.ForwardedHost; the origin null is that of a page with Referrer-Policy no-referrer, too")}},
		{"dead session", func(_ *testing.T, s *system) func() {
			return func() { s.me("Cookie: __Host-session=x") }
		}, []map[string]any{refusal("WARN", 401, "", "The session has ended.")}},
		{"outage", func(_ *testing.T, s *system) func() {
			line := bearer(s.issue(s.alice, "read"))
			s.db.on(func(string) error { return errDown })
			return func() { s.me(line) }
		}, []map[string]any{with(refusal("ERROR", 503, "", "The service is temporarily unavailable."), "error", "auth: look up an access token: dial tcp 10.1.2.3: secret cause")}},
		{"login", func(_ *testing.T, s *system) func() { return func() { s.login(s.alice) } },
			[]map[string]any{session("auth: user logged in", "alice", "3")}},
		{"logout", func(_ *testing.T, s *system) func() {
			line := s.login(s.alice)
			return func() { s.send("POST", "/logout", line) }
		}, []map[string]any{session("auth: user logged out", "alice", "3")}},
		{"logout without a session", func(_ *testing.T, s *system) func() { return func() { s.send("POST", "/logout") } }, nil},
		{"new password", func(t *testing.T, s *system) func() {
			return func() { _ = s.passwords.Set(at(t, "192.0.2.1"), "3", "another horse battery") }
		}, []map[string]any{{"level": "INFO", "msg": "auth: password changed", "user_id": "3", "client": "192.0.2.1"}}},
		{"token issued", func(t *testing.T, s *system) func() {
			return func() {
				_, _ = s.tokens.Issue(at(t, "192.0.2.1"), by(s.alice), auth.TokenRequest{Expires: time.Now().Add(time.Hour), Description: "not logged"})
			}
		}, []map[string]any{tokenEvent("auth: token issued", "alice", "3")}},
		{"token changed by a superuser", func(t *testing.T, s *system) func() {
			issued := s.shortToken(t)
			return func() {
				_, _ = s.tokens.Change(at(t, "192.0.2.1"), by(s.admin), issued.ID, auth.TokenChange{Description: new("x")})
			}
		}, []map[string]any{also(tokenEvent("auth: token changed", "admin", "1"),
			"before", map[string]any{"expires": "2000-01-01T01:00:00Z", "scope": "write"})}},
		{"token rotated", func(t *testing.T, s *system) func() {
			issued := s.shortToken(t)
			return func() { _, _ = s.tokens.Rotate(at(t, "192.0.2.1"), by(s.alice), issued.ID) }
		}, []map[string]any{tokenEvent("auth: token rotated", "alice", "3")}},
		{"token revoked", func(t *testing.T, s *system) func() {
			issued := s.shortToken(t)
			return func() { _ = s.tokens.End(at(t, "192.0.2.1"), by(s.alice), issued.ID) }
		}, []map[string]any{tokenEvent("auth: token revoked", "alice", "3")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				if diff := cmp.Diff(tt.want, s.events(tt.do(t, s))); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func with(m map[string]any, pairs ...any) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func (s *system) shortToken(t *testing.T) auth.IssuedToken {
	issued, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func tokenEvent(msg, actor, id string) map[string]any {
	return map[string]any{
		"level": "INFO", "msg": msg, "actor": actor, "actor_id": id, "actor_token_id": float64(0),
		"token_id": float64(1), "user_id": "3", "application_id": float64(0), "parent_id": float64(0),
		"scope": "write", "expires": "2000-01-01T01:00:00Z", "client": "192.0.2.1",
	}
}

var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// R-218, case 273: a text of a client makes one record of bounded length, in
// text and in JSON, and is no format.
func TestEventsCannotBeForged(t *testing.T) {
	for _, name := range []string{
		"x\nadmin logged in", "x\r\nlevel=INFO msg=\"auth: user logged in\" user=admin", "\x1b[2J\x1b[1;31m", "\u202enimda", "%s%n%v%!d(string=hi)",
		`"},{"msg":"auth: user logged in","user":"admin"}`, "\xff\xfe\x00", strings.Repeat("é", 100_000), "\u2028\u0085", "a=b c=d",
	} {
		var text bytes.Buffer
		s := newSystem(t, func(o *settings) {
			logger := slog.New(slog.NewTextHandler(&text, nil))
			o.passwords.Logger, o.gate.Logger = logger, logger
		})
		inJSON := newSystem(t, nil)
		for _, s := range []*system{s, inJSON} {
			_, _ = s.passwords.Verify(at(t, "192.0.2.1"), name, goodPassword)
		}
		if got := inJSON.log.String(); strings.Count(got, "\n") != 1 || len(got) > 2000 {
			t.Errorf("%.40q: JSON %.500s", name, got)
		}
		got := text.String()
		if strings.Count(got, "\n") != 1 || len(got) > 2000 || strings.ContainsAny(got[:len(got)-1], "\x00\x1b\r\u0085\u2028\u202e") {
			t.Errorf("%.40q: text %.500s", name, got)
		}
		if outside := quoted.ReplaceAllString(got, ""); strings.Contains(outside, "user=admin") || !strings.Contains(outside, "level=WARN") {
			t.Errorf("%.40q: text %.500s", name, got)
		}
	}
	// Paths and methods are the client's, too.
	s := newSystem(t, nil)
	events := s.events(func() { s.send("X", "/probe/%0aadmin%20logged%20in"+strings.Repeat("x", 5000)) })
	if len(events) != 1 || len(fmt.Sprint(events[0]["path"])) > 300 {
		t.Errorf("events %v", events)
	}
}

// R-217, case 274: whatever happens, no level of any log has a secret.
func TestNoSecretIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.session.PerUser = 1 })
		secrets := map[string]string{"password": goodPassword, "wrong password": "wr0ng-passw0rd-canary", "query": "query-canary", "value": "value-canary"}
		line := func(name, l string) string {
			_, v, _ := strings.Cut(l, ": ")
			_, v, _ = strings.Cut(strings.ReplaceAll(v, "=", " "), " ")
			secrets[name] = v
			return l
		}
		ctx := t.Context()
		issued := s.issue(s.alice, "write")
		token := line("token", bearer(issued))
		wrong := line("basic", basicLine("alice", secrets["wrong password"]))
		good := line("good basic", basicLine("alice", goodPassword))
		cookie := line("cookie", s.login(s.alice))
		evicting := line("second cookie", s.login(s.alice))
		s.do = func(_ http.ResponseWriter, r *http.Request) {
			s.session.Manager().Put(r.Context(), "k", secrets["value"])
		}
		use := func() {
			for _, l := range []string{token, wrong, good, cookie, evicting, token + "x", cookie + "x", "Authorization: " + secrets["wrong password"]} {
				for _, target := range []string{"/probe/", "/public/", "/probe/?access_token=" + secrets["query"], "/do", "/logout", "/login?u=alice"} {
					for _, method := range []string{"GET", "POST"} {
						w := s.send(method, target, l, "Origin: https://evil.example")
						if c := s.cookie(w); c != "" && !strings.HasSuffix(c, "=") {
							line(c, c)
						}
					}
				}
				s.send("GET", "/probe/", l, token)
			}
		}
		use()
		s.db.on(func(string) error { return errDown })
		use()
		s.db.on(nil)
		time.Sleep(time.Hour)
		use()
		_, _ = s.tokens.Change(ctx, by(s.alice), issued.ID, auth.TokenChange{Description: new("x")})
		next, err := s.tokens.Rotate(ctx, by(s.alice), issued.ID)
		if err != nil {
			t.Fatal(err)
		}
		secrets["next token"] = next.AccessToken.Reveal()
		_, _ = s.passwords.Verify(ctx, "alice", secrets["wrong password"])
		_ = s.passwords.Set(ctx, "3", secrets["wrong password"])
		_ = s.tokens.End(ctx, by(s.alice), issued.ID)
		hash, _ := s.db.Store.PasswordHash(ctx, "3")
		secrets["hash"] = hash

		log := s.log.String()
		for name, secret := range secrets {
			d := store.DigestOf(secret)
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), base64.StdEncoding.EncodeToString([]byte(secret)), fmt.Sprintf("%x", d)} {
				if len(form) < 8 {
					t.Fatalf("%s: %q is no canary", name, secret)
				}
				if i := strings.Index(log, form); i >= 0 {
					t.Errorf("%s is logged: %s", name, log[max(0, i-300):min(len(log), i+100)])
				}
			}
		}
		if n := strings.Count(log, "\n"); n < 100 {
			t.Errorf("only %d records: the test has lost its subject", n)
		}
	})
}

// A logger that is nil is the default one, and the level is asked before an event
// is put together.
func TestDisabledLogger(t *testing.T) {
	s := newSystem(t, func(o *settings) {
		o.gate.Logger = slog.New(onlyErrors{t})
	})
	s.me(bearer(s.issue(s.alice, "read")))
	s.me("Authorization: Bearer nope")
}

type onlyErrors struct{ t *testing.T }

func (onlyErrors) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (h onlyErrors) Handle(_ context.Context, r slog.Record) error {
	h.t.Errorf("handled %s at %v", r.Message, r.Level)
	return nil
}
func (h onlyErrors) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h onlyErrors) WithGroup(string) slog.Handler      { return h }

// also returns an event with another attribute.
func also(event map[string]any, key string, value any) map[string]any {
	event[key] = value
	return event
}
