package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// tokenData is what the page of a token shows.
type tokenData struct {
	frame
	Token       tokenLine
	Description string
	Scopes      []choice // those that the token has, to narrow it
	Narrow      bool     // whether there is anything to narrow
	// Expires is the last day, which can only be an earlier one. All three are
	// empty for a token that has expired.
	Expires, Earliest, Latest string
	Revision                  string
}

// oneTokenPage shows a token, describes and narrows it, and makes a new secret.
func (a *api) oneTokenPage(v *visit) error {
	t, err := a.ownToken(v)
	if err != nil {
		return err
	}
	scopes := auth.Scopes(t.Scopes)
	data := tokenData{
		Token: a.tokenLine(t, time.Now()), Description: t.Description, Scopes: a.scopeChoices(scopes, scopes),
		Revision: strconv.FormatInt(t.Revision, 10),
	}
	data.Narrow = len(data.Scopes) > 1
	if !data.Token.Expired {
		day := data.Token.Expires.Date
		data.Expires, data.Earliest, data.Latest = day, time.Now().UTC().Format(dateLayout), day
	}
	if !v.sends() {
		data.frame = a.frame(v, tokensPage)
		return a.pages.account.token.write(v.w, v.r, http.StatusOK, data)
	}
	if v.form.Has("revision") && v.form.Get("revision") != data.Revision {
		v.goTo(data.Token.Path, "token_other")
		return nil
	}
	if v.form.Has("rotate") {
		issued, err := a.Tokens.Rotate(v.r.Context(), v.by, t.ID)
		if err != nil {
			return err
		}
		return a.showTokenSecret(v, issued, a.PageOptions.say("New secret"))
	}
	change, err := a.readChange(v, t, &data)
	if err == nil {
		_, err = a.Tokens.Change(v.r.Context(), v.by, t.ID, change)
	}
	if err != nil {
		return a.refuse(v, a.pages.account.token, err, func(f frame) any { data.frame = f; return data }, tokensPage)
	}
	v.goTo(data.Token.Path, "token_changed")
	return nil
}

// readChange reads the form that changes t, and keeps in data what to show if it
// is refused. What stays as it is makes no change.
func (a *api) readChange(v *visit, t store.Token, data *tokenData) (c auth.TokenChange, err error) {
	data.Description = v.text("description")
	c.Description = &data.Description
	var scopeErr, dateErr error
	if data.Narrow {
		var chosen auth.Scopes
		if chosen, scopeErr = a.chosenScopes(v); scopeErr == nil && !auth.Scopes(t.Scopes).Within(chosen) {
			c.Scopes = &chosen
		}
	}
	if day := v.text("expires"); day != "" && day != data.Latest {
		data.Expires = day
		var end time.Time
		if end, dateErr = a.lastDay(day); dateErr == nil {
			c.Expires = &end
		}
	}
	return c, errors.Join(scopeErr, dateErr)
}

// revokeTokenPage asks before it revokes a token, and says what ends with it.
func (a *api) revokeTokenPage(v *visit) error {
	t, err := a.ownToken(v)
	if err != nil {
		if v.sends() && isStatus(err, http.StatusNotFound) { // it was revoked already, perhaps by a first click
			v.goTo(tokensPage, "token_revoked")
			return nil
		}
		return err
	}
	if v.sends() {
		end := a.Tokens.End
		if v.form.Has("all") {
			end = a.Tokens.EndTree
		}
		if err := end(v.r.Context(), v.by, t.ID); err != nil && !isStatus(err, http.StatusNotFound) {
			return err
		}
		v.goTo(tokensPage, "token_revoked")
		return nil
	}
	ending, outliving, err := a.issuedBy(v.r.Context(), v.by, t)
	if err != nil {
		return err
	}
	say := a.PageOptions.say
	data := confirmData{
		frame: a.frame(v, tokensPage), Title: say("Revoke a token"), Button: say("Revoke"), Back: tokenPage(t.ID),
		Text:         say("Do you want to revoke “%s”? This cannot be undone.", a.tokenLine(t, time.Now()).Name),
		Consequences: []string{say("Programs that use it lose their access at once.")},
	}
	data.Consequences = append(data.Consequences, a.namesOf(ending, "It issued the token “%s”, which ends, too.")...)
	data.Consequences = append(data.Consequences, a.namesOf(outliving, "It issued the token “%s”, which goes on without it.")...)
	if len(outliving) > 0 {
		data.Option = say("Revoke what it issued, too")
	}
	return a.pages.account.confirm.write(v.w, v.r, http.StatusOK, data)
}

// maxNamed is how many tokens a page names before it counts the others.
const maxNamed = 10

// namesOf says the sentence of each token.
func (a *api) namesOf(tokens []store.Token, sentence string) []string {
	var list []string
	for i, t := range tokens {
		if i == maxNamed {
			return append(list, a.PageOptions.say("The same is so for %s more.", strconv.Itoa(len(tokens)-i)))
		}
		list = append(list, a.PageOptions.say(sentence, a.tokenLine(t, time.Now()).Name))
	}
	return list
}
