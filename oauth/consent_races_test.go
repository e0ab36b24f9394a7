package oauth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// interrupted is a store that calls meanwhile once, at a moment.
type interrupted struct {
	*memory.Store
	moment    string
	meanwhile func()
}

func (s *interrupted) at(moment string) {
	if s.moment == moment {
		s.moment = ""
		s.meanwhile()
	}
}

func (s *interrupted) ConsentFor(ctx context.Context, userID string, applicationID int64, redirectURI string) (store.Consent, error) {
	defer s.at("the consent was read")
	return s.Store.ConsentFor(ctx, userID, applicationID, redirectURI)
}

func (s *interrupted) InsertCode(ctx context.Context, c store.Code, most int) error {
	s.at("the consent was stored")
	defer s.at("the code was stored")
	return s.Store.InsertCode(ctx, c, most)
}

func (s *interrupted) DecideDevice(ctx context.Context, d store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	s.at("the consent was stored")
	defer s.at("the device was approved")
	return s.Store.DecideDevice(ctx, d, say, userID, epoch, at)
}

// A withdrawal while somebody agrees again: no moment restores what was agreed to
// before it, and nothing lives without a record of the consent.
func TestWithdrawalMeetsConsent(t *testing.T) {
	for _, tt := range []struct {
		name, moment string
		silent       bool
		refused      string // "" for a code
		scopes       string // of the record afterwards, "" for none
	}{
		{"click", "the consent was read", false, "", "write"},
		{"click", "the consent was stored", false, "access_denied", ""},
		{"click", "the code was stored", false, "access_denied", ""},
		{"nobody was asked", "the consent was stored", true, "access_denied", ""},
		{"nobody was asked", "the code was stored", true, "access_denied", ""},
	} {
		t.Run(tt.name+", "+tt.moment, func(t *testing.T) {
			s := newOAuth(t, nil)
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			s.code(app, s.alice, "scope", "read")
			st := &interrupted{Store: s.db, moment: tt.moment}
			st.meanwhile = func() {
				if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
					t.Error(err)
				}
			}
			server := s.serverOn(st, s.db, nil)
			scope := "write"
			if tt.silent {
				scope = "read"
			}
			a, err := server.ParseAuthorization(t.Context(), authorization(app, "scope", scope))
			if err != nil {
				t.Fatal(err)
			}
			a.Silent = tt.silent
			to, err := server.Authorize(t.Context(), by(s.alice), a)
			code := query(t, to).Get("code")
			if tt.refused != "" {
				if got := query(t, a.Refuse(err)).Get("error"); err == nil || got != tt.refused {
					t.Errorf("got code %q, error %v", code, err)
				}
			} else if _, err := server.Exchange(t.Context(), app.Application, exchange(code)); err != nil {
				t.Error(err)
			}
			s.wantConsent(app, tt.scopes)
		})
	}
}

// wantConsent fails the test unless the record of alice has these scopes, "" for no
// record.
func (s *oauthSystem) wantConsent(app oauth.IssuedApplication, scopes string) {
	s.t.Helper()
	got := ""
	list, _, err := s.server.ListConsents(s.t.Context(), by(s.alice), store.Page{Limit: 10})
	for _, c := range list {
		if c.ApplicationID == app.ID {
			got += c.Scopes
		}
	}
	if err != nil || got != scopes {
		s.t.Errorf("the consents have the scopes %q, want %q; %v", got, scopes, err)
	}
}

// TestWithdrawalMeetsConsent for devices.
func TestWithdrawalMeetsApproval(t *testing.T) {
	for moment, lives := range map[string]bool{
		"the consent was read": true, "the consent was stored": false, "the device was approved": false,
	} {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
		st := &interrupted{Store: s.db, moment: moment}
		st.meanwhile = func() {
			if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
				t.Error(err)
			}
		}
		server := s.serverOn(st, s.db, nil)
		d := s.start(app)
		req, err := server.FindDevice(t.Context(), by(s.alice), d.UserCode)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.DecideDevice(t.Context(), by(s.alice), req, true); (err == nil) != lives {
			t.Errorf("%s: %v", moment, err)
		}
		if _, err := server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal()); (err == nil) != lives {
			t.Errorf("%s: the device got %v", moment, err)
		}
		scopes := ""
		if lives {
			scopes = "read"
		}
		s.wantConsent(app, scopes)
	}
}

// An authorization without a question fails where a question is needed.
func TestSilentAuthorizationNeedsAConsent(t *testing.T) {
	for kind, want := range map[string]bool{oauth.ClientConfidential: true, oauth.ClientPublic: false} {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, kind)
		silent := func(scope string) error {
			a, err := s.server.ParseAuthorization(t.Context(), authorization(app, "scope", scope))
			if err != nil {
				t.Fatal(err)
			}
			a.Silent = true
			_, err = s.server.Authorize(t.Context(), by(s.alice), a)
			return err
		}
		if err := silent("read"); err == nil {
			t.Errorf("%s: nobody agreed, and there is a code", kind)
		}
		s.wantConsent(app, "")
		s.code(app, s.alice, "scope", "read")
		if err := silent("read"); (err == nil) != want {
			t.Errorf("%s: after a consent: %v", kind, err)
		}
		if err := silent("read write"); err == nil {
			t.Errorf("%s: with more scopes there is a code", kind)
		}
		s.wantConsent(app, "read")
	}
}

// Of 64 consents at once none is lost, and with withdrawals among them no code
// outlives the record.
func TestConsentsAtTheSameTime(t *testing.T) {
	const many = 64
	var names []string
	for i := range many {
		names = append(names, fmt.Sprintf("s%d", i))
	}
	s := newOAuth(t, func(o *settings) { o.Scopes = names })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	for _, withdrawals := range []bool{false, true, true, true} {
		codes := make([]string, many)
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				if withdrawals && i%4 == 0 {
					if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
						t.Error(err)
					}
					return
				}
				a, err := s.server.ParseAuthorization(t.Context(), authorization(app, "scope", names[i]))
				if err != nil {
					t.Error(err)
					return
				}
				to, err := s.server.Authorize(t.Context(), by(s.alice), a)
				if err == nil {
					codes[i] = query(t, to).Get("code")
				} else if !withdrawals {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		list, _, err := s.server.ListConsents(t.Context(), by(s.alice), store.Page{Limit: 10})
		if err != nil || len(list) > 1 || len(list) == 0 && !withdrawals {
			t.Fatalf("%d records, %v", len(list), err)
		}
		var agreed auth.Scopes
		if len(list) == 1 {
			agreed = auth.Scopes(list[0].Scopes)
		}
		if n := len(strings.Fields(string(agreed))); !withdrawals && n != many {
			t.Errorf("the record has %d scopes, want %d", n, many)
		}
		for i, code := range codes {
			if code == "" {
				continue
			}
			_, err := s.server.Exchange(t.Context(), app.Application, exchange(code))
			if err == nil && !agreed.Has(names[i]) {
				t.Errorf("a code for %s is good, and the record has %q", names[i], agreed)
			}
		}
		if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
			t.Fatal(err)
		}
	}
}
