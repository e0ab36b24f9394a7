package auth_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
)

// The pattern finds tokens in text, and nothing that is a little different.
func TestTokenPattern(t *testing.T) {
	s := newSystem(t, nil)
	if got := s.tokens.Pattern(); got != auth.TokenPattern {
		t.Errorf("the pattern of the default prefix is %s, want %s", got, auth.TokenPattern)
	}
	other := newSystem(t, func(o *settings) { o.tokens.Prefix = "Acme" })
	for _, sys := range []*system{s, other} {
		pattern := regexp.MustCompile(sys.tokens.Pattern())
		for range 100 {
			token := sys.issue(sys.alice, "read").AccessToken.Reveal()
			for _, text := range []string{token, "Authorization: Bearer " + token, `{"token":"` + token + `"}`, "x=" + token + "&y=z", token + "\n" + token} {
				if got := pattern.FindString(text); got != token {
					t.Fatalf("%q: found %q", text, got)
				}
			}
			for _, text := range []string{token[1:], token[:len(token)-1], token + "x", "x" + token, strings.Replace(token, "_", "-", 1), strings.ToUpper(token)} {
				if got := pattern.FindString(text); got != "" {
					t.Fatalf("%q: found %q", text, got)
				}
			}
		}
	}
	if got := regexp.MustCompile(s.tokens.Pattern()).FindString(other.issue(other.alice, "read").AccessToken.Reveal()); got != "" {
		t.Errorf("the pattern of another prefix finds %q", got)
	}
}

// A reported token is dead with all that it minted, and whether it was there is
// not told.
func TestEndReported(t *testing.T) {
	for _, minting := range []auth.Minting{auth.MintChildren, auth.InsecureMintIndependent} {
		s := newSystem(t, func(o *settings) { o.tokens.Minting = minting })
		ctx := t.Context()
		leaked, kept, ended := s.issue(s.alice, "write"), s.issue(s.alice, "write"), s.issue(s.alice, "write")
		mint := func(parent auth.IssuedToken) auth.IssuedToken {
			p, err := s.tokens.Verify(ctx, parent.AccessToken.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			child, err := s.tokens.Issue(ctx, p, auth.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return child
		}
		child, orphan := mint(leaked), mint(ended)
		grandchild := mint(child)
		if err := s.tokens.End(ctx, by(s.alice), ended.ID); err != nil {
			t.Fatal(err)
		}
		reports := []auth.Secret{"", "x", "osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG", leaked.AccessToken, leaked.AccessToken, ended.AccessToken}
		for i := range 2 {
			events := s.events(func() {
				if err := s.tokens.EndReported(ctx, &auth.Principal{Name: "scanner"}, reports...); err != nil {
					t.Error(err)
				}
			})
			var ids []any
			for _, e := range events {
				if e["msg"] != "auth: token revoked" || e["actor"] != "scanner" {
					t.Errorf("event %v", e)
				}
				ids = append(ids, e["token_id"])
			}
			if want := []any{float64(leaked.ID)}[i:]; !slices.Equal(ids, want) {
				t.Errorf("report %d: events of %v, want %v", i+1, ids, want)
			}
		}
		for name, issued := range map[string]auth.IssuedToken{"leaked": leaked, "ended": ended, "child": child, "grandchild": grandchild, "orphan": orphan} {
			if got := s.me(bearer(issued)); got != "401" {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := s.me(bearer(kept)); got != "alice by bearer" {
			t.Errorf("kept: %s", got)
		}
		refusesStatus(t, s.tokens.EndReported(ctx, by(s.admin), make([]auth.Secret, 101)...), 400, "Tokens")
		if strings.Contains(s.log.String(), leaked.AccessToken.Reveal()) {
			t.Error("a token stands in the log")
		}
	}
}

// An outage is not taken for "unknown".
func TestReportWithStoreDown(t *testing.T) {
	s := newSystem(t, nil)
	leaked := s.issue(s.alice, "read")
	for _, call := range []string{"TokenByDigest", "RevokeTokens"} {
		s.db.on(func(c string) error {
			if c == call {
				return errDown
			}
			return nil
		})
		err := s.tokens.EndReported(t.Context(), by(s.admin), leaked.AccessToken)
		s.db.on(nil)
		if !errors.Is(err, errDown) {
			t.Errorf("%s is down: %v", call, err)
		}
	}
}

// A life is shortened by whoever may change the token, and never by a time that a
// store would round.
func TestShortenedLife(t *testing.T) {
	s := newSystem(t, nil)
	for _, tt := range []struct {
		by     *auth.Principal
		in     time.Duration
		status int
		field  string
	}{
		{by(s.alice), time.Hour, 0, ""},
		{by(s.admin), time.Hour, 0, ""},
		{by(s.bob), time.Hour, 404, ""},
		{by(s.alice), -time.Hour, 400, "Expires"},
		{by(s.alice), 31 * 24 * time.Hour, 400, "Expires"},
	} {
		tok := s.issue(s.alice, "read")
		expires := time.Now().Add(tt.in)
		changed, err := s.tokens.Change(t.Context(), tt.by, tok.ID, auth.TokenChange{Expires: &expires})
		if tt.status != 0 {
			refusesStatus(t, err, tt.status, tt.field)
			expires = tok.Expires
		} else if err != nil || !changed.Expires.Equal(expires.Truncate(time.Microsecond)) {
			t.Errorf("%v: expires at %v, %v", tt.in, changed.Expires, err)
		}
		stored, err := s.db.Store.TokenByID(t.Context(), tok.ID)
		if err != nil || !stored.Expires.Equal(expires.Truncate(time.Microsecond)) {
			t.Errorf("%v: stored %v, %v", tt.in, stored.Expires, err)
		}
		same, err := s.tokens.Change(t.Context(), by(s.alice), tok.ID, auth.TokenChange{Expires: &stored.Expires})
		if err != nil || !same.Expires.Equal(stored.Expires) {
			t.Errorf("the same expiry: %v, %v", same.Expires, err)
		}
	}
}
