package httpapi

import (
	"net/http"

	"github.com/ostiary/auth"
)

var errNotClicked = &auth.Error{Status: http.StatusForbidden, Detail: "A logout by GET must open a page: use POST."}

// logout ends the session of the request. Pages of other origins are refused,
// and so is a GET that opens no page.
func (a *api) logout(w http.ResponseWriter, r *http.Request) error {
	if err := a.Session.CheckOrigin(r); err != nil {
		return err
	}
	if r.Method == http.MethodGet && !clicked(r.Header) {
		return errNotClicked
	}
	// AWX documents GET; programs that check links send HEAD.
	if r.Method != http.MethodHead {
		if err := a.Session.Logout(r); err != nil {
			return err
		}
		a.setLoggedIn(w, "false")
	}
	if a.atPlatform(r) {
		http.Redirect(w, r, platformLogout, http.StatusFound)
		return nil
	}
	if wants(r, "application/json") {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	next := queryNext(r)
	if !r.URL.Query().Has("next") && a.landing(r) == accountRoot {
		next = loggedOutPage
	}
	http.Redirect(w, r, next, http.StatusFound)
	return nil
}

// getLoggedOut says that the visitor is logged out.
func (a *api) getLoggedOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.Session.Authenticate(r); err == nil {
		http.Redirect(w, r, accountRoot, http.StatusFound)
		return nil
	}
	say := a.PageOptions.say
	return a.message.write(w, r, http.StatusOK, messageData{
		Title: say("You are logged out"), Text: say("Your session has ended in this browser."),
		Link: a.loginAddress(accountRoot), Label: say("Log in again"),
	})
}
