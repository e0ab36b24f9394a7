package oauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/internal/refusaltest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// The tests of the OAuth part. Each requirement of sections D and E of the
// security specification that is met in this package is named, as R-nnn, by the
// tests that hold it.

const (
	redirectURI = "https://app.example/cb"
	verifier    = "0123456789-abcdefghijklmnopqrstuvwxyz_ABCDEF"
)

// oauthSystem is everything there is, on a fresh store, with the people of the
// case catalogue: orgadmin administers organization 1, member belongs to it, bob
// administers organization 2.
type oauthSystem struct {
	t      testing.TB
	db     *memory.Store
	tokens *auth.Tokens
	server *oauth.Server
	opts   settings
	log    *logtest.Buffer

	admin, auditor, alice, bob, orgadmin, member store.User
}

// settings are the options that a test changes.
type settings struct {
	auth.TokensOptions
	oauth.Options
}

func newOAuth(t testing.TB, change func(*settings)) *oauthSystem {
	t.Helper()
	s := &oauthSystem{t: t, db: memory.New(), log: &logtest.Buffer{}}
	for to, u := range map[*store.User]store.User{
		&s.admin:    {ID: "1", Name: "admin", Admin: true},
		&s.auditor:  {ID: "2", Name: "auditor", Auditor: true},
		&s.alice:    {ID: "3", Name: "alice"},
		&s.bob:      {ID: "4", Name: "bob"},
		&s.orgadmin: {ID: "6", Name: "orgadmin"},
		&s.member:   {ID: "7", Name: "member"},
	} {
		*to = authtest.AddUser(t, s.db, u, "")
	}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := settings{auth.TokensOptions{
		Logger: logger,
		Organizations: auth.Organizations{
			ByID: func(_ context.Context, id int64) (auth.Organization, error) {
				if id != 1 && id != 2 {
					return auth.Organization{}, store.ErrNotFound
				}
				return auth.Organization{ID: id, Name: "Org"}, nil
			},
			Of: func(_ context.Context, userID string) (auth.Memberships, error) {
				switch userID {
				case "4":
					return auth.Memberships{Admin: []int64{2}}, nil
				case "6":
					return auth.Memberships{Member: []int64{1}, Admin: []int64{1}}, nil
				case "7":
					return auth.Memberships{Member: []int64{1}}, nil
				}
				return auth.Memberships{}, nil
			},
		},
	}, oauth.Options{
		Issuer:  "https://api.example",
		Devices: &oauth.DeviceOptions{},
		Logger:  logger,
	}}
	if change != nil {
		change(&o)
	}
	s.opts = o
	s.tokens = auth.Must(auth.NewTokens(s.db, s.db, &o.TokensOptions))
	s.server = s.serverOn(s.db, s.db, nil)
	return s
}

// serverOn returns a server like that of the system on other stores and, unless
// opts is nil, with other options.
func (s *oauthSystem) serverOn(st store.OAuth, users store.Users, opts *oauth.Options) *oauth.Server {
	s.t.Helper()
	if opts == nil {
		opts = &s.opts.Options
	}
	o := *opts
	o.Logger = s.opts.Options.Logger
	tokens := auth.Must(auth.NewTokens(st, users, &s.opts.TokensOptions))
	return auth.Must(oauth.NewServer(tokens, st, s.db, &o))
}

func by(u store.User) *auth.Principal {
	return &auth.Principal{ID: u.ID, Name: u.Name, Admin: u.Admin, Auditor: u.Auditor,
		Scopes: auth.Unrestricted, Credential: auth.CredentialSession}
}

// app registers an application of organization 1.
func (s *oauthSystem) app(grant, clientType string) oauth.IssuedApplication {
	s.t.Helper()
	return s.appAt(grant, clientType, redirectURI)
}

func (s *oauthSystem) appAt(grant, clientType string, uris ...string) oauth.IssuedApplication {
	s.t.Helper()
	app, err := s.server.CreateApplication(s.t.Context(), by(s.admin), oauth.ApplicationRequest{
		Name:           strings.TrimSpace(grant + " " + clientType + " " + strings.Join(uris, " ")),
		OrganizationID: 1,
		ClientType:     clientType,
		GrantType:      grant,
		RedirectURIs:   uris,
	})
	if err != nil {
		s.t.Fatalf("create an application: %v", err)
	}
	return app
}

var (
	refusals      = refusaltest.All
	refusesStatus = refusaltest.Status
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authorization is a request with PKCE and a redirect URI; pairs replace
// parameters, and an empty value removes one.
func authorization(app oauth.IssuedApplication, pairs ...string) url.Values {
	v := url.Values{
		"response_type":         {"code"},
		"client_id":             {app.ClientID},
		"redirect_uri":          {redirectURI},
		"scope":                 {"read write"},
		"state":                 {"xyz"},
		"code_challenge":        {challenge(verifier)},
		"code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// code takes u through the authorization endpoint.
func (s *oauthSystem) code(app oauth.IssuedApplication, u store.User, pairs ...string) string {
	s.t.Helper()
	a, err := s.server.ParseAuthorization(s.t.Context(), authorization(app, pairs...))
	if err != nil {
		s.t.Fatalf("parse the authorization request: %v", err)
	}
	to, err := s.server.Authorize(s.t.Context(), by(u), a)
	if err != nil {
		s.t.Fatalf("authorize: %v", err)
	}
	return query(s.t, to).Get("code")
}

func query(t testing.TB, uri string) url.Values {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func exchange(code string) oauth.CodeExchange {
	return oauth.CodeExchange{Code: code, RedirectURI: redirectURI, Verifier: verifier}
}

// issue takes u through the whole code flow.
func (s *oauthSystem) issue(app oauth.IssuedApplication, u store.User, pairs ...string) auth.IssuedToken {
	s.t.Helper()
	issued, err := s.server.Exchange(s.t.Context(), app.Application, exchange(s.code(app, u, pairs...)))
	if err != nil {
		s.t.Fatalf("exchange: %v", err)
	}
	return issued
}

func refresh(issued auth.IssuedToken) oauth.RefreshExchange {
	return oauth.RefreshExchange{RefreshToken: issued.RefreshToken.Reveal()}
}

// refuses fails the test unless err is a refusal with that code.
func refuses(t testing.TB, err error, code string) {
	t.Helper()
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Code != code {
		t.Errorf("error is %v, want a refusal with the code %q", err, code)
		return
	}
	want := http.StatusBadRequest
	if code == "invalid_client" {
		want = http.StatusUnauthorized
	}
	if e.Status != want {
		t.Errorf("status is %d, want %d", e.Status, want)
	}
}

// live reports whether the access token and the refresh token of issued work,
// without using the latter up.
func (s *oauthSystem) live(issued auth.IssuedToken) (access, refresh bool) {
	s.t.Helper()
	_, err := s.tokens.Verify(s.t.Context(), issued.AccessToken.Reveal())
	if issued.RefreshToken == "" {
		return err == nil, false
	}
	tok, refreshErr := s.db.TokenByRefresh(s.t.Context(), store.DigestOf(issued.RefreshToken.Reveal()))
	return err == nil, refreshErr == nil && tok.Refresh.Spent.IsZero() && tok.Revoked.IsZero()
}

func (s *oauthSystem) wantDead(what string, issued auth.IssuedToken) {
	s.t.Helper()
	if access, refresh := s.live(issued); access || refresh {
		s.t.Errorf("%s: access token alive: %v, refresh token alive: %v, want both dead", what, access, refresh)
	}
}

func (s *oauthSystem) wantLive(what string, issued auth.IssuedToken) {
	s.t.Helper()
	if access, refresh := s.live(issued); !access || !refresh {
		s.t.Errorf("%s: access token alive: %v, refresh token alive: %v, want both alive", what, access, refresh)
	}
}

// wantEvent fails the test unless the log has a line with all of the words.
func (s *oauthSystem) wantEvent(words ...string) {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return
		}
	}
	s.t.Errorf("no event with %q in\n%s", words, s.log)
}

// whatever happens, no secret is logged.
func (s *oauthSystem) wantUnlogged(secrets ...string) {
	s.t.Helper()
	for _, secret := range secrets {
		if strings.Contains(s.log.String(), secret) {
			s.t.Errorf("the log has a secret:\n%s", s.log)
		}
	}
}
