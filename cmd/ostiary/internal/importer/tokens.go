package importer

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/store"
)

// A sourceToken is an access token, with its owner and its refresh token.
type sourceToken struct {
	id                   int64
	token                words
	expires              when
	scope, description   words
	created, modified    when
	used                 when
	user, application    number
	owner                person
	active               flag
	refreshID            number
	refresh              words
	refreshed, revokedAt when // of the refresh token
}

// The remarks about tokens.
const (
	whyExpired   = "expired, and so has the refresh token, if there was one"
	whyForm      = "the token does not have the form of 30 letters and digits, by which imported tokens are known"
	whyNobody    = "the token has neither a user nor an application"
	whyNoUser    = "its user was not imported"
	whyNoApp     = "its application was not imported"
	whyScopes    = "no scope of it is known here: name further ones with --scope or --rename-scope"
	whyTaken     = "the target has the token, or its refresh token, for another user or application"
	whyGone      = "stored by an earlier run, and ended and removed in the target since"
	whyDate      = "a date of it cannot be read"
	whyInactive  = "the user is not active: the token is dead here until the user is activated, though it worked in the source"
	cutPersonal  = "personal tokens end earlier than in the source"
	cutAccess    = "access tokens of applications end earlier than in the source"
	cutRefresh   = "refresh tokens end earlier than in the source"
	changedScope = "scopes that are not known here were left out"
	changedText  = "the description is longer than 4096 bytes or no text, and was cut"
)

// The remarks about refresh tokens of access tokens that were taken.
const (
	refreshRevoked  = "the refresh token was revoked or used up, and was left out"
	refreshExpired  = "the refresh token has expired, and was left out"
	refreshForm     = "the refresh token does not have the form of 30 letters and digits, and was left out"
	refreshPersonal = "the refresh token belongs to no application or no user, and was left out"
)

func (r *run) tokensQuery() string {
	access, refresh, users := r.src.tables.AccessTokens, r.src.tables.RefreshTokens, r.src.tables.Users
	column := func(name string) string { return r.src.column(access, "t", name, "NULL") }
	refreshes, join := "NULL, NULL, NULL, NULL", ""
	if len(r.src.columns[refresh]) > 0 {
		refreshes = "f.id, " + r.src.clipped("f.token", maxTokenText) + ", " + r.src.column(refresh, "f", "created", "NULL") + ", " + r.src.column(refresh, "f", "revoked", "NULL")
		// The bound on both sides, or a merge reads all refresh tokens before the page.
		join = "LEFT JOIN " + refresh + " f ON f.access_token_id = t.id AND f.access_token_id > CAST($1 AS BIGINT)"
	}
	return `SELECT t.id, ` + r.src.clipped("t.token", maxTokenText) + `, t.expires, ` + r.src.clipped("t.scope", maxScopeText) + `,
		` + r.src.clipped(column("description"), text.MaxDescription+1) + `, ` + column("created") + `,
		` + cmp.Or(r.src.column(access, "t", "modified", ""), column("updated")) + `, ` + column("last_used") + `,
		t.user_id, t.application_id, u.id, ` + r.src.clipped("u.username", maxName+1) + `, u.date_joined, u.is_active, ` + refreshes + `
	FROM ` + access + ` t LEFT JOIN ` + users + ` u ON u.id = t.user_id ` + join + `
	WHERE t.id > CAST($1 AS BIGINT) ORDER BY t.id`
}

const (
	maxTokenText = 600
	maxScopeText = 8192
)

// importTokens brings access tokens with their refresh tokens. Reading goes on while
// batches are stored.
func (r *run) importTokens(ctx context.Context) error {
	table := r.src.tables.AccessTokens
	if ok, err := r.src.has(ctx, table); err != nil || !ok {
		r.report.note(stepTokens, Note, 1, "the source has no tokens: it has no table "+table)
		return err
	}
	total, err := r.src.count(ctx, table)
	if err != nil {
		return err
	}
	if r.RebuildIndexes && !r.DryRun {
		if err := r.dst.dropIndexes(ctx); err != nil {
			return err
		}
	}
	w := r.newWriter(ctx, total)
	var batch []sourceToken
	err = pages(w.ctx, r.src, r.tokensQuery(), r.Batch, func(rows *sql.Rows) (int64, error) {
		var t sourceToken
		var id, owner number
		err := rows.Scan(&id, &t.token, &t.expires, &t.scope, &t.description, &t.created, &t.modified, &t.used,
			&t.user, &t.application, &owner, &t.owner.name, &t.owner.joined, &t.active,
			&t.refreshID, &t.refresh, &t.refreshed, &t.revokedAt)
		t.id, t.owner.id = int64(id), int64(owner)
		batch = append(batch, t)
		return t.id, err
	}, func() error {
		err := w.put(batch)
		batch = nil
		return err
	})
	return w.finish(err)
}

// digestOf returns the digest of a token of the source. Ok is false for a text that
// no imported token has.
func (r *run) digestOf(token words) (d store.Digest, ok bool) {
	if r.Kind == DAB {
		// Older versions kept the text, newer ones put the name of the function
		// before the digest.
		if b, err := hex.DecodeString(strings.TrimPrefix(string(token), "$sha256$")); err == nil && len(b) == len(d) {
			copy(d[:], b)
			return d, true
		}
	}
	return store.DigestOf(string(token)), secret.Imported(string(token))
}

// converted returns a token as it is stored, and ok if it is.
func (r *run) convertedToken(t sourceToken, users map[int64]destination) (out store.Token, remarks []remark, ok bool) {
	item := Item{ID: t.id}
	leave := func(act Act, why string) (store.Token, []remark, bool) {
		return store.Token{}, append(remarks, remark{act, why, item}), false
	}
	if t.expires.bad || t.expires.IsZero() || t.created.bad || t.modified.bad {
		return leave(LeftOut, whyDate)
	}
	digest, good := r.digestOf(t.token)
	if !good {
		return leave(LeftOut, whyForm)
	}
	app, whyApp := r.applicationOf(t)
	user, whyUser := r.ownerOf(t, users)
	if why := cmp.Or(whyUser, whyApp); why != "" {
		return leave(LeftOut, why)
	}
	scopes, fewer := r.scopesOf(string(t.scope))
	if scopes == "" {
		return leave(LeftOut, whyScopes)
	}
	out = store.Token{
		Digest: digest, UserID: user.user.ID, Epoch: user.user.Epoch, ApplicationID: app.id,
		Scopes: scopes, Description: string(t.description), Created: t.created.Time, Modified: t.modified.Time, LastUsed: t.used.Time,
	}
	out.Created = earliest(cmp.Or(out.Created, r.start), r.start)
	out.Modified = cmp.Or(out.Modified, out.Created)
	note := func(act Act, what string) { remarks = append(remarks, remark{act, what, item}) }
	if fewer {
		note(Changed, changedScope)
	}
	if text.Description(out.Description) != "" {
		out.Description = fitting(out.Description)
		note(Changed, changedText)
	}
	r.setRefresh(&out, t, note)
	r.setExpiry(&out, t, note)
	if !out.Expires.After(r.start) && out.Refresh.Digest == (store.Digest{}) {
		remarks = nil // they do not matter any more
		return leave(LeftOut, whyExpired)
	}
	if t.user != 0 && !bool(t.active) {
		note(Note, whyInactive)
	}
	return out, remarks, true
}

// applicationOf returns where the application of a token is, or why it is nowhere.
// In a dry run an application that would be stored counts as stored.
func (r *run) applicationOf(t sourceToken) (to destination, why string) {
	if t.application == 0 {
		if t.user == 0 {
			return to, whyNobody
		}
		return to, ""
	}
	to, known := r.applications[int64(t.application)]
	if !known || !to.reachable() && !(r.DryRun && to.state == absent) {
		return to, whyNoApp
	}
	if to.state == absent {
		to.id = -1 // of no application of the target, and not 0, which is personal
	}
	return to, ""
}

// ownerOf returns where the user of a token is, or why there is none.
func (r *run) ownerOf(t sourceToken, users map[int64]destination) (to destination, why string) {
	if t.user == 0 {
		return to, ""
	}
	to = users[t.owner.id]
	if t.owner.id == 0 || !to.reachable() && !(r.DryRun && to.state == absent) {
		return to, whyNoUser
	}
	return to, ""
}

// scopesOf returns the scopes that are known here, each once.
func (r *run) scopesOf(of string) (scopes string, fewer bool) {
	var known []string
	for name := range strings.FieldsSeq(of) {
		if to, ok := r.RenameScopes[name]; ok {
			name = to
		}
		if auth.Scopes(strings.Join(known, " ")).Has(name) && name != auth.ScopeRead {
			continue
		}
		next := strings.Join(append(known[:len(known):len(known)], name), " ")
		if _, err := auth.ParseScopes(next, r.Scopes...); err != nil {
			fewer = fewer || !strings.Contains(" "+strings.Join(known, " ")+" ", " "+name+" ")
			continue
		}
		known = append(known, name)
	}
	return strings.Join(known, " "), fewer
}

// setExpiry cuts the end of an access token to the policy.
func (r *run) setExpiry(out *store.Token, t sourceToken, note func(Act, string)) {
	latest, what := r.start.Add(r.PersonalLifetime), cutPersonal
	if out.ApplicationID != 0 || t.application != 0 {
		latest, what = r.start.Add(r.AccessLifetime), cutAccess
	}
	out.Expires = t.expires.Time
	if out.Expires.After(latest) {
		out.Expires = latest
		note(Cut, what)
	}
}

// setRefresh adds the refresh token, if it is of use.
func (r *run) setRefresh(out *store.Token, t sourceToken, note func(Act, string)) {
	if t.refreshID == 0 {
		return
	}
	digest, good := r.digestOf(t.refresh)
	ends, latest := time.Time{}, r.start.Add(r.RefreshLifetime)
	if r.SourceRefreshLifetime > 0 {
		ends = cmp.Or(t.refreshed.Time, out.Created).Add(r.SourceRefreshLifetime)
	}
	switch {
	case !t.revokedAt.IsZero() || t.revokedAt.bad:
		note(Note, refreshRevoked)
		return
	case t.application == 0 || t.user == 0:
		note(Note, refreshPersonal)
		return
	case !ends.IsZero() && !ends.After(r.start):
		note(Note, refreshExpired)
		return
	case !good:
		note(LeftOut, refreshForm)
		return
	}
	if ends.IsZero() || ends.After(latest) {
		ends = latest
		note(Cut, cutRefresh)
	}
	out.Refresh = store.Refresh{Digest: digest, Scopes: out.Scopes, Expires: ends, GrantExpires: r.start.Add(r.GrantLifetime)}
}

// fitting returns the part of a description that is stored.
func fitting(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if len(s) > text.MaxDescription {
		s = strings.ToValidUTF8(s[:text.MaxDescription], "")
	}
	return s
}
