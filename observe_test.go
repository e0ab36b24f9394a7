package auth_test

import (
	"context"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/internal/observetest"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// observed is a system whose parts have a hook.
func observed(t testing.TB, rec *observetest.Recorder, change func(*settings)) *system {
	return newSystem(t, func(o *settings) {
		o.passwords.Observe, o.tokens.Observe, o.session.Observe, o.gate.Observe = rec.Observe, rec.Observe, rec.Observe, rec.Observe
		if change != nil {
			change(o)
		}
	})
}

// fails makes all calls of the store of that name fail, as it did for somebody who
// has gone if err is [context.Canceled].
func (s *system) fails(call string, err error) {
	s.db.on(func(c string) error {
		if c == call {
			return err
		}
		return nil
	})
}

// Everything that package auth reports happens here, with each kind and reason.
func TestObserve(t *testing.T) {
	rec := new(observetest.Recorder)
	t.Run("requests", func(t *testing.T) { observeRequests(t, rec) })
	t.Run("passwords", func(t *testing.T) { observePasswords(t, rec) })
	t.Run("places for hashing", func(t *testing.T) { observeBusy(t, rec) })
	t.Run("sessions", func(t *testing.T) { observeSessions(t, rec) })
	t.Run("tokens", func(t *testing.T) { observeTokens(t, rec) })
	t.Run("gateway", func(t *testing.T) { observeGateway(t, rec) })
	t.Run("purge", func(t *testing.T) { observePurge(t, rec) })
	rec.Complete(t, observetest.Auth, observetest.OAuthKinds)
}

func event(name observe.Name, kind observe.Kind, reason observe.Reason) observe.Event {
	return observe.Event{Name: name, Kind: kind, Reason: reason, Count: 1}
}

// wantEvents fails the test unless f has these events.
func wantEvents(t testing.TB, rec *observetest.Recorder, what string, f func(), want ...observe.Event) {
	t.Helper()
	if diff := cmp.Diff(want, rec.During(f)); diff != "" {
		t.Errorf("%s: events (-want +got):\n%s", what, diff)
	}
}

func observeRequests(t *testing.T, rec *observetest.Recorder) {
	s := observed(t, rec, func(o *settings) {
		o.basic.RequireTLS = true
		o.tokens.Resource = "https://api.example"
	})
	good := s.issue(s.alice, auth.ScopeRead)
	bound, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Addresses: peers("10.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	brief, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Expires: time.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	foreign := secret.New(s.tokens.Prefix(), secret.Access)
	if _, err := s.db.InsertToken(t.Context(), store.Token{
		Digest: store.DigestOf(foreign), UserID: s.alice.ID, Scopes: "read", Audience: "https://other.example", Expires: time.Now().Add(time.Hour),
	}, store.InsertLimits{}); err != nil {
		t.Fatal(err)
	}
	cookie := s.login(s.alice)
	dead := s.login(s.bob)
	if _, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.bob.ID}); err != nil {
		t.Fatal(err)
	}
	deny := func(status int, code string, cause error) func() {
		return func() {
			s.gate.Deny(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), &auth.Error{Status: status, Code: code, Err: cause})
		}
	}
	get := func(lines ...string) func() { return func() { s.send("GET", "/probe/", lines...) } }
	const allowed, refused = observe.RequestAllowed, observe.RequestRefused
	for _, tt := range []struct {
		name   string
		do     func()
		kind   observe.Kind
		reason observe.Reason
	}{
		{"a session", get(cookie), observe.KindSession, 0},
		{"a token", get(bearer(good)), observe.KindBearer, 0},
		{"nothing", get(), observe.KindNone, observe.ReasonNoCredentials},
		{"an unknown scheme", get("Authorization: Negotiate x"), observe.KindOther, observe.ReasonMalformed},
		{"two fields", get(bearer(good), bearer(good)), observe.KindOther, observe.ReasonMalformed},
		{"a malformed token", get("Authorization: Bearer §"), observe.KindBearer, observe.ReasonMalformed},
		{"an unknown token", get("Authorization: Bearer unknown"), observe.KindBearer, observe.ReasonInvalidToken},
		{"a token for another resource", get("Authorization: Bearer " + foreign), observe.KindBearer, observe.ReasonOtherResource},
		{"a token of another address", get(bearer(bound)), observe.KindBearer, observe.ReasonOtherAddress},
		{"a dead session", get(dead), observe.KindSession, observe.ReasonSessionEnded},
		{"Basic over plain HTTP", get(basicLine("alice", goodPassword)), observe.KindBasic, observe.ReasonPlainHTTP},
		{"a page of another site", func() { s.send("POST", "/probe/", cookie, "Origin: https://evil.example") }, observe.KindNone, observe.ReasonCrossSite},
		{"a token without the scope", func() { s.send("POST", "/probe/", bearer(good)) }, observe.KindBearer, observe.ReasonInsufficientScope},
		{"TRACE", func() { s.send("TRACE", "/probe/", bearer(good)) }, observe.KindBearer, observe.ReasonMethod},
		{"an outage", func() {
			s.fails("AccessByDigest", errDown)
			get(bearer(good))()
			s.db.on(nil)
		}, observe.KindBearer, observe.ReasonOutage},
		{"a client who has gone", func() {
			s.fails("AccessByDigest", context.Canceled)
			get(bearer(good))()
			s.db.on(nil)
		}, observe.KindBearer, observe.ReasonCanceled},
		{"by a handler: 401", deny(401, "", nil), observe.KindNone, observe.ReasonInvalidCredential},
		{"by a handler: 403", deny(403, "", nil), observe.KindNone, observe.ReasonForbidden},
		{"by a handler: 404", deny(404, "", nil), observe.KindNone, observe.ReasonNotFound},
		{"by a handler: 409", deny(409, "", nil), observe.KindNone, observe.ReasonInvalidRequest},
		{"by a handler: 429", deny(429, "", nil), observe.KindNone, observe.ReasonThrottled},
		{"by a handler: 500", deny(500, "", nil), observe.KindNone, observe.ReasonOutage},
		{"by a handler: no error of ours", func() {
			s.gate.Deny(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), errDown)
		}, observe.KindNone, observe.ReasonOutage},
	} {
		name := refused
		if tt.reason == observe.ReasonNone {
			name = allowed
		}
		wantEvents(t, rec, tt.name, tt.do, event(name, tt.kind, tt.reason))
	}
	// The login page is written instead of a refusal, which counts all the same.
	login := s.gate.RequireLogin("/login/")(http.NotFoundHandler())
	wantEvents(t, rec, "a page", func() { send(login, "GET", "/page", "Accept: text/html") }, event(refused, observe.KindNone, observe.ReasonNoCredentials))
	// Anonymous behind Identify is no decision about a credential.
	wantEvents(t, rec, "anonymous", func() { s.send("GET", "/public/") })

	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(brief.Expires))
		wantEvents(t, rec, "an expired token", get(bearer(brief)), event(refused, observe.KindBearer, observe.ReasonExpiredToken))
	})
	host := auth.NewGate(auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) {
		return &auth.Principal{ID: "1", Scopes: auth.Unrestricted}, nil
	}), &auth.GateOptions{Logger: quiet, Observe: rec.Observe})
	wantEvents(t, rec, "a credential of the host", func() { send(host.Require(http.NotFoundHandler()), "GET", "/") }, event(allowed, observe.KindOther, 0))
}

func observePasswords(t *testing.T, rec *observetest.Recorder) {
	s := observed(t, rec, func(o *settings) { o.passwords.PerClient = store.Limit{Max: 2, Window: time.Hour} })
	checked := func(r observe.Reason) observe.Event { return event(observe.PasswordChecked, 0, r) }
	hashed := func(r observe.Reason) observe.Event { return event(observe.PasswordHashed, 0, r) }
	refused := func(r observe.Reason) observe.Event { return event(observe.RequestRefused, observe.KindBasic, r) }
	basic := func(password string) func() {
		return func() { s.send("GET", "/probe/", basicLine("alice", password)) }
	}
	wantEvents(t, rec, "a right password", basic(goodPassword), hashed(0), checked(0), event(observe.RequestAllowed, observe.KindBasic, 0))
	wantEvents(t, rec, "the same again", basic(goodPassword), checked(0), event(observe.RequestAllowed, observe.KindBasic, 0))
	wantEvents(t, rec, "a second look at the request", func() {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth("alice", goodPassword)
		if _, err := s.gate.Recheck(r); err != nil {
			t.Error(err)
		}
	})
	wantEvents(t, rec, "no name and password", func() { s.send("GET", "/probe/", "Authorization: Basic !!!") }, refused(observe.ReasonMalformed))
	for range 2 {
		wantEvents(t, rec, "a wrong password", basic("wrong"), hashed(0), checked(observe.ReasonWrongPassword), refused(observe.ReasonWrongPassword))
	}
	wantEvents(t, rec, "too many", basic("wrong"), event(observe.Throttled, observe.KindPassword, observe.ReasonThrottled),
		hashed(observe.ReasonThrottled), checked(observe.ReasonThrottled), refused(observe.ReasonThrottled))
	for err, reason := range map[error]observe.Reason{errDown: observe.ReasonOutage, context.Canceled: observe.ReasonCanceled} {
		s.fails("UserByName", err)
		wantEvents(t, rec, err.Error(), func() { _, _ = s.passwords.Verify(t.Context(), "alice", goodPassword) }, checked(reason))
		s.fails("Charge", err)
		wantEvents(t, rec, err.Error(), func() { _, _ = s.passwords.Verify(t.Context(), "bob", goodPassword) }, hashed(reason), checked(reason))
		s.db.on(nil)
	}
	wantEvents(t, rec, "a new password", func() {
		if err := s.passwords.Set(t.Context(), s.alice.ID, goodPassword+"!"); err != nil {
			t.Error(err)
		}
	}, hashed(0), event(observe.PasswordChanged, 0, 0))

	// A flood of wrong passwords for many names, from one network.
	flooded := false
	r := httptest.NewRequest("POST", "/", nil)
	for i := 0; i < 5000 && !flooded; i++ {
		for _, e := range rec.During(func() { _, _ = s.passwords.VerifyRequest(r, "user"+strings.Repeat("x", i%100), "wrong") }) {
			flooded = flooded || e == event(observe.Throttled, observe.KindFlood, observe.ReasonThrottled)
		}
	}
	if !flooded {
		t.Error("no flood")
	}
}

// While all places are taken, logins wait and are sent away.
func observeBusy(t *testing.T, rec *observetest.Recorder) {
	synctest.Test(t, func(t *testing.T) {
		s := observed(t, rec, func(o *settings) { o.passwords.MaxHashes = 1 })
		s.hasher.hold = func() { time.Sleep(time.Minute) }
		go s.send("GET", "/probe/", basicLine("alice", goodPassword))
		synctest.Wait()
		before := len(rec.Events())
		s.send("GET", "/probe/", basicLine("bob", goodPassword))
		got := rec.Events()[before:]
		want := []observe.Event{
			{Name: observe.PasswordHashed, Reason: observe.ReasonBusy, Count: 1, Wait: 30 * time.Second},
			{Name: observe.PasswordChecked, Reason: observe.ReasonBusy, Count: 1, Duration: 30 * time.Second},
			event(observe.RequestRefused, observe.KindBasic, observe.ReasonBusy),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
	})
}

func observeSessions(t *testing.T, rec *observetest.Recorder) {
	s := observed(t, rec, func(o *settings) { o.session.PerUser = 2 })
	ended := func(cause observe.Kind, n int64) observe.Event {
		return observe.Event{Name: observe.SessionEnded, Kind: cause, Count: n}
	}
	started := event(observe.SessionStarted, 0, 0)
	wantEvents(t, rec, "two logins", func() { s.login(s.alice); s.login(s.alice) }, started, started)
	var cookie string
	wantEvents(t, rec, "the third ends one", func() { cookie = s.login(s.alice) }, ended(observe.KindLimit, 1), started)
	wantEvents(t, rec, "a logout", func() { s.send("POST", "/logout", cookie) }, ended(observe.KindLogout, 1))
	cookie, other := s.login(s.alice), s.login(s.alice)
	wantEvents(t, rec, "a logout of two cookies", func() { s.send("POST", "/logout", cookie, other) }, ended(observe.KindLogout, 1), ended(observe.KindLogout, 1))
	s.login(s.alice)
	s.login(s.alice)
	wantEvents(t, rec, "an administrator", func() {
		if n, err := s.session.EndOthers(t.Context(), by(s.admin), s.alice.ID); n != 2 || err != nil {
			t.Error(n, err)
		}
	}, ended(observe.KindRevoked, 2))
	s.login(s.alice)
	end := func() { _, _ = s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID}) }
	wantEvents(t, rec, "the host", end, ended(observe.KindRevoked, 1))
	wantEvents(t, rec, "nothing to end", end)
}

func observeTokens(t *testing.T, rec *observetest.Recorder) {
	s := observed(t, rec, nil)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	revoked := func(cause observe.Kind) observe.Event { return event(observe.TokenRevoked, cause, 0) }
	var tok auth.IssuedToken
	ctx, alice := t.Context(), by(s.alice)
	wantEvents(t, rec, "issue", func() { tok = s.issue(s.alice, auth.ScopeWrite) }, event(observe.TokenIssued, observe.KindPersonal, 0))
	wantEvents(t, rec, "change", func() { must(s.tokens.Change(ctx, alice, tok.ID, auth.TokenChange{})) }, event(observe.TokenChanged, 0, 0))
	wantEvents(t, rec, "rotate", func() { must(s.tokens.Rotate(ctx, alice, tok.ID)) }, event(observe.TokenRotated, 0, 0))
	wantEvents(t, rec, "end", func() { must(nil, s.tokens.End(ctx, alice, tok.ID)) }, revoked(observe.KindOne))
	tok = s.issue(s.alice, auth.ScopeWrite)
	wantEvents(t, rec, "revoke by its secret", func() { must(nil, s.tokens.RevokePersonal(ctx, tok.AccessToken.Reveal())) }, revoked(observe.KindOne))
	tok = s.issue(s.alice, auth.ScopeWrite)
	wantEvents(t, rec, "report", func() { must(nil, s.tokens.EndReported(ctx, alice, tok.AccessToken, "junk")) }, revoked(observe.KindReported))
	wantEvents(t, rec, "end all", func() { must(nil, s.tokens.EndAll(ctx, alice, s.alice.ID)) }, revoked(observe.KindAll))
	admin := by(s.admin)
	wantEvents(t, rec, "an operator", func() { must(nil, s.tokens.EndSelected(ctx, admin, store.Selection{UserID: s.alice.ID})) }, revoked(observe.KindAll))
	wantEvents(t, rec, "an operator, one", func() { must(nil, s.tokens.EndSelected(ctx, admin, store.Selection{TokenID: tok.ID})) }, revoked(observe.KindOne))
	wantEvents(t, rec, "refused", func() { _, _ = s.tokens.Issue(ctx, nil, auth.TokenRequest{}) })
}

func observeGateway(t *testing.T, rec *observetest.Recorder) {
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), UserField: "X-Remote-User", InsecureAddressAlone: true, Logger: quiet, Observe: rec.Observe}))
	create := func(_ context.Context, name string) (store.User, error) {
		if name == "other" {
			return store.User{ID: "9", Name: "root", Active: true}, nil
		}
		return store.User{}, store.ErrNotFound
	}
	users := auth.Must(auth.NewProxyUsers(p, exampleUsers(), &auth.ProxyUsersOptions{Create: create}))
	h := p.Handler(auth.NewGate(users, &auth.GateOptions{Logger: quiet, Observe: rec.Observe}).Require(http.NotFoundHandler()))
	for name, reason := range map[string]observe.Reason{
		"":        observe.ReasonMalformed,
		"nobody":  observe.ReasonNotFound,
		"other":   observe.ReasonForbidden,
		"m\u200b": observe.ReasonMalformed,
	} {
		wantEvents(t, rec, name, func() { h.ServeHTTP(httptest.NewRecorder(), from("10.0.0.1:1", "X-Remote-User: "+name)) },
			event(observe.GatewayUserRefused, 0, reason), event(observe.RequestRefused, observe.KindProxy, observe.ReasonInvalidCredential))
	}
	wantEvents(t, rec, "alice", func() { h.ServeHTTP(httptest.NewRecorder(), from("10.0.0.1:1", "X-Remote-User: alice")) },
		event(observe.RequestAllowed, observe.KindProxy, 0))

	vectors := readVectors(t)
	key := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa3072"])))
	next := auth.Must(gateway.ParseKey([]byte(vectors.PublicKeys["rsa2048"])))
	for _, tt := range []struct {
		err    error
		reason observe.Reason
	}{{nil, observe.ReasonNone}, {errDown, observe.ReasonOutage}} {
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Logger: quiet, Observe: rec.Observe, Proof: &auth.ProofOptions{
			Keys:    []*rsa.PublicKey{key},
			Refresh: func(context.Context) ([]*rsa.PublicKey, error) { return []*rsa.PublicKey{next}, tt.err },
		}}))
		stamp := time.Now().UnixNano()
		junk := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true}))
		wantEvents(t, rec, "a proof by another key", func() { proven(p, "10.0.0.1:1", auth.Must(junk.Proof(time.Unix(0, stamp)))) },
			event(observe.KeysFetched, 0, tt.reason), event(observe.ProofRefused, 0, observe.ReasonInvalidCredential))
	}
}

func observePurge(t *testing.T, rec *observetest.Recorder) {
	s := observed(t, rec, nil)
	s.login(s.alice)
	s.issue(s.alice, auth.ScopeRead)
	_, _ = s.passwords.Verify(t.Context(), "alice", "wrong")
	later := time.Now().Add(1000 * 24 * time.Hour)
	for _, purge := range []struct {
		kind observe.Kind
		call string
		do   func(context.Context, time.Time) (int, error)
	}{
		{observe.KindTokens, "Purge", s.tokens.Purge},
		{observe.KindSessions, "PurgeSessions", s.session.Purge},
		{observe.KindAttempts, "PurgeAttempts", s.passwords.Purge},
	} {
		n := 0
		got := rec.During(func() { n, _ = purge.do(t.Context(), later) })
		want := []observe.Event{{Name: observe.Purged, Kind: purge.kind, Count: int64(n)}}
		if diff := cmp.Diff(want, got); diff != "" || n == 0 {
			t.Errorf("%v: %d records, events (-want +got):\n%s", purge.kind, n, diff)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		s.fails(purge.call, errDown)
		wantEvents(t, rec, "a failed purge", func() { _, _ = purge.do(canceled, later) },
			observe.Event{Name: observe.Purged, Kind: purge.kind, Reason: observe.ReasonOutage})
		s.db.on(nil)
	}
}

// A hook that panics changes no answer, and what was done is done.
func TestObservePanics(t *testing.T) {
	broken := func(context.Context, observe.Event) { panic("a mistake of the host") }
	answers := func(hook observe.Func) (list []int) {
		s := newSystem(t, func(o *settings) {
			o.passwords.Observe, o.tokens.Observe, o.session.Observe, o.gate.Observe = hook, hook, hook, hook
		})
		tok := s.issue(s.alice, auth.ScopeRead)
		cookie := s.login(s.alice)
		for _, lines := range [][]string{
			{}, {bearer(tok)}, {cookie}, {basicLine("alice", goodPassword)}, {basicLine("alice", "wrong")}, {"Authorization: Bearer x"},
		} {
			list = append(list, s.send("GET", "/probe/", lines...).Code, s.send("POST", "/probe/", lines...).Code)
		}
		list = append(list, s.send("POST", "/logout", cookie).Code, s.send("GET", "/probe/", cookie).Code)
		if err := s.tokens.End(t.Context(), by(s.alice), tok.ID); err != nil {
			t.Error(err)
		}
		list = append(list, s.send("GET", "/probe/", bearer(tok)).Code)
		s.fails("AccessByDigest", errDown)
		list = append(list, s.send("GET", "/probe/", bearer(tok)).Code)
		if lines := strings.Count(s.log.String(), "a mistake of the host"); hook != nil && (lines == 0 || lines > 4) {
			t.Errorf("%d panics were logged", lines)
		}
		return list
	}
	want := answers(nil)
	if diff := cmp.Diff(want, answers(broken)); diff != "" || len(want) != 16 {
		t.Errorf("statuses %v (-want +got):\n%s", want, diff)
	}
}
