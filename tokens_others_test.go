package auth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/store"
)

// operator is the principal of a program that manages a service from outside.
var operator = auth.Principal{ID: "operator:eve", Name: "operator:eve", Admin: true, Scopes: auth.Unrestricted}

// lastEvent returns the newest audit event with that name.
func lastEvent(t *testing.T, s *system, name string) map[string]any {
	t.Helper()
	var last map[string]any
	for line := range strings.Lines(s.log.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e["msg"] == name {
			last = e
		}
	}
	return last
}

func TestIssueToAnother(t *testing.T) {
	s := newSystem(t, nil)
	issued, err := s.tokens.IssueTo(t.Context(), &operator, s.alice.ID, auth.TokenRequest{Scopes: "read", Description: "for a job"})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal()); err != nil || p.ID != s.alice.ID || p.Admin || p.Scopes != "read" {
		t.Errorf("it is of %+v, %v", p, err)
	}
	e := lastEvent(t, s, audit.TokenIssued)
	got := []any{e[audit.KeyActor], e[audit.KeyActorID], e[audit.KeyUserID]}
	if diff := cmp.Diff([]any{"operator:eve", "operator:eve", s.alice.ID}, got); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	// A superuser by a login of this store, until the login ends.
	root := auth.Principal{ID: s.admin.ID, Name: s.admin.Name, Admin: true, Scopes: "read write", Epoch: s.admin.Epoch, HasEpoch: true}
	if _, err := s.tokens.IssueTo(t.Context(), &root, s.alice.ID, auth.TokenRequest{}); err != nil {
		t.Errorf("by a superuser: %v", err)
	}
	root.Epoch--
	if _, err := s.tokens.IssueTo(t.Context(), &root, s.alice.ID, auth.TokenRequest{}); statusOf(err) != 401 {
		t.Errorf("by a login that has ended: %v", err)
	}
}

// strangers may not act for others, whatever they are.
var strangers = map[string]auth.Principal{
	"user":                 {ID: "3", Scopes: auth.Unrestricted},
	"auditor":              {ID: "3", Auditor: true, Scopes: auth.Unrestricted},
	"superuser's token":    {ID: "1", Admin: true, TokenID: 7, Scopes: auth.Unrestricted},
	"token of application": {ID: "1", Admin: true, TokenID: 7, ApplicationID: 2, ViaApplicationID: 2, Scopes: auth.Unrestricted},
	"minted by one":        {ID: "1", Admin: true, ViaApplicationID: 2, Scopes: auth.Unrestricted},
	"application alone":    {ApplicationID: 2, Admin: true, Scopes: auth.Unrestricted},
	"nameless superuser":   {Admin: true, Scopes: auth.Unrestricted},
}

func TestIssueToAnotherIsRefused(t *testing.T) {
	s := newSystem(t, nil)
	for name, by := range strangers {
		if _, err := s.tokens.IssueTo(t.Context(), &by, s.alice.ID, auth.TokenRequest{}); statusOf(err) != 403 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.tokens.IssueTo(t.Context(), nil, s.alice.ID, auth.TokenRequest{}); statusOf(err) != 401 {
		t.Errorf("nobody: %v", err)
	}
	reader := operator
	reader.Scopes = "read"
	for name, tt := range map[string]struct {
		by     *auth.Principal
		user   string
		req    auth.TokenRequest
		status int
	}{
		"an unknown user":        {&operator, "99", auth.TokenRequest{}, 403},
		"no user":                {&operator, "", auth.TokenRequest{}, 403},
		"a disabled user":        {&operator, s.dora.ID, auth.TokenRequest{}, 403},
		"more than the own":      {&reader, s.alice.ID, auth.TokenRequest{Scopes: "write"}, 403},
		"a scope of nobody":      {&operator, s.alice.ID, auth.TokenRequest{Scopes: "fly"}, 400},
		"a description too long": {&operator, s.alice.ID, auth.TokenRequest{Description: strings.Repeat("x", auth.MaxDescription+1)}, 400},
	} {
		if _, err := s.tokens.IssueTo(t.Context(), tt.by, tt.user, tt.req); statusOf(err) != tt.status {
			t.Errorf("%s: %v, want %d", name, err, tt.status)
		}
	}
}

func TestEndSelected(t *testing.T) {
	for name, tt := range map[string]struct {
		sel  func(*system) store.Selection
		ends []bool // of alice's, bob's
	}{
		"of a user":   {func(s *system) store.Selection { return store.Selection{UserID: s.alice.ID} }, []bool{true, false}},
		"all":         {func(*system) store.Selection { return store.Selection{All: true} }, []bool{true, true}},
		"of no token": {func(*system) store.Selection { return store.Selection{ApplicationID: 99} }, []bool{false, false}},
	} {
		s := newSystem(t, nil)
		tokens := []auth.IssuedToken{s.issue(s.alice, "write"), s.issue(s.bob, "write")}
		for who, by := range strangers {
			if err := s.tokens.EndSelected(t.Context(), &by, tt.sel(s)); statusOf(err) != 403 {
				t.Errorf("%s: %s: %v", name, who, err)
			}
		}
		if err := s.tokens.EndSelected(t.Context(), nil, tt.sel(s)); statusOf(err) != 401 {
			t.Errorf("%s: nobody: %v", name, err)
		}
		ended := auth.Principal{ID: s.admin.ID, Name: s.admin.Name, Admin: true, Scopes: "read write", Epoch: s.admin.Epoch - 1, HasEpoch: true}
		if err := s.tokens.EndSelected(t.Context(), &ended, tt.sel(s)); statusOf(err) != 401 {
			t.Errorf("%s: a login that has ended: %v", name, err)
		}
		if err := s.tokens.EndSelected(t.Context(), &operator, store.Selection{}); statusOf(err) != 400 {
			t.Errorf("nothing: %v", err)
		}
		if err := s.tokens.EndSelected(t.Context(), &operator, tt.sel(s)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, tok := range tokens {
			if _, err := s.tokens.Verify(t.Context(), tok.AccessToken.Reveal()); (err != nil) != tt.ends[i] {
				t.Errorf("%s: token %d: %v", name, i, err)
			}
		}
		if e := lastEvent(t, s, audit.TokenRevoked); e[audit.KeyActor] != "operator:eve" || e[audit.KeyUserID] != tt.sel(s).UserID {
			t.Errorf("%s: the event %v", name, e)
		}
	}
}
