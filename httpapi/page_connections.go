package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// A connection is an application that acts for the visitor, as the pages show it.
type connection struct {
	Path, Name      string
	Scopes, Targets []string
	Since, LastUsed moment
	Tokens          int

	id          int64
	since, used time.Time
}

// connectionsData is what the list of connected applications shows.
type connectionsData struct {
	frame
	Connections []connection
	More        bool // there are more than a page has room for
}

// maxConnections is how many consents, and how many tokens of applications, the
// list is made of.
const maxConnections = 200

// listConnectionsPage lists the applications that act for the visitor.
func (a *api) listConnectionsPage(v *visit) error {
	list, more, err := a.connections(v, 0)
	if err != nil {
		return err
	}
	return a.pages.account.connections.write(v.w, v.r, http.StatusOK, connectionsData{a.frame(v, connectionsPage), list, more})
}

// connections returns the applications that the visitor agreed to, and those that
// have tokens without being asked about: each once. An id other than 0 is the only
// application to look for.
func (a *api) connections(v *visit, id int64) (list []connection, more bool, err error) {
	ctx, now := v.r.Context(), time.Now()
	consents, n, err := a.OAuth.ListConsents(ctx, v.by, store.Page{Limit: maxConnections, Order: store.OrderID})
	if err != nil {
		return nil, false, err
	}
	tokens, m, err := a.Tokens.List(ctx, v.by, store.TokenFilter{OwnerID: v.by.ID, Kind: store.ApplicationToken, ApplicationID: id},
		store.Page{Limit: maxConnections, Order: store.OrderID, Descending: true})
	if err != nil {
		return nil, false, err
	}
	at := func(id int64) *connection {
		i := slices.IndexFunc(list, func(c connection) bool { return c.id == id })
		if i < 0 {
			i, list = len(list), append(list, connection{id: id})
		}
		return &list[i]
	}
	for _, c := range consents {
		if id == 0 || c.ApplicationID == id {
			at(c.ApplicationID).agreed(c)
		}
	}
	for _, t := range tokens {
		// One that has expired may still be refreshed.
		if t.Expires.After(now) || t.Refresh.Spent.IsZero() && t.Refresh.Expires.After(now) {
			at(t.ApplicationID).has(t)
		}
	}
	return list, n > len(consents) || m > len(tokens), a.describeConnections(v, list, now)
}

// agreed adds a consent.
func (c *connection) agreed(consent store.Consent) {
	c.since = earliest(c.since, consent.Created)
	c.addScopes(consent.Scopes)
	if to := target(consent.RedirectURI); consent.RedirectURI != "" && !slices.Contains(c.Targets, to) {
		c.Targets = append(c.Targets, to)
	}
}

// has adds a token.
func (c *connection) has(t store.Token) {
	c.Tokens++
	c.since = earliest(c.since, t.Created)
	if t.LastUsed.After(c.used) {
		c.used = t.LastUsed
	}
	c.addScopes(t.Scopes)
}

func (c *connection) addScopes(scopes string) {
	for _, name := range words(scopes) {
		if !slices.Contains(c.Scopes, name) {
			c.Scopes = append(c.Scopes, name)
		}
	}
}

// earliest returns the earlier instant; zero is none.
func earliest(t, u time.Time) time.Time {
	if t.IsZero() || u.Before(t) {
		return u
	}
	return t
}

// describeConnections adds what the pages show.
func (a *api) describeConnections(v *visit, list []connection, now time.Time) error {
	ids := make([]int64, len(list))
	for i, c := range list {
		ids[i] = c.id
	}
	names, err := a.OAuth.ApplicationNames(v.r.Context(), ids)
	if err != nil {
		return err
	}
	for i := range list {
		c := &list[i]
		c.Path = connectionsPage + strconv.FormatInt(c.id, 10) + "/"
		if c.Name = names[c.id]; c.Name == "" {
			c.Name = a.PageOptions.say("Application %s", strconv.FormatInt(c.id, 10))
		}
		c.Since, c.LastUsed = a.moment(c.since, now), a.moment(c.used, now)
		for i, name := range c.Scopes {
			c.Scopes[i] = a.scopeText(name)
		}
	}
	return nil
}

// withdrawPage asks before it takes an application its access.
func (a *api) withdrawPage(v *visit) error {
	id, err := tokenID(v.r)
	if err != nil {
		return err
	}
	if v.sends() { // to repeat it is harmless
		if err := a.OAuth.WithdrawConsent(v.r.Context(), v.by, id); err != nil {
			return err
		}
		v.goTo(connectionsPage, "withdrawn")
		return nil
	}
	list, _, err := a.connections(v, id)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errNotFound
	}
	say := a.PageOptions.say
	return a.pages.account.confirm.write(v.w, v.r, http.StatusOK, confirmData{
		frame: a.frame(v, connectionsPage), Title: say("Withdraw access"), Button: say("Withdraw"), Back: connectionsPage,
		Text: say("Do you want to end the access of “%s”?", list[0].Name),
		Consequences: []string{
			say("Everything that it holds in your name ends at once."),
			say("It can ask you again. If you do not want that, do not agree."),
		},
	})
}
