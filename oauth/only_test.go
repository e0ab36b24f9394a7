package oauth_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// Verify, by which tokens come that package net/http did not bring, asks of a token for
// one resource what Authenticate asks, and For of an Only is a For.
func TestVerifyForResource(t *testing.T) {
	s := newOAuth(t, func(o *settings) {
		o.Resource, o.Resources = "https://a.example", []string{"https://b.example", "https://b.example/"}
	})
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	personal := func(addresses ...netip.Prefix) auth.IssuedToken {
		return auth.Must(s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Scopes: "read", Addresses: addresses}))
	}
	a := auth.NewBearer(s.tokens)
	only := a.Only("https://b.example")
	at := []*auth.Bearer{a, a.For("https://b.example"), only, only.For("https://b.example"), only.For(""), a.Only("https://b.example/"), a.Only("https://B.example")}
	here := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name  string
		token auth.IssuedToken
		want  string // where it is good, in the order of at
	}{
		{"for a", s.issue(app, s.alice, "resource", "https://a.example"), "a------"},
		{"for b", s.issue(app, s.alice, "resource", "https://b.example"), "-bcd---"},
		{"for b in another spelling", s.issue(app, s.alice, "resource", "HTTPS://B.example"), "-bcd---"},
		{"for b with a path", s.issue(app, s.alice, "resource", "https://b.example/"), "-----f-"},
		{"for any", s.issue(app, s.alice), "ab-de--"},
		{"personal", personal(), "ab-de--"},
		{"personal, from here", personal(netip.PrefixFrom(here, 32)), "ab-de--"},
		{"personal, from elsewhere", personal(netip.MustParsePrefix("198.51.100.0/24")), "-------"},
	} {
		ctx := auth.WithClientAddr(t.Context(), here)
		r := (&http.Request{Header: http.Header{"Authorization": {"Bearer " + tt.token.AccessToken.Reveal()}}, URL: &url.URL{Path: "/"}}).WithContext(ctx)
		var authenticated, verified string
		for i, b := range at {
			for got, err := range map[*string]error{
				&authenticated: second(b.Authenticate(r)),
				&verified:      second(b.Verify(ctx, tt.token.AccessToken.Reveal())),
			} {
				if err == nil {
					*got += string("abcdefg"[i])
				} else {
					*got += "-"
				}
			}
		}
		if diff := cmp.Diff([]string{tt.want, tt.want}, []string{authenticated, verified}); diff != "" {
			t.Errorf("%s: where Authenticate and Verify accept it (-want +got):\n%s", tt.name, diff)
		}
	}
}

func second[T any](_ T, err error) error { return err }
