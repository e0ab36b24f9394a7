package oauth_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// whatever is done with tokens, in whatever order, no token
// can do more than the grant or the token it came from.
func TestRightsNeverGrow(t *testing.T) {
	all := []auth.Scopes{"read", "write", "jobs", "read jobs", "read write jobs", "jobs write"}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newOAuth(t, func(o *settings) { o.Scopes = []string{"jobs"} })
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		granted := all[r.IntN(len(all))]
		first := s.issue(app, s.member, "scope", string(granted))
		tokens := []auth.IssuedToken{first}
		for range 40 {
			i := r.IntN(len(tokens))
			asked := all[r.IntN(len(all))]
			switch r.IntN(4) {
			case 0: // refresh
				if tokens[i].RefreshToken == "" {
					continue
				}
				x := refresh(tokens[i])
				x.Scope = string(asked)
				next, err := s.server.Refresh(t.Context(), app.Application, x)
				if err != nil {
					continue
				}
				tokens[i] = next
			case 1: // mint
				p, err := s.tokens.Verify(t.Context(), tokens[i].AccessToken.Reveal())
				if err != nil {
					continue
				}
				req := auth.TokenRequest{Scopes: asked}
				issue := s.tokens.Issue
				if r.IntN(2) == 0 {
					issue = func(ctx context.Context, by *auth.Principal, req auth.TokenRequest) (auth.IssuedToken, error) {
						return s.server.IssueFor(ctx, by, app.ID, req)
					}
				}
				child, err := issue(t.Context(), p, req)
				if err != nil {
					continue
				}
				tokens = append(tokens, child)
			case 2: // change
				p, err := s.tokens.Verify(t.Context(), tokens[i].AccessToken.Reveal())
				if err != nil {
					continue
				}
				_, _ = s.tokens.Change(t.Context(), p, tokens[r.IntN(len(tokens))].ID, auth.TokenChange{Scopes: &asked})
			case 3: // rotate
				p, err := s.tokens.Verify(t.Context(), tokens[i].AccessToken.Reveal())
				if err != nil {
					continue
				}
				if next, err := s.tokens.Rotate(t.Context(), p, tokens[i].ID); err == nil {
					tokens[i] = next
				}
			}
			for _, tok := range tokens {
				p, err := s.tokens.Verify(t.Context(), tok.AccessToken.Reveal())
				if err == nil && !p.Scopes.Within(granted) {
					t.Fatalf("seed %d: of %q came a token with %q", seed, granted, p.Scopes)
				}
			}
		}
	}
}

// FuzzRequestedScope: what the endpoints take for a scope is a list of known
// words, and it is granted as it was asked for.
func FuzzRequestedScope(f *testing.F) {
	s := newOAuth(f, nil)
	app := s.app(oauth.GrantClientCredentials, oauth.ClientConfidential)
	for _, scope := range []string{"", "read", "write", "read write", "write read", "read read", "Read", "read  write", " read", "read ", "read\nwrite", "read+write", "*", "read\x00write", "!write", "offline_access read"} {
		f.Add(scope)
	}
	f.Fuzz(func(t *testing.T, scope string) {
		issued, err := s.server.ExchangeClient(t.Context(), app.Application, oauth.ClientExchange{Scope: scope})
		if err != nil {
			refuses(t, err, "invalid_scope")
			return
		}
		if scope == "" {
			scope = "write" // RFC 6749 section 3.2: as if it were absent
		}
		if issued.Scopes != scope {
			t.Fatalf("asked for %q, granted %q", scope, issued.Scopes)
		}
		seen := make(map[string]bool)
		for word := range strings.SplitSeq(scope, " ") {
			if word != "read" && word != "write" || seen[word] {
				t.Fatalf("%q is granted", scope)
			}
			seen[word] = true
		}
	})
}

// Managing applications is for people: a token that was issued to an application
// may not, whoever it acts for and whatever its scopes. A personal token may, but
// for what would leave a stolen one something that lives on, and for consent.
func TestTokensManageApplications(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	alone := s.app(oauth.GrantClientCredentials, oauth.ClientConfidential)
	ofApplication, err := s.tokens.Verify(t.Context(), s.issue(app, s.admin, "scope", "write").AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	issued, err := s.server.ExchangeClient(t.Context(), alone.Application, oauth.ClientExchange{})
	if err != nil {
		t.Fatal(err)
	}
	ofItself, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	personalToken, err := s.tokens.Issue(t.Context(), by(s.admin), auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	personal, err := s.tokens.Verify(t.Context(), personalToken.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	minted, err := s.tokens.Issue(t.Context(), ofApplication, auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ofMinted, err := s.tokens.Verify(t.Context(), minted.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	name := 0
	steps := map[string]func(p *auth.Principal) error{
		"create": func(p *auth.Principal) error {
			name++
			req := request1(func(r *oauth.ApplicationRequest) { r.Name = strings.Repeat("n", name) })
			_, err := s.server.CreateApplication(t.Context(), p, req)
			return err
		},
		"move redirect URIs": func(p *auth.Principal) error {
			_, err := s.server.ChangeApplication(t.Context(), p, app.ID, oauth.ApplicationChange{RedirectURIs: &[]string{"https://evil.example/"}})
			return err
		},
		"rename": func(p *auth.Principal) error {
			_, err := s.server.ChangeApplication(t.Context(), p, app.ID, oauth.ApplicationChange{Name: new("renamed")})
			return err
		},
		"take the secret": func(p *auth.Principal) error {
			_, err := s.server.RotateSecret(t.Context(), p, app.ID, 0)
			return err
		},
		"delete": func(p *auth.Principal) error {
			other, err := s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) { r.Name = "to delete" }))
			if err == nil {
				defer func() { _ = s.server.DeleteApplication(t.Context(), by(s.admin), other.ID) }()
				err = s.server.DeleteApplication(t.Context(), p, other.ID)
			}
			return err
		},
	}
	for step, do := range steps {
		for who, p := range map[string]*auth.Principal{
			"a token of an application":             ofApplication,
			"an application for itself":             ofItself,
			"what a token of an application minted": ofMinted,
		} {
			if e, ok := errors.AsType[*auth.Error](do(p)); !ok || e.Status != http.StatusForbidden {
				t.Errorf("%s by %s: %v, want 403", step, who, e)
			}
		}
		if err := do(personal); err != nil {
			t.Errorf("%s by a personal token: %v", step, err)
		}
	}
	skip := request1(func(r *oauth.ApplicationRequest) { r.Name, r.SkipConsent = "skips", true })
	_, err = s.server.CreateApplication(t.Context(), personal, skip)
	refusesStatus(t, err, http.StatusBadRequest, "SkipConsent")
	_, err = s.server.ChangeApplication(t.Context(), personal, app.ID, oauth.ApplicationChange{SkipConsent: new(true)})
	refusesStatus(t, err, http.StatusBadRequest, "SkipConsent")
	if _, err := s.server.CreateApplication(t.Context(), by(s.admin), skip); err != nil {
		t.Errorf("a superuser who logged in: %v", err)
	}
}
