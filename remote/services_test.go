package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/remote"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A house has an authorization server that listens on a loopback address and can
// be stopped and started.
type house struct {
	t       testing.TB
	address string
	handler http.Handler
	server  *http.Server
	ended   chan struct{}

	db           *memory.Store
	tokens       *auth.Tokens
	oauth        *oauth.Server
	admin, alice store.User
	sister       oauth.IssuedApplication // stands for resource
	client       oauth.IssuedApplication // acts for itself
	calls        atomic.Int64
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, db: memory.New()}
	l := h.listen("127.0.0.1:0")
	h.address = l.Addr().String()
	h.tokens = auth.Must(auth.NewTokens(h.db, h.db, &auth.TokensOptions{Logger: quiet, Resource: h.issuer() + "/api/"}))
	h.oauth = auth.Must(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{
		Issuer: h.issuer(), Resources: []string{resource, "https://other.example/"}, IntrospectUnbound: true, Logger: quiet,
	}))
	passwords := auth.Must(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(h.db, h.db, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(h.tokens), session), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: h.db, Passwords: passwords, Session: session, Tokens: h.tokens, OAuth: h.oauth}))
	h.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.calls.Add(1)
		api.ServeHTTP(w, r)
	})
	h.admin = authtest.AddUser(t, h.db, store.User{Name: "admin", Admin: true}, "")
	h.alice = authtest.AddUser(t, h.db, store.User{Name: "alice", Auditor: true}, "")
	h.sister = h.application("jobs", resource)
	h.client = h.application("client", "")
	h.serve(l)
	t.Cleanup(h.stop)
	return h
}

func (h *house) issuer() string { return "http://" + h.address }

func (h *house) listen(address string) net.Listener {
	h.t.Helper()
	l, err := new(net.ListenConfig).Listen(h.t.Context(), "tcp", address)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

func (h *house) serve(l net.Listener) {
	h.server, h.ended = &http.Server{Handler: h.handler}, make(chan struct{})
	go func(s *http.Server, ended chan struct{}) {
		defer close(ended)
		_ = s.Serve(l)
	}(h.server, h.ended)
}

func (h *house) start() { h.serve(h.listen(h.address)) }

func (h *house) stop() {
	_ = h.server.Close()
	<-h.ended
}

func (h *house) application(name, resource string) oauth.IssuedApplication {
	h.t.Helper()
	by := &auth.Principal{ID: h.admin.ID, Admin: true, Scopes: auth.Unrestricted}
	app, err := h.oauth.CreateApplication(h.t.Context(), by, oauth.ApplicationRequest{
		Name: name, OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantClientCredentials, Resource: resource,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return app
}

// machine issues a token of the client for resources.
func (h *house) machine(resources ...string) string {
	h.t.Helper()
	issued, err := h.oauth.ExchangeClient(h.t.Context(), h.client.Application, oauth.ClientExchange{Scope: "read", Resources: resources})
	if err != nil {
		h.t.Fatal(err)
	}
	return issued.AccessToken.Reveal()
}

// remote returns an authenticator of the sister service.
func (h *house) remote(change func(*remote.Options)) *remote.Authenticator {
	h.t.Helper()
	transport := &http.Transport{}
	h.t.Cleanup(transport.CloseIdleConnections)
	o := remote.Options{ClientID: h.sister.ClientID, Secret: h.sister.ClientSecret, Resource: resource, Unbound: true, Transport: transport}
	if change != nil {
		change(&o)
	}
	return auth.Must(remote.New(h.issuer(), &o))
}

// A sister is a service behind a gate.
func sister(a auth.Authenticator) http.Handler {
	gate := auth.NewGate(a, &auth.GateOptions{Realm: "jobs", ApplicationTokens: true, ResourceMetadata: "https://jobs.example/.well-known/oauth-protected-resource", Logger: quiet})
	return gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintf(w, "%s %s %s %v %v %d %d", p.ID, p.Name, p.Scopes, p.Admin, p.Auditor, p.TokenID, p.ApplicationID)
	}))
}

// TestTwoServices sends the same requests to a service that has the tokens itself
// and to one that asks over HTTP. Every answer is the same, to the byte.
func TestTwoServices(t *testing.T) {
	h := newHouse(t)
	local, far := sister(auth.FirstOf(auth.NewBearer(h.tokens).For(resource))), sister(auth.FirstOf(h.remote(nil)))
	read := authtest.AddToken(t, h.tokens, h.alice, auth.ScopeRead)
	revoked := authtest.AddToken(t, h.tokens, h.alice, auth.ScopeRead)
	if err := h.tokens.RevokePersonal(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path string
		fields             []string
		status             int
	}{
		{"nothing", "GET", "/", nil, 401},
		{"read", "GET", "/", []string{"Bearer " + read}, 200},
		{"again", "GET", "/", []string{"bEARER   " + read}, 200},
		{"read alone does not write", "POST", "/", []string{"Bearer " + read}, 403},
		{"write of a superuser", "POST", "/", []string{"Bearer " + authtest.AddToken(t, h.tokens, h.admin, auth.ScopeWrite)}, 200},
		{"of an application", "GET", "/", []string{"Bearer " + h.machine(resource)}, 200},
		{"for two resources", "GET", "/", []string{"Bearer " + h.machine("https://other.example/", resource)}, 200},
		{"revoked", "GET", "/", []string{"Bearer " + revoked}, 401},
		{"revoked, again", "GET", "/", []string{"Bearer " + revoked}, 401},
		{"unknown", "GET", "/", []string{"Bearer " + token}, 401},
		{"empty", "GET", "/", []string{""}, 401},
		{"scheme alone", "GET", "/", []string{"Bearer"}, 401},
		{"malformed", "GET", "/", []string{"Bearer a b"}, 401},
		{"malformed, with a quote", "GET", "/", []string{`Bearer "` + read + `"`}, 401},
		{"too long", "GET", "/", []string{"Bearer " + string(make([]byte, 100_000))}, 401},
		{"two fields", "GET", "/", []string{"Bearer " + read, "Bearer " + read}, 400},
		{"in the URL, too", "GET", "/?access_token=" + read, []string{"Bearer " + read}, 400},
		{"by another spelling", "GET", "/?access%5Ftoken=" + read, []string{"Bearer " + read}, 400},
		{"in the URL only", "GET", "/?access_token=" + read, nil, 401},
		{"another scheme", "GET", "/", []string{"Basic YTpi"}, 401},
		{"a method for proxies", "TRACE", "/", []string{"Bearer " + read}, 405},
	} {
		ask := func(h http.Handler) *http.Response {
			w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.path, nil)
			if tt.fields != nil {
				r.Header["Authorization"] = tt.fields
			}
			h.ServeHTTP(w, r)
			return w.Result()
		}
		want, got := ask(local), ask(far)
		wantBody, _ := io.ReadAll(want.Body)
		gotBody, _ := io.ReadAll(got.Body)
		if got.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, got.StatusCode, tt.status)
		}
		if diff := cmp.Diff(want.Header, got.Header) + cmp.Diff(string(wantBody), string(gotBody)); diff != "" || want.StatusCode != got.StatusCode {
			t.Errorf("%s: %d and %d, differences (-local +remote):\n%s", tt.name, want.StatusCode, got.StatusCode, diff)
		}
	}
	// Here the text of the refusal tells less: the authorization server says of a
	// token for another resource only that it is not active.
	_, err := h.remote(nil).Verify(t.Context(), h.machine("https://other.example/"))
	refused(t, "for another resource", err)
	strict := h.remote(func(o *remote.Options) { o.Unbound = false })
	_, err = strict.Verify(t.Context(), read)
	refused(t, "personal, where unbound ones are not accepted", err)
	if _, err = strict.Verify(t.Context(), h.machine(resource)); err != nil {
		t.Error(err)
	}
	var stranger *auth.Error
	_, err = h.remote(func(o *remote.Options) { o.Secret += "x" }).Verify(t.Context(), read)
	if err == nil || errors.As(err, &stranger) {
		t.Errorf("with a wrong secret: %v, want an outage", err)
	}
	_, err = h.remote(func(o *remote.Options) { o.ClientID, o.Secret = h.client.ClientID, h.client.ClientSecret }).Verify(t.Context(), read)
	refused(t, "as a client that stands for nothing", err)
}

func TestParallelFirstUsesOverHTTP(t *testing.T) {
	h := newHouse(t)
	a := h.remote(nil)
	access := h.machine(resource)
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			if _, err := a.Verify(t.Context(), access); err != nil {
				t.Error(err)
			}
		})
	}
	if all.Wait(); h.calls.Load() != 1 {
		t.Errorf("%d calls", h.calls.Load())
	}
}

// TestRevokedUnderLoad revokes a token while requests use it, and stops and starts
// the authorization server before and after. The token passes for MaxAge at
// most, an outage is never a refusal, and another token is never refused.
func TestRevokedUnderLoad(t *testing.T) {
	const maxAge = 200 * time.Millisecond
	h := newHouse(t)
	a := h.remote(func(o *remote.Options) { o.MaxAge, o.Timeout = maxAge, maxAge/2 })
	doomed, lasting := authtest.AddToken(t, h.tokens, h.alice, auth.ScopeRead), h.machine(resource)

	type seen struct{ good, refused, outage atomic.Int64 } // of requests that started then
	var phases [5]struct{ doomed, lasting seen }
	var phase atomic.Int64
	var lastPass atomic.Int64 // the start of the latest request that passed, in nanoseconds
	began := time.Now()
	ctx, end := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				at, start := phase.Load(), time.Since(began)
				s, token := &phases[at].lasting, lasting
				if i%2 == 0 {
					s, token = &phases[at].doomed, doomed
				}
				_, err := a.Verify(t.Context(), token)
				_, refusal := errors.AsType[*auth.Error](err)
				switch {
				case err == nil:
					s.good.Add(1)
					if i%2 == 0 {
						lastPass.Store(max(lastPass.Load(), int64(start)))
					}
				case refusal:
					s.refused.Add(1)
				default:
					s.outage.Add(1)
				}
			}
		})
	}
	// until waits for an event of requests that started in the present phase.
	until := func(what string, n *atomic.Int64) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(time.Minute); n.Load() == 0; <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("after a minute there is no %s", what)
			}
		}
	}
	until("good request", &phases[0].doomed.good)
	h.stop()
	phase.Store(1)
	until("outage", &phases[1].doomed.outage)
	until("outage", &phases[1].lasting.outage)
	phase.Store(2)
	h.start()
	until("recovery", &phases[2].doomed.good)
	until("recovery", &phases[2].lasting.good)
	if err := h.tokens.RevokePersonal(t.Context(), doomed); err != nil {
		t.Fatal(err)
	}
	revoked := time.Since(began)
	phase.Store(3)
	h.stop() // what was kept cannot be asked again
	until("outage", &phases[3].doomed.outage)
	phase.Store(4)
	h.start()
	until("refusal", &phases[4].doomed.refused)
	until("good request", &phases[4].lasting.good)
	end()
	all.Wait()
	if after := time.Duration(lastPass.Load()) - revoked; after > maxAge {
		t.Errorf("the token passed %v after it was revoked, MaxAge is %v", after, maxAge)
	}
	for i := range phases {
		if n := phases[i].lasting.refused.Load(); n > 0 {
			t.Errorf("phase %d: the live token was refused %d times", i, n)
		}
		if n := phases[i].doomed.refused.Load(); n > 0 && i < 2 {
			t.Errorf("phase %d: the token was refused %d times before it was revoked", i, n)
		}
	}
	if phases[4].doomed.good.Load() > 0 && time.Duration(lastPass.Load()) > revoked+maxAge {
		t.Error("the token lives again")
	}
}
