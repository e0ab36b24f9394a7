package clustertest

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/ostiary/auth/internal/servertest"
)

// settle waits until each node serves, and then checks every ledger: what was
// acknowledged is good, and what was ended is not.
func (c *cluster) settle() {
	c.t.Helper()
	for _, n := range c.nodes {
		servertest.Eventually(c.t, "a node is ready", func() bool {
			return c.ready(n)
		})
	}
	c.patiently(func() {
		for _, p := range c.people {
			p.settle()
		}
	})
	c.report()
}

// ready reports whether a node says that it is.
func (c *cluster) ready(n *node) bool { return c.readiness(n) == http.StatusOK }

// readiness returns what a node says whether it is ready, 0 if it says nothing.
func (c *cluster) readiness(n *node) (status int) {
	ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/readyz", nil)
	if err != nil {
		return 0
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// settle checks the ledger of one person, who can do everything again afterwards.
func (p *person) settle() {
	p.c.t.Helper()
	for _, th := range slices.Clone(p.live) {
		ok := p.check(th)
		if ok && th.kind == grant {
			ok = p.renew(th)
		}
		if !ok {
			p.c.lost.Add(1)
			p.c.t.Errorf("%s of %s is lost", th.kind, p.name)
		}
	}
	for _, th := range slices.Clone(p.dead) {
		if !p.checkDead(th) {
			p.c.t.Errorf("%s of %s, which was ended, is not refused", th.kind, p.name)
		}
	}
	for _, do := range []func(){p.login, p.issue, p.grant} {
		before := p.c.acknowledged.Load()
		if do(); p.c.acknowledged.Load() == before {
			p.c.t.Errorf("%s cannot do everything again", p.name)
		}
	}
}
