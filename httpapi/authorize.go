package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// consentData is the data of the consent page.
type consentData struct {
	consent
	Target     string // where the browser is redirected afterwards
	Error      string
	Parameters []parameter
}

// authorizeParameters are the parameters that the form of the consent page
// sends.
var authorizeParameters = []string{"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "resource"}

// getAuthorize shows the consent page, or redirects to the client if no consent
// is needed.
func (a *api) getAuthorize(w http.ResponseWriter, r *http.Request) error {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return a.showError(w, r, badRequest("The query of the URL is malformed."))
	}
	p, err := a.visitor(w, r, r.URL.Path+"?"+r.URL.RawQuery)
	if err != nil || p == nil {
		return a.showError(w, r, err)
	}
	authorization, done, err := a.parseAuthorization(w, r, v)
	if err != nil || done {
		return err
	}
	needed, err := a.OAuth.NeedsConsent(r.Context(), p, authorization, v.Get("approval_prompt") == "auto")
	if err != nil {
		return a.showError(w, r, err)
	}
	if !needed && r.Method == http.MethodGet {
		if !clicked(r.Header) {
			return a.showError(w, r, errNotClicked)
		}
		authorization.Silent = true
		return a.authorize(w, r, p, authorization)
	}
	return a.askForConsent(w, r, p, authorization, v, "")
}

// askForConsent shows the consent page for the request v.
func (a *api) askForConsent(w http.ResponseWriter, r *http.Request, p *auth.Principal, authorization oauth.Authorization, v url.Values, problem string) error {
	data := a.consentTo(r.Context(), p, authorization, v)
	data.Error = a.PageOptions.say(problem)
	data.Parameters = append(data.Parameters, parameter{shownField, data.digest(p)})
	return a.consent.write(w, r, http.StatusOK, data)
}

// consentTo returns the data of the consent page for the request v.
func (a *api) consentTo(ctx context.Context, p *auth.Principal, authorization oauth.Authorization, v url.Values) consentData {
	data := consentData{
		consent: a.newConsent(ctx, p, authorization.Application, authorization.Scopes, authorization.Audience),
		Target:  a.PageOptions.say(target(authorization.RedirectURI)),
	}
	if d := authorization.Document; d != nil {
		data.consent.of(d)
	}
	for _, name := range authorizeParameters {
		for _, value := range v[name] {
			data.Parameters = append(data.Parameters, parameter{name, value})
		}
	}
	return data
}

// digest identifies the content of the page and the user p who sees it.
func (d consentData) digest(p *auth.Principal) string {
	return d.consent.digest(p, d.Target, d.Parameters)
}

// postAuthorize carries out the user's decision, which is yes if there is a
// parameter allow.
func (a *api) postAuthorize(w http.ResponseWriter, r *http.Request) error {
	// Authenticate checks the origin, too, but only with a login.
	if err := a.Session.CheckOrigin(r); err != nil {
		return a.showError(w, r, err)
	}
	if mediaType(r) != "application/x-www-form-urlencoded" {
		return a.showError(w, r, errMediaType)
	}
	v, err := readForm(w, r, "resource")
	if err != nil {
		return a.showError(w, r, err)
	}
	_, allow := v["allow"]
	request := url.Values{}
	for _, name := range authorizeParameters {
		if v.Has(name) {
			request[name] = v[name]
		}
	}
	p, err := a.visitor(w, r, r.URL.Path+"?"+request.Encode())
	if err != nil || p == nil {
		return a.showError(w, r, err)
	}
	authorization, done, err := a.parseAuthorization(w, r, request)
	switch {
	case err != nil || done:
		return err
	case !allow:
		sendTo(w, authorization.Deny())
		return nil
	case v.Has(shownField) && v.Get(shownField) != a.consentTo(r.Context(), p, authorization, request).digest(p):
		return a.askForConsent(w, r, p, authorization, request, errStale)
	}
	return a.authorize(w, r, p, authorization)
}

// parseAuthorization checks the request. It redirects with a refusal to the
// client if the redirect URI is proved, and shows it to the user otherwise.
func (a *api) parseAuthorization(w http.ResponseWriter, r *http.Request, v url.Values) (authorization oauth.Authorization, done bool, err error) {
	authorization, err = a.OAuth.ParseAuthorization(r.Context(), v)
	if err == nil {
		return authorization, false, nil
	}
	if _, refused := errors.AsType[*auth.Error](err); refused && authorization.RedirectURI != "" {
		sendTo(w, authorization.Refuse(err))
		return authorization, true, nil
	}
	return authorization, true, a.showError(w, r, err)
}

func (a *api) authorize(w http.ResponseWriter, r *http.Request, p *auth.Principal, authorization oauth.Authorization) error {
	to, err := a.OAuth.Authorize(r.Context(), p, authorization)
	if _, refused := errors.AsType[*auth.Error](err); refused {
		to = authorization.Refuse(err)
	} else if err != nil {
		return a.showError(w, r, err)
	}
	sendTo(w, to)
	return nil
}

// target returns the name of the place that a redirect URI leads to, for a
// page.
func target(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Hostname() == "127.0.0.1" || u.Hostname() == "::1":
		return onThisComputer
	case u.Host != "":
		return u.Host
	}
	return u.Scheme
}
