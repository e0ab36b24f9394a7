package sqltest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// What the tests of this file say about grants, they say through the public API,
// with everything between it and the database. TestOneOf64 and TestLinearizable
// have the stores alone.

const (
	oauthRedirect = "https://app.example/cb"
	oauthVerifier = "0123456789-abcdefghijklmnopqrstuvwxyz_ABCDEF"
)

// An oauthService is what issues tokens, on a store.
type oauthService struct {
	tokens *auth.Tokens
	server *oauth.Server
	app    store.Application // confidential, for codes
	by     *auth.Principal   // the user
}

// newOAuthService puts one together. Grace is Options.RefreshGrace.
func newOAuthService(st *sqlstore.Store, grace time.Duration) (*oauthService, error) {
	quiet := slog.New(slog.DiscardHandler)
	tokens, err := auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet})
	if err != nil {
		return nil, err
	}
	server, err := oauth.NewServer(tokens, st, st, &oauth.Options{RefreshGrace: grace, Logger: quiet})
	return &oauthService{tokens: tokens, server: server}, err
}

// openOAuth opens a store with one user and one application.
func openOAuth(t testing.TB, st *sqlstore.Store, grace time.Duration) *oauthService {
	t.Helper()
	s, err := newOAuthService(st, grace)
	if err != nil {
		t.Fatal(err)
	}
	u, err := st.InsertUser(t.Context(), store.User{Name: "alice", Admin: true, Active: true, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s.by = &auth.Principal{ID: u.ID, Name: u.Name, Admin: true, Scopes: auth.Unrestricted}
	app, err := s.server.CreateApplication(t.Context(), s.by, oauth.ApplicationRequest{
		Name: "app", OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantAuthorizationCode,
		RedirectURIs: []string{oauthRedirect},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.app = app.Application
	return s
}

// code takes the user through the authorization endpoint.
func (s *oauthService) code(t testing.TB) oauth.CodeExchange {
	t.Helper()
	challenge := sha256.Sum256([]byte(oauthVerifier))
	a, err := s.server.ParseAuthorization(t.Context(), url.Values{
		"response_type": {"code"}, "client_id": {s.app.ClientID}, "redirect_uri": {oauthRedirect}, "scope": {"read write"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.server.Authorize(t.Context(), s.by, a)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return oauth.CodeExchange{Code: u.Query().Get("code"), RedirectURI: oauthRedirect, Verifier: oauthVerifier}
}

// issue takes the user through the whole code flow.
func (s *oauthService) issue(t testing.TB) auth.IssuedToken {
	t.Helper()
	issued, err := s.server.Exchange(t.Context(), s.app, s.code(t))
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func (s *oauthService) refresh(ctx context.Context, refresh auth.Secret) (auth.IssuedToken, error) {
	return s.server.Refresh(ctx, s.app, oauth.RefreshExchange{RefreshToken: refresh.Reveal()})
}

// wantLife checks that an access token works, or does not.
func (s *oauthService) wantLife(t testing.TB, what string, access auth.Secret, want bool) {
	t.Helper()
	_, err := s.tokens.Verify(t.Context(), access.Reveal())
	if _, refused := errors.AsType[*auth.Error](err); err != nil && !refused {
		t.Errorf("%s: %v", what, err)
	}
	if live := err == nil; live != want {
		t.Errorf("%s lives: %v, want %v", what, live, want)
	}
}

// invalidGrant reports whether err is the refusal with this code.
func invalidGrant(err error) bool {
	e, ok := errors.AsType[*auth.Error](err)
	return ok && e.Code == "invalid_grant"
}

// of 64 who exchange one code, or use one
// refresh token, at the same time exactly one succeeds, and the others end what
// it got; with a grace period all get the identical successor. At most 1,000
// rounds in a short time, and all of them with OSTIARY_ROUNDS=1000.
func TestExchangeRace(t *testing.T) {
	const racers = 64
	most, budget := 1000, 8*time.Second
	if testing.Short() {
		budget = time.Second
	}
	if n := rounds(0); n > 0 {
		most, budget = n, time.Hour
	}
	for _, tt := range []struct {
		name  string
		grace time.Duration
		start func(t *testing.T, s *oauthService) func() (auth.IssuedToken, error)
	}{
		{"code", 0, func(t *testing.T, s *oauthService) func() (auth.IssuedToken, error) {
			x := s.code(t)
			return func() (auth.IssuedToken, error) { return s.server.Exchange(t.Context(), s.app, x) }
		}},
		{"refresh token", 0, startRefresh},
		{"refresh token with grace", time.Minute, startRefresh},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openOAuth(t, openWide(t, freshSQLite(t), racers), tt.grace)
			begun := time.Now()
			n := 0
			for ; n < most && (n < 3 || time.Since(begun) < budget); n++ {
				call := tt.start(t, s)
				var mu sync.Mutex
				var won []auth.IssuedToken
				var calls []func()
				for range racers {
					calls = append(calls, func() {
						issued, err := call()
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							won = append(won, issued)
						} else if !invalidGrant(err) {
							t.Errorf("round %d: %v", n, err)
						}
					})
				}
				together(calls...)
				want := 1
				if tt.grace > 0 {
					want = racers
				}
				if len(won) != want {
					t.Fatalf("round %d: %d of %d succeeded, want %d", n, len(won), racers, want)
				}
				for _, w := range won {
					if w.ID != won[0].ID || w.AccessToken != won[0].AccessToken || w.RefreshToken != won[0].RefreshToken {
						t.Fatalf("round %d: two successors", n)
					}
				}
				s.wantLife(t, "what was won", won[0].AccessToken, tt.grace > 0)
				if _, err := s.refresh(t.Context(), won[0].RefreshToken); (err == nil) != (tt.grace > 0) {
					t.Errorf("round %d: refresh what was won: %v", n, err)
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			t.Logf("%d rounds of %d in %v", n, racers, time.Since(begun).Round(time.Millisecond))
		})
	}
}

// openWide opens the store of p with a connection for each of so many callers.
func openWide(t *testing.T, p place, callers int) *sqlstore.Store {
	t.Helper()
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(callers + 1)
	opts := p.options()
	if err := sqlstore.Migrate(t.Context(), db, p.Dialect, opts); err != nil {
		t.Fatal(err)
	}
	st, err := sqlstore.Open(t.Context(), db, p.Dialect, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func startRefresh(t *testing.T, s *oauthService) func() (auth.IssuedToken, error) {
	refresh := s.issue(t).RefreshToken
	return func() (auth.IssuedToken, error) { return s.refresh(t.Context(), refresh) }
}

// replayArgs are the arguments of replayChild: what was used before and is used
// again.
type replayArgs struct {
	Place         place
	App           int64
	Code, Refresh string // one of them
}

// replayChild uses what was used before, and kills itself with what the refusal
// left it to do undone.
func replayChild(args []byte) error {
	var a replayArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	db, err := a.Place.connect()
	if err != nil {
		return err
	}
	ctx := context.Background()
	st, err := sqlstore.Open(ctx, db, a.Place.Dialect, a.Place.options())
	if err != nil {
		return err
	}
	s, err := newOAuthService(st, 0)
	if err != nil {
		return err
	}
	if s.app, err = st.ApplicationByID(ctx, a.App); err != nil {
		return err
	}
	if a.Code != "" {
		_, err = s.server.Exchange(ctx, s.app, oauth.CodeExchange{Code: a.Code, RedirectURI: oauthRedirect, Verifier: oauthVerifier})
	} else {
		_, err = s.refresh(ctx, auth.Secret(a.Refresh))
	}
	if !invalidGrant(err) {
		return fmt.Errorf("the replay was not refused: %v", err)
	}
	_, _ = io.WriteString(os.Stdout, "refused\n")
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// the second use of a code, or of a refresh token, ends all that was
// issued from it, and nothing that comes after the refusal is needed for that: the
// process is killed with SIGKILL right behind it.
func TestReplaySurvivesKill(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		s := openOAuth(t, p.open(t), 0)
		for _, what := range []string{"code", "first refresh token", "spent refresh token of the middle"} {
			t.Run(what, func(t *testing.T) {
				bystander := s.issue(t)
				x := s.code(t)
				chain := make([]auth.IssuedToken, 3)
				var err error
				if chain[0], err = s.server.Exchange(t.Context(), s.app, x); err != nil {
					t.Fatal(err)
				}
				for i := range chain[1:] {
					if chain[i+1], err = s.refresh(t.Context(), chain[i].RefreshToken); err != nil {
						t.Fatal(err)
					}
				}
				last := chain[2]
				p1, err := s.tokens.Verify(t.Context(), last.AccessToken.Reveal())
				if err != nil {
					t.Fatal(err)
				}
				minted, err := s.tokens.Issue(t.Context(), p1, auth.TokenRequest{Scopes: auth.ScopeRead})
				if err != nil {
					t.Fatal(err)
				}
				s.wantLife(t, "the minted token before", minted.AccessToken, true)

				a := replayArgs{Place: p, App: s.app.ID}
				switch what {
				case "code":
					a.Code = x.Code
				case "first refresh token":
					a.Refresh = chain[0].RefreshToken.Reveal()
				default:
					a.Refresh = chain[1].RefreshToken.Reveal()
				}
				c := start(t, "replay", a)
				if !c.lines.Scan() || c.lines.Text() != "refused" {
					t.Fatalf("the child said %q", c.lines.Text())
				}
				c.cmd.Wait()
				if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
					t.Fatalf("the child ended otherwise: %v", c.cmd.ProcessState)
				}

				// A new process would see the same as this new pool.
				again, err := newOAuthService(p.open(t), 0)
				if err != nil {
					t.Fatal(err)
				}
				again.app = s.app
				again.wantLife(t, "the access token", last.AccessToken, false)
				again.wantLife(t, "what it minted", minted.AccessToken, false)
				if _, err := again.refresh(t.Context(), last.RefreshToken); !invalidGrant(err) {
					t.Errorf("the last refresh token: %v", err)
				}
				again.wantLife(t, "another grant's token", bystander.AccessToken, true)
			})
		}
	})
}
