package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
)

// A parameter is a hidden field of a form.
type parameter struct{ Name, Value string }

// consentData is what the consent page shows.
type consentData struct {
	User, Application, Organization string
	Scopes, Resources               []string
	Lifetime                        string
	Target                          string // where the browser goes afterwards
	Parameters                      []parameter
}

// messageData is what the message page shows.
type messageData struct {
	Title, Text string
	Error       bool
}

// authorizeParameters are what the consent page sends back.
var authorizeParameters = []string{"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "resource"}

// visitor returns who is logged in. If nobody is, it sends the browser to the
// login and from there to next, and returns nil.
func (a *api) visitor(w http.ResponseWriter, r *http.Request, next string) (*auth.Principal, error) {
	p, err := a.Session.Authenticate(r)
	if err == nil && r.Method == http.MethodPost {
		err = a.visitors.Recheck(r) // the session was read before the form
	}
	if err == nil {
		return p, nil
	}
	if errors.Is(err, auth.ErrNoCredentials) || isStatus(err, http.StatusUnauthorized) {
		sendTo(w, "/api/login/?next="+url.QueryEscape(next))
		return nil, nil
	}
	return nil, err
}

// sendTo redirects. Unlike [http.Redirect] it writes no page, which would repeat
// the code. 302 turns a POST into a GET (RFC 9700 section 4.12).
func sendTo(w http.ResponseWriter, uri string) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", uri)
	w.WriteHeader(http.StatusFound)
}

// getAuthorize asks the user for consent, if that has to be.
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
	needed, err := a.Tokens.NeedsConsent(r.Context(), p, authorization, v.Get("approval_prompt") == "auto")
	if err != nil {
		return a.showError(w, r, err)
	}
	if !needed && r.Method == http.MethodGet {
		return a.authorize(w, r, p, authorization)
	}
	data := consentData{
		User:        p.Name,
		Application: authorization.Application.Name,
		Scopes:      scopeTexts(authorization.Scopes),
		Resources:   words(authorization.Audience),
		Lifetime:    lifetimeText(a.Tokens.GrantLifetime()),
		Target:      target(authorization.RedirectURI),
	}
	if o, err := a.Tokens.Organization(r.Context(), authorization.Application.OrganizationID); err == nil {
		data.Organization = o.Name
	}
	for _, name := range authorizeParameters {
		for _, value := range v[name] {
			data.Parameters = append(data.Parameters, parameter{name, value})
		}
	}
	return a.consent.writeLeadingTo(w, r, http.StatusOK, data, formTarget(authorization.RedirectURI))
}

// postAuthorize takes the user's decision: yes if there is a parameter allow.
func (a *api) postAuthorize(w http.ResponseWriter, r *http.Request) error {
	// Authenticate would refuse it, too, but only where somebody is logged in.
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
	}
	return a.authorize(w, r, p, authorization)
}

// parseAuthorization checks the request. What is wrong with it is shown, or told
// the client if there is one that is proved to be who it says.
func (a *api) parseAuthorization(w http.ResponseWriter, r *http.Request, v url.Values) (authorization auth.Authorization, done bool, err error) {
	authorization, err = a.Tokens.ParseAuthorization(r.Context(), v)
	if err == nil {
		return authorization, false, nil
	}
	if _, refused := errors.AsType[*auth.Error](err); refused && authorization.RedirectURI != "" {
		sendTo(w, authorization.Refuse(err))
		return authorization, true, nil
	}
	return authorization, true, a.showError(w, r, err)
}

func (a *api) authorize(w http.ResponseWriter, r *http.Request, p *auth.Principal, authorization auth.Authorization) error {
	to, err := a.Tokens.Authorize(r.Context(), p, authorization)
	if _, refused := errors.AsType[*auth.Error](err); refused {
		to = authorization.Refuse(err)
	} else if err != nil {
		return a.showError(w, r, err)
	}
	sendTo(w, to)
	return nil
}

// showError shows a page about err to browsers; other clients get the refusal as
// everywhere. There is no redirect from here.
func (a *api) showError(w http.ResponseWriter, r *http.Request, err error) error {
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status == http.StatusUnauthorized || !accepts(r, "text/html", "text/*", "*/*") {
		return err
	}
	a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, _ *auth.Error) {
		_ = a.message.write(w, r, e.Status, messageData{Title: "This request cannot be served", Text: e.Detail, Error: true})
	})
	return nil
}

// scopeTexts says what scopes are good for. Those of the host stand for
// themselves.
func scopeTexts(s auth.Scopes) []string {
	list := words(string(s))
	if slices.Contains(list, auth.ScopeWrite) { // which includes read
		list = slices.DeleteFunc(list, func(name string) bool { return name == auth.ScopeRead })
	}
	for i, name := range list {
		switch name {
		case auth.ScopeRead:
			list[i] = "see what you can see"
		case auth.ScopeWrite:
			list[i] = "see and change what you can see and change"
		default:
			list[i] = "use the scope “" + name + "”"
		}
	}
	return list
}

func plural(n int64, unit string) string { return strconv.FormatInt(n, 10) + " " + unit }

func lifetimeText(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return plural(int64(d/day), "days")
	}
	if d >= 2*time.Hour {
		return plural(int64(d/time.Hour), "hours")
	}
	return plural(int64(d/time.Minute)+1, "minutes")
}

// target names the place that a redirect URI leads to, as people know it.
func target(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Hostname() == "127.0.0.1" || u.Hostname() == "::1":
		return "an application on this computer"
	case u.Host != "":
		return u.Host
	}
	return u.Scheme
}

// formTarget returns the source for the form-action of a page whose form leads
// to uri (CSP level 3 section 2.3.1). An IPv6 address cannot be named there, only
// its scheme.
func formTarget(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || strings.ContainsAny(u.Host, ";, '\"") {
		return ""
	}
	if u.Host == "" || strings.HasPrefix(u.Host, "[") {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
