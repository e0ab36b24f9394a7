package importer

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// A sourceApplication is a row of the table of applications.
type sourceApplication struct {
	id                                    int64
	clientID, secret, kind, grant         words
	name, description, uris               words
	skip, pkce                            flag
	organization, user                    number
	created, modified                     when
	algorithm, logoutURIs, allowedOrigins words
}

const (
	maxClientID     = 255
	maxKind         = 100 // of a type of clients or grants
	maxNameChars    = 255
	maxRedirectURIs = 50
	maxURIText      = 200_000 // characters of the list
)

// importApplications brings the applications.
func (r *run) importApplications(ctx context.Context) error {
	table := r.src.tables.Applications
	if ok, err := r.src.has(ctx, table); err != nil || !ok {
		r.report.note(stepApplications, Note, 1, "the source has no applications: it has no table "+table)
		return err
	}
	total, err := r.src.count(ctx, table)
	if err != nil {
		return err
	}
	if r.twins.clients, err = r.src.twins(ctx, table, "client_id", maxClientID+1); err != nil {
		return err
	}
	column := func(name string) string { return r.src.column(table, "t", name, "NULL") }
	user := "NULL"
	if r.Kind == AWX {
		user = column("user_id") // which says nothing elsewhere
	}
	query := `SELECT t.id, ` + r.src.clipped("t.client_id", maxClientID+1) + `, ` + r.src.clipped("t.client_secret", 2048) + `, ` + r.src.clipped("t.client_type", maxKind) + `, ` + r.src.clipped("t.authorization_grant_type", maxKind) + `,
		` + r.src.clipped("t.name", maxName) + `, ` + r.src.clipped(column("description"), text.MaxDescription+1) + `, ` + r.src.clipped("t.redirect_uris", maxURIText) + `,
		` + column("skip_authorization") + `, ` + column("pkce_required") + `, ` + column("organization_id") + `, ` + user + `,
		` + column("created") + `, ` + cmp.Or(r.src.column(table, "t", "modified", ""), column("updated")) + `,
		` + r.src.clipped(column("algorithm"), 1) + `, ` + r.src.clipped(column("post_logout_redirect_uris"), 1) + `, ` + r.src.clipped(column("allowed_origins"), 1) + `
	FROM ` + table + ` t WHERE t.id > CAST($1 AS BIGINT) ORDER BY t.id`
	var batch []sourceApplication
	return pages(ctx, r.src, query, min(r.Batch, 100), func(rows *sql.Rows) (int64, error) {
		var a sourceApplication
		var id number
		err := rows.Scan(&id, &a.clientID, &a.secret, &a.kind, &a.grant, &a.name, &a.description, &a.uris,
			&a.skip, &a.pkce, &a.organization, &a.user, &a.created, &a.modified, &a.algorithm, &a.logoutURIs, &a.allowedOrigins)
		a.id = int64(id)
		batch = append(batch, a)
		return a.id, err
	}, func() error {
		for _, a := range batch {
			if err := r.importApplication(ctx, a); err != nil {
				return err
			}
			if err := r.dst.mark(ctx, stepApplications, a.id); err != nil {
				return err
			}
		}
		batch = batch[:0]
		r.Progress(stepApplications, r.report.count(stepApplications).Read, total)
		return nil
	})
}

// importApplication brings one application and remembers where it is.
func (r *run) importApplication(ctx context.Context, a sourceApplication) error {
	c := r.report.count(stepApplications)
	c.Read++
	remark := func(act Act, what, more string) {
		r.report.add(stepApplications, remark{act, what, Item{a.id, shown(a.clientID), more}})
	}
	to, err := r.applicationIn(ctx, a)
	if err != nil {
		return err
	}
	switch to.state {
	case linked:
		c.Linked++
		remark(Note, "an application of the target stands for the one of the source; nothing of it changed", fmt.Sprint("application ", to.id))
	case conflict:
		c.LeftOut++
		remark(Conflict, to.why, "")
	case unfit:
		c.LeftOut++
		remark(LeftOut, to.why, "")
	case same:
		c.Before++
	case absent:
		if r.dst.passed(stepApplications, a.id) {
			c.Gone++
			to = destination{state: unfit, why: "its application, which an earlier run stored, was deleted in the target"}
			remark(Note, "stored by an earlier run, and deleted in the target since", "")
			break
		}
		c.Stored++
	}
	if to.state == same || to.state == absent {
		app, err := r.convertedApplication(a, remark)
		if err != nil {
			return err
		}
		if err := r.storeApplication(ctx, &to, app, remark); err != nil {
			return err
		}
	}
	r.applications[a.id] = to
	return nil
}

// applicationIn looks up where an application is in the target.
func (r *run) applicationIn(ctx context.Context, a sourceApplication) (destination, error) {
	id := string(a.clientID)
	switch {
	case !ascii.Visible(id) || len(id) > maxClientID:
		return destination{state: unfit, why: "the client identifier is empty, longer than 255 bytes or not visible ASCII"}, nil
	case a.kind != oauth.ClientConfidential && a.kind != oauth.ClientPublic:
		return destination{state: unfit, why: "the client type is neither confidential nor public"}, nil
	case a.grant == oauth.GrantClientCredentials && a.kind != oauth.ClientConfidential:
		return destination{state: unfit, why: "a public client cannot act for itself"}, nil
	case r.twins.clients.other(a.clientID, a.id):
		return destination{state: conflict, why: "another application of the source, with a smaller ID, has the client identifier"}, nil
	}
	found, err := r.dst.ApplicationByClientID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return destination{state: absent}, nil
	case err != nil:
		return destination{}, err
	case found.Created.Equal(r.createdOf(a).Time) && found.Confidential == (a.kind == oauth.ClientConfidential):
		return destination{state: same, id: found.ID}, nil
	case r.Link:
		return destination{state: linked, id: found.ID}, nil
	}
	return destination{state: conflict, why: "another application of the target has the client identifier; with --existing link that one stands for this one"}, nil
}

// createdOf returns when an application was created. Old versions of
// django-oauth-toolkit did not tell.
func (r *run) createdOf(a sourceApplication) when {
	if a.created.IsZero() {
		return when{Time: r.start}
	}
	return a.created
}

// convertedApplication returns an application as it is stored, and remarks what
// changed.
func (r *run) convertedApplication(a sourceApplication, remark func(act Act, what, more string)) (store.Application, error) {
	app := store.Application{
		ClientID: string(a.clientID), Name: string(a.name), Description: string(a.description),
		Confidential: a.kind == oauth.ClientConfidential, GrantType: string(a.grant),
		SkipConsent: bool(a.skip), RequirePKCE: bool(a.pkce), OrganizationID: int64(a.organization),
		Created: r.createdOf(a).Time, Modified: a.modified.Time,
	}
	if app.Modified.IsZero() {
		app.Modified = app.Created
	}
	if why := text.Name(app.Name, maxNameChars); why != "" {
		app.Name = "Application " + app.ClientID
		remark(Changed, "the name "+why+"; it is made of the client identifier now", "")
	}
	if text.Description(app.Description) != "" {
		app.Description = ""
		remark(Changed, "the description is longer than 4096 bytes or no text, and was left out", "")
	}
	r.changeGrant(&app, remark)
	if app.SkipConsent && !app.Confidential {
		app.SkipConsent = false
		remark(Changed, "skip_authorization is off: anybody can pose as a public client, so users are always asked", "")
	} else if app.SkipConsent {
		remark(Note, "the application asks users for no consent", "")
	}
	switch {
	case r.Organization != 0:
		app.OrganizationID = r.Organization
	case app.OrganizationID == 0:
		app.OrganizationID = 1
		remark(Changed, "the application has no organization in the source and belongs to number 1 now", "")
	}
	app.RedirectURIs = r.redirects(a, remark)
	if app.GrantType == oauth.GrantAuthorizationCode && len(app.RedirectURIs) == 0 {
		remark(Note, "no redirect URI remains: tokens go on, but nobody can authorize the application until it has one", "")
	}
	if a.user != 0 {
		remark(Note, "AWX gave every token of the application to one user; here a token belongs to who asked for it", fmt.Sprint("user ", a.user))
	}
	if a.algorithm+a.logoutURIs+a.allowedOrigins != "" {
		remark(Note, "algorithm, post_logout_redirect_uris and allowed_origins are not taken: there is no OpenID Connect here, and CORS is for no origin in particular", "")
	}
	if !app.Confidential {
		return app, nil
	}
	var err error
	app.Secret, err = r.clientSecret(app.ClientID, string(a.secret), remark)
	return app, err
}

// grants are the grant types that package oauth has.
var grants = []string{oauth.GrantAuthorizationCode, oauth.GrantPassword, oauth.GrantClientCredentials, oauth.GrantDeviceCode}

// changeGrant replaces a grant type that does not exist here.
func (r *run) changeGrant(app *store.Application, remark func(act Act, what, more string)) {
	if app.GrantType == oauth.GrantDeviceCode || slices.Contains(grants, app.GrantType) {
		return
	}
	was := shown(words(app.GrantType))
	app.GrantType = oauth.GrantAuthorizationCode
	remark(Changed, "the grant type is authorization-code now: the old one does not exist here (OAuth 2.1). Old tokens go on", fmt.Sprintf("was %q", was))
}

// redirects returns the redirect URIs that are registered.
func (r *run) redirects(a sourceApplication, remark func(act Act, what, more string)) []string {
	var kept []string
	for uri := range strings.FieldsSeq(string(a.uris)) {
		if slices.Contains(kept, uri) {
			continue
		}
		err := oauth.CheckRedirectURI(uri, &r.Redirects)
		switch {
		case err != nil:
			remark(Changed, "a redirect URI was left out: "+err.Error(), fmt.Sprintf("%q", shown(words(uri))))
		case len(kept) == maxRedirectURIs:
			remark(Changed, "there are more than 50 redirect URIs, of which the first are kept", "")
			return kept
		default:
			kept = append(kept, uri)
		}
	}
	return kept
}

// An appName is what no two applications share.
type appName struct {
	organization int64
	name         string
}

// storeApplication stores an application unless an earlier run did. A name that
// another application of the organization has gets the client identifier. In a dry
// run the application counts as stored.
func (r *run) storeApplication(ctx context.Context, to *destination, app store.Application, remark func(act Act, what, more string)) error {
	const renamed = "another application of the organization has the name, and the client identifier was added"
	number := "" // which nobody knows before
	if to.state == same {
		stored, err := r.dst.ApplicationByID(ctx, to.id)
		if err != nil {
			return err
		}
		if stored.Name == distinct(app) {
			remark(Changed, renamed, "")
		}
		number = fmt.Sprint(to.id)
	} else {
		taken, err := r.taken(ctx, app)
		if err != nil {
			return err
		}
		if taken {
			app.Name = distinct(app)
			remark(Changed, renamed, "")
			if taken, err = r.taken(ctx, app); err != nil {
				return err
			}
			if taken {
				return fmt.Errorf("the application %q: other applications of the organization %d of the target have its name, alone and with the client identifier; rename one", app.ClientID, app.OrganizationID)
			}
		}
		r.planned[appName{app.OrganizationID, app.Name}] = true
		if !r.DryRun {
			stored, err := r.dst.InsertApplication(ctx, app)
			if err != nil {
				return fmt.Errorf("store the application %q: %w", app.ClientID, err)
			}
			*to = destination{state: same, id: stored.ID}
			number = fmt.Sprint(stored.ID)
		}
	}
	remark(Note, "the application has a new number", number)
	return nil
}

// taken reports whether another application of the organization has the name.
func (r *run) taken(ctx context.Context, app store.Application) (bool, error) {
	if r.planned[appName{app.OrganizationID, app.Name}] {
		return true, nil
	}
	_, total, err := r.dst.ListApplications(ctx, store.ApplicationFilter{Organizations: []int64{app.OrganizationID}, Name: app.Name}, store.Page{CountTo: 1})
	return total > 0, err
}

// distinct returns a name that no other application has by accident.
func distinct(app store.Application) string {
	name := []rune(app.Name)
	if most := maxNameChars - len(app.ClientID) - 3; len(name) > max(most, 0) {
		name = name[:max(most, 0)]
	}
	return strings.TrimSpace(strings.TrimSpace(string(name)) + " (" + app.ClientID[:min(len(app.ClientID), maxNameChars-3)] + ")")
}
