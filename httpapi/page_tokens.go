package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

func tokenPage(id int64) string { return tokensPage + strconv.FormatInt(id, 10) + "/" }

// A tokenLine is a personal access token as the pages show it.
type tokenLine struct {
	Path, Name                 string
	Scopes, Addresses          []string
	Created, LastUsed, Expires moment
	Expired, Soon              bool
	Issuer                     int64 // the token that issued it, 0 for none
}

// tokensData is what the list of tokens shows.
type tokensData struct {
	frame
	Tokens []tokenLine
	Pager  pager
}

// soon is how long before its end a token is marked.
const soon = 7 * 24 * time.Hour

func (a *api) tokenLine(t store.Token, now time.Time) tokenLine {
	line := tokenLine{
		Path: tokenPage(t.ID), Name: t.Description,
		Scopes: words(t.Scopes), Addresses: networkTexts(t.Addresses),
		Created: a.moment(t.Created, now), LastUsed: a.moment(t.LastUsed, now), Expires: a.moment(t.Expires, now),
		Expired: !t.Expires.After(now), Issuer: t.ParentID,
	}
	line.Soon = !line.Expired && t.Expires.Sub(now) < soon
	if line.Name == "" {
		line.Name = a.PageOptions.say("Token %s", strconv.FormatInt(t.ID, 10))
	}
	return line
}

// listTokensPage lists the personal access tokens of the visitor.
func (a *api) listTokensPage(v *visit) error {
	at := paging(v.r)
	at.Order, at.Descending = store.OrderID, true
	tokens, total, err := a.ownTokens(v, at)
	if err != nil {
		return err
	}
	data := tokensData{frame: a.frame(v, tokensPage), Pager: newPager(tokensPage, at, len(tokens), total)}
	now := time.Now()
	for _, t := range tokens {
		data.Tokens = append(data.Tokens, a.tokenLine(t, now))
	}
	return a.pages.account.tokens.write(v.w, v.r, http.StatusOK, data)
}

// ownTokens lists personal access tokens of the visitor.
func (a *api) ownTokens(v *visit, p store.Page) ([]store.Token, int, error) {
	return a.Tokens.List(v.r.Context(), v.by, store.TokenFilter{OwnerID: v.by.ID, Kind: store.PersonalToken}, p)
}

// ownToken returns the personal access token of the visitor that the path names.
func (a *api) ownToken(v *visit) (store.Token, error) {
	id, err := tokenID(v.r)
	if err != nil {
		return store.Token{}, err
	}
	t, err := a.Tokens.Token(v.r.Context(), v.by, id)
	if err == nil && (t.UserID != v.by.ID || t.ApplicationID != 0) {
		return store.Token{}, errNotFound
	}
	return t, err
}

// maxKin is among how many tokens of a user those are looked for that a token
// issued.
const maxKin = 1000

// issuedBy returns the live tokens that t issued, directly or through others.
// Those that end with t come first.
func (a *api) issuedBy(ctx context.Context, by *auth.Principal, t store.Token) (ending, outliving []store.Token, err error) {
	all, _, err := a.Tokens.List(ctx, by, store.TokenFilter{OwnerID: t.UserID}, store.Page{Limit: maxKin, Order: store.OrderID, Descending: true})
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	// A token is younger than the one that issued it, and so is its ID.
	slices.Reverse(all)
	ends := map[int64]bool{t.Family: true} // families below t, and whether they end with it
	for _, kin := range all {
		with, below := ends[kin.ParentID]
		if !below || kin.Family == t.Family || !kin.Expires.After(now) {
			continue
		}
		with = with && !kin.Independent
		ends[kin.Family] = with
		if with {
			ending = append(ending, kin)
		} else {
			outliving = append(outliving, kin)
		}
	}
	return ending, outliving, nil
}
