package sqltest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/pgbus"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/cached"
)

// caches are what processes that share a PostgreSQL keep.
type caches struct {
	testing.TB
	place  place
	nodes  []*cached.Store
	tokens []store.Token
}

// newCaches returns three caches that hear each other, and a user with tokens.
func newCaches(t *testing.T, p place, maxAge time.Duration) *caches {
	t.Helper()
	c := &caches{TB: t, place: p}
	st, db := p.openDB(t)
	u, err := st.InsertUser(t.Context(), store.User{Name: "cached", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		now := time.Now()
		tok, err := st.InsertToken(t.Context(), store.Token{Digest: accessOf(name), UserID: u.ID, Created: now, Expires: now.Add(hour)}, limits)
		if err != nil {
			t.Fatal(err)
		}
		c.tokens = append(c.tokens, tok)
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(stop)
	for range 3 {
		bus, err := pgbus.New(db, p.DSN, &pgbus.Options{Channel: p.Prefix + "changes", Check: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		node, err := cached.New(p.open(t), &cached.Options{MaxAge: maxAge, Bus: bus, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, node)
		all.Go(func() {
			if err := node.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		})
	}
	c.listening(3)
	return c
}

// listening waits until that many connections listen.
func (c *caches) listening(n int) {
	c.Helper()
	db := c.place.pool(c)
	c.eventually("all listen", func() bool {
		var found int
		err := db.QueryRow("SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'listens to " + c.place.Prefix + "changes' AND state = 'idle'").Scan(&found)
		return err == nil && found == n
	})
}

func (c *caches) eventually(what string, done func() bool) time.Duration {
	c.Helper()
	begun := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Since(begun) > servertest.Patience {
			c.Fatalf("%s: not within %v", what, servertest.Patience)
		}
		<-tick.C
	}
	return time.Since(begun)
}

// live reports whether a node takes a token for live.
func (c *caches) live(node, token int) bool {
	c.Helper()
	a, err := c.nodes[node].AccessByDigest(c.Context(), c.tokens[token].Digest)
	if err != nil {
		c.Fatal(err)
	}
	return a.Revoked.IsZero()
}

func (c *caches) revoke(node, token int) {
	c.Helper()
	if _, err := c.nodes[node].RevokeTokens(c.Context(), store.Selection{TokenID: c.tokens[token].ID}, time.Now()); err != nil {
		c.Fatal(err)
	}
}

// A revocation by one process is seen at once by it, and by the others with the message,
// long before the answers are too old. After connections broke they hear again.
func TestCachesHearEachOther(t *testing.T) {
	d := databases()[1] // PostgreSQL
	c := newCaches(t, d.fresh(t), time.Minute)
	all := func(token int) {
		for node := range c.nodes {
			if !c.live(node, token) {
				t.Fatalf("node %d: token %d is dead", node, token)
			}
		}
	}
	all(0)
	c.revoke(0, 0)
	if c.live(0, 0) {
		t.Error("the process that revoked the token lets it pass")
	}
	for node := 1; node < 3; node++ {
		t.Logf("node %d heard of it after %v", node, c.eventually("hear of a revocation", func() bool { return !c.live(node, 0) }).Round(time.Millisecond))
	}
	all(1)
	// Nobody can be told of this one: the listeners come back to it.
	db := c.place.pool(t)
	if _, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listens to " + c.place.Prefix + "changes'"); err != nil {
		t.Fatal(err)
	}
	c.revoke(0, 1)
	for node := 1; node < 3; node++ {
		c.eventually("hear of a revocation while nobody listens", func() bool { return !c.live(node, 1) })
	}
	c.listening(3)
	all(2)
	c.revoke(2, 2)
	for node := range 2 {
		c.eventually("hear of a revocation after the connections broke", func() bool { return !c.live(node, 2) })
	}
}

// While the database is down an answer counts for MaxAge, and then there is none: an
// outage, never a dead or a live token. Afterwards everything works again.
func TestCachesWithoutDatabase(t *testing.T) {
	server := need(t, newPostgres)
	c := newCaches(t, server.place, 500*time.Millisecond)
	c.live(1, 0)
	server.kill()
	<-server.process.Exited
	c.eventually("answers end", func() bool {
		a, err := c.nodes[1].AccessByDigest(t.Context(), c.tokens[0].Digest)
		if err == nil && !a.Revoked.IsZero() || errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%v, %v while the database is down", a, err)
		}
		return err != nil
	})
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	c.eventually("the database answers", func() bool {
		_, err := c.nodes[0].RevokeTokens(t.Context(), store.Selection{TokenID: c.tokens[0].ID}, time.Now())
		return err == nil
	})
	for node := range c.nodes {
		c.eventually("hear of a revocation after the database was down", func() bool {
			a, err := c.nodes[node].AccessByDigest(t.Context(), c.tokens[0].Digest)
			return err == nil && !a.Revoked.IsZero()
		})
	}
}
