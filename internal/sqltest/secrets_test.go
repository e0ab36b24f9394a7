package sqltest

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A database that leaks opens no door: nothing in it is a secret that was
// issued, in any of the usual spellings.
func TestNoSecretIsStored(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		secrets := issueSecrets(t, st)
		stored := dump(t, db, p)
		for name, secret := range secrets {
			for _, spelling := range []string{
				secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)),
				// The part that is random, without what all of a kind share.
				secret[len(secret)-16:],
			} {
				if strings.Contains(stored, spelling) {
					t.Errorf("the %s is stored as %s", name, spelling)
				}
			}
		}
		if !strings.Contains(stored, "canary-user") {
			t.Error("the dump does not show what is stored")
		}
	})
}

// issueSecrets makes one secret of each kind.
func issueSecrets(t *testing.T, st *sqlstore.Store) map[string]string {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	secrets := map[string]string{"password": "correct horse battery staple"}
	u, err := st.InsertUser(ctx, store.User{Name: "canary-user", Active: true})
	must(err)
	passwords := auth.Must(auth.NewPasswords(st, st, nil))
	must(passwords.Set(ctx, u.ID, secrets["password"]))

	by := &auth.Principal{ID: u.ID, Name: u.Name, Scopes: auth.ScopeWrite, Admin: true, Credential: auth.CredentialSession}
	tokens := auth.Must(auth.NewTokens(st, st, nil))
	tok, err := tokens.Issue(ctx, by, auth.TokenRequest{})
	must(err)
	secrets["personal access token"] = tok.AccessToken.Reveal()

	server := auth.Must(oauth.NewServer(tokens, st, st, nil))
	app, err := server.CreateApplication(ctx, by, oauth.ApplicationRequest{
		Name: "app", OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantAuthorizationCode,
		RedirectURIs: []string{"https://app.example/back"},
	})
	must(err)
	secrets["client secret"] = app.ClientSecret.Reveal()
	tok, err = server.IssueFor(ctx, by, app.ID, auth.TokenRequest{})
	must(err)
	secrets["access token"], secrets["refresh token"] = tok.AccessToken.Reveal(), tok.RefreshToken.Reveal()
	maps.Copy(secrets, logIn(t, st, u.ID, passwords))
	return secrets
}

// logIn returns the cookies of a login, by name.
func logIn(t *testing.T, st *sqlstore.Store, userID string, passwords *auth.Passwords) map[string]string {
	t.Helper()
	session := auth.Must(auth.NewSession(st, st, nil))
	u, err := st.UserByID(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := errors.Join(session.Login(r, u), passwords.RememberBrowser(w, r, u)); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), "POST", "https://example.com/", nil))
	cookies := map[string]string{}
	for _, c := range rec.Result().Cookies() {
		cookies["cookie "+c.Name] = c.Value
	}
	if len(cookies) != 2 {
		t.Fatalf("cookies: %v", cookies)
	}
	return cookies
}

// tableNames returns the names of all tables of a place.
func tableNames(t *testing.T, db *sql.DB, p place) (names []string) {
	t.Helper()
	query := "SELECT table_name FROM information_schema.tables"
	if p.Dialect == sqlstore.SQLite {
		query = "SELECT name FROM sqlite_master WHERE type = 'table'"
	}
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, cmp.Or(p.Prefix, "auth_")) {
			names = append(names, name)
		}
	}
	if len(names) < 14 {
		t.Fatalf("tables: %v", names)
	}
	return names
}

// dump returns everything that is stored, as text and as bytes.
func dump(t *testing.T, db *sql.DB, p place) string {
	t.Helper()
	var b strings.Builder
	for _, table := range tableNames(t, db, p) {
		rows, err := db.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]sql.RawBytes, len(columns))
			dest := make([]any, len(columns))
			for i := range values {
				dest[i] = &values[i]
			}
			if err := rows.Scan(dest...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				fmt.Fprintf(&b, "%s %x\n", v, []byte(v))
			}
		}
	}
	return b.String()
}
