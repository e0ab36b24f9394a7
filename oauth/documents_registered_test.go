package oauth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// An application that was registered with a URL for its client identifier, as imports
// can have it, stays what it is: no document at that URL makes a public client of
// it, takes its secret or its other redirect URIs, or is fetched at all.
func TestDocumentOfRegistered(t *testing.T) {
	for name, change := range map[string]func(*store.Application){
		"confidential": func(a *store.Application) { a.Confidential, a.Secret = true, store.DigestOf("secret") },
		"asks nobody": func(a *store.Application) {
			a.Confidential, a.SkipConsent, a.Secret = true, true, store.DigestOf("secret")
		},
		"public": func(*store.Application) {},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDocuments(t, nil)
			app := store.Application{ClientID: d.id, Name: "Imported", OrganizationID: 1, GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"https://registered.example/cb"}}
			change(&app)
			app = auth.Must(d.db.InsertApplication(t.Context(), app))
			if _, err := d.consents(d.server, d.alice, d.id, d.uri); err == nil {
				t.Error("a code went to a redirect URI that only the document has")
			}
			if code, err := d.consents(d.server, d.alice, d.id, "https://registered.example/cb"); code == "" {
				t.Errorf("the registered application cannot be used: %v", err)
			}
			if diff := cmp.Diff(app, d.row(d.id)); diff != "" {
				t.Errorf("the document has changed the registered application (-before +after):\n%s", diff)
			}
			if n := d.web.Requests(); n != 0 {
				t.Errorf("%d documents were fetched", n)
			}
			text := "Other"
			if _, err := d.server.ChangeApplication(t.Context(), by(d.admin), app.ID, oauth.ApplicationChange{Description: &text}); err != nil {
				t.Errorf("an administrator cannot change it: %v", err)
			}
		})
	}
}

// An application that is registered between the page and the click is not overwritten.
func TestDocumentRegisteredMeanwhile(t *testing.T) {
	d := newDocuments(t, nil)
	a := auth.Must(d.server.ParseAuthorization(t.Context(), request(d.id, d.uri)))
	app := auth.Must(d.db.InsertApplication(t.Context(), store.Application{ClientID: d.id, Name: "Imported", OrganizationID: 1, Confidential: true,
		Secret: store.DigestOf("secret"), GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"https://registered.example/cb"}}))
	if _, err := d.server.Authorize(t.Context(), by(d.alice), a); err == nil {
		t.Error("a consent to another application than the one that was shown")
	}
	if diff := cmp.Diff(app, d.row(d.id)); diff != "" {
		t.Errorf("the document has changed the registered application (-before +after):\n%s", diff)
	}
}

// Nobody takes the name that the application of a document gets, neither by a new
// application nor by renaming or moving one: the client could not be used. An
// application that has such a name already can still be changed.
func TestDocumentNameReserved(t *testing.T) {
	d := newDocuments(t, nil)
	name := strings.TrimPrefix(d.id, "https://")
	create := func(name string) (oauth.IssuedApplication, error) {
		return d.server.CreateApplication(t.Context(), by(d.admin), oauth.ApplicationRequest{Name: name, OrganizationID: 1,
			ClientType: oauth.ClientConfidential, GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"https://registered.example/cb"}})
	}
	reserved := func(what string, err error) {
		t.Helper()
		e, ok := errors.AsType[*auth.Error](err)
		if !ok || e.Status != 400 || e.Field != "Name" {
			t.Errorf("%s: %v, want a refusal of the name", what, err)
		}
	}
	for _, name := range []string{name, strings.TrimSuffix(name, ".json") + "/2.json"} {
		_, err := create(name)
		reserved("create "+name, err)
	}
	var app oauth.IssuedApplication
	for _, name := range []string{"Tom/Jerry", "https://" + name, name + "?x", "example.com"} {
		var err error
		if app, err = create(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := d.server.ChangeApplication(t.Context(), by(d.admin), app.ID, oauth.ApplicationChange{Name: &name})
	reserved("rename", err)

	squatter := auth.Must(d.db.InsertApplication(t.Context(), store.Application{ClientID: "old", Name: name, OrganizationID: 2,
		GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"https://registered.example/cb"}, RequirePKCE: true}))
	text, home := "Other", int64(1)
	if _, err := d.server.ChangeApplication(t.Context(), by(d.admin), squatter.ID, oauth.ApplicationChange{Name: &name, Description: &text}); err != nil {
		t.Errorf("an application with such a name cannot be changed: %v", err)
	}
	_, err = d.server.ChangeApplication(t.Context(), by(d.admin), squatter.ID, oauth.ApplicationChange{OrganizationID: &home})
	reserved("move", err)
	if code, err := d.consents(d.server, d.alice, d.id, d.uri); code == "" {
		t.Errorf("the client of the document cannot be used: %v", err)
	}
}
