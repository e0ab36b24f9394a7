package httpapi

import (
	"errors"
	"net/http"

	"github.com/ostiary/auth"
)

// fail answers an error. A browser gets a page, unless GateOptions.Deny is set.
// Other clients get refusals of fields in AWX's form, and all others through the
// gate.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	if browses(r) && !a.Gate.HasDeny() {
		a.showPage(w, r, err)
		return
	}
	if fields := fieldsOf(err, nil); fields != nil {
		if err = writeJSON(w, r, http.StatusBadRequest, fields); err == nil {
			return
		}
	}
	a.Gate.Deny(w, r, err)
}

// showPage answers for an error with a page.
func (a *api) showPage(w http.ResponseWriter, r *http.Request, err error) {
	say := a.PageOptions.say
	a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		title, ok := errorTitles[e.Status]
		if !ok {
			title = otherError
		}
		data := messageData{Title: say(title), Text: a.PageOptions.sayRefusal(e.Detail), Error: true}
		if e.Status >= http.StatusInternalServerError {
			data.Text = say(errOutOfService)
		}
		switch {
		case e.Status == http.StatusUnauthorized && a.Session != nil && r.Method == http.MethodGet:
			data.Link, data.Label = a.loginAddress(localPath(r.URL.RequestURI())), say("Log in")
		case a.Account && e.Status < http.StatusInternalServerError:
			data.Link, data.Label = accountRoot, say("Go to your account")
		}
		// If the page cannot be written the client has gone.
		_ = a.message.write(w, r, e.Status, data)
	})
}

// showError shows a page about err to clients that accept one, and answers other
// clients as fail does. It never redirects.
func (a *api) showError(w http.ResponseWriter, r *http.Request, err error) error {
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status == http.StatusUnauthorized || !acceptsHTML(r) {
		return err
	}
	a.showPage(w, r, err)
	return nil
}
