package auth_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// L3: without a word of the host nobody fills the store with tokens. A negative
// limit is none.
func TestTokensOfAUserAreLimited(t *testing.T) {
	for _, tt := range []struct {
		option, has int
		want        int // status, 0 for a token
	}{
		{0, 9_999, 0}, {0, 10_000, http.StatusConflict}, {0, 10_001, http.StatusConflict},
		{-1, 10_001, 0}, {2, 1, 0}, {2, 2, http.StatusConflict},
	} {
		s := newSystem(t, func(o *settings) { o.tokens.MaxPerUser = tt.option })
		now := time.Now()
		for range tt.has {
			_, err := s.db.Store.InsertToken(t.Context(), store.Token{
				Digest: store.DigestOf(rand.Text()), UserID: s.alice.ID, Scopes: "read", Created: now, Expires: now.Add(time.Hour),
			}, store.InsertLimits{})
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.tokens.Issue(t.Context(), &auth.Principal{ID: s.alice.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{})
		status := 0
		if e, ok := errors.AsType[*auth.Error](err); ok {
			status = e.Status
		}
		if status != tt.want || status == 0 && err != nil {
			t.Errorf("MaxPerUser %d, %d tokens: %v, want status %d", tt.option, tt.has, err, tt.want)
		}
		if _, err := s.tokens.Issue(t.Context(), &auth.Principal{ID: s.bob.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{}); err != nil {
			t.Errorf("MaxPerUser %d: another user: %v", tt.option, err)
		}
	}
}

// L3: without a word of the host nobody fills the store with sessions.
func TestSessionsOfAUserAreLimited(t *testing.T) {
	for _, tt := range []struct{ option, has, want int }{
		{0, 999, 1000}, {0, 1000, 1000}, {0, 1200, 1000}, {-1, 1200, 1201}, {3, 1200, 3},
	} {
		s := newSystem(t, func(o *settings) { o.session.PerUser = tt.option })
		now := time.Now()
		for range tt.has {
			_, _, err := s.db.Store.InsertSession(t.Context(), store.Session{
				Digest: store.DigestOf(rand.Text()), UserID: s.alice.ID, Epoch: s.alice.Epoch, Created: now, Seen: now, Expires: now.Add(time.Hour),
			}, store.Digest{}, 0)
			if err != nil {
				t.Fatal(err)
			}
		}
		cookie := s.login(s.alice)
		n, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID})
		if err != nil || n != tt.want || cookie == "" {
			t.Errorf("PerUser %d, %d sessions before a login: %d live, %v, want %d", tt.option, tt.has, n, err, tt.want)
		}
	}
}
