package auth_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// whatever is done with tokens, in whatever order, no token
// can do more than the grant or the token it came from.
func TestRightsNeverGrow(t *testing.T) {
	all := []auth.Scopes{"read", "write", "jobs", "read jobs", "read write jobs", "jobs write"}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := newOAuth(t, func(o *auth.TokensOptions) { o.Scopes = []string{"jobs"} })
		app := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
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
				x.Scope = new(string(asked))
				next, err := s.tokens.Refresh(t.Context(), app.Application, x)
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
				if r.IntN(2) == 0 {
					req.ApplicationID = app.ID
				}
				child, err := s.tokens.Issue(t.Context(), p, req)
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
	app := s.app(auth.GrantClientCredentials, auth.ClientConfidential)
	for _, scope := range []string{"", "read", "write", "read write", "write read", "read read", "Read", "read  write", " read", "read ", "read\nwrite", "read+write", "*", "read\x00write", "!write", "offline_access read"} {
		f.Add(scope)
	}
	f.Fuzz(func(t *testing.T, scope string) {
		issued, err := s.tokens.ExchangeClient(t.Context(), app.Application, auth.ClientExchange{Scope: &scope})
		if err != nil {
			refuses(t, err, "invalid_scope")
			return
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
