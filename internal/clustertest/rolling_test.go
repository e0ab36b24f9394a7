package clustertest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// drain is how long a node goes on after SIGTERM; a balancer asks four times as
// often.
const (
	drain = "400ms"
	probe = 100 * time.Millisecond
)

// Servers that are replaced one after the other fail no request: the client asks
// those whose readiness is good, and tries again only where nobody listened or the
// answer was 503.
func TestRollingRestart(t *testing.T) {
	c := newCluster(t, same(newPostgres(t).url()), "-drain", drain)
	c.retries = true
	c.balance()
	c.underTraffic(func() {
		for range 2 {
			for _, n := range c.nodes {
				c.more(&c.acknowledged, 15)
				n.stop()
				n.start()
				n.listens()
			}
		}
		c.more(&c.acknowledged, 15)
	})
	c.settle()
}

// balance has clients ask those nodes that were ready a moment ago.
func (c *cluster) balance() {
	var ready atomic.Pointer[[]*node]
	ready.Store(&c.nodes)
	stop := make(chan struct{})
	var probing sync.WaitGroup
	probing.Go(func() {
		tick := time.NewTicker(probe)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			var good []*node
			for _, n := range c.nodes {
				if c.ready(n) {
					good = append(good, n)
				}
			}
			if len(good) > 0 {
				ready.Store(&good)
			}
		}
	})
	c.t.Cleanup(func() { close(stop); probing.Wait() })
	c.pick = func() *node {
		good := *ready.Load()
		return good[rand.IntN(len(good))]
	}
}
