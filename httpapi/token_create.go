package httpapi

import (
	"errors"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

func (a *api) createToken(w http.ResponseWriter, r *http.Request) error {
	return a.issue(w, r, a.anyApplication)
}

func (a *api) createPersonal(w http.ResponseWriter, r *http.Request) error {
	return a.issueOwn(w, r, noApplication)
}

// issueOwn makes a token for the caller. Nobody, not even a superuser, gets a
// token that acts for another user.
func (a *api) issueOwn(w http.ResponseWriter, r *http.Request, application func(object) (int64, error)) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	if u.ID != principal(r).ID {
		return errForbidden
	}
	return a.issue(w, r, application)
}

// issue makes a token for the application that the function reads from the
// body.
func (a *api) issue(w http.ResponseWriter, r *http.Request, application func(object) (int64, error)) error {
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
	of, err := a.partiesOf(r.Context(), store.Token{UserID: principal(r).ID, ApplicationID: applicationID})
	if err != nil {
		return err
	}
	var t auth.IssuedToken
	if applicationID == 0 {
		t, err = a.Tokens.Issue(r.Context(), principal(r), req)
	} else {
		t, err = a.OAuth.IssueFor(r.Context(), principal(r), applicationID, req)
	}
	if err != nil {
		return a.inAWXWords(err, o)
	}
	w.Header().Set("Location", tokenPath(t.ID))
	return writeJSON(w, r, http.StatusCreated, a.showToken(t.Token, of[0], tokenSecrets{t.AccessToken, t.RefreshToken}))
}

func (a *api) createApplicationToken(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.issue(w, r, func(object) (int64, error) { return app.ID, nil })
}

func (a *api) createUserToken(w http.ResponseWriter, r *http.Request) error {
	return a.issueOwn(w, r, a.anyApplication)
}

func (a *api) createAuthorized(w http.ResponseWriter, r *http.Request) error {
	return a.issueOwn(w, r, func(o object) (int64, error) {
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
