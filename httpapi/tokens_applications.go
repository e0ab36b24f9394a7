package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/ostiary/auth/store"
)

func (a *api) listApplicationTokens(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.writeTokens(w, r, store.TokenFilter{ApplicationID: app.ID})
}

func (a *api) createApplicationToken(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.issue(w, r, func(object) (int64, error) { return app.ID, nil })
}

func (a *api) listUserTokens(w http.ResponseWriter, r *http.Request) error {
	return a.listOwned(w, r, store.AnyToken)
}

func (a *api) listAuthorized(w http.ResponseWriter, r *http.Request) error {
	return a.listOwned(w, r, store.ApplicationToken)
}

func (a *api) createUserToken(w http.ResponseWriter, r *http.Request) error {
	return a.issueOwn(w, r, a.anyApplication)
}

func (a *api) createAuthorized(w http.ResponseWriter, r *http.Request) error {
	return a.issueOwn(w, r, func(o object) (int64, error) {
		if !o.given("application") {
			return 0, badField("application", "This field is required.")
		}
		return a.anyApplication(o)
	})
}

// anyApplication reads the application of a new token, 0 if it is to be a
// personal one.
func (a *api) anyApplication(o object) (int64, error) {
	if !o.given("application") {
		return 0, nil
	}
	var id int64
	if err := json.Unmarshal(o["application"], &id); err != nil {
		return 0, badField("application", "Incorrect type. Expected pk value, received "+clip(string(o["application"]))+".")
	}
	if id < 1 || a.Applications == nil {
		return 0, badField("application", "Invalid pk \""+clip(string(o["application"]))+"\" - object does not exist.")
	}
	return id, nil
}

// noApplication refuses an application where tokens have none.
func noApplication(o object) (int64, error) {
	if o.given("application") {
		return 0, badField("application", "Must be null: this is the address for tokens without an application.")
	}
	return 0, nil
}
