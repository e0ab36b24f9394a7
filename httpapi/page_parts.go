package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/forwarded"
	"github.com/ostiary/auth/store"
)

// A moment is an instant as the pages show it. The zero moment is never.
type moment struct {
	Machine string // RFC 3339
	Date    string
	Text    string // how long ago, or from now
}

const dateLayout = "2006-01-02"

// moment returns t as seen from now.
func (a *api) moment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	m := moment{Machine: t.Format(time.RFC3339), Date: t.Format(dateLayout)}
	say := a.PageOptions.say
	if d := now.Sub(t); d >= 0 {
		m.Text = say("%s ago", a.duration(d))
		if d < time.Minute {
			m.Text = say("just now")
		}
		return m
	}
	left := t.Sub(now)
	if left >= time.Hour { // 30 days are not 29 a moment later
		left = left.Round(time.Hour)
	}
	m.Text = say("in %s", a.duration(left))
	return m
}

// duration returns d in its greatest whole unit.
func (a *api) duration(d time.Duration) string {
	const day = 24 * time.Hour
	say := a.PageOptions.say
	for _, unit := range []struct {
		of        time.Duration
		one, many string
	}{{day, "1 day", "%s days"}, {time.Hour, "1 hour", "%s hours"}, {time.Minute, "1 minute", "%s minutes"}} {
		switch n := int64(d / unit.of); {
		case n == 1:
			return say(unit.one)
		case n > 1:
			return say(unit.many, strconv.FormatInt(n, 10))
		}
	}
	return say("less than a minute")
}

// A choice is one of several that a form offers.
type choice struct {
	Value, Text string
	Checked     bool
}

// scopeChoices offers the names that scopes allow, with those of chosen checked.
func (a *api) scopeChoices(within, chosen auth.Scopes) []choice {
	var list []choice
	for _, name := range a.Tokens.ScopeNames() {
		if within.Has(name) {
			list = append(list, choice{name, a.scopeText(name), chosen.Has(name)})
		}
	}
	return list
}

// chosenScopes returns the scopes of a form. Write includes read.
func (a *api) chosenScopes(v *visit) (auth.Scopes, error) {
	list := slices.Clone(v.form["scope"])
	if slices.Contains(list, auth.ScopeWrite) {
		list = slices.DeleteFunc(list, func(name string) bool { return name == auth.ScopeRead })
	}
	if len(list) == 0 {
		return "", badField("scope", a.PageOptions.say("Choose at least one."))
	}
	return a.Tokens.ParseScopes(strings.Join(list, " "))
}

// A pager leads through a list.
type pager struct {
	From, To, Total int
	Previous, Next  string // addresses, "" for none
}

// pageLength is how many entries a page of the account lists.
const pageLength = 20

// paging returns the part of a list that the query asks for. What is no number is
// the first page.
func paging(r *http.Request) store.Page {
	n, err := strconv.ParseInt(r.URL.Query().Get("page"), 10, 32)
	if err != nil || n < 1 || n > 1_000_000 {
		n = 1
	}
	return store.Page{Offset: int(n-1) * pageLength, Limit: pageLength}
}

// newPager returns where to go from a page with so many of the total entries.
func newPager(path string, at store.Page, entries, total int) pager {
	p := pager{From: at.Offset + 1, To: at.Offset + entries, Total: total}
	n := at.Offset/pageLength + 1
	if n > 1 {
		p.Previous = path + "?page=" + strconv.Itoa(n-1)
	}
	if p.To < total && entries > 0 {
		p.Next = path + "?page=" + strconv.Itoa(n+1)
	}
	return p
}

func networkTexts(list []netip.Prefix) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return texts
}

// address returns the origin under which the browser knows this host, for
// examples.
func address(r *http.Request) string {
	scheme := "http://"
	if forwarded.OverTLS(r) {
		scheme = "https://"
	}
	return scheme + forwarded.Host(r)
}

// secretData is what the page shows that has a secret, once.
type secretData struct {
	frame
	Title, Text string
	Values      []secretValue
	Example     string // a command line
	Link, Label string // where to go on
}

// A secretValue is a line of it. ID is unique on the page.
type secretValue struct{ ID, Label, Value string }

// confirmData is what the page shows that asks before something ends.
type confirmData struct {
	frame
	Title, Text  string
	Consequences []string
	Option       string // a choice beside; "" for none
	Button       string
	Back         string // the address to go back to
}
