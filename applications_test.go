package auth_test

import (
	"context"
	"errors"
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

func request1(change func(*auth.ApplicationRequest)) auth.ApplicationRequest {
	req := auth.ApplicationRequest{
		Name: "ci", OrganizationID: 1, ClientType: auth.ClientConfidential,
		GrantType: auth.GrantAuthorizationCode, RedirectURIs: []string{redirectURI},
	}
	if change != nil {
		change(&req)
	}
	return req
}

// Case 164, 165: identifiers and secrets are letters and digits,
// and only a digest is kept.
func TestApplicationCreate(t *testing.T) {
	s := newOAuth(t, nil)
	app, err := s.apps.Create(t.Context(), by(s.admin), request1(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9]{40}$`).MatchString(app.ClientID) || !regexp.MustCompile(`^[A-Za-z0-9]{64,}$`).MatchString(app.ClientSecret.Reveal()) {
		t.Errorf("client_id %q, client_secret %q", app.ClientID, app.ClientSecret.Reveal())
	}
	stored, err := s.db.ApplicationByID(t.Context(), app.ID)
	if err != nil || stored.Secret != store.DigestOf(app.ClientSecret.Reveal()) {
		t.Errorf("stored %+v, %v", stored, err)
	}
	public, err := s.apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.Name, r.ClientType = "public", auth.ClientPublic }))
	if err != nil || public.ClientSecret != "" || public.Secret != (store.Digest{}) {
		t.Errorf("public: %+v, %v", public, err)
	}
	s.wantEvent("auth: application created", "actor=admin", "application=ci")
	s.wantUnlogged(app.ClientSecret.Reveal())
}

// Case 167 to 172; R-077.
func TestApplicationRefused(t *testing.T) {
	s := newOAuth(t, nil)
	if _, err := s.apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.Name = "taken" })); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*auth.ApplicationRequest)
		fields []string
	}{
		{"nothing given", func(r *auth.ApplicationRequest) { *r = auth.ApplicationRequest{} }, []string{"client_type", "authorization_grant_type", "name", "organization"}},
		{"unknown client type", func(r *auth.ApplicationRequest) { r.ClientType = "x" }, []string{"client_type"}},
		{"implicit grant, R-083", func(r *auth.ApplicationRequest) { r.GrantType = "implicit" }, []string{"authorization_grant_type"}},
		{"unknown organization", func(r *auth.ApplicationRequest) { r.OrganizationID = 99 }, []string{"organization"}},
		{"name taken", func(r *auth.ApplicationRequest) { r.Name = "taken" }, []string{"__all__"}},
		{"blank name", func(r *auth.ApplicationRequest) { r.Name = " " }, []string{"name"}},
		{"long name", func(r *auth.ApplicationRequest) { r.Name = strings.Repeat("ü", 256) }, []string{"name"}},
		{"name with a line break", func(r *auth.ApplicationRequest) { r.Name = "a\nb" }, []string{"name"}},
		{"description with NUL", func(r *auth.ApplicationRequest) { r.Description = "a\x00b" }, []string{"description"}},
		{"code grant without a redirect URI", func(r *auth.ApplicationRequest) { r.RedirectURIs = nil }, []string{"__all__"}},
		{"redirect URI with ftp", func(r *auth.ApplicationRequest) { r.RedirectURIs = []string{"ftp://x/"} }, []string{"__all__"}},
		{"redirect URI with http", func(r *auth.ApplicationRequest) { r.RedirectURIs = []string{"http://app.example/cb"} }, []string{"__all__"}},
		{"one bad redirect URI of two", func(r *auth.ApplicationRequest) { r.RedirectURIs = append(r.RedirectURIs, "/relative") }, []string{"__all__"}},
		{"redirect URI twice", func(r *auth.ApplicationRequest) { r.RedirectURIs = []string{redirectURI, redirectURI} }, []string{"__all__"}},
		{"public client for itself", func(r *auth.ApplicationRequest) {
			r.ClientType, r.GrantType = auth.ClientPublic, auth.GrantClientCredentials
		}, []string{"client_type"}},
		{"public client without consent", func(r *auth.ApplicationRequest) { r.ClientType, r.SkipConsent = auth.ClientPublic, true }, []string{"skip_authorization"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request1(tt.change)
			_, err := s.apps.Create(t.Context(), by(s.admin), req)
			var fields []string
			for _, e := range refusals(err) {
				if e.Status != http.StatusBadRequest {
					t.Errorf("status is %d", e.Status)
				}
				fields = append(fields, e.Field)
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Errorf("fields at fault (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("the same name in another organization", func(t *testing.T) {
		if _, err := s.apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.Name, r.OrganizationID = "taken", 2 })); err != nil {
			t.Error(err)
		}
	})
	t.Run("http where it is allowed", func(t *testing.T) {
		apps := auth.Must(auth.NewApplications(s.tokens, s.db, &auth.ApplicationsOptions{InsecureHTTPRedirects: true}))
		if _, err := apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.RedirectURIs = []string{"http://app.example/cb"} })); err != nil {
			t.Error(err)
		}
	})
}

// Case 173, 175, 176 and section 5 of the behaviour: who may do what.
func TestApplicationRights(t *testing.T) {
	s := newOAuth(t, nil)
	const ok, forbidden, hidden = 0, http.StatusForbidden, http.StatusNotFound
	for _, tt := range []struct {
		who                                store.User
		read, create, change, move, remove int
		listed                             int
	}{
		{s.admin, ok, ok, ok, ok, ok, 3},
		{s.auditor, ok, forbidden, forbidden, forbidden, forbidden, 3},
		{s.orgadmin, ok, ok, ok, forbidden, ok, 2}, // a move takes both organizations
		{s.member, ok, forbidden, forbidden, forbidden, forbidden, 2},
		{s.bob, hidden, forbidden, hidden, hidden, hidden, 1}, // administers organization 2
		{s.alice, hidden, forbidden, hidden, hidden, hidden, 0},
	} {
		t.Run(tt.who.Name, func(t *testing.T) {
			s := newOAuth(t, nil)
			app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
			s.app(auth.GrantPassword, auth.ClientConfidential)
			if _, err := s.apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.OrganizationID = 2 })); err != nil {
				t.Fatal(err)
			}
			p := by(tt.who)
			_, total, err := s.apps.List(t.Context(), p, store.ApplicationFilter{All: true}, store.Page{Limit: 10})
			if err != nil || total != tt.listed {
				t.Errorf("lists %d applications, want %d (%v)", total, tt.listed, err)
			}
			_, read := s.apps.Application(t.Context(), p, app.ID)
			_, create := s.apps.Create(t.Context(), p, request1(nil))
			_, change := s.apps.Change(t.Context(), p, app.ID, auth.ApplicationChange{Description: new("x")})
			_, rotate := s.apps.RotateSecret(t.Context(), p, app.ID, 0)
			_, move := s.apps.Change(t.Context(), p, app.ID, auth.ApplicationChange{OrganizationID: new(int64(2))})
			remove := s.apps.Delete(t.Context(), p, app.ID)
			for what, c := range map[string]struct {
				got  error
				want int
			}{"read": {read, tt.read}, "create": {create, tt.create}, "change": {change, tt.change}, "rotate": {rotate, tt.change}, "move": {move, tt.move}, "delete": {remove, tt.remove}} {
				if c.want == ok {
					if c.got != nil {
						t.Errorf("%s: %v", what, c.got)
					}
				} else {
					refusesStatus(t, c.got, c.want, "")
				}
			}
		})
	}
}

// An application that skips consent is the superuser's: whoever could point it
// elsewhere would get everybody's tokens.
func TestSkippedConsentIsTheSuperusers(t *testing.T) {
	s := newOAuth(t, nil)
	_, err := s.apps.Create(t.Context(), by(s.orgadmin), request1(func(r *auth.ApplicationRequest) { r.SkipConsent = true }))
	refusesStatus(t, err, http.StatusBadRequest, "skip_authorization")
	app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
	_, err = s.apps.Change(t.Context(), by(s.orgadmin), app.ID, auth.ApplicationChange{SkipConsent: new(true)})
	refusesStatus(t, err, http.StatusBadRequest, "skip_authorization")
	if _, err := s.apps.Change(t.Context(), by(s.admin), app.ID, auth.ApplicationChange{SkipConsent: new(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = s.apps.Change(t.Context(), by(s.orgadmin), app.ID, auth.ApplicationChange{RedirectURIs: &[]string{"https://evil.example/"}})
	refusesStatus(t, err, http.StatusForbidden, "")
	_, err = s.apps.RotateSecret(t.Context(), by(s.orgadmin), app.ID, 0)
	refusesStatus(t, err, http.StatusForbidden, "")
	a, err := s.tokens.ParseAuthorization(t.Context(), authorization(app))
	if err != nil {
		t.Fatal(err)
	}
	if asked, err := s.tokens.NeedsConsent(t.Context(), by(s.alice), a, false); asked || err != nil {
		t.Errorf("consent is asked for: %v, %v", asked, err)
	}
}

// A token must not leave behind what outlives it.
func TestTokensGetNoMachineSecrets(t *testing.T) {
	s := newOAuth(t, nil)
	token := by(s.admin)
	token.TokenID, token.Scopes = 1, "write"
	machine := func(r *auth.ApplicationRequest) { r.GrantType, r.RedirectURIs = auth.GrantClientCredentials, nil }
	_, err := s.apps.Create(t.Context(), token, request1(machine))
	refusesStatus(t, err, http.StatusForbidden, "")
	app, err := s.apps.Create(t.Context(), by(s.admin), request1(machine))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.apps.RotateSecret(t.Context(), token, app.ID, 0)
	refusesStatus(t, err, http.StatusForbidden, "")
}

// R-069, case 174.
func TestSecretRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
		works := func(secret auth.Secret) bool {
			_, err := s.apps.Authenticate(t.Context(), basic(app.ClientID+":"+secret.Reveal()), nil)
			return err == nil
		}
		first := app.ClientSecret
		rotate := func(overlap time.Duration) auth.Secret {
			t.Helper()
			next, err := s.apps.RotateSecret(t.Context(), by(s.admin), app.ID, overlap)
			if err != nil {
				t.Fatal(err)
			}
			return next.ClientSecret
		}
		second := rotate(time.Hour)
		if !works(first) || !works(second) {
			t.Error("one of the secrets does not work during the overlap")
		}
		wait(time.Hour)
		if works(first) || !works(second) {
			t.Error("the old secret works after the overlap, or the new one does not")
		}
		third := rotate(0)
		if works(second) || !works(third) {
			t.Error("the old secret works without an overlap, or the new one does not")
		}
		fourth := rotate(time.Hour)
		fifth := rotate(time.Hour)
		if works(third) || !works(fourth) || !works(fifth) {
			t.Error("more than two secrets work, or less")
		}
		_, err := s.apps.RotateSecret(t.Context(), by(s.admin), app.ID, auth.MaxSecretOverlap+1)
		refusesStatus(t, err, http.StatusBadRequest, "overlap")
		public := s.app(auth.GrantAuthorizationCode, auth.ClientPublic)
		_, err = s.apps.RotateSecret(t.Context(), by(s.admin), public.ID, 0)
		refusesStatus(t, err, http.StatusBadRequest, "client_type")
		s.wantUnlogged(second.Reveal(), fifth.Reveal())
	})
}

func TestClientTypeChanges(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
	change := func(clientType string) store.Application {
		t.Helper()
		got, err := s.apps.Change(t.Context(), by(s.admin), app.ID, auth.ApplicationChange{ClientType: &clientType})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := change(auth.ClientPublic); got.Confidential || got.Secret != (store.Digest{}) {
		t.Errorf("public: %+v", got)
	}
	if got := change(auth.ClientConfidential); !got.Confidential || got.ClientID != app.ClientID {
		t.Errorf("confidential: %+v", got)
	}
	for _, secret := range []string{app.ClientSecret.Reveal(), "", "\x00"} {
		_, err := s.apps.Authenticate(t.Context(), basic(app.ClientID+":"+secret), nil)
		refuses(t, err, "invalid_client")
	}
	if _, err := s.apps.RotateSecret(t.Context(), by(s.admin), app.ID, 0); err != nil {
		t.Error(err)
	}
}

// Cases 147, 150 to 155, 158, 161, 162.
func TestApplicationTokens(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(auth.GrantPassword, auth.ClientConfidential)
	issued, err := s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{ApplicationID: app.ID, Scopes: "read"})
	if err != nil || issued.UserID != s.member.ID || issued.ApplicationID != app.ID {
		t.Fatalf("issued %+v, %v", issued.Token, err)
	}
	s.wantLive("the tokens", issued)
	personal, err := s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{})
	if err != nil || personal.RefreshToken != "" {
		t.Fatalf("personal token: %+v, %v", personal.Token, err)
	}

	_, err = s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{ApplicationID: app.ID})
	refusesStatus(t, err, http.StatusForbidden, "")
	_, err = s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{ApplicationID: 99})
	refusesStatus(t, err, http.StatusForbidden, "") // the same: no oracle
	_, err = s.tokens.Issue(t.Context(), by(s.admin), auth.TokenRequest{ApplicationID: 99})
	refusesStatus(t, err, http.StatusBadRequest, "application")
	_, err = s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{ApplicationID: app.ID, Expires: time.Now().Add(48 * time.Hour)})
	refusesStatus(t, err, http.StatusBadRequest, "expires")

	const ok, forbidden, hidden = 0, http.StatusForbidden, http.StatusNotFound
	for _, tt := range []struct {
		who                       store.User
		read, change              int // the application token
		readPersonal, endPersonal int
		listed                    int
	}{
		{s.admin, ok, ok, ok, ok, 2},
		{s.auditor, ok, forbidden, ok, forbidden, 2},
		{s.orgadmin, ok, ok, hidden, hidden, 1},
		{s.member, ok, ok, ok, ok, 2},
		{s.alice, hidden, hidden, hidden, hidden, 0},
		{s.bob, hidden, hidden, hidden, hidden, 0},
	} {
		t.Run(tt.who.Name, func(t *testing.T) {
			s := newOAuth(t, nil)
			app := s.app(auth.GrantPassword, auth.ClientConfidential)
			token, err := s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{ApplicationID: app.ID})
			if err != nil {
				t.Fatal(err)
			}
			personal, err := s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			p := by(tt.who)
			_, n, err := s.tokens.List(t.Context(), p, store.TokenFilter{}, store.Page{Limit: 10})
			if err != nil || n != tt.listed {
				t.Errorf("lists %d tokens, want %d (%v)", n, tt.listed, err)
			}
			_, read := s.tokens.Token(t.Context(), p, token.ID)
			_, change := s.tokens.Change(t.Context(), p, token.ID, auth.TokenChange{Description: new("x")})
			end := s.tokens.End(t.Context(), p, token.ID)
			_, readPersonal := s.tokens.Token(t.Context(), p, personal.ID)
			endPersonal := s.tokens.End(t.Context(), p, personal.ID)
			for what, c := range map[string]struct {
				got  error
				want int
			}{
				"read": {read, tt.read}, "change": {change, tt.change}, "end": {end, tt.change},
				"read personal": {readPersonal, tt.readPersonal}, "end personal": {endPersonal, tt.endPersonal},
			} {
				if c.want == ok {
					if c.got != nil {
						t.Errorf("%s: %v", what, c.got)
					}
				} else {
					refusesStatus(t, c.got, c.want, "")
				}
			}
			if tt.change == ok { // case 159: the refresh token is dead, too
				s.wantDead("the ended token", token)
				_, err := s.tokens.Refresh(t.Context(), app.Application, refresh(token))
				refuses(t, err, "invalid_grant")
			}
		})
	}
}

// what a token mints stays within what it is, also through an application
// and its refresh tokens.
func TestMintedApplicationTokens(t *testing.T) {
	s := newOAuth(t, func(o *auth.TokensOptions) { o.Resource = "https://api.example" })
	app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
	parent := s.issue(app, s.member, "scope", "write", "resource", "https://api.example")
	p, err := s.tokens.Verify(t.Context(), parent.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	child, err := s.tokens.Issue(t.Context(), p, auth.TokenRequest{ApplicationID: app.ID})
	if err != nil {
		t.Fatal(err)
	}
	if child.Audience != parent.Audience || child.Expires.After(parent.Expires) || child.Refresh.GrantExpires.After(parent.Expires) {
		t.Errorf("the child %+v goes beyond its parent", child.Token)
	}
	child, err = s.tokens.Refresh(t.Context(), app.Application, refresh(child))
	if err != nil {
		t.Fatal(err)
	}
	if child.Expires.After(parent.Expires) || child.Audience != parent.Audience {
		t.Errorf("the refreshed child %+v goes beyond its parent", child.Token)
	}
	next, err := s.tokens.Refresh(t.Context(), app.Application, refresh(parent))
	if err != nil {
		t.Fatal(err)
	}
	s.wantLive("the child, which has a new parent", child)
	if err := s.tokens.Revoke(t.Context(), app.Application, next.AccessToken.Reveal()); err != nil {
		t.Fatal(err)
	}
	s.wantDead("the child of a revoked token", child)
}

// Nobody but superusers has anything to do with applications where the host says
// nothing about organizations.
func TestZeroOrganizations(t *testing.T) {
	s := newOAuth(t, func(o *auth.TokensOptions) { o.Organizations = auth.Organizations{} })
	app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
	_, err := s.apps.Application(t.Context(), by(s.orgadmin), app.ID)
	refusesStatus(t, err, http.StatusNotFound, "")
	_, err = s.apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.OrganizationID = 2 }))
	refusesStatus(t, err, http.StatusBadRequest, "organization")
	if o, err := s.tokens.Organization(t.Context(), 1); err != nil || o.Name != "Default" {
		t.Errorf("organization 1 is %+v, %v", o, err)
	}
}

// An outage is no refusal, whatever else is wrong.
func TestApplicationCheckOutage(t *testing.T) {
	down := errors.New("no route to the directory")
	s := newOAuth(t, func(o *auth.TokensOptions) {
		o.Organizations.ByID = func(context.Context, int64) (auth.Organization, error) { return auth.Organization{}, down }
	})
	_, err := s.apps.Create(t.Context(), by(s.admin), request1(func(r *auth.ApplicationRequest) { r.ClientType, r.Name = "other", "" }))
	if _, refused := errors.AsType[*auth.Error](err); refused || !errors.Is(err, down) {
		t.Errorf("error is %v, want the outage alone", err)
	}
}
