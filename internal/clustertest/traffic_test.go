package clustertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The kinds of thing.
const (
	token    = "token"
	session  = "session"
	grant    = "grant"
	password = "password"
)

// A thing was acknowledged: a personal token, a session, the two tokens of a grant,
// or the password of a user.
type thing struct {
	kind           string
	id             int64  // of a token
	name           string // of the user of a password
	value, refresh string // of a session the cookie
}

func (th *thing) present(r *http.Request) {
	switch th.kind {
	case session:
		r.Header.Set("Cookie", th.value)
	case password:
		r.SetBasicAuth(th.name, th.value)
	default:
		bearer(th.value)(r)
	}
}

// A person has a ledger of what was acknowledged, and does one thing at a time.
type person struct {
	c              *cluster
	id             int64 // where newUser made it
	name, password string

	live, dead []*thing
}

// kept is how many things of a kind a person has at most.
const kept = 20

// newPerson returns a user who has one thing of each kind.
func newPerson(c *cluster, name, password string) *person {
	c.t.Helper()
	p := &person{c: c, name: name, password: password}
	p.login()
	p.issue()
	p.grant()
	if len(p.live) != 3 {
		c.t.Fatalf("%s has %d things", name, len(p.live))
	}
	return p
}

// step does one thing at random.
func (p *person) step() {
	switch n := rand.IntN(100); {
	case n < 45:
		p.check(p.some(""))
	case n < 57 && len(p.dead) > 0:
		p.checkDead(p.dead[rand.IntN(len(p.dead))])
	case n < 72:
		p.issue()
	case n < 82:
		p.end(p.spare(token))
	case n < 91:
		p.renew(p.spare(grant))
	case n < 94:
		p.grant()
	case n < 97:
		p.login()
	default:
		p.end(p.spare(session))
	}
}

// some returns a thing of a kind, or of any, and nil if there is none.
func (p *person) some(kind string) *thing {
	var of []*thing
	for _, th := range p.live {
		if kind == "" || th.kind == kind {
			of = append(of, th)
		}
	}
	if len(of) == 0 {
		return nil
	}
	return of[rand.IntN(len(of))]
}

// spare is some, but keeps the last thing of all: in an outage nothing can be made,
// what nobody knows the end of is forgotten, and yet somebody has to be let in.
func (p *person) spare(kind string) *thing {
	if len(p.live) < 2 {
		return nil
	}
	return p.some(kind)
}

// many reports whether there are enough of a kind, and ends one then.
func (p *person) many(kind string) bool {
	n := 0
	for _, th := range p.live {
		if th.kind == kind {
			n++
		}
	}
	if n >= kept {
		p.end(p.some(kind))
	}
	return n >= kept
}

func (p *person) add(th *thing) {
	p.c.acknowledged.Add(1)
	p.live = append(p.live, th)
}

// forget takes a thing out of the ledger: nobody knows what became of it.
func (p *person) forget(th *thing) {
	p.live = slices.DeleteFunc(p.live, func(other *thing) bool { return other == th })
}

func (p *person) bury(th *thing) {
	p.c.acknowledged.Add(1)
	p.forget(th)
	if p.dead = append(p.dead, th); len(p.dead) > 200 {
		p.dead = p.dead[1:]
	}
}

// failed counts an answer that a good thing should not get.
func (p *person) failed(th *thing, what string, a answer) {
	if a.status == http.StatusUnauthorized || a.status == http.StatusBadRequest && strings.Contains(a.body, "invalid_grant") {
		p.c.as401.Add(1)
	}
	p.c.t.Errorf("%s of %s: %s: %v", th.kind, p.name, what, a)
	p.forget(th) // accused once
}

// check uses a thing that is good, and reports whether it was let in.
func (p *person) check(th *thing) (ok bool) {
	if th == nil {
		return false
	}
	a := p.c.ask("GET", "/api/v2/me/", "", th.present)
	switch {
	case a.unanswered():
		return false
	case a.status == http.StatusOK && strings.Contains(a.body, `"`+p.name+`"`):
		p.c.letIn.Add(1)
		return true
	}
	p.failed(th, "use", a)
	return false
}

// checkDead uses a thing that was ended, and reports whether it was refused.
func (p *person) checkDead(th *thing) (ok bool) {
	a := p.c.ask("GET", "/api/v2/me/", "", th.present)
	switch {
	case a.unanswered():
		return false
	case a.status == http.StatusOK:
		p.c.undone.Add(1)
		fallthrough
	default:
		p.c.t.Errorf("%s of %s that was ended: %v", th.kind, p.name, a)
	case a.status == http.StatusUnauthorized:
		return true
	}
	return false
}

// issue makes a personal token by a session or another token.
func (p *person) issue() {
	if p.many(token) {
		return
	}
	by := p.some(session)
	if by == nil {
		p.login()
		return
	}
	a := p.c.ask("POST", "/api/v2/tokens/", `{"scope": "write"}`, by.present)
	var made struct {
		ID    int64
		Token string
	}
	switch {
	case a.unanswered():
	case a.status != http.StatusCreated || json.Unmarshal([]byte(a.body), &made) != nil:
		p.failed(by, "issue", a)
	default:
		p.add(&thing{kind: token, id: made.ID, value: made.Token})
	}
}

func (p *person) login() {
	if p.many(session) {
		return
	}
	form := url.Values{"username": {p.name}, "password": {p.password}}.Encode()
	a := p.c.ask("POST", "/api/login/", form, nobody)
	if a.unanswered() {
		return
	}
	cookies := (&http.Response{Header: a.header}).Cookies()
	i := slices.IndexFunc(cookies, func(c *http.Cookie) bool { return strings.Contains(c.Name, "session") })
	if a.status != http.StatusFound || i < 0 {
		p.c.t.Errorf("login of %s: %v", p.name, a)
		return
	}
	p.add(&thing{kind: session, value: cookies[i].Name + "=" + cookies[i].Value})
}

// tokens asks the token endpoint.
func (c *cluster) tokens(form url.Values) (access, refresh string, a answer) {
	a = c.ask("POST", "/api/o/token/", form.Encode(), c.asApplication)
	var made struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if a.status == http.StatusOK {
		_ = json.Unmarshal([]byte(a.body), &made)
	}
	return made.Access, made.Refresh, a
}

func (p *person) grant() {
	if p.many(grant) {
		return
	}
	access, refresh, a := p.c.tokens(url.Values{
		"grant_type": {"password"}, "username": {p.name}, "password": {p.password}, "scope": {"read"},
	})
	switch {
	case a.unanswered():
	case refresh == "":
		p.c.t.Errorf("grant of %s: %v", p.name, a)
	default:
		p.add(&thing{kind: grant, value: access, refresh: refresh})
	}
}

// renew refreshes a grant, which ends its former tokens, and reports whether it was
// renewed.
func (p *person) renew(th *thing) (ok bool) {
	if th == nil {
		return false
	}
	access, refresh, a := p.c.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {th.refresh}})
	switch {
	case a.unanswered():
		p.forget(th)
	case refresh == "":
		p.failed(th, "refresh", a)
	default:
		p.bury(th)
		p.add(&thing{kind: grant, value: access, refresh: refresh})
		return true
	}
	return false
}

// end ends a thing.
func (p *person) end(th *thing) {
	if th == nil {
		return
	}
	var a answer
	want := http.StatusOK
	switch th.kind {
	case session:
		a = p.c.ask("POST", "/api/logout/", "", th.present)
		want = http.StatusFound
	case grant:
		a = p.c.ask("POST", "/api/o/revoke_token/", url.Values{"token": {th.refresh}}.Encode(), p.c.asApplication)
	case token:
		a = p.c.ask("DELETE", fmt.Sprintf("/api/v2/tokens/%d/", th.id), "", th.present)
		want = http.StatusNoContent
	}
	switch {
	case a.unanswered():
		p.forget(th)
	case a.status != want:
		p.failed(th, "end", a)
	default:
		p.bury(th)
	}
}
