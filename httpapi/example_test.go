package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing/fstest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Everything: login, tokens, and an authorization server. The metadata lie
// outside /api/ and are mounted as well.
func ExampleNew() {
	ctx := context.Background()
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://api.example"}))
	gate := auth.NewGate(auth.FirstOf(
		auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil),
	), nil)
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens, OAuth: server,
	}))
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/.well-known/", api)
	handler := session.Handler(mux)

	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	if err := passwords.Set(ctx, alice.ID, "correct horse battery staple"); err != nil {
		log.Fatal(err)
	}
	// curl -u alice https://api.example/api/v2/me/
	r := httptest.NewRequest("GET", "https://api.example/api/v2/me/?count_disabled", nil)
	r.SetBasicAuth("alice", "correct horse battery staple")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Content-Type"))

	w = httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "https://api.example/api/v2/", nil))
	fmt.Println(w.Body)
	// Output:
	// 200 application/json
	// {"applications":"/api/v2/applications/","me":"/api/v2/me/","tokens":"/api/v2/tokens/"}
}

// The pages of the host: a title and a colour of its own, all else as it is. In a
// program the files come from an embed.FS or os.DirFS.
func ExampleConfig_pages() {
	db := memory.New()
	session := auth.Must(auth.NewSession(db, db, nil))
	config := httpapi.Config{
		Gate: auth.NewGate(session, nil), Users: db, Session: session,
		Passwords: auth.Must(auth.NewPasswords(db, db, nil)),
		Pages: fstest.MapFS{
			"login.html": {Data: []byte(`{{define "title"}}Acme{{end}}
{{define "main"}}<form method="post" action="/api/login/">
{{with .Error}}<p role="alert">{{.}}</p>{{end}}
<label>Name <input name="username" value="{{.Username}}"></label>
<label>Password <input name="password" type="password"></label>
<input type="hidden" name="next" value="{{.Next}}"><button>Log in</button>
</form>{{end}}`)},
			"style.css": {Data: []byte("h1 { color: teal }")},
		},
	}
	api := auth.Must(httpapi.New(config))
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/api/login/?next=/jobs/", nil))
	fmt.Println(strings.Contains(w.Body.String(), "<title>Acme</title>"), strings.Contains(w.Body.String(), `value="/jobs/"`))

	// A misspelt file or field is found when the program starts.
	config.Pages = fstest.MapFS{"message.html": {Data: []byte(`{{define "title"}}{{end}}{{define "main"}}{{.Txt}}{{end}}`)}}
	_, err := httpapi.New(config)
	fmt.Println(err != nil)
	// Output:
	// true true
	// true
}

// People log in at a page of the host's, such as one of single sign-on, which
// starts the session itself and sends them back.
func ExampleConfig_loginPage() {
	ctx := context.Background()
	db := memory.New()
	alice := auth.Must(db.InsertUser(ctx, store.User{Name: "alice", Active: true}))
	session := auth.Must(auth.NewSession(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil), Users: db,
		Session: session, LoginPage: "/sso/",
		Tokens: tokens, OAuth: auth.Must(oauth.NewServer(tokens, db, db, nil)),
	}))
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.HandleFunc("/sso/", func(w http.ResponseWriter, r *http.Request) {
		// Here the host authenticates the user. A path of this host alone is
		// followed.
		next, err := url.Parse(r.FormValue("next"))
		if err != nil || next.Host != "" || !strings.HasPrefix(next.Path, "/api/o/") {
			next = &url.URL{Path: "/"}
		}
		if err := session.Login(r, alice); err != nil {
			http.Error(w, "login failed", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, next.String(), http.StatusFound)
	})
	srv := httptest.NewTLSServer(session.Handler(mux))
	defer srv.Close()
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	resp, err := client.Get(srv.URL + "/api/o/authorize/?client_id=x")
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	fmt.Println(resp.Header.Get("Location"))
	// Output:
	// /sso/?next=%2Fapi%2Fo%2Fauthorize%2F%3Fclient_id%3Dx
}
