package sqltest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A gatehouse stops who passes it until the test lets him go on.
type gatehouse struct{ entered, release chan struct{} }

func (g gatehouse) pass() {
	g.entered <- struct{}{}
	<-g.release
}

// A slowHasher hashes for as long as the test wants. It calls every hash
// outdated, so that a good login hashes once more.
type slowHasher struct{ gatehouse }

func (h slowHasher) Hash(password string) (string, error) {
	h.pass()
	return "hash of " + password, nil
}

func (h slowHasher) Verify(hash, password string) (ok, outdated bool, err error) {
	h.pass()
	ok = hash == "hash of "+password
	return ok, ok, nil
}

// A slowService is a service in which passwords are hashed slowly, with one user
// who is logged in and has a token.
type slowService struct {
	gatehouse
	passwords     *auth.Passwords
	session       *auth.Session
	gate          *auth.Gate
	alice         store.User
	token, cookie string // values of Authorization and Cookie
}

const slowPassword = "correct horse battery"

func openSlow(t *testing.T, st *sqlstore.Store) *slowService {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	s := &slowService{gatehouse: gatehouse{make(chan struct{}), make(chan struct{})}}
	s.passwords = auth.Must(auth.NewPasswords(st, st, &auth.PasswordsOptions{Hasher: slowHasher{s.gatehouse}, Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet}))
	s.session = auth.Must(auth.NewSession(st, st, &auth.SessionOptions{Logger: quiet}))
	s.gate = auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), s.session), &auth.GateOptions{Logger: quiet})
	s.alice = authtest.AddUser(t, st, store.User{Name: "alice"}, "")
	err := st.SetPasswordHash(t.Context(), s.alice.ID, "hash of "+slowPassword)
	if err == nil {
		s.alice, err = st.UserByID(t.Context(), s.alice.ID) // with its new epoch
	}
	if err != nil {
		t.Fatal(err)
	}
	s.token = "Bearer " + authtest.AddToken(t, tokens, s.alice, auth.ScopeWrite)
	w := httptest.NewRecorder()
	s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.session.Login(r, s.alice); err != nil {
			t.Fatal(err)
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	s.cookie = w.Result().Cookies()[0].String()
	return s
}

// request is one behind everything. Its handler changes the session.
func (s *slowService) request(field, value string, slow bool) error {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set(field, value)
	w := httptest.NewRecorder()
	s.session.Handler(s.gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.session.Manager().Put(r.Context(), "last", time.Now().UnixNano())
		if slow {
			s.pass()
		}
	}))).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", field, w.Code, w.Body)
	}
	return nil
}

// who hashes a password, and whose handler is slow, holds no connection
// and no lock of the store. With a pool of one connection everybody else goes on
// meanwhile.
func TestNothingIsHeldMeanwhile(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st, db := fresh(t).openDB(t)
		db.SetMaxOpenConns(1)
		s := openSlow(t, st)
		for _, tt := range []struct {
			name  string
			stops int // how often it passes the gatehouse
			do    func() error
		}{
			{"a login: the dummy, the hash, a better hash", 3, func() error {
				_, err := s.passwords.Verify(t.Context(), s.alice.Name, slowPassword)
				return err
			}},
			{"an unknown user", 1, func() error {
				if _, err := s.passwords.Verify(t.Context(), "nobody", slowPassword); err == nil {
					return errors.New("nobody logs in")
				}
				return nil
			}},
			{"a handler behind a token", 1, func() error { return s.request("Authorization", s.token, true) }},
			{"a handler behind a session", 1, func() error { return s.request("Cookie", s.cookie, true) }},
			{"a new password, which ends the session", 1, func() error {
				return s.passwords.Set(t.Context(), s.alice.ID, slowPassword)
			}},
		} {
			done := make(chan error, 1)
			go func() { done <- tt.do() }()
			for range tt.stops {
				select {
				case <-s.entered:
				case err := <-done:
					t.Fatalf("%s: over too early: %v", tt.name, err)
				}
				if err := s.request("Authorization", s.token, false); err != nil {
					t.Errorf("%s, meanwhile: %v", tt.name, err)
				}
				if err := s.request("Cookie", s.cookie, false); err != nil {
					t.Errorf("%s, meanwhile: %v", tt.name, err)
				}
				charge := store.Charge{Key: "x", Limit: store.Limit{Max: 100, Window: hour}}
				if v, err := st.Charge(t.Context(), []store.Charge{charge}, time.Now()); err != nil || !v.Allowed {
					t.Errorf("%s, meanwhile: Charge = %v, %v", tt.name, v, err)
				}
				s.release <- struct{}{}
			}
			if err := <-done; err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
}
