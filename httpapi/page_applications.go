package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

func applicationPage(id int64) string { return applicationsPage + strconv.FormatInt(id, 10) + "/" }

// An applicationLine is an application as the pages show it.
type applicationLine struct {
	Path, Name, Organization    string
	ClientID, ClientType, Grant string
	Confidential                bool
	Created                     moment
	Tokens                      int
}

// applicationsData is what the list of applications shows.
type applicationsData struct {
	frame
	Applications []applicationLine
	Pager        pager
	MayCreate    bool
}

// listApplicationsPage lists the applications that the visitor manages.
func (a *api) listApplicationsPage(v *visit) error {
	ctx, at := v.r.Context(), paging(v.r)
	at.Order = store.OrderName
	m, err := a.Tokens.Organizations().Memberships(ctx, v.by)
	if err != nil {
		return err
	}
	data := applicationsData{MayCreate: v.by.Admin || len(m.Admin) > 0}
	var apps []store.Application
	var total int
	if data.MayCreate {
		f := store.ApplicationFilter{Organizations: m.Admin}
		if v.by.Admin {
			f.Organizations = nil // all of them
		}
		apps, total, err = a.OAuth.ListApplications(ctx, v.by, f, at)
		if errors.Is(err, store.ErrOrder) { // more than are sorted by name; this order has no limit
			at.Order = store.OrderOrganization
			apps, total, err = a.OAuth.ListApplications(ctx, v.by, f, at)
		}
		if err != nil {
			return err
		}
	}
	summaries, err := a.OAuth.Summarize(ctx, v.by, apps, 0)
	if err != nil {
		return err
	}
	for i, app := range apps {
		data.Applications = append(data.Applications, a.applicationLine(app, summaries[i], time.Now()))
	}
	data.frame, data.Pager = a.frame(v, applicationsPage), newPager(applicationsPage, at, len(apps), total)
	return a.pages.account.applications.write(v.w, v.r, http.StatusOK, data)
}

func (a *api) applicationLine(app store.Application, s oauth.ApplicationSummary, now time.Time) applicationLine {
	say := a.PageOptions.say
	line := applicationLine{
		Path: applicationPage(app.ID), Name: app.Name, Organization: s.Organization.Name,
		ClientID: app.ClientID, ClientType: say("public"), Grant: say(grantTexts[app.GrantType]), Confidential: app.Confidential,
		Created: a.moment(app.Created, now), Tokens: s.Tokens.Total,
	}
	if app.Confidential {
		line.ClientType = say("confidential")
	}
	return line
}

// managed returns the application of the path if the visitor may change it.
func (a *api) managed(v *visit) (store.Application, oauth.ApplicationSummary, error) {
	id, err := tokenID(v.r)
	if err != nil {
		return store.Application{}, oauth.ApplicationSummary{}, err
	}
	app, err := a.OAuth.Application(v.r.Context(), v.by, id)
	if err != nil {
		return store.Application{}, oauth.ApplicationSummary{}, err
	}
	found, err := a.OAuth.Summarize(v.r.Context(), v.by, []store.Application{app}, 0)
	if err == nil && !found[0].MayChange {
		err = errNotFound
	}
	if err != nil {
		return store.Application{}, oauth.ApplicationSummary{}, err
	}
	return app, found[0], nil
}

// showClientSecret shows what an application needs to know, once.
func (a *api) showClientSecret(v *visit, issued oauth.IssuedApplication, title string) error {
	say := a.PageOptions.say
	data := secretData{
		frame: a.frame(v, applicationsPage), Title: title, Link: applicationPage(issued.ID), Label: say("Done"),
		Text:   say("Give these to the application. The secret is shown this once, and nobody can look it up later."),
		Values: []secretValue{{"client_id", say("Client ID"), issued.ClientID}},
	}
	if issued.ClientSecret == auth.Secret("") {
		data.Text = say("Give this to the application. A public one has no secret.")
	} else {
		data.Values = append(data.Values, secretValue{"client_secret", say("Client secret"), issued.ClientSecret.Reveal()})
	}
	return a.pages.account.secret.write(v.w, v.r, http.StatusOK, data)
}
