package oauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

func basic(pair string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}}
}

// encodeAll percent-encodes every byte, as no client does but every server must
// understand.
func encodeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// R-067, case 182, 183.
func TestClientAuthentication(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	public := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	id, secret := app.ClientID, app.ClientSecret.Reveal()
	form := func(pairs ...string) url.Values {
		v := url.Values{"grant_type": {"refresh_token"}}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return v
	}
	for _, tt := range []struct {
		name   string
		header http.Header
		form   url.Values
		want   int64 // application
		code   string
	}{
		{"Basic", basic(id + ":" + secret), form(), app.ID, ""},
		{"Basic, form-encoded", basic(encodeAll(id) + ":" + encodeAll(secret)), form(), app.ID, ""},
		{"scheme in another case", http.Header{"Authorization": {"bAsIc " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}}, form(), app.ID, ""},
		{"Basic and the same client_id in the body", basic(id + ":" + secret), form("client_id", id), app.ID, ""},
		{"body", nil, form("client_id", id, "client_secret", secret), app.ID, ""},
		{"public, by client_id alone", nil, form("client_id", public.ClientID), public.ID, ""},
		{"public, by Basic with an empty secret", basic(public.ClientID + ":"), form(), public.ID, ""},

		{"nothing", nil, form(), 0, "invalid_client"},
		{"wrong secret", basic(id + ":" + strings.Repeat("x", 64)), form(), 0, "invalid_client"},
		{"wrong secret in the body", nil, form("client_id", id, "client_secret", "x"), 0, "invalid_client"},
		{"unknown client", basic("nobody:" + secret), form(), 0, "invalid_client"},
		{"confidential without a secret", nil, form("client_id", id), 0, "invalid_client"},
		{"confidential with an empty secret", nil, form("client_id", id, "client_secret", ""), 0, "invalid_client"},
		{"confidential by Basic with an empty secret", basic(id + ":"), form(), 0, "invalid_client"},
		{"public with a secret", nil, form("client_id", public.ClientID, "client_secret", "x"), 0, "invalid_client"},
		{"public with an empty secret in the body", nil, form("client_id", public.ClientID, "client_secret", ""), public.ID, ""},
		{"digest for a secret, R-041", basic(id + ":" + string(app.Secret[:])), form(), 0, "invalid_client"},
		{"secret cut short", basic(id + ":" + secret[:63]), form(), 0, "invalid_client"},
		{"bearer token", http.Header{"Authorization": {"Bearer abc"}}, form("client_id", id, "client_secret", secret), 0, "invalid_client"},
		{"empty field", http.Header{"Authorization": {""}}, form("client_id", public.ClientID), 0, "invalid_client"},
		{"no base64", http.Header{"Authorization": {"Basic %%%"}}, form(), 0, "invalid_client"},
		{"no colon", basic(id), form(), 0, "invalid_client"},
		{"NUL", basic(id + "\x00:" + secret), form(), 0, "invalid_client"},

		{"Basic and body together", basic(id + ":" + secret), form("client_id", id, "client_secret", secret), 0, "invalid_request"},
		{"Basic and another client in the body", basic(id + ":" + secret), form("client_id", public.ClientID), 0, "invalid_request"},
		{"two Authorization fields", http.Header{"Authorization": {"Basic x", "Basic y"}}, form(), 0, "invalid_request"},
		{"client_id twice", nil, form("client_id", public.ClientID, "client_id", id), 0, "invalid_request"},
		{"client_secret twice", nil, form("client_id", id, "client_secret", secret, "client_secret", "x"), 0, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.server.Authenticate(t.Context(), tt.header, tt.form)
			if tt.code != "" {
				refuses(t, err, tt.code)
			} else if err != nil {
				t.Error(err)
			}
			if got.ID != tt.want {
				t.Errorf("application %d, want %d", got.ID, tt.want)
			}
		})
	}
	s.wantEvent("auth: client refused", "client_id=nobody")
	s.wantUnlogged(secret)
}

// A secret that was brought along from elsewhere may have any characters; it is
// right in both readings of Basic (RFC 6749 section 2.3.1).
func TestImportedSecrets(t *testing.T) {
	s := newOAuth(t, nil)
	for _, secret := range []string{"a:b+c%2Bd e", "100%", "plain", "ü"} {
		app, err := s.db.InsertApplication(t.Context(), store.Application{
			ClientID: "id-" + fmt.Sprint(len(secret)), Secret: store.DigestOf(secret), Name: secret, OrganizationID: 1, Confidential: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string]string{
			"raw":          app.ClientID + ":" + secret,
			"form-encoded": url.QueryEscape(app.ClientID) + ":" + url.QueryEscape(secret),
		} {
			if got, err := s.server.Authenticate(t.Context(), basic(pair), nil); err != nil || got.ID != app.ID {
				t.Errorf("%q, %s: %v", secret, name, err)
			}
		}
	}
}

// an unknown client, a wrong secret and a public client with a secret are
// the same refusal after the same number of calls to the store.
func TestClientRefusalsAreAlike(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	public := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	c := &countingClients{OAuth: s.db, Attempts: s.db}
	server := auth.Must(oauth.NewServer(s.tokens, c, c, nil))
	var first error
	for _, pair := range []string{"nobody:x", app.ClientID + ":x", app.ClientID + ":", public.ClientID + ":x"} {
		c.lookUps, c.charges = 0, 0
		_, err := server.Authenticate(t.Context(), basic(pair), nil)
		if first == nil {
			first = err
		}
		if err != first || c.lookUps != 1 || c.charges != 1 {
			t.Errorf("%s: %v after %d look-ups and %d charges, want %v after one each", pair, err, c.lookUps, c.charges, first)
		}
	}
}

type countingClients struct {
	store.OAuth
	store.Attempts
	lookUps, charges int
}

func (c *countingClients) ApplicationByClientID(ctx context.Context, id string) (store.Application, error) {
	c.lookUps++
	return c.OAuth.ApplicationByClientID(ctx, id)
}

func (c *countingClients) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	c.charges++
	return c.Attempts.Charge(ctx, charges, now)
}

// Case 193: failures are throttled by network; a right secret is not.
func TestClientFailuresAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		here := auth.WithClientAddr(t.Context(), netip.MustParseAddr("192.0.2.1"))
		there := auth.WithClientAddr(t.Context(), netip.MustParseAddr("192.0.2.2"))
		wrong := basic(app.ClientID + ":x")
		for range 30 {
			_, err := s.server.Authenticate(here, wrong, nil)
			refuses(t, err, "invalid_client")
		}
		_, err := s.server.Authenticate(here, wrong, nil)
		refusesStatus(t, err, http.StatusTooManyRequests, "")
		_, err = s.server.Authenticate(there, wrong, nil)
		refuses(t, err, "invalid_client")
		if _, err := s.server.Authenticate(here, basic(app.ClientID+":"+app.ClientSecret.Reveal()), nil); err != nil {
			t.Errorf("a right secret: %v", err)
		}
		s.wantEvent("auth: client refused", "throttled")
		wait(time.Minute)
		_, err = s.server.Authenticate(here, wrong, nil)
		refuses(t, err, "invalid_client")
	})
}

// A store that is down has not said no.
func TestClientStoreDown(t *testing.T) {
	s := newOAuth(t, nil)
	outage := errors.New("connection refused")
	down := &broken{OAuth: s.db, err: outage}
	server := s.serverOn(down, s.db, nil)
	if _, err := server.Authenticate(t.Context(), basic("a:b"), nil); !errors.Is(err, outage) {
		t.Errorf("error is %v, want the outage", err)
	}
}

// FuzzClientBasic: whatever the credentials are, only the right ones, in one of
// the two readings, authenticate.
func FuzzClientBasic(f *testing.F) {
	s := newOAuth(f, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	good := app.ClientID + ":" + app.ClientSecret.Reveal()
	for _, pair := range []string{good, good + " ", encodeAll(app.ClientID) + ":" + encodeAll(app.ClientSecret.Reveal()), ":", "", "%zz:%zz", "a:b:c", "\xff:\xff"} {
		f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	f.Add("Basic")
	f.Add("Basic " + strings.Repeat("A", 10_000))
	server := s.serverOn(s.db, s.db, &oauth.Options{ClientFailures: store.Limit{Max: 1 << 30, Window: time.Hour}})
	f.Fuzz(func(t *testing.T, field string) {
		got, err := server.Authenticate(context.Background(), http.Header{"Authorization": {field}}, nil)
		if err == nil {
			scheme, credentials, _ := strings.Cut(field, " ")
			pair, decodeErr := base64.StdEncoding.DecodeString(strings.TrimLeft(credentials, " "))
			id, secret, _ := strings.Cut(string(pair), ":")
			decodedID, _ := url.QueryUnescape(id)
			decodedSecret, _ := url.QueryUnescape(secret)
			if !strings.EqualFold(scheme, "basic") || decodeErr != nil || got.ID != app.ID ||
				!slices.Contains([]string{id, decodedID}, app.ClientID) ||
				!slices.Contains([]string{secret, decodedSecret}, app.ClientSecret.Reveal()) {
				t.Fatalf("%q authenticates", field)
			}
			return
		}
		refuses(t, err, "invalid_client")
	})
}

// chargesSeen is a store that notes the charges it gets.
type chargesSeen struct {
	*memory.Store
	seen []store.Charge
}

func (c *chargesSeen) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	c.seen = append(c.seen, charges...)
	return c.Store.Charge(ctx, charges, now)
}

// B3: what anybody can make one of for each network gives way in a store that is full,
// before the counters of passwords and of user codes do.
func TestCountersOfNetworksGiveWay(t *testing.T) {
	s := newOAuth(t, nil)
	attempts := &chargesSeen{Store: s.db}
	server := auth.Must(oauth.NewServer(s.tokens, s.db, attempts, &s.opts.Options))
	device := s.appAt(oauth.GrantDeviceCode, oauth.ClientPublic)
	for _, ip := range []string{"203.0.113.1", "2001:db8::1", "2001:db8:0:1::1"} {
		ctx := auth.WithClientAddr(t.Context(), netip.MustParseAddr(ip))
		_, err := server.Authenticate(ctx, nil, url.Values{"client_id": {"nobody"}})
		refuses(t, err, "invalid_client")
		if _, err := server.StartDevice(ctx, device.Application, "", nil); err != nil {
			t.Error(err)
		}
	}
	_, err := server.FindDevice(t.Context(), by(s.alice), "BCDF-GHJK")
	refusesStatus(t, err, 400, "UserCode")
	var networks, others int
	for _, c := range attempts.seen {
		network := strings.HasPrefix(c.Key, "client:") || strings.HasPrefix(c.Key, "device-start:")
		if network != c.Spare {
			t.Errorf("%s: spare is %v", c.Key, c.Spare)
		}
		if network {
			networks++
		} else {
			others++
		}
	}
	if networks != 6 || others != 4 {
		t.Errorf("%d counters of networks and %d others", networks, others)
	}
}
