package misusetest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/internal/leaktest"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// A host is a service that embeds the module, before it makes its mistake.
type host struct {
	t         *testing.T
	log       *logtest.Buffer
	logger    *slog.Logger
	db        *memory.Store
	tokens    *auth.Tokens
	session   *auth.Session
	passwords *auth.Passwords
	bearer    *auth.Bearer
	gate      *auth.Gate
	server    *oauth.Server
	alice     store.User
}

func newHost(t *testing.T) *host {
	h := &host{t: t, log: &logtest.Buffer{}, db: memory.New()}
	h.logger = slog.New(slog.NewTextHandler(h.log, nil))
	h.tokens = auth.Must(auth.NewTokens(h.db, h.db, &auth.TokensOptions{Scopes: []string{"deploy"}, Logger: h.logger}))
	h.session = auth.Must(auth.NewSession(h.db, h.db, &auth.SessionOptions{Logger: h.logger}))
	h.passwords = auth.Must(auth.NewPasswords(h.db, h.db, &auth.PasswordsOptions{Hasher: plain{}, Logger: h.logger}))
	h.bearer = auth.NewBearer(h.tokens)
	h.gate = auth.NewGate(auth.FirstOf(h.bearer, h.session), &auth.GateOptions{Logger: h.logger})
	h.server = auth.Must(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Logger: h.logger}))
	h.alice = authtest.AddUser(t, h.db, store.User{Name: "alice"}, "")
	if err := h.db.SetPasswordHash(t.Context(), h.alice.ID, "alice-pw"); err != nil {
		t.Fatal(err)
	}
	h.alice, _ = h.db.UserByID(t.Context(), h.alice.ID)
	return h
}

// warnings returns what was logged as a warning by this module, without what
// happens to requests.
func (h *host) warnings() (list []string) {
	for line := range strings.Lines(h.log.String()) {
		if strings.Contains(line, "level=WARN") && !strings.Contains(line, "outcome=") && !strings.Contains(line, "password refused") {
			list = append(list, line)
		}
	}
	return list
}

// plain compares passwords as they are.
type plain struct{}

func (plain) Hash(password string) (string, error) { return password, nil }
func (plain) Verify(hash, password string) (ok, outdated bool, err error) {
	return hash == password, false, nil
}

var ok = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// ask sends a request, with header fields as "Name: value", and returns the answer.
func ask(handler http.Handler, method, target string, fields ...string) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	handler.ServeHTTP(w, r)
	return w.Result()
}

// login logs alice in, over TLS unless target says http, and returns the field with
// the cookie.
func (h *host) login(s *auth.Session, target string, fields ...string) string {
	h.t.Helper()
	res := ask(s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := s.Login(r, h.alice); err != nil {
			h.t.Error(err)
		}
	})), "POST", target, fields...)
	for _, c := range res.Cookies() {
		return "Cookie: " + c.Name + "=" + c.Value
	}
	h.t.Fatal("no cookie")
	return ""
}

func peers(list ...string) (prefixes []netip.Prefix) {
	for _, s := range list {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	return prefixes
}

// refusal returns the error of f, or what f panics with.
func refusal(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	return f()
}

// last returns the error of a constructor.
func last[T any](_ T, err error) error { return err }

// built is for constructors that refuse by a panic.
func built[T any](T) error { return nil }
