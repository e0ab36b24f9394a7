package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/internal/clientdoctest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// A documentSystem accepts the documents of web.
type documentSystem struct {
	*oauthSystem
	web *clientdoctest.Server
	id  string // of a client
	uri string // its redirect URI
}

func newDocuments(t testing.TB, change func(*settings, *clientdoctest.Server)) *documentSystem {
	t.Helper()
	d := &documentSystem{web: clientdoctest.New(t)}
	d.oauthSystem = newOAuth(t, func(o *settings) {
		o.Issuer = "http://localhost"
		o.Documents = &oauth.DocumentOptions{Fetcher: d.web.Fetcher(nil)}
		if change != nil {
			change(o, d.web)
		}
	})
	d.uri = d.web.URL() + "/cb"
	d.id = d.web.Client("/client.json", "Tool", d.uri)
	return d
}

// again returns a server on the same stores that has fetched nothing yet, as if the
// time of its documents were over.
func (d *documentSystem) again() *oauth.Server {
	d.t.Helper()
	o := d.opts.Options
	documents := *o.Documents
	documents.Fetcher = d.web.Fetcher(nil)
	o.Documents = &documents
	return d.serverOn(d.db, d.db, &o)
}

func request(clientID, redirectURI string) url.Values {
	return url.Values{"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "scope": {"read"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}}
}

// consents takes u through the authorization endpoint of srv.
func (d *documentSystem) consents(srv *oauth.Server, u store.User, clientID, redirectURI string) (code string, err error) {
	d.t.Helper()
	a, err := srv.ParseAuthorization(d.t.Context(), request(clientID, redirectURI))
	if err != nil {
		return "", err
	}
	to, err := srv.Authorize(d.t.Context(), by(u), a)
	if err != nil {
		return "", err
	}
	location, err := url.Parse(to)
	return location.Query().Get("code"), err
}

// row returns the application of a document.
func (d *documentSystem) row(clientID string) store.Application {
	d.t.Helper()
	app, err := d.db.ApplicationByClientID(d.t.Context(), clientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		d.t.Fatal(err)
	}
	return app
}

func (d *documentSystem) exchange(code string) (auth.IssuedToken, error) {
	d.t.Helper()
	app, err := d.server.Authenticate(d.t.Context(), http.Header{}, url.Values{"client_id": {d.id}})
	if err != nil {
		return auth.IssuedToken{}, err
	}
	return d.server.Exchange(d.t.Context(), app, oauth.CodeExchange{Code: code, RedirectURI: d.uri, Verifier: verifier})
}

func TestDocumentOptionsRefused(t *testing.T) {
	safe := auth.Must(clientdoc.New(&clientdoc.Options{AllowHosts: []string{"*"}}))
	insecure := auth.Must(clientdoc.New(&clientdoc.Options{AllowHosts: []string{"*"}, InsecureLoopback: true}))
	for _, tt := range []struct {
		name, issuer string
		opts         oauth.DocumentOptions
		field        string
	}{
		{"no fetcher", "https://api.example", oauth.DocumentOptions{}, "Fetcher"},
		{"an insecure fetcher of a public server", "https://api.example", oauth.DocumentOptions{Fetcher: insecure}, "Fetcher"},
		{"an insecure fetcher without an issuer", "", oauth.DocumentOptions{Fetcher: insecure}, "Fetcher"},
		{"a negative organization", "https://api.example", oauth.DocumentOptions{Fetcher: safe, OrganizationID: -1}, "OrganizationID"},
		{"no window", "https://api.example", oauth.DocumentOptions{Fetcher: safe, PerNetwork: store.Limit{Max: 1}}, "PerNetwork"},
		{"a negative limit", "https://api.example", oauth.DocumentOptions{Fetcher: safe, Overall: store.Limit{Max: -1, Window: time.Minute}}, "Overall"},
		{"a window of nanoseconds", "https://api.example", oauth.DocumentOptions{Fetcher: safe, PerUser: store.Limit{Max: 1, Window: 60}}, "PerUser"},
		{"good", "https://api.example", oauth.DocumentOptions{Fetcher: safe}, ""},
		{"good without an issuer", "", oauth.DocumentOptions{Fetcher: safe}, ""},
		{"good for development", "http://127.0.0.1:8080", oauth.DocumentOptions{Fetcher: insecure}, ""},
	} {
		s := newOAuth(t, nil)
		_, err := oauth.NewServer(s.tokens, s.db, s.db, &oauth.Options{Issuer: tt.issuer, Documents: &tt.opts})
		if (err == nil) != (tt.field == "") || err != nil && !strings.Contains(err.Error(), "oauth: DocumentOptions."+tt.field) {
			t.Errorf("%s: %v, want an error about %q", tt.name, err, tt.field)
		}
	}
}

// The first consent stores the application, and nothing before it. Tokens and
// refreshes go on without the server of the document, which nobody asks about them.
func TestDocumentApplication(t *testing.T) {
	d := newDocuments(t, nil)
	for range 3 {
		if _, err := d.server.ParseAuthorization(t.Context(), request(d.id, d.uri)); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.row(d.id); got.ID != 0 {
		t.Errorf("an application before the consent: %+v", got)
	}
	code := auth.Must(d.consents(d.server, d.alice, d.id, d.uri))
	got := d.row(d.id)
	got.Created, got.Modified = time.Time{}, time.Time{}
	if diff := cmp.Diff(store.Application{
		ID: 1, ClientID: d.id, Name: strings.TrimPrefix(d.id, "https://"), Description: "Tool", OrganizationID: 1, GrantType: oauth.GrantAuthorizationCode,
		RedirectURIs: []string{d.uri}, RequirePKCE: true, Epoch: 1, Revision: 1,
	}, got); diff != "" {
		t.Errorf("application (-want +got):\n%s", diff)
	}
	d.web.Stop()
	issued, err := d.exchange(code)
	if err != nil {
		t.Fatal(err)
	}
	app := d.row(d.id)
	for range 3 {
		if issued, err = d.server.Refresh(t.Context(), app, oauth.RefreshExchange{RefreshToken: issued.RefreshToken.Reveal()}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.tokens.Verify(t.Context(), issued.AccessToken.Reveal()); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.server.Revoke(t.Context(), app, issued.AccessToken.Reveal()); err != nil {
		t.Error(err)
	}
	if n := d.web.Requests(); n != 1 {
		t.Errorf("%d requests to the server of the document, want one", n)
	}
}

// A document that has changed or gone ends nothing. The next consent brings the
// application up to date, and consents to the old redirect URIs count no more.
func TestDocumentChanges(t *testing.T) {
	d := newDocuments(t, nil)
	issued := auth.Must(d.exchange(auth.Must(d.consents(d.server, d.alice, d.id, d.uri))))
	pending := auth.Must(d.consents(d.server, d.alice, d.id, d.uri))
	lives := func() {
		t.Helper()
		var err error
		if issued, err = d.server.Refresh(t.Context(), d.row(d.id), oauth.RefreshExchange{RefreshToken: issued.RefreshToken.Reveal()}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.tokens.Verify(t.Context(), issued.AccessToken.Reveal()); err != nil {
			t.Error(err)
		}
	}

	d.web.Handle("/client.json", nil)
	if _, err := d.consents(d.again(), d.alice, d.id, d.uri); err == nil {
		t.Error("a document that is gone was accepted")
	}
	lives()

	other := d.web.URL() + "/other"
	d.web.Client("/client.json", "New", other)
	changed := d.again()
	if _, err := d.consents(changed, d.alice, d.id, d.uri); err == nil {
		t.Error("a redirect URI that the document does not have any more was accepted")
	}
	if got := d.row(d.id); got.Description != "Tool" {
		t.Errorf("a request changed the application: %+v", got)
	}
	lives()
	auth.Must(d.consents(changed, d.bob, d.id, other))
	lives()
	got := d.row(d.id)
	if got.ID != 1 || got.Epoch != 2 || got.Description != "New" || !cmp.Equal(got.RedirectURIs, []string{other}) {
		t.Errorf("the application is %+v", got)
	}
	if c, err := d.db.ConsentFor(t.Context(), d.alice.ID, got.ID, d.uri); err != nil || c.ApplicationEpoch == got.Epoch {
		t.Errorf("the consent to the old redirect URI is %+v, %v", c, err)
	}
	// The code is bound to the redirect URI that was checked when it was issued.
	if _, err := d.server.Exchange(t.Context(), got, oauth.CodeExchange{Code: pending, RedirectURI: other, Verifier: verifier}); err == nil {
		t.Error("a code went to a redirect URI that was not checked")
	}
	if _, err := d.exchange(pending); err != nil {
		t.Errorf("a code from before the change: %v", err)
	}
	lives()
}

// Administrators of the organization disable and delete the application. Otherwise
// only its document changes it.
func TestDocumentAdministration(t *testing.T) {
	d := newDocuments(t, nil)
	issued := auth.Must(d.exchange(auth.Must(d.consents(d.server, d.alice, d.id, d.uri))))
	d.web.Client("/client.json", "New", d.uri)
	parsed := auth.Must(d.again().ParseAuthorization(t.Context(), request(d.id, d.uri)))
	app := d.row(d.id)
	name, yes, no, public, confidential, text := app.Name, true, false, oauth.ClientPublic, oauth.ClientConfidential, "x"
	organization, list, empty := int64(2), []string{"https://evil.example/cb"}, ""
	for _, c := range []oauth.ApplicationChange{
		{Name: &text}, {Description: &text}, {OrganizationID: &organization}, {ClientType: &confidential}, {RedirectURIs: &list},
		{SkipConsent: &yes}, {RequirePKCE: &no}, {Resource: &text}, {Name: &text, Disabled: &yes},
	} {
		_, err := d.server.ChangeApplication(t.Context(), by(d.admin), app.ID, c)
		refusesStatus(t, err, 400, "")
	}
	if diff := cmp.Diff(app, d.row(d.id)); diff != "" {
		t.Errorf("a refused change has changed the application (-before +after):\n%s", diff)
	}
	same := oauth.ApplicationChange{Name: &name, ClientType: &public, RedirectURIs: &app.RedirectURIs, SkipConsent: &no, RequirePKCE: &yes, Resource: &empty, Disabled: &no}
	if _, err := d.server.ChangeApplication(t.Context(), by(d.admin), app.ID, same); err != nil {
		t.Errorf("what was read cannot be sent back: %v", err)
	}
	if _, err := d.server.RotateSecret(t.Context(), by(d.admin), app.ID, 0); err == nil {
		t.Error("the application got a secret")
	}
	for _, u := range []store.User{d.alice, d.bob, d.member} {
		if _, err := d.server.ChangeApplication(t.Context(), by(u), app.ID, oauth.ApplicationChange{Disabled: &yes}); err == nil {
			t.Errorf("%s disabled the application", u.Name)
		}
	}

	if _, err := d.server.ChangeApplication(t.Context(), by(d.orgadmin), app.ID, oauth.ApplicationChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	requests := d.web.Requests()
	if _, err := d.server.Authorize(t.Context(), by(d.alice), parsed); err == nil {
		t.Error("a consent to a disabled application")
	}
	if got := d.row(d.id); got.Description != "Tool" {
		t.Errorf("a refused consent has changed the application: %+v", got)
	}
	for _, srv := range []*oauth.Server{d.server, d.again()} {
		if _, err := d.consents(srv, d.alice, d.id, d.uri); err == nil {
			t.Error("a disabled application was accepted")
		}
	}
	if n := d.web.Requests(); n != requests {
		t.Errorf("%d documents of a disabled application were fetched", n-requests)
	}
	if _, err := d.tokens.Verify(t.Context(), issued.AccessToken.Reveal()); err == nil {
		t.Error("the token of a disabled application lives")
	}
	if _, err := d.server.Authenticate(t.Context(), http.Header{}, url.Values{"client_id": {d.id}}); err == nil {
		t.Error("a disabled application authenticates")
	}

	if err := d.server.DeleteApplication(t.Context(), by(d.orgadmin), app.ID); err != nil {
		t.Fatal(err)
	}
	auth.Must(d.consents(d.server, d.alice, d.id, d.uri))
	if got := d.row(d.id); got.ID == app.ID || got.Disabled {
		t.Errorf("after a deletion the next consent makes %+v", got)
	}
}

// Concurrent consents to one client make one application.
func TestDocumentRace(t *testing.T) {
	d := newDocuments(t, func(o *settings, _ *clientdoctest.Server) {
		o.Documents.PerNetwork = store.Limit{Max: 100, Window: time.Minute}
	})
	people := []store.User{d.admin, d.auditor, d.alice, d.bob, d.orgadmin, d.member}
	a := auth.Must(d.server.ParseAuthorization(t.Context(), request(d.id, d.uri)))
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			if _, err := d.server.Authorize(t.Context(), by(people[i%len(people)]), a); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, n, err := d.db.ListApplications(t.Context(), store.ApplicationFilter{All: true}, store.Page{Limit: 10, Order: store.OrderID}); n != 1 || err != nil {
		t.Errorf("%d applications, %v; want one", n, err)
	}
}

// overtaken is a store in which others store each application first.
type overtaken struct{ store.OAuth }

func (s overtaken) InsertApplication(ctx context.Context, a store.Application) (store.Application, error) {
	if _, err := s.OAuth.InsertApplication(ctx, a); err != nil {
		return store.Application{}, err
	}
	return s.OAuth.InsertApplication(ctx, a)
}

// A user whose consent came second made no application.
func TestDocumentOvertaken(t *testing.T) {
	d := newDocuments(t, func(o *settings, _ *clientdoctest.Server) {
		o.Documents.PerUser = store.Limit{Max: 1, Window: time.Hour}
	})
	second := d.serverOn(overtaken{d.db}, d.db, nil)
	for i := range 3 {
		if _, err := d.consents(second, d.alice, d.web.Client(fmt.Sprint("/", i), "", d.uri), d.uri); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

func TestDocumentRefusals(t *testing.T) {
	d := newDocuments(t, nil)
	evil := d.web.Client("/evil.json", "", "javascript:alert(1)")
	local := d.web.Client("/local.json", "", "http://127.0.0.1:1234/cb")
	wild := d.web.Client("/wild.json", "", d.web.URL()+"/(cb)")
	off := newOAuth(t, nil)
	blocked := newDocuments(t, func(o *settings, web *clientdoctest.Server) {
		o.Documents.Fetcher = web.Fetcher(func(o *clientdoc.Options) { o.AllowHosts = []string{"client.example"} })
	})
	set := func(id, uri string, pairs ...string) url.Values {
		v := request(id, uri)
		for i := 0; i < len(pairs); i += 2 {
			v[pairs[i]] = strings.Fields(pairs[i+1])
		}
		return v
	}
	for _, tt := range []struct {
		name   string
		srv    *oauth.Server
		v      url.Values
		want   string
		target string // where the refusal goes, "" for a page
	}{
		{"good", d.server, set(d.id, d.uri), "", d.uri},
		{"a loopback at another port", d.server, set(local, "http://127.0.0.1:4321/cb"), "", "http://127.0.0.1:4321/cb"},
		{"a path with parentheses", d.server, set(wild, d.web.URL()+"/(cb)"), "", d.web.URL() + "/(cb)"},
		{"documents are off", off.server, set(d.id, d.uri), "not known here", ""},
		{"the host is not allowed", blocked.server, set(d.id, d.uri), "not accepted here", ""},
		{"a document that is none", d.server, set(d.web.URL()+"/nothing", d.uri), "status 200", ""},
		{"a URL that is none", d.server, set("https://10.0.0.1/c", d.uri), "public host", ""},
		{"a script for a redirect URI", d.server, set(evil, "javascript:alert(1)"), "redirect_uris", ""},
		{"another redirect URI of the host", d.server, set(d.id, d.web.URL()+"/other"), "not one that is registered", ""},
		{"another host", d.server, set(d.id, "https://evil.example/cb"), "not one that is registered", ""},
		{"a redirect URI with a query", d.server, set(d.id, d.uri+"?x"), "not one that is registered", ""},
		{"no redirect URI", d.server, set(d.id, "", "redirect_uri", ""), "not one that is registered", ""},
		{"two redirect URIs", d.server, set(d.id, "", "redirect_uri", d.uri+" https://evil.example/"), "not one that is registered", ""},
		{"two clients", d.server, set("", d.uri, "client_id", d.id+" "+evil), "one client_id", ""},
		{"a long client_id", d.server, set("https://client.example/"+strings.Repeat("x", 300), d.uri), "255 characters", ""},
		{"no challenge", d.server, set(d.id, d.uri, "code_challenge", "", "code_challenge_method", ""), "PKCE", d.uri},
		{"a plain challenge", d.server, set(d.id, d.uri, "code_challenge_method", "plain"), "S256", d.uri},
	} {
		a, err := tt.srv.ParseAuthorization(t.Context(), tt.v)
		if (err == nil) != (tt.want == "") || a.RedirectURI != tt.target {
			t.Errorf("%s: %v, redirect URI %q; want %q, %q", tt.name, err, a.RedirectURI, tt.want, tt.target)
			continue
		}
		if e, refused := errors.AsType[*auth.Error](err); err != nil && (!refused || e.Status != 400 || !strings.Contains(e.Detail, tt.want)) {
			t.Errorf("%s: %v, want status 400 and %q", tt.name, err, tt.want)
		}
		if needed, err := tt.srv.NeedsConsent(t.Context(), by(d.alice), a, true); !needed || err != nil {
			t.Errorf("%s: nobody is asked: %v", tt.name, err)
		}
	}
	auth.Must(d.consents(d.server, d.alice, d.id, d.uri))
	a := auth.Must(d.server.ParseAuthorization(t.Context(), request(d.id, d.uri)))
	if needed, _ := d.server.NeedsConsent(t.Context(), by(d.alice), a, true); !needed {
		t.Error("a second request asks nobody")
	}
	// The switch is off again: the tokens go on, and nobody can consent.
	d.opts.Documents = nil
	switched := d.serverOn(d.db, d.db, nil)
	if _, err := switched.ParseAuthorization(t.Context(), request(d.id, d.uri)); err == nil {
		t.Error("the application of a document is accepted by a server without documents")
	}
	if _, err := switched.Authenticate(t.Context(), http.Header{}, url.Values{"client_id": {d.id}}); err != nil {
		t.Errorf("a refresh by a server without documents: %v", err)
	}
}

// An application that had the name of a document's before documents were on keeps it.
func TestDocumentNameTaken(t *testing.T) {
	d := newDocuments(t, nil)
	auth.Must(d.db.InsertApplication(t.Context(), store.Application{ClientID: "old", Name: strings.TrimPrefix(d.id, "https://"), OrganizationID: 1,
		GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{d.uri}, RequirePKCE: true}))
	for range 25 { // and each attempt is taken back
		_, err := d.consents(d.server, d.alice, d.id, d.uri)
		refusesStatus(t, err, 400, "")
	}
	if got := d.row(d.id); got.ID != 0 {
		t.Errorf("application %+v", got)
	}
}

func TestDocumentLimits(t *testing.T) {
	d := newDocuments(t, func(o *settings, _ *clientdoctest.Server) {
		o.Documents.PerUser = store.Limit{Max: 2, Window: time.Hour}
		o.Documents.PerNetwork = store.Limit{Max: 3, Window: time.Hour}
		o.Documents.Overall = store.Limit{Max: 8, Window: time.Hour}
	})
	n := 0
	fetch := func(address string) int {
		t.Helper()
		n++
		ctx := auth.WithClientAddr(t.Context(), netip.MustParseAddr(address))
		_, err := d.server.ParseAuthorization(ctx, request(d.web.Client(fmt.Sprint("/", n), "", d.uri), d.uri))
		if e, ok := errors.AsType[*auth.Error](err); ok {
			return e.Status
		}
		return 200
	}
	var got []int
	for _, address := range []string{
		"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2",
		"2001:db8:1::1", "2001:db8:1:2::1", "2001:db8:1:ffff::1", "2001:db8:1:3::1", "2001:db8:2::1",
		"192.0.2.3",
	} {
		got = append(got, fetch(address))
	}
	if diff := cmp.Diff([]int{200, 200, 200, 429, 429, 200, 200, 200, 200, 429, 200, 429}, got); diff != "" {
		t.Errorf("statuses by network (-want +got):\n%s", diff)
	}
	if requests := d.web.Requests(); requests != 8 {
		t.Errorf("%d requests, want 8", requests)
	}
	// What is kept costs nothing, and a user makes only so many applications.
	got = nil
	for i, u := range []store.User{d.alice, d.alice, d.alice, d.bob, d.alice} {
		_, err := d.consents(d.server, u, d.web.URL()+fmt.Sprint("/", []int{1, 2, 3, 3, 3}[i]), d.uri)
		if e, ok := errors.AsType[*auth.Error](err); ok {
			got = append(got, e.Status)
		} else {
			got = append(got, 200)
		}
	}
	if diff := cmp.Diff([]int{200, 200, 429, 200, 200}, got); diff != "" {
		t.Errorf("statuses of consents (-want +got):\n%s", diff)
	}
}

// One user has a third of a network's documents, wherever the user comes from, so
// that no user keeps others from theirs.
func TestDocumentShares(t *testing.T) {
	d := newDocuments(t, func(o *settings, _ *clientdoctest.Server) {
		o.Documents.PerNetwork = store.Limit{Max: 6, Window: time.Hour}
		o.Documents.Overall = store.Limit{Max: 7, Window: time.Hour}
	})
	var got []string
	for i, tt := range []struct {
		u       store.User
		address string
	}{
		{d.alice, "192.0.2.1"}, {d.alice, "192.0.2.1"}, {d.alice, "192.0.2.1"}, {d.alice, "198.51.100.1"}, {d.alice, "2001:db8::1"},
		{d.bob, "192.0.2.1"}, {d.bob, "198.51.100.1"}, {d.bob, "192.0.2.1"}, {d.member, "192.0.2.1"},
	} {
		ctx := auth.NewContext(auth.WithClientAddr(t.Context(), netip.MustParseAddr(tt.address)), by(tt.u))
		_, err := d.server.ParseAuthorization(ctx, request(d.web.Client(fmt.Sprint("/", i), "", d.uri), d.uri))
		status := 200
		if e, ok := errors.AsType[*auth.Error](err); ok {
			status = e.Status
		}
		got = append(got, fmt.Sprint(tt.u.Name, " ", status))
	}
	want := []string{"alice 200", "alice 200", "alice 429", "alice 429", "alice 429", "bob 200", "bob 200", "bob 429", "member 200"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// the events of documents.
func TestDocumentEvents(t *testing.T) {
	d := newDocuments(t, nil)
	for range 2 {
		auth.Must(d.server.ParseAuthorization(auth.WithClientAddr(t.Context(), netip.MustParseAddr("192.0.2.1")), request(d.id, d.uri)))
	}
	_, _ = d.server.ParseAuthorization(t.Context(), request("https://10.0.0.1/c", d.uri))
	for text, want := range map[string]int{
		fmt.Sprintf(`level=INFO msg=%q client_id=%s client=192.0.2.1 redirect_uris=[%s]`, audit.DocumentFetched, d.id, d.uri):                                         1,
		fmt.Sprintf(`level=WARN msg=%q client_id=https://10.0.0.1/c client="" reason="The address of the application must have the full name`, audit.DocumentRefused): 1,
	} {
		if n := strings.Count(d.log.String(), text); n != want {
			t.Errorf("%d events %s, want %d:\n%s", n, text, want, d.log)
		}
	}
}

// down is a store whose look-ups of applications fail.
type down struct{ store.OAuth }

var errDown = errors.New("down")

func (down) ApplicationByClientID(context.Context, string) (store.Application, error) {
	return store.Application{}, errDown
}

// An outage refuses nobody: it is an error of this server, and nothing is fetched.
func TestDocumentOutage(t *testing.T) {
	d := newDocuments(t, nil)
	for name, srv := range map[string]*oauth.Server{
		"of the store": d.serverOn(down{d.db}, d.db, nil),
		"of the organizations": func() *oauth.Server {
			d.opts.Documents.OrganizationID = 3 // which does not exist
			return d.serverOn(d.db, d.db, nil)
		}(),
	} {
		_, err := d.consents(srv, d.alice, d.id, d.uri)
		if _, refused := errors.AsType[*auth.Error](err); err == nil || refused {
			t.Errorf("an outage %s: %v", name, err)
		}
	}
	if got := d.row(d.id); got.ID != 0 {
		t.Errorf("application %+v", got)
	}
}
