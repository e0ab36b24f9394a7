package sqltest

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A cluster is a store on each node of a Galera cluster.
type cluster struct {
	t     *testing.T
	nodes [galeraNodes]*sqlstore.Store
	app   int64
	born  atomic.Int64 // tokens that others minted
}

// galeraPlaces returns a place on each node. The settings are those of
// doc/databases.md.
func galeraPlaces(t *testing.T) (places [galeraNodes]place) {
	t.Helper()
	servers, err := sharedGalera()
	servertest.Check(t, err)
	prefix := freshPrefix()
	for n, s := range servers {
		places[n] = s.place
		places[n].Prefix = prefix
		places[n].DSN += "?interpolateParams=true&wsrep_sync_wait=7"
	}
	return places
}

// openCluster returns a cluster with tables of its own.
func openCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for n, p := range galeraPlaces(t) {
		c.nodes[n] = openIn(t, p.pool(t), p)
	}
	c.app = c.application("sqltest")
	return c
}

// application stores an application.
func (c *cluster) application(name string) int64 {
	c.t.Helper()
	a, err := c.nodes[0].InsertApplication(c.t.Context(), store.Application{ClientID: name, Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return a.ID
}

// token returns a new token of the cluster's application.
func (c *cluster) token(name string, now time.Time) store.Token {
	tok := tokenNamed(name, now)
	tok.ApplicationID = c.app
	tok.Refresh.Grant = store.DigestOf("grant " + name)
	return tok
}

// insert stores a token by a node.
func (c *cluster) insert(node int, tok store.Token) store.Token {
	c.t.Helper()
	tok, err := c.nodes[node].InsertToken(c.t.Context(), tok, limits)
	if err != nil {
		c.t.Fatal(err)
	}
	return tok
}

// everywhere runs do by all nodes at the same time, each of them times over, and
// returns how often it succeeded. It fails the test on an outage.
func (c *cluster) everywhere(times int, do func(st *sqlstore.Store, n int) error) (succeeded int) {
	c.t.Helper()
	results := make([]error, times*galeraNodes)
	var all []func()
	for n := range results {
		all = append(all, func() { results[n] = do(c.nodes[n%galeraNodes], n) })
	}
	together(all...)
	for _, err := range results {
		switch {
		case err == nil:
			succeeded++
		case !verdict(err):
			c.t.Errorf("an outage: %v", err)
		}
	}
	return succeeded
}

// verdict reports whether err is an answer of a store.
func verdict(err error) bool {
	for _, sentinel := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed, store.ErrLimit} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// alive returns the nodes that believe in an access token.
func (c *cluster) alive(name string) (nodes []int) {
	c.t.Helper()
	for n, st := range c.nodes {
		a, err := st.AccessByDigest(c.t.Context(), accessOf(name))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			c.t.Fatal(err)
		case a.Revoked.IsZero():
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// galeraRounds is how often each race is run.
const galeraRounds = 40

// Where all nodes of a cluster are written to, each promise of the contract holds
// that is kept by a row which the steps concerned write.
func TestGalera(t *testing.T) {
	c := openCluster(t)
	before := prepared(t)
	for _, race := range []struct {
		name string
		run  func(c *cluster, round int)
	}{
		{"a code is good once", (*cluster).codes},
		{"a refresh token is good once", (*cluster).refreshes},
		{"a used refresh token ends its family", (*cluster).reuse},
		{"a session is saved once", (*cluster).saves},
		{"a user has so many sessions", (*cluster).sessions},
		{"the end of a user's sessions", (*cluster).ends},
		{"a limit of attempts", (*cluster).attempts},
		{"attempts that are returned", func(c *cluster, round int) { mixedRound(c.t, c.nodes[:2], round) }},
		{"a limit of pending codes", (*cluster).pending},
		{"a user name is taken once", (*cluster).names},
		{"children of a revoked parent", (*cluster).children},
		{"children of a parent that is rotated and revoked", (*cluster).grandchildren},
		{"a limit of minted tokens, which simultaneous ones may exceed", (*cluster).minted},
		{"a limit of remembered keys", (*cluster).memories},
		{"tokens of a deleted application", (*cluster).deleted},
		{"tokens of a user whose tokens are revoked", (*cluster).revokedUser},
	} {
		t.Run(race.name, func(t *testing.T) {
			c.t = t
			for round := range galeraRounds {
				race.run(c, round)
			}
			if mints := strings.Contains(race.name, "parent") || strings.Contains(race.name, "minted"); mints && c.born.Swap(0) == 0 {
				t.Error("nothing was minted in any round")
			}
		})
	}
	if after := prepared(t); after != before {
		t.Errorf("statements were prepared: %v of each node before, %v after", before, after)
	}
}

// prepared returns how many statements each node has prepared.
func prepared(t *testing.T) (counts [galeraNodes]int) {
	t.Helper()
	servers, err := sharedGalera()
	servertest.Check(t, err)
	for n, s := range servers {
		var name string
		if err := s.place.pool(t).QueryRow("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'").Scan(&name, &counts[n]); err != nil {
			t.Fatal(err)
		}
	}
	return counts
}

// What would lose acknowledged writes on a cluster is refused, and what would answer
// late is logged.
func TestGaleraSettings(t *testing.T) {
	p := galeraPlaces(t)[0]
	openIn(t, p.pool(t), p)
	for _, tt := range []struct{ name, from, to, refused, logged string }{
		{"as documented", "", "", "", ""},
		{"the driver prepares", "interpolateParams=true", "interpolateParams=false", "interpolateParams=true", ""},
		{"the driver prepares what is long", "interpolateParams=true", "interpolateParams=true&maxAllowedPacket=8192", "maxAllowedPacket", ""},
		{"reads do not wait", "sync_wait=7", "sync_wait=0", "", "wsrep_sync_wait=7"},
		{"inserts do not wait", "sync_wait=7", "sync_wait=3", "", "wsrep_sync_wait=7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			p.DSN = strings.Replace(p.DSN, tt.from, tt.to, 1)
			var log strings.Builder
			opts := p.options()
			opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			st, err := sqlstore.Open(t.Context(), p.pool(t), p.Dialect, opts)
			if err == nil {
				st.Close()
			}
			if (err != nil) != (tt.refused != "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("Open = %v, want an error about %q", err, tt.refused)
			}
			if text := log.String(); (text != "") != (tt.logged != "") || !strings.Contains(text, tt.logged) {
				t.Errorf("log %q, want one about %q", text, tt.logged)
			}
		})
	}
}

// Three processes that migrate by different nodes at once all come through.
func TestGaleraMigration(t *testing.T) {
	places := galeraPlaces(t)
	migrateTogether(t, places[:])
	for _, p := range places {
		p.open(t)
	}
}

// So they do where the driver prepares, which Open refuses: Migrate prepares look-ups and
// its lock only, and sends what it changes as text.
func TestGaleraMigrationPrepared(t *testing.T) {
	places := galeraPlaces(t)
	var all []func()
	for _, p := range places {
		p.DSN = strings.Replace(p.DSN, "interpolateParams=true", "interpolateParams=false", 1)
		db := p.pool(t)
		all = append(all, func() {
			if err := sqlstore.Migrate(t.Context(), db, p.Dialect, p.options()); err != nil {
				t.Error(err)
			}
		})
	}
	together(all...)
	for _, p := range places {
		p.open(t)
	}
}
