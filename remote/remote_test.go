package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/remote"
	"github.com/ostiary/auth/store"
)

func TestOptionsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		issuer string
		change func(*remote.Options)
	}{
		"no issuer":              {"", nil},
		"plain http":             {"http://auth.example", nil},
		"http to another host":   {"http://localhost.example", nil},
		"last slash":             {"https://auth.example/", nil},
		"password in the issuer": {"https://a:" + secret + "@auth.example", nil},
		"query":                  {"https://auth.example?x", nil},
		"another scheme":         {"ftp://auth.example", nil},
		"plain http endpoint":    {issuer, func(o *remote.Options) { o.Endpoint = "http://10.0.0.1/" }},
		"password in endpoint":   {issuer, func(o *remote.Options) { o.Endpoint = "https://a:" + secret + "@auth.example/" }},
		"no client":              {issuer, func(o *remote.Options) { o.ClientID = "" }},
		"no secret":              {issuer, func(o *remote.Options) { o.Secret = "" }},
		"no resource":            {issuer, func(o *remote.Options) { o.Resource = "" }},
		"relative resource":      {issuer, func(o *remote.Options) { o.Resource = "/jobs/" }},
		"negative age":           {issuer, func(o *remote.Options) { o.MaxAge = -1 }},
		"age without a unit":     {issuer, func(o *remote.Options) { o.MaxAge = 10 }},
		"old answers":            {issuer, func(o *remote.Options) { o.MaxAge = time.Hour }},
		"negative timeout":       {issuer, func(o *remote.Options) { o.Timeout = -1 }},
		"timeout above the age":  {issuer, func(o *remote.Options) { o.MaxAge, o.Timeout = time.Second, 2*time.Second }},
		"negative calls":         {issuer, func(o *remote.Options) { o.MaxCalls = -1 }},
		"negative entries":       {issuer, func(o *remote.Options) { o.MaxEntries = -1 }},
		"too many entries":       {issuer, func(o *remote.Options) { o.MaxEntries = 1 << 30 }},
	} {
		o := remote.Options{ClientID: "jobs", Secret: secret, Resource: resource}
		if tt.change != nil {
			tt.change(&o)
		}
		_, err := remote.New(tt.issuer, &o)
		if err == nil || !strings.HasPrefix(err.Error(), "remote: ") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := remote.New(issuer, nil); err == nil {
		t.Error("nil options construct")
	}
	for _, loopback := range []string{"http://127.0.0.1:1", "http://[::1]:1", "http://localhost"} {
		if _, err := remote.New(loopback, &remote.Options{ClientID: "jobs", Secret: secret, Resource: resource}); err != nil {
			t.Error(err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	for name, tt := range map[string]struct {
		body string
		want auth.Principal
	}{
		"a user": {live(expires), auth.Principal{ID: "42", Name: "alice", Scopes: "read", ApplicationID: 3}},
		"a superuser": {live(expires, "is_superuser", "true", "scope", `"read write"`, "via_application", "9"),
			auth.Principal{ID: "42", Name: "alice", Scopes: "read write", ApplicationID: 3, ViaApplicationID: 9, Admin: true}},
		"an auditor, in another order of resources": {live(expires, "is_system_auditor", "true", "aud", `["https://a.example/","`+resource+`"]`),
			auth.Principal{ID: "42", Name: "alice", Scopes: "read", ApplicationID: 3, Auditor: true}},
		"an application alone": {live(expires, "sub", "", "username", "", "aud", `"`+resource+`"`), auth.Principal{Scopes: "read", ApplicationID: 3}},
		"no scope":             {live(expires, "scope", ""), auth.Principal{ID: "42", Name: "alice", ApplicationID: 3}},
	} {
		tt.want.TokenID, tt.want.Credential, tt.want.Expires, tt.want.TokenDigest = 7, auth.CredentialBearer, expires, store.DigestOf(token)
		n := says(tt.body)
		a := newRemote(t, n, nil)
		for range 3 {
			got, err := a.Verify(t.Context(), token)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			got.Admin, got.ID = true, "1" // the principal is the caller's own
		}
		if n.calls.Load() != 1 {
			t.Errorf("%s: %d calls", name, n.calls.Load())
		}
	}
}

// The request has the form of RFC 7662 section 2.1, and the secret in no other
// place than the Authorization field.
func TestRequest(t *testing.T) {
	n := &network{answer: func(r *http.Request) (*http.Response, error) {
		id, password, _ := r.BasicAuth()
		err := r.ParseForm()
		if err != nil || r.Method != "POST" || r.URL.String() != issuer+"/api/o/introspect/" || id != "jobs" || password != secret ||
			r.PostForm.Get("token") != "a+b/c==" || len(r.PostForm) != 2 || r.PostForm.Get("token_type_hint") != "access_token" {
			t.Errorf("request %s %s %v", r.Method, r.URL, r.PostForm)
		}
		return reply(200, "application/json; charset=utf-8", live(time.Now().Add(time.Hour))), nil
	}}
	if _, err := newRemote(t, n, nil).Verify(t.Context(), "a+b/c=="); err != nil {
		t.Error(err)
	}
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		expires := time.Now().Add(25 * time.Second)
		n.answer = func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(200, "application/json", live(expires)), nil
		}
		a := newRemote(t, n, nil)
		ask := func(after time.Duration, calls int64, good bool) {
			t.Helper()
			time.Sleep(after)
			if _, err := a.Verify(t.Context(), token); (err == nil) != good || n.calls.Load() != calls {
				t.Errorf("%d calls, want %d; error %v", n.calls.Load(), calls, err)
			}
		}
		ask(0, 1, true)
		ask(9*time.Second-1, 1, true) // since the start of the call, not its end
		ask(1, 2, true)
		ask(9*time.Second-1, 2, true)
		ask(1, 3, true)
		ask(4*time.Second-1, 3, true)
		ask(1, 4, false) // the answer comes when the token has expired
		ask(0, 4, false)
	})
}

func TestParallelFirstUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(200, "application/json", live(time.Now().Add(time.Hour))), nil
		}}
		a := newRemote(t, n, nil)
		leader, hangUp := context.WithCancel(t.Context())
		var good atomic.Int64
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				ctx := t.Context()
				if i == 0 {
					ctx = leader
				}
				if p, err := a.Verify(ctx, token); err == nil && p.Name == "alice" {
					good.Add(1)
				}
			})
		}
		synctest.Wait()
		hangUp() // whoever came first may be the one that hangs up
		all.Wait()
		if n.calls.Load() != 1 || good.Load() < 999 {
			t.Errorf("%d calls, %d of 1000 are good", n.calls.Load(), good.Load())
		}
	})
}

func TestRefusalsAreKeptBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := says(`{"active":false}`)
		a := newRemote(t, n, nil)
		for range 100 {
			_, err := a.Verify(t.Context(), token)
			refused(t, "inactive", err)
		}
		if n.calls.Load() != 1 {
			t.Errorf("%d calls within a second", n.calls.Load())
		}
		time.Sleep(time.Second)
		n.answer = says(live(time.Now().Add(time.Hour))).answer
		if _, err := a.Verify(t.Context(), token); err != nil {
			t.Errorf("a second later: %v", err)
		}
		// A flood of dead tokens leaves the live one where it is.
		n.answer = says(`{"active":false}`).answer
		for i := range 20_000 {
			_, err := a.Verify(t.Context(), fmt.Sprint("dead", i))
			refused(t, "dead", err)
		}
		before := n.calls.Load()
		if _, err := a.Verify(t.Context(), token); err != nil || n.calls.Load() != before {
			t.Errorf("after a flood: %v, %d calls", err, n.calls.Load()-before)
		}
	})
}

// refused reports an error that is no 401 with the code invalid_token.
func refused(t *testing.T, name string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*auth.Error](err); !ok || e.Status != 401 || e.Code != "invalid_token" {
		t.Errorf("%s: error is %v, want 401 invalid_token", name, err)
	}
}

// outage reports an error that a gate would not answer with 503 and Retry-After.
func outage(t *testing.T, name string, a *remote.Authenticator) {
	t.Helper()
	_, err := a.Verify(t.Context(), token)
	if e, ok := errors.AsType[*auth.Error](err); err == nil || ok {
		t.Errorf("%s: error is %v, %+v, want an outage", name, err, e)
	} else if text := fmt.Sprintf("%v %+v %#v", err, err, a); strings.Contains(text, secret) || strings.Contains(text, token) {
		t.Errorf("%s: the secret or the token is in %s", name, text)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	auth.NewGate(auth.FirstOf(a), &auth.GateOptions{Logger: quiet}).Require(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%s: the gate answers %d, %v", name, w.Code, w.Header())
	}
}

func TestLyingNetwork(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	good := live(expires)
	for name, w := range map[string]func() (*http.Response, error){
		"no network":          func() (*http.Response, error) { return nil, errors.New("no route") },
		"a refusal of a host": func() (*http.Response, error) { return nil, &auth.Error{Status: 401} },
		"wrong credentials":   func() (*http.Response, error) { return reply(401, "application/json", `{"active":false}`), nil },
		"bad request":         func() (*http.Response, error) { return reply(400, "application/json", good), nil },
		"forbidden":           func() (*http.Response, error) { return reply(403, "application/json", good), nil },
		"too many":            func() (*http.Response, error) { return reply(429, "application/json", good), nil },
		"outage":              func() (*http.Response, error) { return reply(503, "application/json", good), nil },
		"another success":     func() (*http.Response, error) { return reply(201, "application/json", good), nil },
		"redirect": func() (*http.Response, error) {
			w := reply(307, "application/json", good)
			w.Header.Set("Location", "https://elsewhere.example/")
			return w, nil
		},
		"page":    func() (*http.Response, error) { return reply(200, "text/html", good), nil },
		"no type": func() (*http.Response, error) { return reply(200, "", good), nil },
		"token":   func() (*http.Response, error) { return reply(200, "application/token-introspection+jwt", good), nil },
		"huge body": func() (*http.Response, error) {
			return reply(200, "application/json", strings.Repeat(" ", 1<<20)+good), nil
		},
		"endless space": func() (*http.Response, error) {
			return reply(200, "application/json", good+strings.Repeat(" ", 16<<10)), nil
		},
		"broken body": func() (*http.Response, error) {
			w := reply(200, "application/json", "")
			w.Body = http.MaxBytesReader(nil, reply(200, "", good).Body, 3)
			return w, nil
		},
	} {
		n := &network{answer: func(*http.Request) (*http.Response, error) { return w() }}
		outage(t, name, newRemote(t, n, nil))
		if n.calls.Load() != 2 {
			t.Errorf("%s: %d calls, want one a request", name, n.calls.Load())
		}
	}
	for name, body := range map[string]string{
		"empty": "", "null": "null", "list": "[" + good + "]", "two": good + good, "cut": good[:len(good)-1], "no UTF-8": live(expires, "username", "\"\xff\""),
		"no active": live(expires, "active", ""), "active is a text": live(expires, "active", `"true"`), "active is null": live(expires, "active", "null"),
		"active is a number": live(expires, "active", "1"), "another case": live(expires, "active", "", "Active", "true"),
		"active twice":   `{"active":false,` + good[1:],
		"another issuer": live(expires, "iss", `"https://evil.example"`), "no issuer": live(expires, "iss", ""), "issuer with a slash": live(expires, "iss", `"`+issuer+`/"`),
		"no expiry": live(expires, "exp", ""), "expiry is a text": live(expires, "exp", `"1"`), "expiry is a fraction": live(expires, "exp", "1e99"),
		"negative expiry": live(expires, "exp", "-1"), "expiry without an end": live(expires, "exp", "9223372036854775807"),
		"unrestricted": live(expires, "scope", `"*"`), "unrestricted among others": live(expires, "scope", `"read *"`),
		"two spaces": live(expires, "scope", `"read  write"`), "space at the end": live(expires, "scope", `"read "`), "quote": live(expires, "scope", `"re\"ad"`),
		"control": live(expires, "scope", `"read\u0000"`), "umlaut": live(expires, "scope", `"läse"`), "scope is a list": live(expires, "scope", `["read"]`),
		"no token": live(expires, "jti", ""), "token zero": live(expires, "jti", `"0"`), "token of another server": live(expires, "jti", `"a1"`), "token +7": live(expires, "jti", `"+7"`),
		"nobody": live(expires, "sub", "", "application", ""), "user is a number": live(expires, "sub", "42"), "negative application": live(expires, "application", "-1"),
		"audience is a number": live(expires, "aud", "7"), "audience is empty": live(expires, "aud", "[]"), "audience is null": live(expires, "aud", "null"),
		"superuser is a text": live(expires, "is_superuser", `"yes"`),
	} {
		outage(t, name, newRemote(t, says(body), nil))
	}
	for name, body := range map[string]string{
		"inactive": `{"active":false}`, "inactive with lies": live(expires, "active", "false"),
		"refresh token": live(expires, "token_type", ""), "another type": live(expires, "token_type", `"DPoP"`),
		"another audience": live(expires, "aud", `["https://other.example/"]`), "no audience": live(expires, "aud", ""),
		"part of the audience": live(expires, "aud", `"https://jobs.example"`),
		"expired":              live(time.Now().Add(-time.Second)),
	} {
		_, err := newRemote(t, says(body), nil).Verify(t.Context(), token)
		refused(t, name, err)
	}
	unbound := func(o *remote.Options) { o.Unbound = true }
	if _, err := newRemote(t, says(live(expires, "aud", "")), unbound).Verify(t.Context(), token); err != nil {
		t.Errorf("unbound, where that is accepted: %v", err)
	}
	_, err := newRemote(t, says(live(expires, "aud", `["https://other.example/"]`)), unbound).Verify(t.Context(), token)
	refused(t, "another audience where unbound ones are accepted", err)
}

func TestSlowNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int64
		n := &network{answer: func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		a := newRemote(t, n, func(o *remote.Options) { o.MaxCalls = 8 })
		start := time.Now()
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				_, err := a.Verify(t.Context(), fmt.Sprint("token", i))
				if _, refusal := errors.AsType[*auth.Error](err); err == nil || refusal {
					t.Errorf("error is %v, want an outage", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took > 2*time.Second || most.Load() != 8 {
			t.Errorf("took %v, %d calls at a time", took, most.Load())
		}
		// It has recovered: nothing holds a place.
		n.answer = says(live(time.Now().Add(time.Hour))).answer
		if _, err := a.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	})
}

// A transport that panics leaves nobody waiting.
func TestPanickingTransport(t *testing.T) {
	n := &network{answer: func(*http.Request) (*http.Response, error) { panic("transport") }}
	a := newRemote(t, n, func(o *remote.Options) { o.MaxCalls = 1 })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = a.Verify(t.Context(), token)
	}()
	n.answer = says(live(time.Now().Add(time.Hour))).answer
	if _, err := a.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
}
