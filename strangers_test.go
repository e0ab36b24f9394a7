package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// folded is a table of a host that folds IDs, or that gave one to somebody else: it finds
// other in place of anybody.
type folded struct {
	store.Users
	other *store.User // nil for none
}

func (f *folded) UserByID(ctx context.Context, id string) (store.User, error) {
	if f.other != nil {
		return *f.other, nil
	}
	return f.Users.UserByID(ctx, id)
}

// plain hides what a memory.Store can do beyond its contract.
type plain struct {
	store.Tokens
	store.Sessions
	store.Users
}

// tokens and sessions are those of one ID. Another user whom a table finds by it
// gets nothing of them, and neither does the owner.
func TestAnotherUserIsNobody(t *testing.T) {
	for in := range sessionStores {
		t.Run(in, func(t *testing.T) {
			s := newSystem(t, nil)
			users := &folded{Users: s.db.Store}
			inMemory := memory.NewWithUsers(users)
			db := interface {
				store.Tokens
				store.Sessions
			}(inMemory)
			if in != "memory" {
				db = plain{inMemory, inMemory, users}
			}
			tokens := auth.Must(auth.NewTokens(db, users, &auth.TokensOptions{Logger: quiet}))
			session := auth.Must(auth.NewSession(db, users, &auth.SessionOptions{Logger: quiet}))
			gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet})
			mux := http.NewServeMux()
			mux.Handle("/probe", gate.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
				if session.Login(r, s.alice) != nil {
					w.WriteHeader(401)
				}
			})
			handler := session.Handler(mux)
			own := auth.Must(tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{}))
			tok := auth.Must(inMemory.TokenByID(t.Context(), own.ID))
			c := send(handler, "GET", "/login").Result().Cookies()[0]

			type seen struct {
				token, session, login   int
				owner, owned, mayIssue  bool
				listed, found, searched int
			}
			look := func() (got seen) {
				got.token = send(handler, "GET", "/probe", bearer(own)).Code
				got.login = send(handler, "GET", "/login").Code
				u, ok, err := tokens.OwnerOf(t.Context(), tok)
				got.owner, got.owned = err == nil && ok, u.ID == s.alice.ID
				_, err = tokens.Owner(t.Context(), s.alice.ID)
				got.mayIssue = err == nil
				list, _, err := session.List(t.Context(), &operator, s.alice.ID, store.Page{Limit: 9})
				got.listed = len(list)
				list, _, err2 := session.Search(t.Context(), &operator, store.SessionFilter{UserID: s.alice.ID}, store.Page{Limit: 9})
				got.found = len(list)
				list, _, err3 := session.Search(t.Context(), &operator, store.SessionFilter{All: true}, store.Page{Limit: 9})
				got.searched = len(list)
				for _, err := range []error{err, err2, err3} {
					if err != nil {
						t.Error(err)
					}
				}
				got.session = send(handler, "GET", "/probe", "Cookie: "+c.Name+"="+c.Value).Code // which ends it
				return got
			}
			if got, want := look(), (seen{200, 200, 200, true, true, true, 2, 2, 2}); got != want {
				t.Errorf("before: %+v, want %+v", got, want)
			}
			users.other = &s.bob
			if got, want := look(), (seen{token: 401, session: 401, login: 401}); got != want {
				t.Errorf("with another user: %+v, want %+v", got, want)
			}
		})
	}
}

// What a request has read of a user before is too old for a list of who is logged in.
func TestSearchForgetsWhatTheRequestHasSeen(t *testing.T) {
	s := newSystem(t, nil)
	s.login(s.alice)
	ctx := context.WithValue(t.Context(), stores.SeenKey{}, new(stores.Seen))
	stores.See(ctx, s.db, s.alice)
	if u, err := stores.UserByID(ctx, s.db, s.alice.ID); err != nil || len(s.db.during(func() { stores.UserByID(ctx, s.db, s.alice.ID) })) != 0 {
		t.Fatalf("the request has not seen %v: %v", u, err)
	}
	s.disable(s.alice)
	list, _, err := s.session.Search(ctx, by(s.admin), store.SessionFilter{All: true}, store.Page{Limit: 9})
	if err != nil || len(list) != 0 {
		t.Errorf("sessions of a disabled user: %v, %v", list, err)
	}
}

// A login needs a user who may log in, both as it was verified and as it is stored.
func TestLoginOfNobody(t *testing.T) {
	s := newSystem(t, nil)
	disabled, nameless := s.alice, s.alice
	disabled.Active, nameless.ID = false, ""
	for _, tt := range []struct {
		name     string
		verified store.User
		stored   *store.User
	}{
		{"verified as disabled", disabled, &s.alice},
		{"stored as disabled", s.alice, &disabled},
		{"without an ID", nameless, &nameless},
	} {
		session := auth.Must(auth.NewSession(s.db, &folded{other: tt.stored}, &auth.SessionOptions{Logger: quiet}))
		w := send(session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			refusesStatus(t, session.Login(r, tt.verified), 401, "")
		})), "GET", "/")
		if len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: a cookie", tt.name)
		}
	}
}

// A store that has other users than those beside it lets nobody in, and the log says
// why, once. It says nothing of a user who is deleted.
func TestOtherUsersInTheStoreAreNoticed(t *testing.T) {
	s := newSystem(t, nil)
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	tokens := auth.Must(auth.NewTokens(s.db, s.db, &auth.TokensOptions{Logger: quiet}))
	own := auth.Must(tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{}))
	db := memory.New()
	tok := auth.Must(s.db.TokenByID(t.Context(), own.ID))
	tok.Digest = store.DigestOf(own.AccessToken.Reveal())
	auth.Must(db.InsertToken(t.Context(), tok, store.InsertLimits{}))
	users := &folded{Users: s.db.Store}
	tokens = auth.Must(auth.NewTokens(db, users, &auth.TokensOptions{Logger: logger}))
	verify := func() {
		t.Helper()
		_, err := tokens.Verify(t.Context(), own.AccessToken.Reveal())
		refusesStatus(t, err, 401, "")
	}
	users.other = &s.bob // somebody whom a table finds in place of the owner is no sign
	verify()
	if log.Len() > 0 {
		t.Errorf("of a user whom neither has: %s", &log)
	}
	users.other = nil
	verify()
	verify()
	if n := strings.Count(log.String(), "NewTokens got users that its store does not know"); n != 1 {
		t.Errorf("%d warnings: %s", n, &log)
	}
}
