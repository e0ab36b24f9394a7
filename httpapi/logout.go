package httpapi

import (
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
)

var errNotClicked = &auth.Error{Status: http.StatusForbidden, Detail: "A logout by GET must open a page: use POST."}

// logout ends the session of the request. Pages of other origins are refused,
// and so is a GET that opens no page.
func (a *api) logout(w http.ResponseWriter, r *http.Request) error {
	if err := a.Session.CheckOrigin(r); err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		if !clicked(r.Header) {
			return errNotClicked
		}
		if err := a.checkReferer(r); err != nil {
			return err
		}
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

// checkReferer returns an error if a page of another origin has a link to a request by
// GET. Over plain HTTP browsers mark such a request in no other way. A page can keep
// the field away.
func (a *api) checkReferer(r *http.Request) error {
	if len(r.Header["Sec-Fetch-Site"]) > 0 || len(r.Header["Origin"]) > 0 {
		return nil // CheckOrigin has looked at them
	}
	from, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || from.Host == "" {
		return nil
	}
	linked := r.WithContext(r.Context())
	linked.Header = http.Header{"Origin": {from.Scheme + "://" + from.Host}}
	return a.Session.CheckOrigin(linked)
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
