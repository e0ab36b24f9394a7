package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// of returns the principal of a request with that token.
func (s *system) of(issued auth.IssuedToken) *auth.Principal {
	s.t.Helper()
	p, err := s.tokens.Verify(s.t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		s.t.Fatalf("verify a token: %v", err)
	}
	return p
}

// E8: a program that makes the principal itself learns what is wrong with it. The
// client does not.
func TestIssueSaysWhy(t *testing.T) {
	s := newSystem(t, nil)
	inactive, err := s.db.InsertUser(t.Context(), store.User{Name: "forgot Active"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		by   auth.Principal
		want string
	}{
		{"no scopes", auth.Principal{ID: s.alice.ID}, `a Principal with the scopes "" issues no token for "write"`},
		{"fewer scopes", auth.Principal{ID: s.alice.ID, Scopes: auth.ScopeRead}, `with the scopes "read" issues no token for "write"`},
		{"no ID", auth.Principal{Name: "alice", Scopes: auth.Unrestricted}, "Principal.ID is empty"},
		{"a name for an ID", auth.Principal{ID: "alice", Scopes: auth.Unrestricted}, "no active user with the ID"},
		{"a user who is not active", auth.Principal{ID: inactive.ID, Scopes: auth.Unrestricted}, "no active user with the ID"},
		{"an old epoch", auth.Principal{ID: s.alice.ID, Scopes: auth.Unrestricted, HasEpoch: true, Epoch: s.alice.Epoch - 1}, "Principal.Epoch is not that of the user"},
	} {
		_, err := s.tokens.Issue(t.Context(), &tt.by, auth.TokenRequest{})
		e, ok := errors.AsType[*auth.Error](err)
		if !ok || !strings.Contains(err.Error(), tt.want) || strings.Contains(e.Detail, tt.want) {
			t.Errorf("%s: %v, want a refusal for %q", tt.name, err, tt.want)
		}
	}
}

// Cases 112, 138, 139, R-041, R-045, R-046: the issued token, and the stored
// one.
func TestIssue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		now := time.Now()
		want := store.Token{ID: 1, UserID: "3", Family: 1, Scopes: "write", Epoch: s.alice.Epoch, Created: now.UTC(), Modified: now.UTC(), Expires: now.Add(30 * 24 * time.Hour).UTC(), Revision: 1}
		issued, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		want.Digest = store.DigestOf(issued.AccessToken.Reveal())
		if diff := cmp.Diff(want, issued.Token); diff != "" || issued.RefreshToken != "" {
			t.Errorf("token (-want +got):\n%s", diff)
		}
		kept, err := s.db.Store.TokenByID(t.Context(), 1)
		if diff := cmp.Diff(want, kept); diff != "" || err != nil {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		if strings.Contains(fmt.Sprintf("%+v", kept), issued.AccessToken.Reveal()) {
			t.Error("the secret is stored")
		}
		wantPrincipal := &auth.Principal{ID: "3", Name: "alice", Scopes: "write", TokenID: 1, TokenDigest: issued.Digest, Credential: auth.CredentialBearer, Epoch: s.alice.Epoch, HasEpoch: true, Expires: issued.Expires}
		if diff := cmp.Diff(wantPrincipal, s.of(issued)); diff != "" {
			t.Errorf("principal (-want +got):\n%s", diff)
		}
	})
}

// Cases 115, 139, 144, R-051, R-062: refused requests, and which field is at
// fault.
func TestIssueRefused(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when every synctest bubble begins
	year := 365 * 24 * time.Hour
	reader := &auth.Principal{ID: "3", Name: "alice", Scopes: "read", Credential: auth.CredentialBearer}
	for _, tt := range []struct {
		name   string
		by     *auth.Principal // nil is alice in a session
		req    auth.TokenRequest
		status int // 0 is issued
		field  string
	}{
		{"defaults", nil, auth.TokenRequest{}, 0, ""},
		{"all there is", nil, auth.TokenRequest{Scopes: "read write jobs"}, 0, ""},
		{"unknown scope", nil, auth.TokenRequest{Scopes: "rainbow"}, 400, "Scopes"},
		{"doubled scope", nil, auth.TokenRequest{Scopes: "read read"}, 400, "Scopes"},
		{"blank scope", nil, auth.TokenRequest{Scopes: " "}, 400, "Scopes"},
		{"everything", nil, auth.TokenRequest{Scopes: auth.Unrestricted}, 400, "Scopes"},
		{"more than one may oneself", reader, auth.TokenRequest{Scopes: "write"}, 403, ""},
		{"the default is more than one may oneself", reader, auth.TokenRequest{}, 403, ""},
		{"as much as one may oneself", reader, auth.TokenRequest{Scopes: "read"}, 0, ""},
		{"no scopes, no tokens", &auth.Principal{ID: "3"}, auth.TokenRequest{Scopes: "read"}, 403, ""},
		{"a year", nil, auth.TokenRequest{Expires: now.Add(year)}, 0, ""},
		{"more than a year", nil, auth.TokenRequest{Expires: now.Add(year + time.Second)}, 400, "Expires"},
		{"now", nil, auth.TokenRequest{Expires: now}, 400, "Expires"},
		{"in the past", nil, auth.TokenRequest{Expires: now.Add(-time.Second)}, 400, "Expires"},
		{"in the year 1", nil, auth.TokenRequest{Expires: time.Time{}.Add(time.Nanosecond)}, 400, "Expires"},
		{"in the year 9999", nil, auth.TokenRequest{Expires: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}, 400, "Expires"},
		{"long description", nil, auth.TokenRequest{Description: strings.Repeat("d", 4097)}, 400, "Description"},
		{"longest description", nil, auth.TokenRequest{Description: strings.Repeat("d", 4096)}, 0, ""},
		{"NUL in it", nil, auth.TokenRequest{Description: "a\x00b"}, 400, "Description"},
		{"invalid UTF-8 in it", nil, auth.TokenRequest{Description: "a\xff"}, 400, "Description"},
		{"HTML in it is text", nil, auth.TokenRequest{Description: "<b>\n"}, 0, ""},
		{"disabled user", &auth.Principal{ID: "5", Scopes: auth.Unrestricted}, auth.TokenRequest{}, 403, ""},
		{"deleted user", &auth.Principal{ID: "99", Scopes: auth.Unrestricted}, auth.TokenRequest{}, 403, ""},
		{"an application alone", &auth.Principal{ApplicationID: 1, Scopes: "write"}, auth.TokenRequest{}, 403, ""},
		{"a token that is gone", &auth.Principal{ID: "3", Scopes: "write", TokenID: 77}, auth.TokenRequest{}, 401, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				if tt.by == nil {
					tt.by = by(s.alice)
				}
				issued, err := s.tokens.Issue(t.Context(), tt.by, tt.req)
				if tt.status == 0 {
					if err != nil || s.of(issued).ID != "3" {
						t.Errorf("refused: %v", err)
					}
					return
				}
				refusesStatus(t, err, tt.status, tt.field)
				if _, n, _ := s.db.Store.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{}); n != 0 {
					t.Error("a token was stored")
				}
			})
		})
	}
	t.Run("the host says no", func(t *testing.T) {
		for reason, want := range map[error]string{
			errors.New("from the directory"):                               "You do not have permission to perform this action.",
			&auth.Error{Status: 200, Detail: "Users of the directory."}:    "Users of the directory.",
			fmt.Errorf("x: %w", &auth.Error{Status: 500, Detail: "Them."}): "Them.",
		} {
			s := newSystem(t, func(o *settings) {
				o.tokens.MayIssue = func(_ context.Context, u store.User) error {
					if u.Name == "alice" {
						return reason
					}
					return nil
				}
			})
			_, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{})
			refusesStatus(t, err, 403, "")
			if e, _ := errors.AsType[*auth.Error](err); e.Detail != want || !errors.Is(err, reason) {
				t.Errorf("%v: detail %q", reason, e.Detail)
			}
			s.issue(s.bob, "read")
		}
	})
}

// cases 132, 152 to 158: the rights to see, change and end
// a token. An invisible token gets the answer for one that does not exist.
func TestTokenRights(t *testing.T) {
	s := newSystem(t, nil)
	auditor := s.addUser(store.User{ID: "2", Name: "auditor", Auditor: true, Active: true})
	for _, tt := range []struct {
		name                string
		by                  *auth.Principal
		read, change, total int // statuses, 0 is yes; how many tokens are listed
	}{
		{"the owner", by(s.alice), 0, 0, 1},
		{"another user", by(s.bob), 404, 404, 1},
		{"a superuser", by(s.admin), 0, 0, 2},
		{"an auditor", by(auditor), 0, 403, 2},
		{"nobody", &auth.Principal{Scopes: auth.Unrestricted}, 404, 404, 0},
		{"an application alone", &auth.Principal{ApplicationID: 1, Scopes: auth.Unrestricted}, 404, 404, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSystem(t, nil)
			tok, _ := s.issue(s.alice, "write"), s.issue(s.bob, "write")
			check := func(what string, err error, want int) {
				t.Helper()
				if want == 0 && err != nil {
					t.Errorf("%s: %v", what, err)
				} else if want != 0 {
					refusesStatus(t, err, want, "")
				}
			}
			ctx := t.Context()
			_, err := s.tokens.Token(ctx, tt.by, tok.ID)
			check("Token", err, tt.read)
			_, missing := s.tokens.Token(ctx, tt.by, 99)
			if tt.read == 404 && err.Error() != missing.Error() {
				t.Errorf("%v, but for a token that does not exist %v", err, missing)
			}
			if list, n, err := s.tokens.List(ctx, tt.by, store.TokenFilter{All: true, UserID: s.alice.ID, Organizations: []int64{1}}, store.Page{Limit: 10}); n != tt.total || len(list) != n || err != nil {
				t.Errorf("List: %d of %d, %v", len(list), n, err)
			}
			_, err = s.tokens.Change(ctx, tt.by, tok.ID, auth.TokenChange{Description: new("x")})
			check("Change", err, tt.change)
			check("End", s.tokens.End(ctx, tt.by, tok.ID), tt.change)
			if got := s.me(bearer(tok)); (got == "401") != (tt.change == 0) {
				t.Errorf("afterwards: %s", got)
			}
			if tt.change == 0 { // it has ended: it is not there
				refusesStatus(t, s.tokens.End(ctx, tt.by, tok.ID), 404, "")
				_, err := s.tokens.Token(ctx, tt.by, tok.ID)
				refusesStatus(t, err, 404, "")
			}
		})
	}
}

// R-052, cases 119 and 156: a change describes or narrows.
func TestChangeToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		ctx := t.Context()
		narrow := func(scopes auth.Scopes) auth.TokenChange { return auth.TokenChange{Scopes: &scopes} }
		for _, tt := range []struct {
			name   string
			from   auth.Scopes
			change auth.TokenChange
			status int
			field  string
			want   string
		}{
			{"nothing", "write", auth.TokenChange{}, 0, "", "write"},
			{"narrow", "write", narrow("read"), 0, "", "read"},
			{"the same", "write", narrow("write"), 0, "", "write"},
			{"the same in other words", "write", narrow("read write"), 0, "", "read write"},
			{"widen", "read", narrow("write"), 400, "Scopes", "read"},
			{"other", "read", narrow("jobs"), 400, "Scopes", "read"},
			{"everything", "write", narrow("*"), 400, "Scopes", "write"},
			{"nothing left", "write", narrow(""), 400, "Scopes", "write"},
			{"unknown", "write", narrow("x"), 400, "Scopes", "write"},
			{"long description", "write", auth.TokenChange{Description: new(strings.Repeat("d", 4097))}, 400, "Description", "write"},
		} {
			issued := s.issue(s.alice, tt.from)
			time.Sleep(time.Second)
			got, err := s.tokens.Change(ctx, by(s.alice), issued.ID, tt.change)
			if tt.status != 0 {
				refusesStatus(t, err, tt.status, tt.field)
			} else if err != nil || got.Scopes != tt.want || !got.Modified.Equal(time.Now()) || !got.Expires.Equal(issued.Expires) || got.Digest != issued.Digest {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
			if p := s.of(issued); string(p.Scopes) != tt.want {
				t.Errorf("%s: the token has the scopes %q", tt.name, p.Scopes)
			}
		}
	})
	t.Run("of two at the same time one is told", func(t *testing.T) {
		s := newSystem(t, nil)
		issued := s.issue(s.alice, "write")
		s.db.on(func(call string) error {
			if call == "UpdateToken" {
				s.db.on(nil)
				_, err := s.tokens.Change(t.Context(), by(s.alice), issued.ID, auth.TokenChange{Description: new("first")})
				return err
			}
			return nil
		})
		_, err := s.tokens.Change(t.Context(), by(s.alice), issued.ID, auth.TokenChange{Description: new("second")})
		refusesStatus(t, err, 409, "")
		if tok, err := s.tokens.Token(t.Context(), by(s.alice), issued.ID); tok.Description != "first" || err != nil {
			t.Errorf("%q, %v", tok.Description, err)
		}
	})
}

// Rotation gives the same token a new secret, and only its owner or itself may
// see that.
func TestRotateToken(t *testing.T) {
	s := newSystem(t, nil)
	ctx := t.Context()
	issued, sibling := s.issue(s.alice, "write"), s.issue(s.alice, "write")
	child, err := s.tokens.Issue(ctx, s.of(issued), auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*auth.Principal{"a superuser": by(s.admin), "another token of the owner": s.of(sibling)} {
		if got, err := s.tokens.Rotate(ctx, p, issued.ID); err == nil {
			t.Errorf("%s was given %+v", name, got)
		} else {
			refusesStatus(t, err, 403, "")
		}
	}
	_, err = s.tokens.Rotate(ctx, by(s.bob), issued.ID)
	refusesStatus(t, err, 404, "")
	// By itself, and then by its owner, which ends its descendants.
	for i, p := range []*auth.Principal{s.of(issued), by(s.alice)} {
		next, err := s.tokens.Rotate(ctx, p, issued.ID)
		if err != nil || next.ID != issued.ID || next.Scopes != "write" || !next.Expires.Equal(issued.Expires) || next.AccessToken == issued.AccessToken {
			t.Fatalf("%+v, %v", next, err)
		}
		if got := s.me(bearer(issued)); got != "401" {
			t.Errorf("the old secret: %s", got)
		}
		if got := s.me(bearer(next)); got != "alice by bearer" {
			t.Errorf("the new secret: %s", got)
		}
		if got, want := s.me(bearer(child)), []string{"alice by bearer", "401"}[i]; got != want {
			t.Errorf("the child: %s, want %s", got, want)
		}
		issued = next
	}
}

// Of many rotations at the same time one wins, and one secret works.
func TestRotationRace(t *testing.T) {
	s := newSystem(t, nil)
	issued := s.issue(s.alice, "write")
	var wg sync.WaitGroup
	won := make(chan auth.IssuedToken, 32)
	for range cap(won) {
		wg.Go(func() {
			next, err := s.tokens.Rotate(t.Context(), by(s.alice), issued.ID)
			if err == nil {
				won <- next
			} else {
				refusesStatus(t, err, 409, "")
			}
		})
	}
	wg.Wait()
	close(won)
	live := 0
	for next := range won {
		if s.me(bearer(next)) == "alice by bearer" {
			live++
		}
	}
	if live != 1 || s.me(bearer(issued)) != "401" {
		t.Errorf("%d secrets work", live)
	}
}

// ended tokens are purged, in steps, and no others are.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		for range 700 {
			s.issue(s.alice, "read")
		}
		time.Sleep(31 * 24 * time.Hour)
		live, cookie := s.issue(s.alice, "read"), s.login(s.alice)
		if n, err := s.tokens.Purge(t.Context(), time.Now()); n != 700 || err != nil {
			t.Errorf("tokens: %d, %v", n, err)
		}
		if n, err := s.session.Purge(t.Context(), time.Now()); n != 0 || err != nil {
			t.Errorf("sessions: %d, %v", n, err)
		}
		for i := range 3 {
			_, _ = s.passwords.Verify(at(t, "192.0.2.1"), fmt.Sprint("user", i), "wrong")
		}
		if n, err := s.passwords.Purge(t.Context(), time.Now()); n != 0 || err != nil {
			t.Errorf("attempts: %d, %v", n, err)
		}
		if s.me(bearer(live)) != "alice by bearer" || s.me(cookie) != "alice by session" {
			t.Error("something alive was removed")
		}
		time.Sleep(2 * time.Hour)
		if n, err := s.passwords.Purge(t.Context(), time.Now()); n != 7 || err != nil { // two for each name, one for the network
			t.Errorf("attempts, later: %d, %v", n, err)
		}
		if n, err := s.session.Purge(t.Context(), time.Now()); n != 1 || err != nil {
			t.Errorf("sessions, later: %d, %v", n, err)
		}
	})
}

// E8: a log of a refusal says which field is at fault, because the details alone are
// the same for several.
func TestErrorNamesItsField(t *testing.T) {
	for want, e := range map[string]*auth.Error{
		"auth: Name: This field is required.": {Field: "Name", Detail: "This field is required."},
		"auth: Name: Wrong.: why":             {Field: "Name", Detail: "Wrong.", Err: errors.New("why")},
		"auth: Wrong.: why":                   {Detail: "Wrong.", Err: errors.New("why")},
		"auth: Wrong.":                        {Detail: "Wrong."},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Either store is needed, and a nil pointer is none.
func TestTokensOfNoStore(t *testing.T) {
	s := newSystem(t, nil)
	for name, construct := range map[string]func(){
		"no tokens":             func() { _, _ = auth.NewTokens(nil, s.db, nil) },
		"nil tokens":            func() { _, _ = auth.NewTokens((*spy)(nil), s.db, nil) },
		"no users":              func() { _, _ = auth.NewTokens(s.db, nil, nil) },
		"nil pointer of a host": func() { _, _ = auth.NewTokens(s.db, (*spy)(nil), nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it does not panic", name)
				}
			}()
			construct()
		}()
	}
}
