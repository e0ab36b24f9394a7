package clustertest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// rounds is how often each way of ending something is tried.
const rounds = 4

// What one node has acknowledged as ended is let in by none, from the next request
// on: each is asked without a pause, before, during and after.
func TestEndedAtOneNodeIsEndedAtAll(t *testing.T) {
	newCluster(t, same(newPostgres(t).url())).endAtOneNode(rounds)
}

// endAtOneNode ends each kind of thing in each way, at any node, so many times.
func (c *cluster) endAtOneNode(rounds int) {
	c.t.Helper()
	for _, way := range []struct {
		name string
		kind string
		end  func(p *person, th *thing) (a answer, want int)
	}{
		{"revoked token", token, func(p *person, th *thing) (answer, int) {
			return c.ask("DELETE", fmt.Sprintf("/api/v2/tokens/%d/", th.id), "", th.present), http.StatusNoContent
		}},
		{"revoked grant", grant, func(_ *person, th *thing) (answer, int) {
			form := url.Values{"token": {th.refresh}}.Encode()
			return c.ask("POST", "/api/o/revoke_token/", form, c.asApplication), http.StatusOK
		}},
		{"refreshed grant", grant, func(_ *person, th *thing) (answer, int) {
			_, _, a := c.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {th.refresh}})
			return a, http.StatusOK
		}},
		{"logout", session, func(_ *person, th *thing) (answer, int) {
			return c.ask("POST", "/api/logout/", "", th.present), http.StatusFound
		}},
		{"new password", session, func(p *person, _ *thing) (answer, int) {
			return c.change(p, `{"password": "another password of the user"}`), http.StatusOK
		}},
		{"disabled user", token, func(p *person, _ *thing) (answer, int) {
			return c.change(p, `{"is_active": false}`), http.StatusOK
		}},
		{"disabled user", session, func(p *person, _ *thing) (answer, int) {
			return c.change(p, `{"is_active": false}`), http.StatusOK
		}},
		// Each process remembers passwords that were right.
		{"new password", password, func(p *person, _ *thing) (answer, int) {
			return c.change(p, `{"password": "another password of the user"}`), http.StatusOK
		}},
		{"disabled user", password, func(p *person, _ *thing) (answer, int) {
			return c.change(p, `{"is_active": false}`), http.StatusOK
		}},
	} {
		c.t.Run(way.name+" "+way.kind, func(t *testing.T) {
			let := 0
			rounds := rounds
			if way.kind == password {
				rounds = 1 // wrong ones are counted
			}
			for range rounds {
				p := c.newUser()
				th := p.some(way.kind)
				if way.kind == password {
					th = &thing{kind: password, name: p.name, value: p.password}
				}
				let += c.endUnderFire(th, func() (answer, int) { return way.end(p, th) })
			}
			t.Logf("%d rounds: %d requests were let in before the end, %d after it", rounds, let, c.undone.Load())
			if let == 0 {
				t.Error("nobody was ever let in")
			}
		})
	}
	c.report()
}

// users counts those that newUser made.
var users atomic.Int64

// newUser creates a user by the API, who has one thing of each kind.
func (c *cluster) newUser() *person {
	c.t.Helper()
	name, password := fmt.Sprintf("fresh%d", users.Add(1)), "a password of a fresh user"
	var p *person
	c.patiently(func() {
		a := c.ask("POST", "/api/v2/users/", fmt.Sprintf(`{"username": %q, "password": %q}`, name, password), asAdmin)
		var made struct{ ID int64 }
		a.read(c.t, http.StatusCreated, &made)
		p = newPerson(c, name, password)
		p.id = made.ID
	})
	return p
}

// change changes a user by the API.
func (c *cluster) change(p *person, body string) answer {
	return c.ask("PATCH", fmt.Sprintf("/api/v2/users/%d/", p.id), body, asAdmin)
}

// endUnderFire ends a thing while all nodes are asked, and counts requests that
// began after the acknowledgement and were let in. It returns how many were before.
func (c *cluster) endUnderFire(th *thing, end func() (answer, int)) (let int) {
	c.t.Helper()
	var acknowledged, unknown atomic.Bool
	var before atomic.Int64
	var all sync.WaitGroup
	for _, n := range c.nodes {
		for range 2 {
			all.Go(func() {
				for more := 3; more > 0 && !unknown.Load(); { // that begin after the acknowledgement
					after := acknowledged.Load()
					if after {
						more--
					}
					switch a := c.askNode(n, "GET", "/api/v2/me/", "", th.present); {
					case a.status == http.StatusOK && after:
						c.undone.Add(1)
						c.t.Errorf("a %s was let in after its end: %v", th.kind, a)
					case a.status == http.StatusOK:
						before.Add(1)
					case a.status == http.StatusUnauthorized, a.unanswered(), th.kind == password && a.status == http.StatusTooManyRequests:
					default:
						c.t.Errorf("me: %v", a)
					}
				}
			})
		}
	}
	c.more(&before, 6)
	a, want := end()
	acknowledged.Store(a.status == want)
	unknown.Store(a.status != want)
	all.Wait()
	switch {
	case a.status == want:
		c.acknowledged.Add(1)
	case !a.unanswered():
		c.t.Errorf("end of a %s: %v, want %d", th.kind, a, want)
	}
	return int(before.Load())
}

// racers is how many clients present one secret at a time.
const racers = 64

// Of many clients that present one refresh token or code to all nodes at once, one
// wins, and what it won is revoked, since the others were replays.
func TestOneWinnerAmongNodes(t *testing.T) {
	const races = 5
	c := newCluster(t, same(newPostgres(t).url()))
	var app application
	c.patiently(func() { app = c.codeApplication() })
	for _, what := range []struct {
		name    string
		prepare func() url.Values
		as      with
	}{
		{"refresh token", func() url.Values { return refreshForm(c.people[0]) }, c.asApplication},
		{"code", func() url.Values {
			return url.Values{"grant_type": {"authorization_code"}, "code": {c.code(app)}, "redirect_uri": {redirect}}
		}, app.present},
	} {
		t.Run(what.name, func(t *testing.T) {
			for range races {
				var form url.Values
				c.patiently(func() { form = what.prepare() })
				c.race(form.Encode(), what.as)
			}
		})
	}
	c.t.Logf("%d races of %d each for a code and a refresh token: %v", races, racers, c.figures)
}

// refreshForm refreshes a grant that the person knows no more.
func refreshForm(p *person) url.Values {
	p.grant()
	th := p.some(grant)
	p.forget(th)
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {th.refresh}}
}

// race presents a form everywhere at the same time.
func (c *cluster) race(form string, as with) {
	c.t.Helper()
	var mu sync.Mutex
	var winners []string // their access tokens
	statuses := map[int]int{}
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		all.Go(func() {
			<-start
			a := c.askNode(c.nodes[i%len(c.nodes)], "POST", "/api/o/token/", form, as)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
			if m := regexp.MustCompile(`"access_token": ?"(\w+)"`).FindStringSubmatch(a.body); m != nil {
				winners = append(winners, m[1])
			} else if a.status == http.StatusBadRequest && !strings.Contains(a.body, "invalid_grant") {
				c.t.Errorf("a loser: %v", a)
			}
		})
	}
	close(start)
	all.Wait()
	// A machine that is too busy to answer all of them may not answer the winner.
	busy := statuses[http.StatusServiceUnavailable]
	if len(winners) > 1 || len(winners) < 1 && busy == 0 || statuses[http.StatusOK]+statuses[http.StatusBadRequest]+busy != racers {
		c.t.Errorf("%d winners, statuses %v", len(winners), statuses)
	}
	for _, won := range winners {
		for _, n := range c.nodes {
			if a := c.verdict(n, "GET", "/api/v2/me/", "", bearer(won)); a.status != http.StatusUnauthorized {
				c.undone.Add(1)
				c.t.Errorf("what was won is good although there were replays: %v", a)
			}
		}
	}
}

const redirect = "https://client.example/callback"

// An application gets codes, and asks nobody for consent.
type application struct{ id, secret string }

func (app application) present(r *http.Request) { r.SetBasicAuth(app.id, app.secret) }

func (c *cluster) codeApplication() application {
	c.t.Helper()
	a := c.ask("POST", "/api/v2/applications/", `{"name": "codes", "client_type": "confidential", "organization": 1, `+
		`"authorization_grant_type": "authorization-code", "skip_authorization": true, "redirect_uris": "`+redirect+`"}`, asAdmin)
	var made struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	a.read(c.t, http.StatusCreated, &made)
	return application{made.ClientID, made.ClientSecret}
}

// code returns an authorization code of a person.
func (c *cluster) code(app application) string {
	c.t.Helper()
	query := url.Values{"response_type": {"code"}, "client_id": {app.id}, "redirect_uri": {redirect}, "scope": {"read"}, "state": {"s"}}
	a := c.ask("GET", "/api/o/authorize/?"+query.Encode(), "", c.people[0].some(session).present)
	u, err := url.Parse(a.header.Get("Location"))
	if a.status != http.StatusFound || err != nil || u.Query().Get("code") == "" {
		c.t.Fatalf("authorize: %v %v", a, a.header)
	}
	return u.Query().Get("code")
}
