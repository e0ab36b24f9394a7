package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// failing is a store whose call number fail does not work, nor any after it if
// stays. It wraps every call that a request of these tests makes.
type failing struct {
	*memory.Store
	calls, fail atomic.Int64
	stays       bool
}

var errDown = errors.New("marker: connection refused to db.internal")

func (f *failing) down() error {
	n, fail := f.calls.Add(1), f.fail.Load()
	if n == fail || f.stays && fail > 0 && n > fail {
		return errDown
	}
	return nil
}

func (f *failing) UserByID(ctx context.Context, id string) (store.User, error) {
	if err := f.down(); err != nil {
		return store.User{}, err
	}
	return f.Store.UserByID(ctx, id)
}

func (f *failing) UserByName(ctx context.Context, name string) (store.User, error) {
	if err := f.down(); err != nil {
		return store.User{}, err
	}
	return f.Store.UserByName(ctx, name)
}

func (f *failing) PasswordHash(ctx context.Context, id string) (string, error) {
	if err := f.down(); err != nil {
		return "", err
	}
	return f.Store.PasswordHash(ctx, id)
}

func (f *failing) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	if err := f.down(); err != nil {
		return store.Access{}, err
	}
	return f.Store.AccessByDigest(ctx, d)
}

func (f *failing) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	if err := f.down(); err != nil {
		return store.Token{}, err
	}
	return f.Store.TokenByID(ctx, id)
}

func (f *failing) ListTokens(ctx context.Context, filter store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	if err := f.down(); err != nil {
		return nil, 0, err
	}
	return f.Store.ListTokens(ctx, filter, p)
}

func (f *failing) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if err := f.down(); err != nil {
		return store.Token{}, err
	}
	return f.Store.InsertToken(ctx, t, limits)
}

func (f *failing) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	if err := f.down(); err != nil {
		return err
	}
	return f.Store.UpdateToken(ctx, t, minted)
}

func (f *failing) RevokeTokens(ctx context.Context, s store.Selection, at time.Time) (int, error) {
	if err := f.down(); err != nil {
		return 0, err
	}
	return f.Store.RevokeTokens(ctx, s, at)
}

func (f *failing) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	if err := f.down(); err != nil {
		return store.Application{}, err
	}
	return f.Store.ApplicationByID(ctx, id)
}

func (f *failing) ListApplications(ctx context.Context, filter store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	if err := f.down(); err != nil {
		return nil, 0, err
	}
	return f.Store.ListApplications(ctx, filter, p)
}

func (f *failing) InsertApplication(ctx context.Context, a store.Application) (store.Application, error) {
	if err := f.down(); err != nil {
		return store.Application{}, err
	}
	return f.Store.InsertApplication(ctx, a)
}

func (f *failing) UpdateApplication(ctx context.Context, a store.Application) error {
	if err := f.down(); err != nil {
		return err
	}
	return f.Store.UpdateApplication(ctx, a)
}

func (f *failing) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	if err := f.down(); err != nil {
		return err
	}
	return f.Store.DeleteApplication(ctx, id, at)
}

func (f *failing) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	if err := f.down(); err != nil {
		return store.Session{}, store.User{}, err
	}
	return f.Store.SessionByDigest(ctx, d)
}

func (f *failing) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if err := f.down(); err != nil {
		return store.Session{}, 0, err
	}
	return f.Store.InsertSession(ctx, s, replaces, keep)
}

func (f *failing) EndSessions(ctx context.Context, s store.SessionSelection, why store.EndReason, at time.Time) (int, error) {
	if err := f.down(); err != nil {
		return 0, err
	}
	return f.Store.EndSessions(ctx, s, why, at)
}

func (f *failing) Charge(ctx context.Context, c []store.Charge, now time.Time) (store.Verdict, error) {
	if err := f.down(); err != nil {
		return store.Verdict{}, err
	}
	return f.Store.Charge(ctx, c, now)
}

// TestOutage fails every store call of every request once: the answer is 503,
// never a verdict and never a success, and says nothing about the cause.
func TestOutage(t *testing.T) { // 247, R-011, R-025, R-055, R-111
	for name, tt := range map[string]struct {
		method, target string
		part           func(s *system) []with
	}{
		"login": {"POST", "/api/login/", func(*system) []with { return []with{form("username", "alice", "password", "alice-pw")} }},
		"login page": {"POST", "/api/login/", func(*system) []with {
			return []with{form("username", "alice", "password", "alice-pw"), header("Accept", "text/html")}
		}},
		"login again": {"POST", "/api/login/", func(s *system) []with {
			return []with{cookie(s.login("alice", "alice-pw")), form("username", "alice", "password", "alice-pw")}
		}},
		"logout":         {"GET", "/api/logout/", func(s *system) []with { return []with{cookie(s.login("alice", "alice-pw"))} }},
		"me":             {"GET", "/api/v2/me/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeRead))} }},
		"me by session":  {"GET", "/api/v2/me/", func(s *system) []with { return []with{cookie(s.login("alice", "alice-pw"))} }},
		"me by Basic":    {"GET", "/api/v2/me/", func(*system) []with { return []with{basic("alice", "alice-pw")} }},
		"user":           {"GET", "/api/v2/users/alice/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeRead))} }},
		"list":           {"GET", "/api/v2/tokens/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeRead))} }},
		"last page":      {"GET", "/api/v2/tokens/?page=last", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeRead))} }},
		"create":         {"POST", "/api/v2/tokens/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeWrite))} }},
		"create by name": {"POST", "/api/v2/users/alice/personal_tokens/", func(*system) []with { return []with{basic("alice", "alice-pw")} }},
		"detail":         {"GET", "/api/v2/tokens/1/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeRead))} }},
		"change": {"PATCH", "/api/v2/tokens/1/", func(s *system) []with {
			return []with{bearer(s.token(s.alice, auth.ScopeWrite)), jsonBody(`{"description":"x"}`)}
		}},
		"rotate":      {"POST", "/api/v2/tokens/1/rotate/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeWrite))} }},
		"delete":      {"DELETE", "/api/v2/users/3/personal_tokens/1/", func(s *system) []with { return []with{bearer(s.token(s.alice, auth.ScopeWrite))} }},
		"public page": {"GET", "/public/", func(s *system) []with { return []with{cookie(s.login("alice", "alice-pw"))} }},
	} {
		t.Run(name, func(t *testing.T) {
			var calls int64
			for n := int64(1); ; n++ {
				db := new(failing)
				s := newSystem(t, func(o *options) {
					o.db = func(m *memory.Store) database { db.Store = m; return db }
				})
				parts := tt.part(s)
				db.calls.Store(0)
				db.fail.Store(n)
				r := s.do(tt.method, tt.target, parts...)
				if db.calls.Load() < n {
					if r.status >= 400 {
						t.Fatalf("without a failure: %d %s", r.status, r.body)
					}
					break
				}
				calls++
				if strings.Contains(r.body+strings.Join(r.header.Values("Www-Authenticate"), ""), "marker") {
					t.Errorf("call %d: the cause is shown: %s", n, r.body)
				}
				if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
					t.Errorf("call %d of %s: status %d, Retry-After %q: %s", n, name, r.status, r.header.Get("Retry-After"), r.body)
				}
				if c := r.cookies()["session"]; c != nil && c.MaxAge > 0 {
					t.Errorf("call %d: a session was opened", n)
				}
			}
			if calls == 0 {
				t.Error("the request made no call to the store")
			}
		})
	}
}

// When the store goes down in the middle of a request, a secret that was made is
// shown, or it was not made.
func TestOutageLosesNoSecret(t *testing.T) {
	for name, tt := range map[string]struct {
		target, body string
		part         func(o *oauthSystem) with
	}{
		"a token":            {"/api/v2/tokens/", `{}`, func(o *oauthSystem) with { return basic("alice", "alice-pw") }},
		"a rotated token":    {"/api/v2/tokens/1/rotate/", `{}`, func(o *oauthSystem) with { return bearer(o.token(o.alice, auth.ScopeWrite)) }},
		"an application":     {"/api/v2/applications/", `{"name":"n","client_type":"confidential","authorization_grant_type":"password","organization":1}`, func(*oauthSystem) with { return basic("admin", "admin-pw") }},
		"a rotated secret":   {"/api/v2/applications/1/rotate_secret/", `{}`, func(*oauthSystem) with { return basic("admin", "admin-pw") }},
		"not by a superuser": {"/api/v2/applications/1/rotate_secret/", `{}`, func(*oauthSystem) with { return basic("orgadmin", "orgadmin-pw") }},
	} {
		t.Run(name, func(t *testing.T) {
			for n := int64(1); ; n++ {
				db := &failing{stays: true}
				o := newOAuth(t, func(o *options) {
					o.db = func(m *memory.Store) database { db.Store = m; return db }
				})
				part := tt.part(o)
				before := secretsOf(t, db.Store)
				db.calls.Store(0)
				db.fail.Store(n)
				r := o.do("POST", tt.target, part, jsonBody(tt.body))
				made := cmp.Diff(before, secretsOf(t, db.Store))
				if shown := r.status < 300; shown != (made != "") {
					t.Errorf("down from call %d on: status %d, made (-before +after):\n%s", n, r.status, made)
				}
				if db.calls.Load() < n {
					if made == "" {
						t.Error("no secret was made")
					}
					break
				}
			}
		})
	}
}

// secretsOf returns the digests of all secrets.
func secretsOf(t *testing.T, db *memory.Store) (list []store.Digest) {
	t.Helper()
	all := store.Page{Limit: 100}
	tokens, _, err1 := db.ListTokens(t.Context(), store.TokenFilter{All: true}, all)
	applications, _, err2 := db.ListApplications(t.Context(), store.ApplicationFilter{All: true}, all)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, tok := range tokens {
		list = append(list, tok.Digest)
	}
	for _, app := range applications {
		list = append(list, app.Secret)
	}
	return list
}
