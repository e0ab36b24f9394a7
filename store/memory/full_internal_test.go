package memory

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// Where there is no ref for another record of any kind, nothing is stored, and what
// there is can be revoked, ended and purged. Then there is room again.
func TestFullStoreStoresNothing(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	token := func(n int) store.Token {
		tok := store.Token{
			Digest: store.DigestOf(fmt.Sprint(n)), UserID: fmt.Sprint("u", n), ApplicationID: 1, Scopes: fmt.Sprint("s", n), Audience: fmt.Sprint("a", n),
			Description: fmt.Sprint("d", n), Created: now, Modified: now, Expires: now.Add(time.Hour),
		}
		tok.Refresh = store.Refresh{Digest: store.DigestOf(fmt.Sprint("r", n)), Grant: store.DigestOf(fmt.Sprint("g", n)), Scopes: fmt.Sprint("g", n), Expires: now.Add(2 * time.Hour), GrantExpires: now.Add(3 * time.Hour)}
		return tok
	}
	login := func(n int) store.Session {
		return store.Session{
			Digest: store.DigestOf(fmt.Sprint(n)), UserID: fmt.Sprint("u", n), Data: make([]byte, 400), Agent: fmt.Sprint("b", n),
			Address: netip.MustParseAddr(fmt.Sprint("fe80::1%z", n)), Created: now, Expires: now.Add(time.Hour),
		}
	}
	for _, tt := range []struct {
		name             string
		limit            func(*Store, uint32)
		tokens, sessions bool // which of them are refused
	}{
		{"tokens", func(s *Store, n uint32) { s.slab.most = n }, true, false},
		{"refresh tokens", func(s *Store, n uint32) { s.refreshes.most = n }, true, false},
		{"uses of refresh tokens", func(s *Store, n uint32) { s.spendings.most = n }, true, false},
		{"texts", func(s *Store, n uint32) { s.texts.most = n }, true, true},
		{"bounds", func(s *Store, n uint32) { s.tokens.bounds.most = n }, true, false},
		{"parties", func(s *Store, n uint32) { s.parties.most = n }, true, false},
		{"families", func(s *Store, n uint32) { s.familySlab.most = n }, true, false},
		{"accounts", func(s *Store, n uint32) { s.accounts.most = n }, true, true},
		{"sessions", func(s *Store, n uint32) { s.sessionSlab.most = n }, false, true},
		{"long data", func(s *Store, n uint32) { s.sessions.data.long.most = n }, false, false},
		{"blocks of data", func(s *Store, n uint32) { s.sessions.data.most = n }, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New()
			if _, err := s.InsertApplication(ctx, store.Application{ClientID: "c"}); err != nil {
				t.Fatal(err)
			}
			tt.limit(s, 127)
			var tokens []store.Token
			var full int
			for n := range 300 {
				tok, err := s.InsertToken(ctx, token(n), store.InsertLimits{})
				if err == nil { // every token is refreshed, which takes records of each kind
					tokens = append(tokens, tok)
					next := token(1000 + n)
					next.UserID, next.Refresh.Grant = tok.UserID, tok.Refresh.Grant
					if n%3 == 2 { // two uses in one step
						next.Refresh.Spent = now
					}
					_, err = s.Rotate(ctx, store.Rotation{Refresh: tok.Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: next})
				}
				if err != nil {
					if full++; !errors.Is(err, errFull) || errors.Is(err, store.ErrConflict) {
						t.Fatalf("token %d: %v", n, err)
					}
				}
			}
			agree(t, s)
			if tt.name == "uses of refresh tokens" && s.spendings.used > 127 {
				t.Errorf("there are %d", s.spendings.used)
			}
			if (full > 0) != tt.tokens || len(tokens) == 0 {
				t.Errorf("%d of 300 tokens are refused", full)
			}
			if tt.tokens {
				if _, err := s.TokenByDigest(ctx, store.DigestOf("299")); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("a token that was refused: %v", err)
				}
			}
			if n, err := s.RevokeTokens(ctx, store.Selection{Family: tokens[0].Family}, now); err != nil || n == 0 {
				t.Errorf("%d tokens revoked, %v", n, err)
			}
			if _, err := s.RevokeTokens(ctx, store.Selection{All: true}, now); err != nil {
				t.Error(err)
			}
			if a, err := s.AccessByDigest(ctx, tokens[len(tokens)-1].Digest); err != nil || a.Revoked.IsZero() {
				t.Errorf("a token outlives the revocation: %+v, %v", a, err)
			}
			if _, err := s.Purge(ctx, now.Add(5*time.Hour), 1000); err != nil {
				t.Fatal(err)
			}
			if _, err := s.InsertToken(ctx, token(0), store.InsertLimits{}); err != nil {
				t.Errorf("after the purge: %v", err)
			}
			if _, err := s.Purge(ctx, now.Add(5*time.Hour), 1000); err != nil {
				t.Fatal(err)
			}

			full = 0
			for n := range 300 {
				if _, _, err := s.InsertSession(ctx, login(n), store.Digest{}, 0); err != nil {
					if full++; !errors.Is(err, errFull) {
						t.Fatalf("session %d: %v", n, err)
					}
				}
			}
			agreeSessions(t, s)
			if (full > 0) != tt.sessions || full == 300 {
				t.Errorf("%d of 300 sessions are refused", full)
			}
			if err := s.SaveSession(ctx, login(0).Digest, make([]byte, longData-1), 1, now); errors.Is(err, errFull) != (tt.name == "blocks of data") {
				t.Errorf("to save much: %v", err)
			}
			if n, err := s.EndSessions(ctx, store.SessionSelection{All: true}, store.EndReason(strings.Repeat("e", 9)), now); n != 300-full || err != nil {
				t.Errorf("%d of %d sessions end, %v", n, 300-full, err)
			}
			if n, err := s.PurgeSessions(ctx, now.Add(time.Hour), 1000); n != 300-full || err != nil {
				t.Errorf("%d of %d sessions purged, %v", n, 300-full, err)
			}
			if _, _, err := s.InsertSession(ctx, login(0), store.Digest{}, 0); err != nil {
				t.Errorf("after the purge: %v", err)
			}
		})
	}
}

// The last ref is not the one before the first, and a page far behind the end is empty.
func TestNumbersDoNotOverflow(t *testing.T) {
	if last := uint64(maxRecords); last > math.MaxUint32 || last%chunkSize != 0 {
		t.Errorf("the last ref is %d", last)
	}
	s := New()
	if s.slab.at(math.MaxUint32) != nil || s.accounts.get(math.MaxUint32) != nil {
		t.Error("an empty store has records")
	}
	if _, err := s.InsertUser(t.Context(), store.User{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []store.Page{{Offset: math.MaxInt, Limit: 1}, {Offset: 1, Limit: math.MaxInt}, {Offset: math.MaxInt, Limit: math.MaxInt, CountTo: math.MaxInt}} {
		if list, total, err := s.ListUsers(t.Context(), store.UserFilter{}, p); len(list) != 0 || total != 1 || err != nil {
			t.Errorf("%+v: %d users of %d, %v", p, len(list), total, err)
		}
	}
}
