package auth_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

const invalidToken = `error="invalid_token", error_description="The access token is invalid or revoked."`

// what each combination of credentials is worth.
func TestCredentialsOfARequest(t *testing.T) {
	s := newSystem(t, nil)
	write, read := s.issue(s.bob, auth.ScopeWrite), s.issue(s.bob, auth.ScopeRead)
	cookie := s.login(s.alice)
	const deadCookie = "Cookie: __Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	doubled := refused{Status: 400, Body: `{"detail":"The request carries more than one credential."}`}
	for _, tt := range []struct {
		name   string
		lines  []string
		target string
		want   any // who, or the refusal
	}{
		{"nothing", nil, "/probe/", e401("")},
		{"nothing on a public page is anonymous", nil, "/public/", "anonymous by none"},
		{"session", []string{cookie}, "/probe/", "alice by session"},
		{"session on a public page", []string{cookie}, "/public/", "alice by session"},
		{"bearer", []string{bearer(write)}, "/probe/", "bob by bearer"},
		{"basic", []string{basicLine("alice", goodPassword)}, "/probe/", "alice by basic"},
		{"bearer before session", []string{bearer(write), cookie}, "/probe/", "bob by bearer"},
		{"basic before session", []string{basicLine("bob", goodPassword), cookie}, "/probe/", "bob by basic"},
		{"bad bearer is not rescued by a good cookie", []string{"Authorization: Bearer nope", cookie}, "/probe/", e401(invalidToken)},
		{"bad basic is not rescued by a good cookie", []string{basicLine("bob", "wrong"), cookie}, "/probe/", e401("")},
		{"empty field is not rescued by a good cookie", []string{"Authorization: ", cookie}, "/probe/", e401(`error="invalid_token", error_description="The access token is malformed."`)},
		{"unknown scheme is not rescued by a good cookie", []string{"Authorization: Digest x", cookie}, "/probe/", e401("")},
		{"bad bearer on a public page", []string{"Authorization: Bearer nope"}, "/public/", e401(invalidToken)},
		{"bad basic on a public page", []string{basicLine("bob", "wrong")}, "/public/", e401("")},
		{"dead cookie on a public page is anonymous", []string{deadCookie}, "/public/", "anonymous by none"},
		{"dead cookie", []string{deadCookie}, "/probe/", e401("")},
		{"dead cookie does not disturb a token", []string{bearer(write), deadCookie}, "/probe/", "bob by bearer"},
		{"two fields, both good", []string{bearer(write), bearer(read)}, "/probe/", doubled},
		{"two fields, the same twice", []string{bearer(write), bearer(write)}, "/probe/", doubled},
		{"bearer and basic", []string{bearer(write), basicLine("alice", goodPassword)}, "/probe/", doubled},
		{"two fields on a public page", []string{bearer(write), bearer(read)}, "/public/", doubled},
		{"two in one field", []string{bearer(write) + ", " + strings.TrimPrefix(basicLine("alice", goodPassword), "Authorization: ")}, "/probe/", e401(`error="invalid_token", error_description="The access token is malformed."`)},
		{"token in the URL", nil, "/probe/?access_token=" + write.AccessToken.Reveal(), e401("")},
		{"token in the URL beside one in the header", []string{bearer(write)}, "/probe/?access_token=" + write.AccessToken.Reveal(), doubled},
		{"by another spelling", []string{bearer(write)}, "/probe/?%61ccess%5ftoken=" + write.AccessToken.Reveal(), doubled},
		{"without a value", []string{bearer(write)}, "/probe/?x=%20&access_token", doubled},
		{"malformed query elsewhere", nil, "/public/?x=%zz", "anonymous by none"},
		{"proxy authorization is not ours", []string{"Proxy-" + bearer(write)}, "/probe/", e401("")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.entered.Load()
			w := s.send("GET", tt.target, tt.lines...)
			var got any = refusalOf(w)
			if w.Code == http.StatusOK {
				got = who(t, w)
			} else if s.entered.Load() != before {
				t.Error("the handler was entered after a refusal")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

// what every refusal looks like, and that replies depend on the
// credentials.
func TestRefusalHeader(t *testing.T) {
	s := newSystem(t, nil)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"401":          s.send("GET", "/probe/"),
		"401 HEAD":     s.send("HEAD", "/probe/"),
		"403":          s.send("POST", "/probe/", bearer(s.issue(s.alice, auth.ScopeRead))),
		"400":          s.send("GET", "/probe/", "Authorization: Bearer a", "Authorization: Bearer b"),
		"401 for HTML": s.send("GET", "/probe/", "Accept: text/html"),
	} {
		h := w.Header()
		got := []string{h.Get("Content-Type"), h.Get("Cache-Control"), h.Get("X-Content-Type-Options"), strings.Join(h["Vary"], "|"), h.Get("Set-Cookie")}
		if diff := cmp.Diff([]string{"application/json", "no-store", "nosniff", "Authorization, Cookie", ""}, got); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", name, diff)
		}
	}
	w := s.send("GET", "/probe/", bearer(s.issue(s.alice, auth.ScopeRead)))
	if got := strings.Join(w.Header()["Vary"], "|"); got != "Authorization, Cookie" {
		t.Errorf("Vary of a reply is %q", got)
	}
}

// HEAD is like GET without a body.
func TestHeadIsLikeGet(t *testing.T) {
	s := newSystem(t, nil)
	for _, lines := range [][]string{nil, {"Authorization: Bearer nope"}, {bearer(s.issue(s.alice, auth.ScopeRead))}} {
		get, head := s.send("GET", "/probe/", lines...), s.send("HEAD", "/probe/", lines...)
		if get.Code != head.Code {
			t.Errorf("%q: GET is %d, HEAD is %d", lines, get.Code, head.Code)
		}
		if diff := cmp.Diff(get.Header(), head.Header()); diff != "" {
			t.Errorf("%q: header (-GET +HEAD):\n%s", lines, diff)
		}
	}
}

// with an explicit credential the session is neither read nor moved.
func TestExplicitCredentialLeavesTheSessionAlone(t *testing.T) {
	s := newSystem(t, nil)
	cookie, token := s.login(s.admin), s.issue(s.bob, auth.ScopeRead)
	for _, line := range []string{bearer(token), "Authorization: Bearer nope", basicLine("bob", "wrong"), "Authorization: x"} {
		calls := s.db.during(func() {
			if w := s.send("POST", "/probe/", line, cookie); w.Code == http.StatusOK || len(w.Header()["Set-Cookie"]) > 0 {
				t.Errorf("%.30s: status %d, Set-Cookie %q", line, w.Code, w.Header()["Set-Cookie"])
			}
		})
		if slices.Contains(calls, "SessionByDigest") || slices.Contains(calls, "TouchSession") {
			t.Errorf("%.30s: store calls %q", line, calls)
		}
	}
}

type readsFail struct{ t *testing.T }

func (b readsFail) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, errors.New("no")
}

// Case 244: a refused body is not read.
func TestRefusedBodyIsNotRead(t *testing.T) {
	s := newSystem(t, nil)
	for _, line := range []string{"X: y", "Authorization: Bearer nope", basicLine("bob", "wrong")} {
		name, value, _ := strings.Cut(line, ": ")
		r := httptest.NewRequest("POST", "/probe/", readsFail{t})
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%.30s: status %d", line, w.Code)
		}
	}
}

func says(p *auth.Principal, err error) auth.Authenticator {
	return auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) { return p, err })
}

// The answers of authenticators that a host wrote, good and bad.
func TestForeignAuthenticators(t *testing.T) {
	me := &auth.Principal{Name: "me", Scopes: auth.Unrestricted}
	none := says(nil, fmt.Errorf("nothing here: %w", auth.ErrNoCredentials))
	outage := refused{Status: 503, RetryAfter: "1", Body: body503}
	for _, tt := range []struct {
		name string
		auth auth.Authenticator
		want any
	}{
		{"nobody knows", auth.FirstOf(none), e401("")},
		{"the second knows", auth.FirstOf(none, says(me, nil)), "me by none"},
		{"chains nest", auth.FirstOf(auth.FirstOf(none), auth.FirstOf(none, says(me, nil))), "me by none"},
		{"a refusal is final", auth.FirstOf(says(nil, &auth.Error{Status: 401, Code: "invalid_token", Detail: "no"}), says(me, nil)), e401(`error="invalid_token", error_description="no"`)},
		{"an outage is final", auth.FirstOf(says(nil, errors.New("secret cause")), says(me, nil)), outage},
		{"neither a principal nor an error", auth.FirstOf(says(nil, nil), says(me, nil)), outage},
		{"a principal and an error", says(me, errors.New("down")), outage},
		{"no scopes permit nothing", says(&auth.Principal{Name: "me"}, nil), refused{403, []string{`Bearer realm="api", error="insufficient_scope", scope="read"`}, "", body403}},
		{"an Error without a status", says(nil, &auth.Error{Detail: "mine"}), outage},
		{"an Error with the status of a success", says(nil, &auth.Error{Status: 200, Detail: "mine"}), outage},
		{"an Error with the status of a redirect", says(nil, &auth.Error{Status: 302, Detail: "mine"}), outage},
		{"404", says(nil, &auth.Error{Status: 404, Detail: "Not found."}), refused{Status: 404, Body: `{"detail":"Not found."}`}},
		{"429", says(nil, &auth.Error{Status: 429, Detail: "Slow.", RetryAfter: 1500_000_000}), refused{Status: 429, RetryAfter: "2", Body: `{"detail":"Slow."}`}},
		{"text of others is quoted", says(nil, &auth.Error{Status: 401, Code: "a\"b\\c\r\nd", Detail: "\"é\x00"}), e401(`error="a?b?c??d", error_description="???"`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entered := false
			h := auth.NewGate(tt.auth, &auth.GateOptions{Logger: quiet}).Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entered = true
				p, _ := auth.FromContext(r.Context())
				fmt.Fprintf(w, `{"user":%q,"credential":"none"}`, p.Name)
			}))
			w := send(h, "GET", "/")
			var got any = refusalOf(w)
			if entered {
				got = who(t, w)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			if strings.Contains(w.Body.String(), "secret cause") {
				t.Error("the reply tells the cause of an outage")
			}
		})
	}
}

// E5: GateOptions.Deny replaces the body and sees the detail as it is. What is
// sent by default says the same for each cause.
func TestOwnRefusals(t *testing.T) {
	var seen *auth.Error
	g := auth.NewGate(says(nil, &auth.Error{Status: 401, Code: "invalid_token", Detail: "revoked by admin"}), &auth.GateOptions{
		Logger: quiet,
		Deny: func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
			seen = e
			w.WriteHeader(e.Status)
			fmt.Fprint(w, "own")
		},
	})
	w := send(g.Require(http.NotFoundHandler()), "GET", "/")
	want := refused{Status: 401, Challenge: []string{`Bearer realm="api", error="invalid_token", error_description="revoked by admin"`}, Body: "own"}
	if diff := cmp.Diff(want, refusalOf(w)); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	if seen.Detail != "revoked by admin" {
		t.Errorf("the body is written from %q", seen.Detail)
	}
}

// A refusal is one though the host writes its body at once, or nothing.
func TestOwnRefusalsWithoutAStatus(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"a body":  func(w http.ResponseWriter) { fmt.Fprint(w, "own") },
		"a flush": func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
		"nothing": func(http.ResponseWriter) {},
	} {
		g := auth.NewGate(says(nil, &auth.Error{Status: 401, Code: "invalid_token"}), &auth.GateOptions{
			Logger: quiet,
			Deny:   func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) { write(w) },
		})
		if w := send(g.Require(http.NotFoundHandler()), "GET", "/"); w.Code != 401 {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

// Check decides and writes nothing.
func TestCheck(t *testing.T) {
	s := newSystem(t, nil)
	token := s.issue(s.alice, auth.ScopeRead)
	get := httptest.NewRequest("GET", "/", nil)
	get.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
	p, err := s.gate.Check(get)
	if want := (&auth.Principal{ID: "3", Name: "alice", Scopes: "read", TokenID: token.ID, TokenDigest: token.Digest, Credential: auth.CredentialBearer, Epoch: s.alice.Epoch, HasEpoch: true, Expires: token.Expires}); err != nil || cmp.Diff(want, p) != "" {
		t.Errorf("Check returned %+v, %v", p, err)
	}
	post := get.Clone(t.Context())
	post.Method = "POST"
	if p, err := s.gate.Check(post); p != nil {
		t.Errorf("Check returned %+v beside %v", p, err)
	} else {
		refusesStatus(t, err, http.StatusForbidden, "")
	}
	if _, err := s.gate.Check(httptest.NewRequest("GET", "/", nil)); !errors.Is(err, auth.ErrNoCredentials) {
		t.Errorf("Check of nothing returned %v", err)
	}
}

// the request and the context of a handler do not print the credential.
func TestContextDoesNotPrintCredentials(t *testing.T) {
	s := newSystem(t, nil)
	token := s.issue(s.alice, auth.ScopeRead)
	cookie := s.login(s.alice)
	_, id, _ := strings.Cut(cookie, "=")
	h := s.session.Handler(s.gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		for _, verb := range []string{"%v", "%+v", "%s", "%#v", "%q"} {
			for _, v := range []any{r.Context(), p, *p} {
				fmt.Fprintf(w, verb, v)
			}
		}
		slog.New(slog.NewTextHandler(w, nil)).Info("x", "ctx", r.Context(), "p", p)
	})))
	for _, line := range []string{bearer(token), cookie, basicLine("alice", goodPassword)} {
		w := send(h, "GET", "/", line)
		_, value, _ := strings.Cut(line, " ")
		for _, secret := range []string{token.AccessToken.Reveal(), id, value} {
			if w.Code != http.StatusOK || strings.Contains(w.Body.String(), secret) {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
		}
	}
}

// The request that came in is not changed.
func TestRequestIsNotChanged(t *testing.T) {
	s := newSystem(t, nil)
	r := httptest.NewRequest("GET", "/probe/?x=1", nil)
	r.Header.Set("Authorization", "Bearer "+s.issue(s.alice, auth.ScopeRead).AccessToken.Reveal())
	before := r.Clone(r.Context())
	ctx := r.Context()
	s.gate.Require(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
		if inner == r || inner.URL != r.URL || inner.Body != r.Body {
			t.Error("the handler needs a request of its own, with the URL and the body of the first")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if _, ok := auth.FromContext(r.Context()); ok || r.Context() != ctx || cmp.Diff(before.Header, r.Header) != "" || r.RemoteAddr != before.RemoteAddr {
		t.Error("the gate changed the request")
	}
}

// no request ever acts as the user of another.
func TestNoUserIsMixedUp(t *testing.T) {
	s := newSystem(t, nil)
	const users, rounds = 64, 60
	type client struct{ name, bearer, cookie, basic string }
	clients := make([]client, users)
	for i := range clients {
		u := s.addUser(store.User{Name: fmt.Sprintf("user%d", i), Active: true})
		clients[i] = client{u.Name, bearer(s.issue(u, auth.ScopeWrite)), s.login(u), basicLine(u.Name, goodPassword)}
	}
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for i := range rounds {
				line, want := c.bearer, c.name+" by bearer"
				switch i % 3 {
				case 1:
					line, want = c.cookie, c.name+" by session"
				case 2:
					line, want = c.basic, c.name+" by basic"
				}
				if got := s.me(line); got != want {
					t.Errorf("got %s, want %s", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Every part is an Authenticator of its own, for those who put them together
// differently.
func TestPartsAlone(t *testing.T) {
	s := newSystem(t, nil)
	token, cookie := s.issue(s.alice, "read"), s.login(s.alice)
	parts := map[auth.Credential]auth.Authenticator{
		auth.CredentialBearer:  auth.NewBearer(s.tokens),
		auth.CredentialSession: s.session,
		auth.CredentialBasic:   auth.NewBasic(s.passwords, nil),
	}
	lines := map[auth.Credential]string{
		auth.CredentialBearer: bearer(token), auth.CredentialSession: cookie, auth.CredentialBasic: basicLine("alice", goodPassword),
	}
	parts[auth.CredentialNone] = auth.FirstOf(parts[auth.CredentialBearer], s.session, parts[auth.CredentialBasic])
	for kind, part := range parts {
		for sent, line := range lines {
			r := httptest.NewRequest("GET", "/", nil)
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
			p, err := part.Authenticate(r)
			if kind == sent || kind == auth.CredentialNone {
				if err != nil || p.Name != "alice" || p.Credential != sent {
					t.Errorf("%v asked about %v: %+v, %v", kind, sent, p, err)
				}
			} else if p != nil || !errors.Is(err, auth.ErrNoCredentials) {
				t.Errorf("%v asked about %v: %+v, %v", kind, sent, p, err)
			}
		}
	}
}

// The caching fields of other middleware stay, and so do ours.
func TestVaryIsAdded(t *testing.T) {
	s := newSystem(t, nil)
	inner := s.gate.Identify(s.gate.Identify(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("Vary", "Accept") })))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		inner.ServeHTTP(w, r)
	})
	for range 2 { // shared values do not change
		got := strings.Join(send(h, "GET", "/").Header()["Vary"], ", ")
		for _, field := range []string{"Origin", "Authorization, Cookie", "Accept"} {
			if !strings.Contains(got, field) {
				t.Errorf("Vary is %s, without %s", got, field)
			}
		}
		if n := strings.Count(got, "Cookie"); n != 1 {
			t.Errorf("Vary is %s: %d times the same", got, n)
		}
		if got := strings.Join(send(inner, "GET", "/").Header()["Vary"], "|"); got != "Authorization, Cookie|Accept" {
			t.Errorf("Vary is %s", got)
		}
	}
}

// DenyWith is for pages: the header stays, the body is the caller's.
func TestDenyWith(t *testing.T) {
	g := auth.NewGate(says(nil, auth.ErrNoCredentials), &auth.GateOptions{Logger: quiet})
	w := httptest.NewRecorder()
	g.DenyWith(w, httptest.NewRequest("GET", "/", nil), auth.ErrNoCredentials, func(w http.ResponseWriter, _ *http.Request, e *auth.Error) {
		w.WriteHeader(e.Status)
		fmt.Fprint(w, "page")
	})
	if diff := cmp.Diff(refused{Status: 401, Challenge: []string{`Bearer realm="api"`}, Body: "page"}, refusalOf(w)); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// ClientAddr believes the connection and the context, and no header.
func TestClientAddr(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1",
		"": "invalid IP", "@": "invalid IP", "192.0.2.1": "invalid IP", "example.com:80": "invalid IP",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "10.0.0.1")
		if got := auth.ClientAddr(r).String(); got != want {
			t.Errorf("%q: %s, want %s", peer, got, want)
		}
		r = r.WithContext(at(t, "198.51.100.1"))
		if got := auth.ClientAddr(r).String(); got != "198.51.100.1" {
			t.Errorf("%q with a proved address: %s", peer, got)
		}
	}
}

// RFC 9110 section 15.5.6: a 405 lists the allowed methods.
func TestMethodsForProxies(t *testing.T) {
	s := newSystem(t, nil)
	for _, method := range []string{"CONNECT", "TRACE"} {
		w := s.send(method, "/probe/", bearer(s.issue(s.alice, auth.ScopeWrite)))
		if allow := w.Header().Get("Allow"); w.Code != http.StatusMethodNotAllowed || allow == "" || strings.Contains(allow, method) {
			t.Errorf("%s: %d, Allow %q", method, w.Code, allow)
		}
	}
	if w := s.send("GET", "/probe/"); w.Header()["Allow"] != nil {
		t.Error("another refusal has Allow, too")
	}
}
