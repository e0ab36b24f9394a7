package clustertest

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
)

// With access tokens in the memory of each process, a token that one of them revokes is
// dead there at once. The others let it in until they hear of it, and in no case
// after the time that the answers count.
func TestCachedTokenEndsAtAll(t *testing.T) {
	const age = time.Second
	c := newCluster(t, same(newPostgres(t).url()), "-cache", age.String())
	for range rounds {
		p := c.newUser()
		th := p.some(token)
		for _, n := range c.nodes {
			if a := c.verdict(n, "GET", "/api/v2/me/", "", th.present); a.status != http.StatusOK {
				t.Fatalf("before: %v", a)
			}
		}
		a := c.verdict(c.nodes[0], "DELETE", fmt.Sprintf("/api/v2/tokens/%d/", th.id), "", th.present)
		if a.status != http.StatusNoContent {
			t.Fatalf("revoke: %v", a)
		}
		acknowledged := time.Now()
		if a := c.verdict(c.nodes[0], "GET", "/api/v2/me/", "", th.present); a.status != http.StatusUnauthorized {
			t.Errorf("at the node that revoked it: %v", a)
		}
		var all sync.WaitGroup
		for _, n := range c.nodes[1:] {
			all.Go(func() {
				let := 0
				for { // until it is refused
					began := time.Now()
					a := c.askNode(n, "GET", "/api/v2/me/", "", th.present)
					switch after := began.Sub(acknowledged); {
					case a.status == http.StatusUnauthorized:
						t.Logf("heard within %v, %d let in", after.Round(time.Millisecond), let)
						return
					case a.status == http.StatusServiceUnavailable && after < servertest.Patience: // on a busy machine
						<-time.After(time.Millisecond)
						continue
					case a.status != http.StatusOK || after > age:
						c.undone.Add(1)
						t.Errorf("%v after the end: %v", after, a)
						return
					}
					let++
				}
			})
		}
		all.Wait()
		c.acknowledged.Add(1)
	}
	t.Logf("%d rounds: %v", rounds, c.figures)
}
