package cached_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/cached"
	"github.com/ostiary/auth/store/memory"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// A database counts the queries for access tokens, and holds them up if it is told to.
type database struct {
	*memory.Store
	queries atomic.Int64
	answers func() // between the look and the answer; nil for at once
	deletes func() // between the first step of a deletion and its end; nil for one step
}

func (d *database) AccessByDigest(ctx context.Context, digest store.Digest) (store.Access, error) {
	d.queries.Add(1)
	a, err := d.Store.AccessByDigest(ctx, digest)
	if d.answers != nil {
		d.answers()
	}
	return a, err
}

// DeleteUser disables the user first, as a store may that needs many steps.
func (d *database) DeleteUser(ctx context.Context, id string, at time.Time) error {
	if d.deletes != nil {
		if _, err := d.ChangeUser(ctx, id, store.UserChange{Active: new(bool)}); err != nil {
			return err
		}
		d.deletes()
	}
	return d.Store.DeleteUser(ctx, id, at)
}

// asked returns how many queries f makes.
func (d *database) asked(f func()) int64 {
	before := d.queries.Load()
	f()
	return d.queries.Load() - before
}

// A world has a user, an application, and a token of both in a grant that can be
// refreshed.
type world struct {
	testing.TB
	db     *database
	user   store.User
	app    store.Application
	token  store.Token
	minted store.Token // by token
}

func digest(s string) store.Digest { return store.DigestOf(s) }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, db: &database{Store: memory.New()}}
	var err error
	if w.user, err = w.db.InsertUser(t.Context(), store.User{Name: "erika", Active: true}); err != nil {
		t.Fatal(err)
	}
	if _, err = w.db.InsertUser(t.Context(), store.User{Name: "root", Active: true, Admin: true}); err != nil {
		t.Fatal(err)
	}
	if w.app, err = w.db.InsertApplication(t.Context(), store.Application{ClientID: "client", Name: "app"}); err != nil {
		t.Fatal(err)
	}
	w.token = w.issue("first", 0)
	w.minted = w.issue("minted", w.token.Family)
	return w
}

func (w *world) record(name string) store.Token {
	now := time.Now()
	return store.Token{
		Digest: digest(name), UserID: w.user.ID, ApplicationID: w.app.ID, Scopes: "read", Created: now, Expires: now.Add(time.Hour),
		Refresh: store.Refresh{Digest: digest("refresh " + name), Scopes: "read", Expires: now.Add(time.Hour)},
	}
}

func (w *world) issue(name string, parent int64) store.Token {
	w.Helper()
	t := w.record(name)
	if t.ParentID = parent; parent != 0 {
		t.Expires, t.Refresh = t.Created.Add(time.Minute), store.Refresh{} // no later than the parent
	}
	t, err := w.db.InsertToken(w.Context(), t, store.InsertLimits{Depth: 1, Live: 10})
	if err != nil {
		w.Fatal(err)
	}
	return t
}

func (w *world) open(opts cached.Options) *cached.Store {
	w.Helper()
	opts.Logger = quiet
	st, err := cached.New(w.db, &opts)
	if err != nil {
		w.Fatal(err)
	}
	return st
}

func (w *world) access(st store.Tokens, d store.Digest) store.Access {
	w.Helper()
	a, err := st.AccessByDigest(w.Context(), d)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// A network is a bus in this process.
type network struct {
	mu        sync.Mutex
	listeners map[*listener]bool
	down      bool
}

type listener struct {
	messages chan string
	broken   chan struct{}
}

var errDown = errors.New("the network is down")

func newNetwork() *network { return &network{listeners: make(map[*listener]bool)} }

func (n *network) Publish(_ context.Context, message string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return errDown
	}
	for l := range n.listeners {
		l.messages <- message
	}
	return nil
}

func (n *network) Listen(ctx context.Context, receive func(string), lost func()) error {
	l := &listener{make(chan string, 100), make(chan struct{})}
	n.mu.Lock()
	if n.down {
		n.mu.Unlock()
		return errDown
	}
	n.listeners[l] = true
	n.mu.Unlock()
	lost()
	for {
		select {
		case m := <-l.messages:
			receive(m)
		case <-l.broken:
			return errDown
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// set breaks the network, or mends it.
func (n *network) set(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
	if down {
		for l := range n.listeners {
			delete(n.listeners, l)
			close(l.broken)
		}
	}
}
