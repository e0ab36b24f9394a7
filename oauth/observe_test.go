package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/internal/observetest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// failing is a store that is down, or whose caller has gone.
type failing struct {
	store.OAuth
	err error
}

func (f failing) ApplicationByClientID(context.Context, string) (store.Application, error) {
	return store.Application{}, f.err
}

func (f failing) CodeByDigest(context.Context, store.Digest) (store.Code, error) {
	return store.Code{}, f.err
}

func event(name observe.Name, kind observe.Kind, reason observe.Reason) observe.Event {
	return observe.Event{Name: name, Kind: kind, Reason: reason, Count: 1}
}

func wantEvents(t testing.TB, rec *observetest.Recorder, what string, f func(), want ...observe.Event) {
	t.Helper()
	if diff := cmp.Diff(want, rec.During(f)); diff != "" {
		t.Errorf("%s: events (-want +got):\n%s", what, diff)
	}
}

// Everything that package oauth reports happens here, with each kind and reason.
func TestObserve(t *testing.T) {
	rec := new(observetest.Recorder)
	for name, f := range map[string]func(*testing.T, *oauthSystem, *observetest.Recorder){
		"codes": observeCodes, "refresh": observeRefresh, "other grants": observeGrants, "devices": observeDevices, "clients": observeClients,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newOAuth(t, func(o *settings) {
					o.Options.Observe = rec.Observe
					o.RefreshGrace = 10 * time.Second
					o.RefreshInterval = time.Hour
					o.ClientFailures = store.Limit{Max: 3, Window: time.Hour}
					o.Devices = &oauth.DeviceOptions{Guesses: store.Limit{Max: 2, Window: time.Hour}, Requests: store.Limit{Max: 3, Window: time.Hour}}
				})
				f(t, s, rec)
			})
		})
	}
	rec.Complete(t, observetest.OAuth, nil)
	seen := make(map[observe.Name]map[observe.Kind]bool)
	for _, e := range rec.Events() {
		if seen[e.Name] == nil {
			seen[e.Name] = make(map[observe.Kind]bool)
		}
		seen[e.Name][e.Kind] = true
	}
	for name, kinds := range observetest.OAuthKinds {
		for _, k := range kinds {
			if !seen[name][k] {
				t.Errorf("no event %v of kind %v", name, k)
			}
		}
	}
}

func observeCodes(t *testing.T, s *oauthSystem, rec *observetest.Recorder) {
	const kind = observe.KindAuthorizationCode
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	refused := func(r observe.Reason) observe.Event { return event(observe.GrantRefused, kind, r) }
	try := func(srv *oauth.Server, x oauth.CodeExchange) func() {
		return func() { _, _ = srv.Exchange(t.Context(), app.Application, x) }
	}
	var code string
	wantEvents(t, rec, "consent", func() { code = s.code(app, s.alice) }, event(observe.ConsentGiven, kind, 0))
	wantEvents(t, rec, "no code", try(s.server, oauth.CodeExchange{}), refused(observe.ReasonInvalidRequest))
	wantEvents(t, rec, "a malformed code", try(s.server, exchange("x")), refused(observe.ReasonInvalidGrant))
	for err, reason := range map[error]observe.Reason{
		errors.New("down"): observe.ReasonOutage, context.Canceled: observe.ReasonCanceled,
	} {
		wantEvents(t, rec, err.Error(), try(s.serverOn(failing{s.db, err}, s.db, nil), exchange(code)), refused(reason))
	}
	wantEvents(t, rec, "exchange", try(s.server, exchange(code)), event(observe.TokenIssued, kind, 0))
	wantEvents(t, rec, "again", try(s.server, exchange(code)), event(observe.GrantReused, kind, 0), refused(observe.ReasonInvalidGrant))
	wantEvents(t, rec, "the user issues one", func() {
		if _, err := s.server.IssueFor(t.Context(), by(s.admin), app.ID, auth.TokenRequest{}); err != nil {
			t.Error(err)
		}
	}, event(observe.TokenIssued, observe.KindApplication, 0))
	issued := s.issue(app, s.alice)
	wantEvents(t, rec, "revocation by the client", func() { _ = s.server.Revoke(t.Context(), app.Application, issued.AccessToken.Reveal()) },
		event(observe.TokenRevoked, observe.KindClient, 0))
	issued = s.issue(app, s.alice)
	wantEvents(t, rec, "a report", func() { _ = s.server.EndReported(t.Context(), by(s.admin), issued.RefreshToken) },
		event(observe.TokenRevoked, observe.KindReported, 0))
	wantEvents(t, rec, "withdrawal", func() { _ = s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID) },
		event(observe.ConsentWithdrawn, 0, 0))
}

func observeRefresh(t *testing.T, s *oauthSystem, rec *observetest.Recorder) {
	const kind = observe.KindRefreshToken
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued := s.issue(app, s.alice)
	x := refresh(issued)
	refused := func(r observe.Reason) observe.Event { return event(observe.GrantRefused, kind, r) }
	try := func(x oauth.RefreshExchange) func() {
		return func() { _, _ = s.server.Refresh(t.Context(), app.Application, x) }
	}
	wide := x
	wide.Scope = "admin"
	wantEvents(t, rec, "an unknown scope", try(wide), refused(observe.ReasonInvalidScope))
	wantEvents(t, rec, "refresh", try(x), event(observe.TokenRefreshed, observe.KindFirst, 0))
	wantEvents(t, rec, "retry", try(x), event(observe.TokenRefreshed, observe.KindRetry, 0))
	wait(time.Minute)
	wantEvents(t, rec, "after the grace", try(x), event(observe.GrantReused, kind, 0), refused(observe.ReasonInvalidGrant))

	issued = s.issue(app, s.alice)
	for range 100 {
		next, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
		if err != nil {
			t.Fatal(err)
		}
		issued = next
	}
	wantEvents(t, rec, "too often", try(refresh(issued)), refused(observe.ReasonThrottled))
}

func observeGrants(t *testing.T, s *oauthSystem, rec *observetest.Recorder) {
	byPassword, byClient := s.app(oauth.GrantPassword, oauth.ClientConfidential), s.app(oauth.GrantClientCredentials, oauth.ClientConfidential)
	authtest.AddUser(t, s.db, store.User{Name: "zoe"}, "correct horse battery")
	passwords := auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Logger: s.opts.Options.Logger}))
	try := func(app oauth.IssuedApplication, password string) func() {
		return func() {
			_, _ = s.server.ExchangePassword(t.Context(), app.Application, passwords, oauth.PasswordExchange{Username: "zoe", Password: password})
		}
	}
	refused := func(r observe.Reason) observe.Event { return event(observe.GrantRefused, observe.KindPassword, r) }
	wantEvents(t, rec, "a right password", try(byPassword, "correct horse battery"), event(observe.TokenIssued, observe.KindPassword, 0))
	wantEvents(t, rec, "a wrong password", try(byPassword, "wrong"), refused(observe.ReasonInvalidGrant))
	wantEvents(t, rec, "another grant", try(byClient, "wrong"), refused(observe.ReasonForbidden))
	credentials := func(app oauth.IssuedApplication) func() {
		return func() { _, _ = s.server.ExchangeClient(t.Context(), app.Application, oauth.ClientExchange{}) }
	}
	wantEvents(t, rec, "client credentials", credentials(byClient), event(observe.TokenIssued, observe.KindClientCredentials, 0))
	wantEvents(t, rec, "of another application", credentials(byPassword), event(observe.GrantRefused, observe.KindClientCredentials, observe.ReasonForbidden))

	// All places for hashing are taken.
	h := &slow{}
	passwords = auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Hasher: h, MaxHashes: 1, Logger: s.opts.Options.Logger}))
	if _, err := passwords.Verify(t.Context(), "zoe", "first"); err == nil {
		t.Error("a wrong password is right")
	}
	h.wait = time.Minute
	go func() { _, _ = passwords.Verify(t.Context(), "zoe", "other") }()
	synctest.Wait()
	wantEvents(t, rec, "busy", try(byPassword, "wrong"), refused(observe.ReasonBusy))
	time.Sleep(time.Hour)
}

// slow is a hasher that takes its time to compare, and finds nothing.
type slow struct{ wait time.Duration }

func (s *slow) Hash(string) (string, error) { return "slow", nil }

func (s *slow) Verify(string, string) (ok, outdated bool, err error) {
	time.Sleep(s.wait)
	return false, false, nil
}

func observeDevices(t *testing.T, s *oauthSystem, rec *observetest.Recorder) {
	const kind = observe.KindDeviceCode
	app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
	refused := func(r observe.Reason) observe.Event { return event(observe.GrantRefused, kind, r) }
	var d oauth.DeviceAuthorization
	begin := func() { d = s.start(app) }
	poll := func() { _, _ = s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal()) }
	started := event(observe.DeviceStarted, 0, 0)
	wantEvents(t, rec, "start", begin, started)
	wantEvents(t, rec, "poll", poll, refused(observe.ReasonPending))
	wantEvents(t, rec, "poll at once", poll, refused(observe.ReasonPending))
	wantEvents(t, rec, "approve", func() { s.decide(d, s.alice, true) }, event(observe.ConsentGiven, kind, 0))
	wantEvents(t, rec, "collect", poll, event(observe.TokenIssued, kind, 0))
	wantEvents(t, rec, "collect again", poll, event(observe.GrantReused, kind, 0), refused(observe.ReasonInvalidGrant))
	wantEvents(t, rec, "start another", begin, started)
	wantEvents(t, rec, "deny", func() { s.decide(d, s.alice, false) }, event(observe.DeviceDenied, 0, 0))
	wantEvents(t, rec, "poll what was denied", poll, refused(observe.ReasonDenied))
	wantEvents(t, rec, "start a third", begin, started)
	time.Sleep(15 * time.Minute)
	wantEvents(t, rec, "too late", poll, refused(observe.ReasonExpiredToken))
	wantEvents(t, rec, "too many devices", func() { _, _ = s.server.StartDevice(t.Context(), app.Application, "read", nil) },
		event(observe.Throttled, kind, observe.ReasonThrottled))
	for range 2 {
		_, _ = s.server.FindDevice(t.Context(), by(s.alice), "BCDF-GHJK")
	}
	wantEvents(t, rec, "too many codes", func() { _, _ = s.server.FindDevice(t.Context(), by(s.alice), "BCDF-GHJK") },
		event(observe.Throttled, observe.KindUserCode, observe.ReasonThrottled))
}

func observeClients(t *testing.T, s *oauthSystem, rec *observetest.Recorder) {
	refused := func(r observe.Reason) observe.Event { return event(observe.ClientRefused, 0, r) }
	try := func(srv *oauth.Server, form url.Values) func() {
		return func() { _, _ = srv.Authenticate(t.Context(), http.Header{}, form) }
	}
	wrong := url.Values{"client_id": {"nobody"}, "client_secret": {"x"}}
	wantEvents(t, rec, "named twice", try(s.server, url.Values{"client_id": {"a", "b"}}), refused(observe.ReasonInvalidRequest))
	for range 3 {
		wantEvents(t, rec, "wrong", try(s.server, wrong), refused(observe.ReasonInvalidCredential))
	}
	wantEvents(t, rec, "too many", try(s.server, wrong), event(observe.Throttled, observe.KindClient, observe.ReasonThrottled), refused(observe.ReasonThrottled))
	for err, reason := range map[error]observe.Reason{
		errors.New("down"): observe.ReasonOutage, context.Canceled: observe.ReasonCanceled,
	} {
		wantEvents(t, rec, err.Error(), try(s.serverOn(failing{s.db, err}, s.db, nil), wrong), refused(reason))
	}
	app := s.app(oauth.GrantClientCredentials, oauth.ClientConfidential)
	wantEvents(t, rec, "right", try(s.server, url.Values{"client_id": {app.ClientID}, "client_secret": {app.ClientSecret.Reveal()}}))
}
