package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/oauth"
)

func (a *api) createApplication(w http.ResponseWriter, r *http.Request) error {
	f, _, err := a.pathOrganization(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, applicationWritable, applicationIgnored)
	if err != nil {
		return err
	}
	c, grantType, err := readApplication(o)
	if err != nil {
		return err
	}
	var req oauth.ApplicationRequest
	set(&req.Name, c.Name)
	set(&req.Description, c.Description)
	set(&req.OrganizationID, c.OrganizationID)
	set(&req.ClientType, c.ClientType)
	set(&req.GrantType, grantType)
	set(&req.RedirectURIs, c.RedirectURIs)
	set(&req.SkipConsent, c.SkipConsent)
	set(&req.Resource, c.Resource)
	req.RequirePKCE = c.RequirePKCE
	if len(f.Organizations) > 0 {
		req.OrganizationID = f.Organizations[0] // the path decides, as in AWX
	}
	// Looked up before: no read may fail between the commit and the one reply
	// that shows the secret.
	summary := applicationSummary{}
	if summary.Organization, err = a.summarizeOrganization(r.Context(), req.OrganizationID); err != nil {
		return err
	}
	app, err := a.OAuth.CreateApplication(r.Context(), principal(r), req)
	if err != nil {
		return a.inAWXWords(err, o)
	}
	summary.Capabilities.Edit, summary.Capabilities.Delete = true, true // the creator has both rights
	w.Header().Set("Location", applicationPath(app.ID))
	return a.writeApplication(w, r, http.StatusCreated, app.Application, summary, app.ClientSecret)
}
