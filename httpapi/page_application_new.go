package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// newApplicationData is what the form for an application shows.
type newApplicationData struct {
	frame
	Name, Description, RedirectURIs string
	// Organizations are those to choose from. Where there are none, for
	// superusers, Organization is the number of one.
	Organizations       []choice
	Organization        string
	ClientTypes, Grants []choice
	MaySkip, Skip       bool // whether and that people are not asked
	MayResource         bool // the visitor says what the application stands for
	Resource            string
}

// createApplicationPage shows the form for an application, and takes it.
func (a *api) createApplicationPage(v *visit) error {
	ctx := v.r.Context()
	m, err := a.Tokens.Organizations().Memberships(ctx, v.by)
	if err != nil {
		return err
	}
	if !v.by.Admin && len(m.Admin) == 0 {
		return errForbidden
	}
	data := newApplicationData{
		Name: v.text("name"), Description: v.text("description"), RedirectURIs: v.text("redirect_uris"),
		Organization: v.text("organization"), MaySkip: v.by.Admin, Skip: v.form.Has("skip_authorization"),
		MayResource: v.by.Admin, Resource: v.text("resource"),
	}
	if data.Organizations, err = a.organizationChoices(ctx, m.Admin, data.Organization); err != nil {
		return err
	}
	if !v.sends() {
		data.Organization = "1"
	}
	data.choose(a, v.form.Get("client_type"), v.form.Get("authorization_grant_type"))
	if !v.sends() {
		data.frame = a.frame(v, applicationsPage)
		return a.pages.account.newApplication.write(v.w, v.r, http.StatusOK, data)
	}
	req, err := data.request(a, v)
	if err == nil {
		var issued oauth.IssuedApplication
		if issued, err = a.OAuth.CreateApplication(ctx, v.by, req); err == nil {
			return a.showClientSecret(v, issued, a.PageOptions.say("Application created"))
		}
		if made, lookErr := a.madeBefore(v, req, err); made != 0 || lookErr != nil {
			if lookErr == nil {
				v.goTo(applicationPage(made), "app_twice")
			}
			return lookErr
		}
	}
	return a.refuse(v, a.pages.account.newApplication, err, func(f frame) any { data.frame = f; return data }, applicationsPage)
}

// organizationChoices names the organizations that the visitor administers, in
// which an application can be.
func (a *api) organizationChoices(ctx context.Context, ids []int64, chosen string) ([]choice, error) {
	const most = 100
	var list []choice
	for _, id := range ids[:min(len(ids), most)] {
		o, err := a.OAuth.Organization(ctx, id)
		if isStatus(err, http.StatusNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		value := strconv.FormatInt(id, 10)
		list = append(list, choice{value, o.Name, value == chosen})
	}
	return list, nil
}

// choose offers client types and grant types.
func (d *newApplicationData) choose(a *api, clientType, grant string) {
	say := a.PageOptions.say
	if clientType == "" {
		clientType = oauth.ClientConfidential
	}
	if grant == "" {
		grant = oauth.GrantAuthorizationCode
	}
	d.ClientTypes = []choice{
		{oauth.ClientConfidential, say("Confidential: a server that can keep a secret"), clientType == oauth.ClientConfidential},
		{oauth.ClientPublic, say("Public: a program on people's devices or in their browsers"), clientType == oauth.ClientPublic},
	}
	grants := []string{oauth.GrantAuthorizationCode, oauth.GrantClientCredentials, oauth.GrantPassword}
	if a.OAuth.HasDevices() {
		grants = append(grants, oauth.GrantDeviceCode)
	}
	for _, name := range grants {
		d.Grants = append(d.Grants, choice{name, say(grantTexts[name]), grant == name})
	}
}

// request is what the form asks for.
func (d *newApplicationData) request(a *api, v *visit) (oauth.ApplicationRequest, error) {
	req := oauth.ApplicationRequest{
		Name: d.Name, Description: d.Description, RedirectURIs: strings.Fields(d.RedirectURIs), SkipConsent: d.Skip, Resource: d.Resource,
		ClientType: v.form.Get("client_type"), GrantType: v.form.Get("authorization_grant_type"),
	}
	id, err := strconv.ParseInt(d.Organization, 10, 64)
	if err != nil || !isDecimal(d.Organization) {
		return req, badField("organization", a.PageOptions.say("Must be the number of an organization."))
	}
	req.OrganizationID = id
	return req, nil
}

// formAge is how long after an application was made the same form is taken for a
// repetition.
const formAge = 15 * time.Minute

// madeBefore returns the ID of the application that the same form has made
// already, 0 if there is none: people click twice, and load the answer again. Err
// is why there is no other.
func (a *api) madeBefore(v *visit, req oauth.ApplicationRequest, err error) (int64, error) {
	if e, ok := errors.AsType[*auth.Error](err); !ok || e.Code != "unique" {
		return 0, nil
	}
	f := store.ApplicationFilter{Name: req.Name, Organizations: []int64{req.OrganizationID}}
	list, _, err := a.OAuth.ListApplications(v.r.Context(), v.by, f, store.Page{Limit: 1})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	made := list[0]
	if time.Since(made.Created) > formAge || made.Description != req.Description || !slices.Equal(made.RedirectURIs, req.RedirectURIs) || made.GrantType != req.GrantType {
		return 0, nil
	}
	return made.ID, nil
}
