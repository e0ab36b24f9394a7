package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/oauth"
)

// applicationData is what the page of an application shows.
type applicationData struct {
	frame
	Application                     applicationLine
	Name, Description, RedirectURIs string
	MaySkip, Skip                   bool
	MayResource                     bool // the visitor says what the application stands for
	Resource                        string
	Overlaps                        []choice // how long the old secret stays good
	Revision                        string
}

// oneApplicationPage shows an application, changes it, and makes a new secret.
func (a *api) oneApplicationPage(v *visit) error {
	app, summary, err := a.managed(v)
	if err != nil {
		return err
	}
	data := applicationData{
		Application: a.applicationLine(app, summary, time.Now()),
		Name:        app.Name, Description: app.Description, RedirectURIs: strings.Join(app.RedirectURIs, "\n"),
		MaySkip: v.by.Admin && app.Confidential, Skip: app.SkipConsent, Overlaps: a.overlaps(),
		MayResource: v.by.Admin && app.Confidential, Resource: app.Resource,
		Revision: strconv.FormatInt(app.Revision, 10),
	}
	if !v.sends() {
		data.frame = a.frame(v, applicationsPage)
		return a.pages.account.applied.write(v.w, v.r, http.StatusOK, data)
	}
	if v.form.Has("revision") && v.form.Get("revision") != data.Revision {
		v.goTo(data.Application.Path, "app_other")
		return nil
	}
	if v.form.Has("rotate") {
		return a.rotateSecretPage(v, app.ID)
	}
	data.Name, data.Description, data.RedirectURIs = v.text("name"), v.text("description"), v.text("redirect_uris")
	uris := strings.Fields(data.RedirectURIs)
	change := oauth.ApplicationChange{Name: &data.Name, Description: &data.Description, RedirectURIs: &uris}
	if data.MaySkip {
		data.Skip = v.form.Has("skip_authorization")
		change.SkipConsent = &data.Skip
	}
	// A form without the field, and one that leaves a resource as it is that no
	// token can be for any more, changes nothing about it.
	if data.MayResource && v.form.Has("resource") {
		if data.Resource = v.text("resource"); data.Resource != app.Resource {
			change.Resource = &data.Resource
		}
	}
	if _, err := a.OAuth.ChangeApplication(v.r.Context(), v.by, app.ID, change); err != nil {
		return a.refuse(v, a.pages.account.applied, err, func(f frame) any { data.frame = f; return data }, applicationsPage)
	}
	v.goTo(data.Application.Path, "app_changed")
	return nil
}

// overlaps are the choices of how long an old secret stays good.
func (a *api) overlaps() []choice {
	const day = 24 * time.Hour
	list := []choice{{"0", a.PageOptions.say("Not at all"), true}}
	for _, d := range []time.Duration{time.Hour, day, 7 * day, oauth.MaxSecretOverlap} {
		list = append(list, choice{strconv.FormatInt(int64(d/time.Second), 10), a.duration(d), false})
	}
	return list
}

// rotateSecretPage makes a new secret and shows it.
func (a *api) rotateSecretPage(v *visit, id int64) error {
	seconds, err := strconv.ParseInt(v.form.Get("overlap"), 10, 32)
	if err != nil {
		return badRequest("The form does not say how long the old secret stays good.")
	}
	issued, err := a.OAuth.RotateSecret(v.r.Context(), v.by, id, time.Duration(seconds)*time.Second)
	if err != nil {
		return err
	}
	return a.showClientSecret(v, issued, a.PageOptions.say("New client secret"))
}

// deleteApplicationPage asks before it deletes an application.
func (a *api) deleteApplicationPage(v *visit) error {
	app, summary, err := a.managed(v)
	if v.sends() && (err == nil || isStatus(err, http.StatusNotFound)) { // gone already: perhaps by a first click
		if err == nil {
			err = a.OAuth.DeleteApplication(v.r.Context(), v.by, app.ID)
		}
		if err == nil || isStatus(err, http.StatusNotFound) {
			v.goTo(applicationsPage, "app_deleted")
			return nil
		}
	}
	if err != nil {
		return err
	}
	say := a.PageOptions.say
	return a.pages.account.confirm.write(v.w, v.r, http.StatusOK, confirmData{
		frame: a.frame(v, applicationsPage), Title: say("Delete an application"), Button: say("Delete"), Back: applicationPage(app.ID),
		Text: say("Do you want to delete “%s”? This cannot be undone.", app.Name),
		Consequences: []string{
			say("Its client ID and secret stop working."),
			say("Tokens that end: %s.", strconv.Itoa(summary.Tokens.Total)),
			say("People who agreed to it have to agree again to a new one."),
		},
	})
}
