package clustertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
)

// A cluster is several processes of the example server behind no balancer: a
// client asks any of them.
type cluster struct {
	t      *testing.T
	nodes  []*node
	client *http.Client
	people []*person
	*figures

	retries bool // a client tries again where that is harmless
	pick    func() *node

	clientID, clientSecret string // of an application
}

// newCluster starts one server for each of the databases, which may be one, and
// waits until all of them listen.
func newCluster(t *testing.T, databases []string, args ...string) *cluster {
	t.Helper()
	return newClusterOf(t, "", databases, args...)
}

// newClusterOf is newCluster with another program.
func newClusterOf(t *testing.T, program string, databases []string, args ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	usersFile(t, dir)
	c := &cluster{t: t, figures: new(figures)}
	for _, database := range databases {
		c.nodes = append(c.nodes, newNodeOf(t, program, dir, database, args...))
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	c.client = &http.Client{
		Transport:     transport,
		Timeout:       servertest.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(transport.CloseIdleConnections)
	c.pick = func() *node { return c.nodes[rand.IntN(len(c.nodes))] }
	for _, n := range c.nodes {
		n.listens()
	}
	c.patiently(func() {
		c.createApplication()
		for n := range people {
			c.people = append(c.people, newPerson(c, nameOf(n), passwordOf(n)))
		}
	})
	return c
}

// same returns a database for each node.
func same(database string) []string {
	all := make([]string, nodes)
	for n := range all {
		all[n] = database
	}
	return all
}

func (c *cluster) createApplication() {
	c.t.Helper()
	a := c.ask("POST", "/api/v2/applications/", `{"name": "cluster", "client_type": "confidential", "organization": 1, `+
		`"authorization_grant_type": "password"}`, asAdmin)
	var made struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	a.read(c.t, http.StatusCreated, &made)
	c.clientID, c.clientSecret = made.ClientID, made.ClientSecret
}

// An answer is what a client got: a status, or an error where there was none.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s", a.status, a.body[:min(len(a.body), 200)])
}

// read decodes a body of JSON, and ends the test if the status is another one.
func (a answer) read(t testing.TB, status int, to any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%v, want status %d", a, status)
	}
	if err := json.Unmarshal([]byte(a.body), to); err != nil {
		t.Fatalf("%v: %v", err, a)
	}
}

// unanswered reports whether the server did not say what became of the request.
func (a answer) unanswered() bool { return a.err != nil || a.status == http.StatusServiceUnavailable }

// refused reports whether nobody listened, so that the request was never sent.
func (a answer) refused() bool { return errors.Is(a.err, syscall.ECONNREFUSED) }

// with adds a credential to a request.
type with func(*http.Request)

func nobody(*http.Request) {}

func asAdmin(r *http.Request) { r.SetBasicAuth(adminName, adminPassword) }

func (c *cluster) asApplication(r *http.Request) { r.SetBasicAuth(c.clientID, c.clientSecret) }

func bearer(token string) with {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// patiently runs do, which is no part of what is tested, with a client that tries again: a
// busy machine may refuse for now what nothing is in the way of.
func (c *cluster) patiently(do func()) {
	defer func(retries bool) { c.retries = retries }(c.retries)
	c.retries = true
	do()
}

// ask asks any node. Where the cluster retries, another one is asked if nobody
// listened at the first, or if it said that it cannot answer for now.
func (c *cluster) ask(method, path, body string, with with) answer {
	return c.askUntil(c.pick, c.retries, method, path, body, with)
}

// verdict asks one node until it has an answer.
func (c *cluster) verdict(n *node, method, path, body string, with with) answer {
	return c.askUntil(func() *node { return n }, true, method, path, body, with)
}

func (c *cluster) askUntil(pick func() *node, retries bool, method, path, body string, with with) (a answer) {
	const pause = 20 * time.Millisecond
	tries := 0
	for deadline := time.Now().Add(servertest.Patience); time.Now().Before(deadline); tries++ {
		a = c.askNode(pick(), method, path, body, with)
		if again := a.refused() || a.status == http.StatusServiceUnavailable; !retries || !again {
			return a
		}
		c.retried.Add(1)
		<-time.After(pause)
	}
	c.broken.Add(1)
	c.t.Errorf("%s %s, after %d tries: %v", method, path, tries, a)
	return a
}

// askNode asks one node, once. A body that begins with a brace is JSON, others are
// forms.
func (c *cluster) askNode(n *node, method, path, body string, with with) answer {
	r, err := http.NewRequest(method, "http://"+n.addr+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	with(r)
	began := time.Now()
	resp, err := c.client.Do(r)
	defer c.took(began)
	if err != nil {
		a := answer{err: err}
		if !c.retries || !a.refused() {
			c.broken.Add(1)
			c.t.Errorf("%s %s: %v", method, path, err)
		}
		return a
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	a := answer{resp.StatusCode, string(text), resp.Header, err}
	switch {
	case err != nil:
		c.broken.Add(1)
		c.t.Errorf("%s %s: %v", method, path, err)
	case a.status == http.StatusServiceUnavailable:
		c.outage()
		if a.header.Get("Retry-After") == "" {
			c.t.Errorf("%s %s: no Retry-After: %v", method, path, a)
		}
	case a.status >= 500:
		c.t.Errorf("%s %s: %v", method, path, a)
	}
	return a
}

// underTraffic runs do while every person sends requests, and waits for all of them.
func (c *cluster) underTraffic(do func()) {
	c.t.Helper()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, p := range c.people {
		all.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					p.step()
				}
			}
		})
	}
	defer all.Wait()
	defer close(stop)
	do()
}

// more waits until a counter has gone up by n, which it does by the traffic.
func (c *cluster) more(counter *atomic.Int64, n int64) {
	c.t.Helper()
	from := counter.Load()
	servertest.Eventually(c.t, fmt.Sprintf("the traffic does %d things more", n), func() bool { return counter.Load() >= from+n })
}
