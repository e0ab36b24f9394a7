package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// errDown is an outage with a text that nobody outside may read.
var errDown = errors.New("dial tcp 10.1.2.3: secret cause")

// noted are the calls whose failure is noted and no reason to refuse a request.
var noted = []string{"Touch", "TouchSession", "Settle", "SwapPasswordHash"}

// doing makes /do call f, and returns the cookie of a session to call it with.
func (s *system) doing(f func(r *http.Request) error) []string {
	s.do = func(w http.ResponseWriter, r *http.Request) {
		if err := f(r); err != nil {
			s.gate.Deny(w, r, err)
			return
		}
		s.entered.Add(1)
	}
	return []string{s.login(s.alice)}
}

// paths are the ways of a request through the stores. Each sets something up and
// returns the request.
var paths = map[string]func(t *testing.T, s *system) (method, target string, lines []string){
	"bearer": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/probe/", []string{bearer(s.issue(s.alice, "read"))}
	},
	"bearer, unknown": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/probe/", []string{"Authorization: Bearer osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG"}
	},
	"bearer, public page": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/public/", []string{bearer(s.issue(s.alice, "read"))}
	},
	"session": func(_ *testing.T, s *system) (string, string, []string) {
		cookie := s.login(s.alice)
		time.Sleep(10 * time.Minute)
		return "POST", "/probe/", []string{cookie}
	},
	"session, public page": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/public/", []string{s.login(s.alice)}
	},
	"session of a disabled user": func(_ *testing.T, s *system) (string, string, []string) {
		cookie := s.login(s.alice)
		s.disable(s.alice)
		return "GET", "/probe/", []string{cookie}
	},
	"session with values": func(_ *testing.T, s *system) (string, string, []string) {
		cookie := s.login(s.alice)
		s.do = func(_ http.ResponseWriter, r *http.Request) {
			s.entered.Add(1)
			s.session.Manager().Put(r.Context(), "k", "v")
		}
		return "POST", "/do", []string{cookie}
	},
	"session with values and a race": func(_ *testing.T, s *system) (string, string, []string) {
		cookie := s.login(s.alice)
		_, id, _ := strings.Cut(cookie, "=")
		s.do = func(_ http.ResponseWriter, r *http.Request) {
			s.session.Manager().Put(r.Context(), "k", "v")
			row, _, err := s.db.Store.SessionByDigest(r.Context(), store.DigestOf(id))
			if err == nil {
				err = s.db.Store.SaveSession(r.Context(), row.Digest, row.Data, row.Revision, time.Now())
			}
			if err != nil {
				s.t.Error(err)
			}
		}
		return "POST", "/do", []string{cookie}
	},
	"login": func(_ *testing.T, s *system) (string, string, []string) {
		return "POST", "/login?u=alice", nil
	},
	"login again": func(_ *testing.T, s *system) (string, string, []string) {
		return "POST", "/login?u=alice", []string{s.login(s.alice)}
	},
	"list of sessions": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/do", s.doing(func(r *http.Request) error {
			_, _, err := s.session.List(r.Context(), by(s.alice), s.alice.ID, store.Page{Limit: 10})
			return err
		})
	},
	"end of a session": func(_ *testing.T, s *system) (string, string, []string) {
		return "POST", "/do", s.doing(func(r *http.Request) error {
			err := s.session.EndOne(r.Context(), by(s.alice), s.alice.ID, s.session.Current(r.Context()))
			if e, ok := errors.AsType[*auth.Error](err); ok && e.Status == 404 {
				return nil // it has ended before
			}
			return err
		})
	},
	"end of other sessions": func(_ *testing.T, s *system) (string, string, []string) {
		return "POST", "/do", s.doing(func(r *http.Request) error {
			_, err := s.session.EndOthers(r.Context(), by(s.alice), s.alice.ID)
			return err
		})
	},
	"logout": func(_ *testing.T, s *system) (string, string, []string) {
		return "POST", "/logout", []string{s.login(s.alice)}
	},
	"basic": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/probe/", []string{basicLine("alice", goodPassword)}
	},
	"basic, wrong": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/probe/", []string{basicLine("alice", "wrong")}
	},
	"basic, unknown": func(_ *testing.T, s *system) (string, string, []string) {
		return "GET", "/probe/", []string{basicLine("nobody", "wrong")}
	},
	"basic, outdated hash": func(t *testing.T, s *system) (string, string, []string) {
		if err := s.db.Store.SetPasswordHash(t.Context(), s.alice.ID, "old:"+cheapHash(0, goodPassword)); err != nil {
			t.Fatal(err)
		}
		return "GET", "/probe/", []string{basicLine("alice", goodPassword)}
	},
}

// callsOf returns the store calls of a path.
func callsOf(t *testing.T, path string) (calls []string, status int) {
	s := newSystem(t, nil)
	method, target, lines := paths[path](t, s)
	calls = s.db.during(func() { status = s.send(method, target, lines...).Code })
	if len(calls) == 0 {
		t.Errorf("%s makes no call", path)
	}
	return calls, status
}

// atCall makes f happen at the n-th call from now on.
func (s *system) atCall(n int, f func(call string) error) {
	i := -1
	s.db.on(func(call string) error {
		if i++; i == n {
			return f(call)
		}
		return nil
	})
}

// whichever call fails, the answer is 503 and
// never anonymous, never 401, never a success; then everything works again.
func TestEveryStoreCallFailsOnce(t *testing.T) {
	for path := range paths {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, status := callsOf(t, path)
				for n, call := range calls {
					s := newSystem(t, nil)
					method, target, lines := paths[path](t, s)
					s.atCall(n, func(string) error { return errDown })
					before := s.entered.Load()
					w := s.send(method, target, lines...)
					s.db.on(nil)
					if strings.Contains(w.Body.String(), "secret cause") {
						t.Errorf("%d. %s: the reply tells the cause", n, call)
					}
					if !strings.Contains(s.log.String(), "secret cause") {
						t.Errorf("%d. %s: the cause is not logged", n, call)
					}
					if slices.Contains(noted, call) {
						if w.Code != status {
							t.Errorf("%d. %s: status %d, want %d as without the failure", n, call, w.Code, status)
						}
						continue
					}
					want := refused{Status: 503, RetryAfter: "1", Body: body503}
					if diff := cmp.Diff(want, refusalOf(w)); diff != "" {
						t.Errorf("%d. %s (-want +got):\n%s", n, call, diff)
					}
					if target != "/do" && s.entered.Load() != before {
						t.Errorf("%d. %s: the handler was entered", n, call)
					}
					if s.cookie(w) != "" && path == "login" {
						t.Errorf("%d. %s: Set-Cookie %q", n, call, w.Header()["Set-Cookie"])
					}
					if got := s.send(method, target, lines...).Code; got != status {
						t.Errorf("%d. %s: the next request is %d, want %d", n, call, got, status)
					}
				}
			})
		})
	}
}

// a logout that could not be stored is not confirmed, and the session is
// still known to be alive.
func TestFailedLogoutIsNotConfirmed(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	s.db.on(func(call string) error {
		if call == "EndSessions" {
			return errDown
		}
		return nil
	})
	w := s.send("POST", "/logout", cookie)
	s.db.on(nil)
	if w.Code != 503 || len(w.Header()["Set-Cookie"]) > 0 || s.me(cookie) != "alice by session" {
		t.Errorf("status %d, Set-Cookie %q, then %s", w.Code, w.Header()["Set-Cookie"], s.me(cookie))
	}
}

// a store, or a hasher, that panics takes its own request down, and
// nothing else.
func TestEveryStoreCallPanicsOnce(t *testing.T) {
	for path := range paths {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, status := callsOf(t, path)
				for n, call := range calls {
					s := newSystem(t, func(o *settings) { o.passwords.MaxHashes = 1 })
					method, target, lines := paths[path](t, s)
					s.atCall(n, func(string) error { panic("store") })
					if !panics(func() { s.send(method, target, lines...) }) {
						t.Errorf("%d. %s: the panic was swallowed", n, call)
					}
					s.db.on(nil)
					for range 8 {
						// A session may have ended before the panic.
						if got := s.send(method, target, lines...).Code; got != status && got != 401 {
							t.Fatalf("%d. %s: the next request is %d, want %d", n, call, got, status)
						}
					}
					if got := s.me(basicLine("bob", goodPassword)); got != "bob by basic" {
						t.Errorf("%d. %s: somebody else is answered %s", n, call, got)
					}
				}
			})
		})
	}
	t.Run("hasher", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, line := range []string{basicLine("alice", goodPassword), basicLine("nobody", goodPassword)} {
				s := newSystem(t, func(o *settings) { o.passwords.MaxHashes = 1 })
				s.hasher.hold = func() { panic("hasher") }
				for range 3 {
					if !panics(func() { s.me(line) }) {
						t.Error("the panic was swallowed")
					}
				}
				s.hasher.hold = nil
				if got := s.me(basicLine("bob", goodPassword)); got != "bob by basic" {
					t.Errorf("then somebody else is answered %s", got)
				}
			}
		})
	})
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// A hasher that cannot hash is an outage for every user, until it can.
func TestHasherIsDown(t *testing.T) {
	hasher := &flaky{}
	s := newSystem(t, func(o *settings) { o.passwords.Hasher = hasher })
	hasher.down = true
	for _, line := range []string{basicLine("alice", goodPassword), basicLine("nobody", goodPassword), basicLine("dora", "x")} {
		if diff := cmp.Diff(refused{Status: 503, RetryAfter: "1", Body: body503}, refusalOf(s.send("GET", "/probe/", line))); diff != "" {
			t.Errorf("reply (-want +got):\n%s", diff)
		}
	}
	hasher.down = false
	if got := s.me(basicLine("alice", goodPassword)); got != "alice by basic" {
		t.Errorf("afterwards %s", got)
	}
}

type flaky struct {
	cheap
	down bool
}

func (f *flaky) Hash(password string) (string, error) {
	if f.down {
		return "", errDown
	}
	return f.cheap.Hash(password)
}

// what manages tokens, passwords and sessions reports an outage as one,
// and nothing half done.
func TestManagementOutages(t *testing.T) {
	for name, run := range map[string]func(s *system, tok auth.IssuedToken) error{
		"Issue": func(s *system, _ auth.IssuedToken) error {
			_, err := s.tokens.Issue(s.t.Context(), by(s.alice), auth.TokenRequest{})
			return err
		},
		"Issue by a token": func(s *system, tok auth.IssuedToken) error {
			_, err := s.tokens.Issue(s.t.Context(), &auth.Principal{ID: "3", Scopes: "write", TokenID: tok.ID}, auth.TokenRequest{})
			return err
		},
		"Token": func(s *system, tok auth.IssuedToken) error {
			_, err := s.tokens.Token(s.t.Context(), by(s.alice), tok.ID)
			return err
		},
		"List": func(s *system, _ auth.IssuedToken) error {
			_, _, err := s.tokens.List(s.t.Context(), by(s.alice), store.TokenFilter{}, store.Page{})
			return err
		},
		"Change": func(s *system, tok auth.IssuedToken) error {
			_, err := s.tokens.Change(s.t.Context(), by(s.alice), tok.ID, auth.TokenChange{Scopes: new(auth.Scopes("read"))})
			return err
		},
		"Rotate": func(s *system, tok auth.IssuedToken) error {
			_, err := s.tokens.Rotate(s.t.Context(), by(s.alice), tok.ID)
			return err
		},
		"End": func(s *system, tok auth.IssuedToken) error { return s.tokens.End(s.t.Context(), by(s.alice), tok.ID) },
		"Verify": func(s *system, tok auth.IssuedToken) error {
			_, err := s.tokens.Verify(s.t.Context(), tok.AccessToken.Reveal())
			return err
		},
		"Set": func(s *system, _ auth.IssuedToken) error {
			return s.passwords.Set(s.t.Context(), s.alice.ID, "another horse battery")
		},
		"password": func(s *system, _ auth.IssuedToken) error {
			_, err := s.passwords.Verify(s.t.Context(), "alice", goodPassword)
			return err
		},
		"End sessions": func(s *system, _ auth.IssuedToken) error {
			_, err := s.session.End(s.t.Context(), store.SessionSelection{UserID: "3"})
			return err
		},
		"Purge tokens": func(s *system, _ auth.IssuedToken) error {
			_, err := s.tokens.Purge(s.t.Context(), time.Now())
			return err
		},
		"Purge sessions": func(s *system, _ auth.IssuedToken) error {
			_, err := s.session.Purge(s.t.Context(), time.Now())
			return err
		},
		"Purge attempts": func(s *system, _ auth.IssuedToken) error {
			_, err := s.passwords.Purge(s.t.Context(), time.Now())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, nil)
			tok := s.issue(s.alice, "write")
			calls := s.db.during(func() {
				if err := run(s, tok); err != nil {
					t.Fatal(err)
				}
			})
			for n, call := range calls {
				s := newSystem(t, nil)
				tok := s.issue(s.alice, "write")
				s.atCall(n, func(string) error { return errDown })
				err := run(s, tok)
				s.db.on(nil)
				if slices.Contains(noted, call) {
					if err != nil {
						t.Errorf("%d. %s: %v", n, call, err)
					}
					continue
				}
				if _, refusal := errors.AsType[*auth.Error](err); refusal || !errors.Is(err, errDown) {
					t.Errorf("%d. %s: %v", n, call, err)
				}
				w := httptest.NewRecorder()
				s.gate.Deny(w, httptest.NewRequest("GET", "/", nil), err)
				if diff := cmp.Diff(refused{Status: 503, RetryAfter: "1", Body: body503}, refusalOf(w)); diff != "" {
					t.Errorf("%d. %s (-want +got):\n%s", n, call, diff)
				}
				if name != "End" && s.me(bearer(tok)) != "alice by bearer" {
					t.Errorf("%d. %s: the token has ended", n, call)
				}
			}
		})
	}
}
