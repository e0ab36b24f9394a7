package httpapi

import (
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
)

// deviceData is the data of the device page, which asks for a code, or with an
// Application for consent.
type deviceData struct {
	consent
	UserCode, Error string
	Parameters      []parameter
}

// getDevicePage asks for the code that the device shows. A code in the link
// only fills the field, because the user must compare it.
func (a *api) getDevicePage(w http.ResponseWriter, r *http.Request) error {
	next := r.URL.Path
	if r.URL.RawQuery != "" {
		next += "?" + r.URL.RawQuery
	}
	p, err := a.visitor(w, r, next)
	if err != nil || p == nil {
		return a.showError(w, r, err)
	}
	code := r.URL.Query().Get("user_code")
	if len(code) > 32 || !storable(code) {
		code = ""
	}
	return a.device.write(w, r, http.StatusOK, deviceData{consent: consent{User: p.Name}, UserCode: code})
}

// postDevicePage shows the consent page for a code, and carries out the
// decision.
func (a *api) postDevicePage(w http.ResponseWriter, r *http.Request) error {
	// Authenticate checks the origin, too, but only with a login.
	if err := a.Session.CheckOrigin(r); err != nil {
		return a.showError(w, r, err)
	}
	if mediaType(r) != "application/x-www-form-urlencoded" {
		return a.showError(w, r, errMediaType)
	}
	form, err := readForm(w, r)
	if err != nil {
		return a.showError(w, r, err)
	}
	code := form.Get("user_code")
	p, err := a.visitor(w, r, r.URL.Path+"?user_code="+url.QueryEscape(code))
	if err != nil || p == nil {
		return a.showError(w, r, err)
	}
	allow, deny := form.Has("allow"), form.Has("deny")
	req, err := a.OAuth.FindDevice(r.Context(), p, code)
	if err != nil {
		return a.deviceFailed(w, r, p, form, err)
	}
	data := deviceData{
		consent:  a.newConsent(r.Context(), p, req.Application, req.Scopes, req.Audience),
		UserCode: req.UserCode,
	}
	shown := data.digest(p, data.UserCode)
	data.Parameters = []parameter{{"user_code", req.UserCode}, {shownField, shown}}
	if allow == deny { // no decision, or a contradictory one
		return a.device.write(w, r, http.StatusOK, data)
	}
	if allow && form.Has(shownField) && form.Get(shownField) != shown {
		data.Error = a.PageOptions.say(errStale)
		return a.device.write(w, r, http.StatusOK, data)
	}
	if err := a.OAuth.DecideDevice(r.Context(), p, req, allow); err != nil {
		return a.deviceFailed(w, r, p, form, err)
	}
	return a.showDecided(w, r, allow)
}

func (a *api) showDecided(w http.ResponseWriter, r *http.Request, approved bool) error {
	say := a.PageOptions.say
	data := messageData{Title: say("Device connected"), Text: say("You can go back to your device.")}
	if !approved {
		data = messageData{Title: say("Device not connected"), Text: say("The device gets no access.")}
	}
	return a.message.write(w, r, http.StatusOK, data)
}

// deviceFailed shows the form again with the error. A decision that is sent
// twice, as by a double click, gets the answer of the first time.
func (a *api) deviceFailed(w http.ResponseWriter, r *http.Request, p *auth.Principal, form url.Values, err error) error {
	if !isStatus(err, http.StatusBadRequest) && !isStatus(err, http.StatusTooManyRequests) {
		return a.showError(w, r, err)
	}
	code, allow, deny := form.Get("user_code"), form.Has("allow"), form.Has("deny")
	if allow != deny && isStatus(err, http.StatusBadRequest) {
		approved, err := a.OAuth.DecidedDevice(r.Context(), p, code)
		switch {
		case err == nil && approved == allow:
			return a.showDecided(w, r, approved)
		case err != nil && !isStatus(err, http.StatusBadRequest):
			return a.showError(w, r, err)
		}
	}
	a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		_ = a.device.write(w, r, e.Status, deviceData{consent: consent{User: p.Name}, UserCode: clip(code), Error: a.PageOptions.sayRefusal(e.Detail)})
	})
	return nil
}
