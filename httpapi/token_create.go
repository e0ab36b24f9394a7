package httpapi

import (
	"errors"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

func (a *api) createToken(w http.ResponseWriter, r *http.Request) error {
	return a.issue(w, r, principal(r).ID, a.anyApplication)
}

func (a *api) createPersonal(w http.ResponseWriter, r *http.Request) error {
	return a.issueUnder(w, r, noApplication)
}

// issueUnder makes a token of the user of the path, who must be the caller or a
// service account. Nobody, not even a superuser, gets a token that acts for another
// person.
func (a *api) issueUnder(w http.ResponseWriter, r *http.Request, application func(object) (int64, error)) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	if u.ID != principal(r).ID && !u.Service {
		return errForbidden
	}
	return a.issue(w, r, u.ID, application)
}

// issue makes a token of the owner for the application that the function reads
// from the body.
func (a *api) issue(w http.ResponseWriter, r *http.Request, owner string, application func(object) (int64, error)) error {
	o, err := readObject(w, r, tokenCreatable, tokenIgnored)
	if err != nil {
		return err
	}
	var req auth.TokenRequest
	err = errors.Join(
		readDescription(o, &req.Description),
		a.readScope(o, &req.Scopes),
		readExpires(o, &req.Expires),
		readAddresses(o, &req.Addresses),
	)
	applicationID, fieldErr := application(o)
	if err = errors.Join(err, fieldErr); err != nil {
		return err
	}
	// Looked up before: no read may fail between the commit and the one reply
	// that shows the secret.
	of, err := a.partyOf(r.Context(), owner, 0)
	if err != nil {
		return err
	}
	var app store.Application
	var t auth.IssuedToken
	switch p := principal(r); {
	case applicationID == 0 && owner == p.ID:
		t, err = a.Tokens.Issue(r.Context(), p, req)
	case applicationID == 0:
		t, err = a.Tokens.IssueTo(r.Context(), p, owner, req)
	case owner == p.ID:
		t, err = a.OAuth.IssueFor(stores.WithApplication(r.Context(), &app), p, applicationID, req)
	default:
		err = errForbidden
	}
	if err != nil {
		return a.inAWXWords(err, o)
	}
	of.application = app.Name
	w.Header().Set("Location", tokenPath(t.ID))
	return a.writeToken(w, r, http.StatusCreated, t.Token, of, tokenSecrets{t.AccessToken, t.RefreshToken})
}

func (a *api) createApplicationToken(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.issue(w, r, principal(r).ID, func(object) (int64, error) { return app.ID, nil })
}

func (a *api) createUserToken(w http.ResponseWriter, r *http.Request) error {
	return a.issueUnder(w, r, a.anyApplication)
}

func (a *api) createAuthorized(w http.ResponseWriter, r *http.Request) error {
	return a.issueUnder(w, r, func(o object) (int64, error) {
		id, err := a.anyApplication(o)
		if id == 0 && err == nil {
			err = badField("application", "This field is required.")
		}
		return id, err
	})
}

// anyApplication reads the application of a new token, 0 for a personal one.
func (a *api) anyApplication(o object) (int64, error) {
	id, err := o.id("application")
	if err != nil || id == nil {
		return 0, err
	}
	if *id < 1 || a.OAuth == nil {
		return 0, a.inAWXWords(&auth.Error{Status: http.StatusBadRequest, Field: "ApplicationID", Code: "does_not_exist"}, o)
	}
	return *id, nil
}

// noApplication refuses an application in the body, for paths of personal
// tokens.
func noApplication(o object) (int64, error) {
	if id, err := o.id("application"); id != nil || err != nil {
		return 0, badField("application", "Must be null: this is the address for tokens without an application.")
	}
	return 0, nil
}
