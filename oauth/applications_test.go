package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

func request1(change func(*oauth.ApplicationRequest)) oauth.ApplicationRequest {
	req := oauth.ApplicationRequest{
		Name: "ci", OrganizationID: 1, ClientType: oauth.ClientConfidential,
		GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{redirectURI},
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
	app, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(nil))
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
	public, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.Name, r.ClientType = "public", oauth.ClientPublic }))
	if err != nil || public.ClientSecret != "" || public.Secret != (store.Digest{}) {
		t.Errorf("public: %+v, %v", public, err)
	}
	s.wantEvent("auth: application created", "actor=admin", "application=ci")
	s.wantUnlogged(app.ClientSecret.Reveal())
}

// Case 167 to 172; R-077.
func TestApplicationRefused(t *testing.T) {
	s := newOAuth(t, nil)
	if _, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.Name = "taken" })); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*oauth.ApplicationRequest)
		fields []string
	}{
		{"nothing given", func(r *oauth.ApplicationRequest) { *r = oauth.ApplicationRequest{} }, []string{"ClientType", "GrantType", "Name", "OrganizationID"}},
		{"unknown client type", func(r *oauth.ApplicationRequest) { r.ClientType = "x" }, []string{"ClientType"}},
		{"implicit grant, R-083", func(r *oauth.ApplicationRequest) { r.GrantType = "implicit" }, []string{"GrantType"}},
		{"unknown organization", func(r *oauth.ApplicationRequest) { r.OrganizationID = 99 }, []string{"OrganizationID"}},
		{"name taken", func(r *oauth.ApplicationRequest) { r.Name = "taken" }, []string{""}},
		{"blank name", func(r *oauth.ApplicationRequest) { r.Name = " " }, []string{"Name"}},
		{"long name", func(r *oauth.ApplicationRequest) { r.Name = strings.Repeat("ü", 256) }, []string{"Name"}},
		{"name with a zero width space", func(r *oauth.ApplicationRequest) { r.Name = "AWX\u200b CLI" }, []string{"Name"}},
		{"name that reads from the right", func(r *oauth.ApplicationRequest) { r.Name = "x\u202egnihsihp" }, []string{"Name"}},
		{"name of a letter that cannot be seen", func(r *oauth.ApplicationRequest) { r.Name = "\u3164" }, []string{"Name"}},
		{"name with tag characters", func(r *oauth.ApplicationRequest) { r.Name = "ci\U000e0041" }, []string{"Name"}},
		{"name with a line separator", func(r *oauth.ApplicationRequest) { r.Name = "a\u2028b" }, []string{"Name"}},
		{"name with a blank behind it", func(r *oauth.ApplicationRequest) { r.Name = "ci " }, []string{"Name"}},
		{"name with a line break", func(r *oauth.ApplicationRequest) { r.Name = "a\nb" }, []string{"Name"}},
		{"description with NUL", func(r *oauth.ApplicationRequest) { r.Description = "a\x00b" }, []string{"Description"}},
		{"code grant without a redirect URI", func(r *oauth.ApplicationRequest) { r.RedirectURIs = nil }, []string{"RedirectURIs"}},
		{"redirect URI with ftp", func(r *oauth.ApplicationRequest) { r.RedirectURIs = []string{"ftp://x/"} }, []string{"RedirectURIs"}},
		{"redirect URI with http", func(r *oauth.ApplicationRequest) { r.RedirectURIs = []string{"http://app.example/cb"} }, []string{"RedirectURIs"}},
		{"one bad redirect URI of two", func(r *oauth.ApplicationRequest) { r.RedirectURIs = append(r.RedirectURIs, "/relative") }, []string{"RedirectURIs"}},
		{"redirect URI twice", func(r *oauth.ApplicationRequest) { r.RedirectURIs = []string{redirectURI, redirectURI} }, []string{"RedirectURIs"}},
		{"public client for itself", func(r *oauth.ApplicationRequest) {
			r.ClientType, r.GrantType = oauth.ClientPublic, oauth.GrantClientCredentials
		}, []string{"ClientType"}},
		{"public client without consent", func(r *oauth.ApplicationRequest) { r.ClientType, r.SkipConsent = oauth.ClientPublic, true }, []string{"SkipConsent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request1(tt.change)
			_, err := s.server.CreateApplication(t.Context(), by(s.admin), req)
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
		if _, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.Name, r.OrganizationID = "taken", 2 })); err != nil {
			t.Error(err)
		}
	})
	t.Run("http where it is allowed", func(t *testing.T) {
		server := s.serverOn(s.db, s.db, &oauth.Options{InsecureHTTPRedirects: true})
		if _, err := server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.RedirectURIs = []string{"http://app.example/cb"} })); err != nil {
			t.Error(err)
		}
	})
}

// Cases 173, 175, 176, and the table of [auth.Organizations]: the rights of users.
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
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			s.app(oauth.GrantPassword, oauth.ClientConfidential)
			if _, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.OrganizationID = 2 })); err != nil {
				t.Fatal(err)
			}
			p := by(tt.who)
			_, total, err := s.server.ListApplications(t.Context(), p, store.ApplicationFilter{All: true}, store.Page{Limit: 10})
			if err != nil || total != tt.listed {
				t.Errorf("lists %d applications, want %d (%v)", total, tt.listed, err)
			}
			_, read := s.server.Application(t.Context(), p, app.ID)
			_, create := s.server.CreateApplication(t.Context(), p, request1(nil))
			_, change := s.server.ChangeApplication(t.Context(), p, app.ID, oauth.ApplicationChange{Description: new("x")})
			_, rotate := s.server.RotateSecret(t.Context(), p, app.ID, 0)
			_, move := s.server.ChangeApplication(t.Context(), p, app.ID, oauth.ApplicationChange{OrganizationID: new(int64(2))})
			remove := s.server.DeleteApplication(t.Context(), p, app.ID)
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
	_, err := s.server.CreateApplication(t.Context(), by(s.orgadmin), request1(func(r *oauth.ApplicationRequest) { r.SkipConsent = true }))
	refusesStatus(t, err, http.StatusBadRequest, "SkipConsent")
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	_, err = s.server.ChangeApplication(t.Context(), by(s.orgadmin), app.ID, oauth.ApplicationChange{SkipConsent: new(true)})
	refusesStatus(t, err, http.StatusBadRequest, "SkipConsent")
	if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{SkipConsent: new(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = s.server.ChangeApplication(t.Context(), by(s.orgadmin), app.ID, oauth.ApplicationChange{RedirectURIs: &[]string{"https://evil.example/"}})
	refusesStatus(t, err, http.StatusForbidden, "")
	_, err = s.server.RotateSecret(t.Context(), by(s.orgadmin), app.ID, 0)
	refusesStatus(t, err, http.StatusForbidden, "")
	a, err := s.server.ParseAuthorization(t.Context(), authorization(app))
	if err != nil {
		t.Fatal(err)
	}
	if asked, err := s.server.NeedsConsent(t.Context(), by(s.alice), a, false); asked || err != nil {
		t.Errorf("consent is asked for: %v, %v", asked, err)
	}
}

// A token must not leave behind what outlives it.
func TestTokensGetNoMachineSecrets(t *testing.T) {
	s := newOAuth(t, nil)
	token := by(s.admin)
	token.TokenID, token.Scopes = 1, "write"
	machine := func(r *oauth.ApplicationRequest) { r.GrantType, r.RedirectURIs = oauth.GrantClientCredentials, nil }
	_, err := s.server.CreateApplication(t.Context(), token, request1(machine))
	refusesStatus(t, err, http.StatusForbidden, "")
	app, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(machine))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.server.RotateSecret(t.Context(), token, app.ID, 0)
	refusesStatus(t, err, http.StatusForbidden, "")
}

// R-069, case 174.
func TestSecretRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		works := func(secret auth.Secret) bool {
			_, err := s.server.Authenticate(t.Context(), basic(app.ClientID+":"+secret.Reveal()), nil)
			return err == nil
		}
		first := app.ClientSecret
		rotate := func(overlap time.Duration) auth.Secret {
			t.Helper()
			next, err := s.server.RotateSecret(t.Context(), by(s.admin), app.ID, overlap)
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
		_, err := s.server.RotateSecret(t.Context(), by(s.admin), app.ID, oauth.MaxSecretOverlap+1)
		refusesStatus(t, err, http.StatusBadRequest, "Overlap")
		public := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		_, err = s.server.RotateSecret(t.Context(), by(s.admin), public.ID, 0)
		refusesStatus(t, err, http.StatusBadRequest, "ClientType")
		s.wantUnlogged(second.Reveal(), fifth.Reveal())
	})
}

func TestClientTypeChanges(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	change := func(clientType string) store.Application {
		t.Helper()
		got, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{ClientType: &clientType})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := change(oauth.ClientPublic); got.Confidential || got.Secret != (store.Digest{}) {
		t.Errorf("public: %+v", got)
	}
	if got := change(oauth.ClientConfidential); !got.Confidential || got.ClientID != app.ClientID {
		t.Errorf("confidential: %+v", got)
	}
	for _, secret := range []string{app.ClientSecret.Reveal(), "", "\x00"} {
		_, err := s.server.Authenticate(t.Context(), basic(app.ClientID+":"+secret), nil)
		refuses(t, err, "invalid_client")
	}
	if _, err := s.server.RotateSecret(t.Context(), by(s.admin), app.ID, 0); err != nil {
		t.Error(err)
	}
}

// Cases 147, 150 to 155, 158, 161, 162.
func TestApplicationTokens(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantPassword, oauth.ClientConfidential)
	issued, err := s.server.IssueFor(t.Context(), by(s.member), app.ID, auth.TokenRequest{Scopes: "read"})
	if err != nil || issued.UserID != s.member.ID || issued.ApplicationID != app.ID {
		t.Fatalf("issued %+v, %v", issued.Token, err)
	}
	s.wantLive("the tokens", issued)
	personal, err := s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{})
	if err != nil || personal.RefreshToken != "" {
		t.Fatalf("personal token: %+v, %v", personal.Token, err)
	}

	_, err = s.server.IssueFor(t.Context(), by(s.alice), app.ID, auth.TokenRequest{})
	refusesStatus(t, err, http.StatusBadRequest, "ApplicationID")
	_, err = s.server.IssueFor(t.Context(), by(s.alice), 99, auth.TokenRequest{})
	refusesStatus(t, err, http.StatusBadRequest, "ApplicationID") // the same: no oracle
	_, err = s.server.IssueFor(t.Context(), by(s.admin), 99, auth.TokenRequest{})
	refusesStatus(t, err, http.StatusBadRequest, "ApplicationID")
	_, err = s.server.IssueFor(t.Context(), by(s.member), app.ID, auth.TokenRequest{Expires: time.Now().Add(48 * time.Hour)})
	refusesStatus(t, err, http.StatusBadRequest, "Expires")

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
			app := s.app(oauth.GrantPassword, oauth.ClientConfidential)
			token, err := s.server.IssueFor(t.Context(), by(s.member), app.ID, auth.TokenRequest{})
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
				_, err := s.server.Refresh(t.Context(), app.Application, refresh(token))
				refuses(t, err, "invalid_grant")
			}
		})
	}
}

// a minted token stays within its parent, also through an application
// and its refresh tokens.
func TestMintedApplicationTokens(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.Resource = "https://api.example" })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	parent := s.issue(app, s.member, "scope", "write", "resource", "https://api.example")
	p, err := s.tokens.Verify(t.Context(), parent.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	child, err := s.server.IssueFor(t.Context(), p, app.ID, auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if child.Audience != parent.Audience || child.Expires.After(parent.Expires) || child.Refresh.GrantExpires.After(parent.Expires) {
		t.Errorf("the child %+v goes beyond its parent", child.Token)
	}
	child, err = s.server.Refresh(t.Context(), app.Application, refresh(child))
	if err != nil {
		t.Fatal(err)
	}
	if child.Expires.After(parent.Expires) || child.Audience != parent.Audience {
		t.Errorf("the refreshed child %+v goes beyond its parent", child.Token)
	}
	next, err := s.server.Refresh(t.Context(), app.Application, refresh(parent))
	if err != nil {
		t.Fatal(err)
	}
	s.wantLive("the child, which has a new parent", child)
	if err := s.server.Revoke(t.Context(), app.Application, next.AccessToken.Reveal()); err != nil {
		t.Fatal(err)
	}
	s.wantDead("the child of a revoked token", child)
}

// Nobody but superusers has anything to do with applications where the host says
// nothing about organizations.
func TestZeroOrganizations(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.Organizations = auth.Organizations{} })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	_, err := s.server.Application(t.Context(), by(s.orgadmin), app.ID)
	refusesStatus(t, err, http.StatusNotFound, "")
	_, err = s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.OrganizationID = 2 }))
	refusesStatus(t, err, http.StatusBadRequest, "OrganizationID")
	if o, err := s.server.Organization(t.Context(), 1); err != nil || o.Name != "Default" {
		t.Errorf("organization 1 is %+v, %v", o, err)
	}
}

// An outage is no refusal, whatever else is wrong.
func TestApplicationCheckOutage(t *testing.T) {
	down := errors.New("no route to the directory")
	s := newOAuth(t, func(o *settings) {
		o.Organizations.ByID = func(context.Context, int64) (auth.Organization, error) { return auth.Organization{}, down }
	})
	_, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.ClientType, r.Name = "other", "" }))
	if _, refused := errors.AsType[*auth.Error](err); refused || !errors.Is(err, down) {
		t.Errorf("error is %v, want the outage alone", err)
	}
}

// each change of what an application may do is in the event, with what was before.
func TestEveryChangeOfAnApplicationIsRecorded(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.Resources = []string{"https://jobs.example/"} })
	for _, tt := range []struct {
		change        oauth.ApplicationChange
		before, after string
	}{
		{oauth.ApplicationChange{Name: new("other")}, `application="authorization-code confidential https://app.example/cb"`, "application=other"},
		{oauth.ApplicationChange{OrganizationID: new(int64(2))}, "organization_id=1", "organization_id=2"},
		{oauth.ApplicationChange{ClientType: new(oauth.ClientPublic)}, "confidential=true", "confidential=false"},
		{oauth.ApplicationChange{RedirectURIs: &[]string{"https://b.example/"}}, "redirect_uris=[https://app.example/cb]", "redirect_uris=[https://b.example/]"},
		{oauth.ApplicationChange{SkipConsent: new(true)}, "skip_consent=false", "skip_consent=true"},
		{oauth.ApplicationChange{RequirePKCE: new(true)}, "require_pkce=false", "require_pkce=true"},
		{oauth.ApplicationChange{Resource: new("https://jobs.example/")}, `resource=""`, "resource=https://jobs.example/"},
		{oauth.ApplicationChange{Disabled: new(true)}, "disabled=false", "disabled=true"},
	} {
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, tt.change); err != nil {
			t.Errorf("%s: %v", tt.after, err)
		}
		s.wantEvent("auth: application changed", "application_id="+strconv.FormatInt(app.ID, 10)+" ", " "+tt.after, "before."+tt.before)
		if err := s.server.DeleteApplication(t.Context(), by(s.admin), app.ID); err != nil {
			t.Fatal(err)
		}
	}
}
