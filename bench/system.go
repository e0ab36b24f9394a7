package bench

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// How many tokens and sessions exist, and how many of them are presented in turn.
const (
	Stored    = 10_000
	Presented = 1_024
)

const password = "correct horse battery"

var quiet = slog.New(slog.DiscardHandler)

// system is this module with all it has in memory.
type system struct {
	db      *memory.Store
	chain   auth.Authenticator
	gate    *auth.Gate // without events
	session *auth.Session
	tokens  *auth.Tokens
	words   *auth.Passwords
	alice   store.User
}

func newSystem(tb testing.TB) *system {
	db := memory.New()
	s := &system{
		db:      db,
		session: auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet, PerUser: -1})),
		tokens:  auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet, MaxPerUser: -1})),
		alice:   authtest.AddUser(tb, db, store.User{Name: "alice"}, password),
	}
	s.words = auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	s.chain = auth.FirstOf(auth.NewBearer(s.tokens), s.session, auth.NewBasic(s.words, nil))
	s.gate = auth.NewGate(s.chain, &auth.GateOptions{Logger: quiet})
	return s
}

// issue issues n tokens and returns as many as are presented.
func (s *system) issue(tb testing.TB, n int) (presented []string) {
	for range n {
		token := authtest.AddToken(tb, s.tokens, s.alice, auth.ScopeRead)
		if len(presented) < Presented {
			presented = append(presented, token)
		}
	}
	return presented
}

// login returns the cookie of a new session of alice, whose handler called use.
func (s *system) login(use func(*http.Request)) string {
	w := &Writer{header: make(http.Header)}
	s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.session.Login(r, s.alice); err != nil {
			panic(err)
		}
		use(r)
		w.WriteHeader(Passed)
	})).ServeHTTP(w, NewRequest(http.Header{}))
	cookie, _, _ := strings.Cut(w.header.Get("Set-Cookie"), ";")
	return cookie
}

// ours answers requests of alice.
var ours = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if p, ok := auth.FromContext(r.Context()); ok && p.Name == "alice" {
		w.WriteHeader(Passed)
	}
})

func prefixed(prefix string, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = prefix + s
	}
	return out
}
