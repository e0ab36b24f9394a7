package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// newTokenData is what the form for a token shows.
type newTokenData struct {
	frame
	Description, Addresses string
	Scopes                 []choice
	// Expires is the last day of the token. All three are empty where tokens
	// live too short to choose one; Lifetime is how long they live then.
	Expires, Earliest, Latest string
	Lifetime                  string
	Newest                    string // the ID of the newest token, for the form
}

// createTokenPage shows the form for a personal access token, and takes it.
func (a *api) createTokenPage(v *visit) error {
	now := time.Now().UTC()
	personal, most := a.Tokens.Lifetimes()
	data := newTokenData{Lifetime: a.duration(personal)}
	if most >= 2*24*time.Hour {
		data.Expires, data.Earliest, data.Latest = now.Add(personal).Format(dateLayout), now.Format(dateLayout), now.Add(most).Format(dateLayout)
	}
	data.Scopes = a.scopeChoices(auth.Unrestricted, auth.ScopeRead)
	newest, _, err := a.ownTokens(v, store.Page{Limit: pageLength, Order: store.OrderID, Descending: true})
	if err != nil {
		return err
	}
	data.Newest = "0"
	if len(newest) > 0 {
		data.Newest = strconv.FormatInt(newest[0].ID, 10)
	}
	if !v.sends() {
		data.frame = a.frame(v, tokensPage)
		return a.pages.account.newToken.write(v.w, v.r, http.StatusOK, data)
	}
	req, err := a.readTokenForm(v, now.Add(most), &data)
	if err == nil {
		if twice := sentBefore(v, newest, req); twice != 0 {
			v.goTo(tokenPage(twice), "token_twice")
			return nil
		}
		var issued auth.IssuedToken
		if issued, err = a.Tokens.Issue(v.r.Context(), v.by, req); err == nil {
			return a.showTokenSecret(v, issued, a.PageOptions.say("Token created"))
		}
	}
	return a.refuse(v, a.pages.account.newToken, err, func(f frame) any { data.frame = f; return data }, tokensPage)
}

// readTokenForm reads the form, and keeps in data what to show if it is refused.
func (a *api) readTokenForm(v *visit, latest time.Time, data *newTokenData) (req auth.TokenRequest, err error) {
	data.Description, data.Addresses = v.text("description"), v.text("addresses")
	req.Description = data.Description
	scopes, scopeErr := a.chosenScopes(v)
	data.Scopes = a.scopeChoices(auth.Unrestricted, auth.Scopes(strings.Join(v.form["scope"], " ")))
	req.Scopes = scopes
	var dateErr error
	if day := v.text("expires"); day != "" && data.Latest != "" {
		data.Expires = day
		req.Expires, dateErr = a.lastDay(day)
		// The latest day ends with the longest lifetime that there is.
		if day == data.Latest && req.Expires.After(latest) {
			req.Expires = latest
		}
	}
	var nameErr error
	if req.Description == "" {
		nameErr = badField("description", a.PageOptions.say("Say what the token is for, so that you know it again."))
	}
	list := strings.FieldsFunc(data.Addresses, func(c rune) bool { return c <= ' ' || c == ',' })
	addressErr := parseNetworks(list, &req.Addresses)
	return req, errors.Join(nameErr, scopeErr, dateErr, addressErr)
}

// lastDay returns the end of a day that a form names, which is in UTC.
func (a *api) lastDay(day string) (time.Time, error) {
	t, err := time.Parse(dateLayout, day)
	if err != nil {
		return time.Time{}, badField("expires", a.PageOptions.say("Must be a date of the form 2027-01-31."))
	}
	return t.Add(24*time.Hour - time.Second), nil
}

// sentBefore returns the ID of the token that the same form has made already, 0
// if there is none: people click twice, and load the answer again.
func sentBefore(v *visit, newest []store.Token, req auth.TokenRequest) int64 {
	shown, err := strconv.ParseInt(v.form.Get("newest"), 10, 64)
	if err != nil {
		return 0 // a form of the client's own
	}
	for _, t := range newest {
		if t.ID > shown && t.Description == req.Description && t.Scopes == string(req.Scopes) && t.ParentID == 0 {
			return t.ID
		}
	}
	return 0
}

// showTokenSecret shows the secret of a token, once.
func (a *api) showTokenSecret(v *visit, issued auth.IssuedToken, title string) error {
	say := a.PageOptions.say
	return a.pages.account.secret.write(v.w, v.r, http.StatusOK, secretData{
		frame: a.frame(v, tokensPage), Title: title,
		Text:    say("Copy the token now: it is shown this once, and nobody can look it up later."),
		Values:  []secretValue{{"token", say("Token"), issued.AccessToken.Reveal()}},
		Example: `curl -H "Authorization: Bearer TOKEN" ` + address(v.r) + "/api/v2/me/",
		Link:    tokensPage, Label: say("Done"),
	})
}
