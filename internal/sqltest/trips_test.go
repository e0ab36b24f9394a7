package sqltest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// plainHasher hashes nothing, because hashing is not the point here.
type plainHasher struct{}

func (plainHasher) Hash(password string) (string, error) { return "plain$" + password, nil }

func (plainHasher) Verify(hash, password string) (ok, outdated bool, err error) {
	return hash == "plain$"+password, false, nil
}

// A request takes no more round trips to the database than these: a trip through the
// network costs several times what the statement does.
func TestRoundTrips(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		p.open(t)
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)

		quiet := slog.New(slog.DiscardHandler)
		passwords := auth.Must(auth.NewPasswords(st, st, &auth.PasswordsOptions{Hasher: plainHasher{}, Logger: quiet}))
		tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet}))
		server := auth.Must(oauth.NewServer(tokens, st, st, &oauth.Options{Logger: quiet}))
		session := auth.Must(auth.NewSession(st, st, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
		accounts := auth.Must(auth.NewAccounts(st, passwords, &auth.AccountsOptions{Logger: quiet}))
		gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), &auth.GateOptions{Logger: quiet})
		api := auth.Must(httpapi.New(httpapi.Config{
			Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens, Accounts: accounts, OAuth: server,
		}))

		u, err := st.InsertUser(t.Context(), store.User{Name: "trips", Admin: true, Active: true, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.SetPasswordHash(t.Context(), u.ID, "plain$password"); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			app, err := st.InsertApplication(t.Context(), store.Application{ClientID: fmt.Sprint("trips ", i), Name: fmt.Sprint("trips ", i), OrganizationID: 1, GrantType: oauth.GrantPassword})
			if err != nil {
				t.Fatal(err)
			}
			tok := tokenNamed(fmt.Sprint("trips ", i), time.Now())
			tok.UserID, tok.ApplicationID = u.ID, app.ID
			if _, err := st.InsertToken(t.Context(), tok, limits); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 60 {
			owner, err := st.InsertUser(t.Context(), store.User{Name: fmt.Sprint("owner ", i), Active: true, Created: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			tok := tokenNamed(fmt.Sprint("owned ", i), time.Now())
			tok.UserID, tok.ApplicationID = owner.ID, 0
			if _, err := st.InsertToken(t.Context(), tok, limits); err != nil {
				t.Fatal(err)
			}
		}
		if u, err = st.UserByID(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		token := authtest.AddToken(t, tokens, u, auth.ScopeWrite)
		id := fmt.Sprint(mustAccess(t, st, token).TokenID)

		do := func(method, target, content string, set func(http.Header)) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, target, strings.NewReader(content))
			if content != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			set(r.Header)
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			if w.Code >= 300 {
				t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
			}
			return w
		}
		nobody := func(http.Header) {}
		bearer := func(h http.Header) { h.Set("Authorization", "Bearer "+token) }
		basic := func(h http.Header) { h["Authorization"] = []string{"Basic dHJpcHM6cGFzc3dvcmQ="} }
		const credentials = `{"username":"trips","password":"password"}`
		var cookies []string
		for _, c := range do("POST", "/api/login/", credentials, nobody).Result().Cookies() {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		visitor := func(h http.Header) {
			h.Set("Cookie", strings.Join(cookies, "; "))
			h.Set("Sec-Fetch-Site", "same-origin")
		}
		for _, tt := range []struct {
			name, method, target, body string
			as                         func(http.Header)
			most                       [3]int // on SQLite, PostgreSQL, and MariaDB or MySQL
		}{
			{"me by bearer", "GET", "/api/v2/me/", "", bearer, [3]int{1, 1, 1}},
			{"me by session", "GET", "/api/v2/me/", "", visitor, [3]int{1, 1, 1}},
			{"own user by bearer", "GET", "/api/v2/users/" + u.ID + "/", "", bearer, [3]int{1, 1, 1}},
			{"personal token by bearer", "POST", "/api/v2/tokens/", `{"scope":"read"}`, bearer, [3]int{3, 3, 4}},
			{"personal token by session", "POST", "/api/v2/tokens/", `{"scope":"read"}`, visitor, [3]int{3, 3, 4}},
			{"me by password", "GET", "/api/v2/me/", "", basic, [3]int{1, 1, 1}},
			{"login", "POST", "/api/login/", credentials, nobody, [3]int{16, 5, 10}},
			{"page of applications by bearer", "GET", "/api/v2/applications/", "", bearer, [3]int{4, 4, 4}},
			{"page of tokens by bearer", "GET", "/api/v2/tokens/", "", bearer, [3]int{5, 5, 5}},
			{"page of the tokens of 60 users", "GET", "/api/v2/tokens/?order_by=-id&page_size=60", "", bearer, [3]int{7, 7, 8}},
			{"one token by bearer", "GET", "/api/v2/tokens/" + id + "/", "", bearer, [3]int{2, 2, 2}},
			{"own token by bearer", "GET", "/api/v2/tokens/self/", "", bearer, [3]int{2, 2, 2}},
			{"one application by bearer", "GET", "/api/v2/applications/1/", "", bearer, [3]int{3, 3, 3}},
			{"application token by bearer", "POST", "/api/v2/tokens/", `{"scope":"read","application":1}`, bearer, [3]int{4, 4, 5}},
		} {
			do(tt.method, tt.target, tt.body, tt.as) // caches and the last use
			trips := tap.trippedBy(func() { do(tt.method, tt.target, tt.body, tt.as) })
			most := tt.most[slices.Index([]sqlstore.Dialect{sqlstore.SQLite, sqlstore.Postgres, sqlstore.MySQL}, p.Dialect)]
			if len(trips) > most {
				t.Errorf("%s: %d round trips, want at most %d:\n%s", tt.name, len(trips), most, strings.Join(trips, "\n"))
			}
			t.Log(tt.name, len(trips))
		}

		// How long it takes must not tell which names exist.
		verify := func(name string) int {
			return len(tap.trippedBy(func() {
				if _, err := passwords.Verify(t.Context(), name, "a wrong password"); err == nil {
					t.Fatal("a wrong password is right")
				}
			}))
		}
		for _, name := range []string{"trips", "nobody"} {
			verify(name) // makes the counters
		}
		if known, unknown := verify("trips"), verify("nobody"); known != unknown {
			t.Errorf("%d round trips for a name that exists, %d for one that does not", known, unknown)
		}
	})
}

func mustAccess(t *testing.T, st store.Tokens, token string) store.Access {
	t.Helper()
	a, err := st.AccessByDigest(t.Context(), store.DigestOf(token))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
