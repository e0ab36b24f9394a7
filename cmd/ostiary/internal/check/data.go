package check

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// sample is how many users and applications are looked at.
const sample = 1000

const day = 24 * time.Hour

func is(column store.Column, value any) []store.Condition {
	return []store.Condition{{Column: column, Values: []any{value}}}
}

// checkSuperusers looks for a superuser who can log in.
func (r *report) checkSuperusers(ctx context.Context, st *sqlstore.Store) {
	const subject = "superusers"
	list, _, err := st.ListUsers(ctx, store.UserFilter{Where: store.Where{is(store.ColumnAdmin, true), is(store.ColumnActive, true), is(store.ColumnService, false)}}, store.Page{Limit: sample})
	if r.failed(subject, err) {
		return
	}
	if len(list) == 0 {
		r.add(Error, subject, "ostiary user create NAME --superuser, or ostiary user admin USER", "there is no active superuser, so that nobody manages the service")
		return
	}
	for _, u := range list {
		hash, err := st.PasswordHash(ctx, u.ID)
		if r.failed(subject, err) || hash != "" {
			return
		}
	}
	r.add(Warning, subject, "ostiary user password USER, unless another system logs them in", "no active superuser has a password")
}

// checkPasswords looks at the kinds of stored hashes.
func (r *report) checkPasswords(ctx context.Context, st *sqlstore.Store) {
	const subject = "passwords"
	list, _, err := st.ListUsers(ctx, store.UserFilter{Where: store.Where{is(store.ColumnActive, true)}}, store.Page{Limit: sample, CountTo: -1})
	if r.failed(subject, err) {
		return
	}
	var old, unknown []string
	for _, u := range list {
		hash, err := st.PasswordHash(ctx, u.ID)
		if r.failed(subject, err) {
			return
		}
		switch kind, _, _ := strings.Cut(strings.TrimPrefix(hash, "$"), "$"); {
		case hash == "" || strings.HasPrefix(hash, "!"), kind == "argon2id": // an unusable one of Django begins with !
		case kind == "argon2", kind == "pbkdf2_sha256", kind == "bcrypt", kind == "bcrypt_sha256", kind == "2a", kind == "2b", kind == "2y":
			old = append(old, u.Name)
		default:
			unknown = append(unknown, u.Name)
		}
	}
	if len(unknown) > 0 {
		r.add(Error, subject, "ostiary user password USER", "%s a hash that the library cannot read, and cannot log in", some(unknown))
	}
	if len(old) > 0 {
		r.add(Warning, subject, "each is replaced at the next login; disable users who never come", "%s a hash from another system", some(old))
	}
}

// some returns the subject of a sentence about these names.
func some(names []string) string {
	if len(names) == 1 {
		return names[0] + " has"
	}
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + " and others have"
	}
	return strings.Join(names, ", ") + " have"
}

// checkTokens looks for tokens that live too long.
func (r *report) checkTokens(ctx context.Context, st *sqlstore.Store) {
	const subject = "tokens"
	now := r.Now()
	exist := func(f store.TokenFilter, conditions ...store.Condition) bool {
		f.All = true
		for _, c := range conditions {
			f.Where = append(f.Where, []store.Condition{c})
		}
		list, _, err := st.ListTokens(ctx, f, store.Page{Limit: 1, CountTo: -1})
		return !r.failed(subject, err) && len(list) > 0
	}
	if exist(store.TokenFilter{}, store.Condition{Column: store.ColumnExpires, Is: store.Greater, Values: []any{now.Add(366 * day)}}) {
		r.add(Warning, subject, "ostiary token list --live; revoke them, and lower MaxPersonalLifetime or AccessLifetime", "some tokens live for more than a year")
	}
	if exist(store.TokenFilter{Kind: store.PersonalToken}, store.Condition{Column: store.ColumnExpires, Is: store.Greater, Values: []any{now}},
		store.Condition{Column: store.ColumnLastUsed, Is: store.Unset}, store.Condition{Column: store.ColumnCreated, Is: store.Less, Values: []any{now.Add(-90 * day)}}) {
		r.add(Warning, subject, "ostiary token list --kind personal --live; revoke those whose last use is never", "some personal tokens have not been used for 90 days since they were made")
	}
	if exist(store.TokenFilter{Kind: store.PersonalToken}, store.Condition{Column: store.ColumnExpires, Is: store.Less, Values: []any{now.Add(-30 * day)}}) {
		r.add(Warning, subject, "let the service call Purge, or run ostiary purge every day", "tokens that expired a month ago are still there: nobody purges")
	}
}

// checkImport says what tokens of another system need, which nothing outside the
// service's own configuration shows.
func (r *report) checkImport(ctx context.Context, db *database.DB) {
	const subject = "import"
	if imported, err := importer.Remembered(ctx, db); !r.failed(subject, err) && imported {
		r.add(OK, subject, "", "tokens were brought from another system. %s", importer.MustAccept)
	}
}

// checkApplications looks at what applications may do.
func (r *report) checkApplications(ctx context.Context, st *sqlstore.Store) {
	list, _, err := st.ListApplications(ctx, store.ApplicationFilter{All: true}, store.Page{Limit: sample, CountTo: -1})
	if r.failed("applications", err) {
		return
	}
	for _, app := range list {
		if !app.Disabled {
			r.checkApplication(app)
		}
	}
}

func (r *report) checkApplication(app store.Application) {
	const subject = "applications"
	for _, uri := range app.RedirectURIs {
		if u, err := url.Parse(uri); err == nil && u.Scheme == "http" && !isLoopbackURL(u) {
			r.add(Error, subject, "change the redirect URI to https", "%s: codes are sent in clear to %s", app.Name, uri)
		}
	}
	switch {
	case app.SkipConsent && !app.Confidential:
		r.add(Error, subject, "switch consent on", "%s: a public client skips consent, and anybody can pose as it", app.Name)
	case app.Confidential && app.Secret == (store.Digest{}):
		r.add(Error, subject, "ostiary application secret "+app.Name, "%s: a confidential client has no secret, so that it gets no token", app.Name)
	case app.GrantType == oauth.GrantPassword:
		r.add(Warning, subject, "register it anew with authorization-code or device-code", "%s: it sees the passwords of users (RFC 9700 section 2.4)", app.Name)
	}
}
