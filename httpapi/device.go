package httpapi

import (
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
)

// deviceData is what the device page shows: the question for a code, or, with an
// Application, for consent.
type deviceData struct {
	User, Application string
	Scopes            []string
	UserCode, Error   string
}

// getDevicePage asks for the code that the device shows. One that comes along in
// the link only fills the field: the user must compare it.
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
	return a.device.write(w, r, http.StatusOK, deviceData{User: p.Name, UserCode: code})
}

// postDevicePage takes the code and asks for consent, and then the decision.
func (a *api) postDevicePage(w http.ResponseWriter, r *http.Request) error {
	// Authenticate would refuse it, too, but only where somebody is logged in.
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
	req, err := a.Devices.Find(r.Context(), p, code)
	if err != nil {
		return a.deviceFailed(w, r, p, code, err)
	}
	allow, deny := form.Has("allow"), form.Has("deny")
	if allow == deny { // no decision yet, or no clear one
		return a.device.write(w, r, http.StatusOK, deviceData{
			User: p.Name, Application: req.Application.Name, Scopes: scopeTexts(req.Scopes), UserCode: req.UserCode,
		})
	}
	if err := a.Devices.Decide(r.Context(), p, req, allow); err != nil {
		return a.deviceFailed(w, r, p, code, err)
	}
	data := messageData{Title: "Device connected", Text: "You can go back to your device."}
	if deny {
		data = messageData{Title: "Device not connected", Text: "The device gets no access."}
	}
	return a.message.write(w, r, http.StatusOK, data)
}

// deviceFailed shows the form again with what is wrong.
func (a *api) deviceFailed(w http.ResponseWriter, r *http.Request, p *auth.Principal, code string, err error) error {
	if !isStatus(err, http.StatusBadRequest) && !isStatus(err, http.StatusTooManyRequests) {
		return a.showError(w, r, err)
	}
	a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		_ = a.device.write(w, r, e.Status, deviceData{User: p.Name, UserCode: clip(code), Error: e.Detail})
	})
	return nil
}
