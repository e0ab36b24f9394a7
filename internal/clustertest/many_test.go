package clustertest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
)

// TestMany measures requests on tables as large as OSTIARY_MANY says, a number of
// tokens, ten to a user. Without it the tables are small and the figures say nothing.
func TestMany(t *testing.T) {
	tokens := 5_000
	if text := os.Getenv("OSTIARY_MANY"); text != "" {
		var err error
		if tokens, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	p := newPostgres(t, "-c", "shared_buffers=512MB")
	c := newCluster(t, same(p.url()))
	began := time.Now()
	f := c.fill(p.url(), tokens/10, tokens)
	t.Logf("%d tokens of %d users filled in within %v", f.tokens, f.users, time.Since(began).Round(time.Millisecond))
	m := &measures{cluster: c, of: f, times: make(map[string][]time.Duration)}
	m.run(2000)
	m.print("without a purge")

	began = time.Now()
	p.must("UPDATE server_purges SET due = 0") // the new node asks within a second
	n := newNode(t, c.nodes[0].dir, p.url(), "-purge-interval", "4s")
	n.listens()
	db := p.pool()
	left := func() (n int) {
		if err := db.QueryRow("SELECT COUNT(*) FROM auth_tokens WHERE purge_at < $1 AND id >= $2",
			time.Now().Add(-48*time.Hour).UnixMicro(), firstToken).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for m.run(500); left() > 0; m.run(500) {
		if time.Since(began) > time.Duration(tokens)*time.Millisecond/2+servertest.Patience {
			t.Fatalf("%d rows are left", left())
		}
	}
	m.print(fmt.Sprintf("beside a purge of %d tokens, which took at most %v", tokens/10, time.Since(began).Round(time.Millisecond)))
	if c.outages.Load() > 0 {
		t.Logf("%d answers 503", c.outages.Load())
	}
}

// measures are times of requests, by what they do.
type measures struct {
	*cluster
	of filling

	lock  sync.Mutex
	times map[string][]time.Duration
}

// clients is how many ask at the same time.
const clients = 4

// run has all clients do so many things together.
func (m *measures) run(things int) {
	m.t.Helper()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range things / clients {
				m.step(m.of.personal[rand.IntN(len(m.of.personal))])
			}
		})
	}
	all.Wait()
}

// step does one thing at random.
func (m *measures) step(access string) {
	switch n := rand.IntN(100); {
	case n < 70:
		m.time("bearer", http.StatusOK, func() answer { return m.ask("GET", "/api/v2/me/", "", bearer(access)) })
	case n < 80:
		m.time("issue", http.StatusCreated, func() answer {
			return m.ask("POST", "/api/v2/tokens/", `{"scope": "write"}`, bearer(access))
		})
	case n < 90:
		m.time("list of a user", http.StatusOK, func() answer { return m.ask("GET", "/api/v2/tokens/", "", bearer(access)) })
	case n < 91:
		m.time("list of all", http.StatusOK, func() answer { return m.ask("GET", "/api/v2/tokens/", "", asAdmin) })
	default:
		if refresh := m.takeGrant(); refresh != "" {
			m.time("refresh", http.StatusOK, func() answer {
				_, _, a := m.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
				return a
			})
		}
	}
}

// takeGrant returns a refresh token that nobody else gets, and "" when all are used
// up.
func (m *measures) takeGrant() (refresh string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if len(m.of.grants) > 0 {
		refresh, m.of.grants = m.of.grants[0], m.of.grants[1:]
	}
	return refresh
}

// time measures a request, whose status must be the one wanted.
func (m *measures) time(what string, status int, do func() answer) {
	began := time.Now()
	a := do()
	d := time.Since(began)
	if a.status != status && !a.unanswered() {
		m.t.Errorf("%s: %v", what, a)
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.times[what] = append(m.times[what], d)
}

// print logs the times so far, and forgets them.
func (m *measures) print(when string) {
	m.t.Helper()
	load, _ := os.ReadFile("/proc/loadavg")
	m.t.Logf("%s, %d clients, load of the machine %.14s", when, clients, load)
	for _, what := range slices.Sorted(maps.Keys(m.times)) {
		all := m.times[what]
		slices.Sort(all)
		at := func(part float64) time.Duration {
			return all[int(part*float64(len(all)-1))].Round(10 * time.Microsecond)
		}
		m.t.Logf("%-15s %6d requests: p50 %v, p99 %v, the longest %v", what, len(all), at(0.5), at(0.99), at(1))
	}
	clear(m.times)
}
