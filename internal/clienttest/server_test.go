package clienttest_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

const (
	user     = "alice"
	password = "a long enough password"
)

// A server is the API on a loopback address, with an application for each grant.
type server struct {
	url                                   string
	public, confidential, machine, device application
}

type application struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

const (
	publicRedirect       = "http://127.0.0.1/cb" // any port, RFC 8252 section 7.3
	confidentialRedirect = "https://client.example/cb"
)

func start(t *testing.T) server {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	authtest.AddUser(t, db, store.User{Name: user}, password)
	root := &auth.Principal{ID: authtest.AddUser(t, db, store.User{Name: "root", Admin: true}, password).ID, Admin: true, Scopes: auth.Unrestricted}

	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet, Resource: srv.URL + "/api"}))
	authorization := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer: srv.URL, Devices: &oauth.DeviceOptions{Interval: time.Second}, Logger: quiet,
	}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens, OAuth: authorization,
		Accounts: auth.Must(auth.NewAccounts(db, passwords, &auth.AccountsOptions{Logger: quiet})), EmptyResources: true,
	}))
	mux.Handle("/api/", session.Handler(api))
	mux.Handle("/.well-known/", api)

	s := server{url: srv.URL}
	for _, tt := range []struct {
		to         *application
		grant      string
		clientType string
		redirect   []string
	}{
		{&s.public, oauth.GrantAuthorizationCode, oauth.ClientPublic, []string{publicRedirect}},
		{&s.confidential, oauth.GrantAuthorizationCode, oauth.ClientConfidential, []string{confidentialRedirect}},
		{&s.machine, oauth.GrantClientCredentials, oauth.ClientConfidential, nil},
		{&s.device, oauth.GrantDeviceCode, oauth.ClientPublic, nil},
	} {
		app, err := authorization.CreateApplication(t.Context(), root, oauth.ApplicationRequest{
			Name: tt.grant + strings.Join(tt.redirect, " "), OrganizationID: 1, ClientType: tt.clientType, GrantType: tt.grant, RedirectURIs: tt.redirect,
		})
		if err != nil {
			t.Fatal(err)
		}
		*tt.to = application{app.ClientID, app.ClientSecret.Reveal()}
	}
	return s
}

// A browser logs in and agrees to everything.
type browser struct {
	t *testing.T
	c *http.Client
}

func newBrowser(t *testing.T) browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/cb" {
			return http.ErrUseLastResponse // the client's
		}
		return nil
	}}}
}

func (b browser) do(resp *http.Response, err error) (*http.Response, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(page)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fields returns the hidden fields of the form of a page.
func fields(page string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		v.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return v
}

func (b browser) login(page string, at string) (*http.Response, string) {
	b.t.Helper()
	form := fields(page)
	form.Set("username", user)
	form.Set("password", password)
	return b.do(b.c.PostForm(at+"/api/login/", form))
}

// authorize goes to the authorization endpoint and returns where the client is
// called back.
func (b browser) authorize(at, link string) *url.URL {
	b.t.Helper()
	resp, page := b.do(b.c.Get(link))
	if resp.Request.URL.Path == "/api/login/" {
		_, page = b.login(page, at)
	}
	form := fields(page)
	form.Set("allow", "Authorize")
	resp, page = b.do(b.c.PostForm(at+"/api/o/authorize/", form))
	to, err := resp.Location()
	if err != nil {
		b.t.Fatalf("no redirect to the client: %d %v\n%s", resp.StatusCode, err, page)
	}
	return to
}

// connect types a user code in and agrees.
func (b browser) connect(at, code string) {
	b.t.Helper()
	resp, page := b.do(b.c.Get(at + "/api/o/device/"))
	if resp.Request.URL.Path == "/api/login/" {
		b.login(page, at)
	}
	for _, form := range []url.Values{{"user_code": {code}}, {"user_code": {code}, "allow": {"Authorize"}}} {
		if resp, page := b.do(b.c.PostForm(at+"/api/o/device/", form)); resp.StatusCode != http.StatusOK {
			b.t.Fatalf("%d\n%s", resp.StatusCode, page)
		}
	}
}

// whoami asks the API with the client and returns the status and the body.
func whoami(t *testing.T, ctx context.Context, c *http.Client, at string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", at+"/api/v2/me/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
