package sqltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

var page1 = store.Page{Limit: 10}

const (
	hour      = time.Hour
	anyNumber = 1 << 30 // of codes may be pending
)

func accessOf(name string) store.Digest  { return store.DigestOf("access " + name) }
func refreshOf(name string) store.Digest { return store.DigestOf("refresh " + name) }
func sessionOf(name string) store.Digest { return store.DigestOf("session " + name) }

// tokenNamed returns a token whose digests follow from its name.
func tokenNamed(name string, now time.Time) store.Token {
	return store.Token{
		Digest: accessOf(name), UserID: "1", ApplicationID: 1, Scopes: "read", Created: now, Modified: now, Expires: now.Add(hour),
		Refresh: store.Refresh{Digest: refreshOf(name), Scopes: "read", Expires: now.Add(hour)},
	}
}

// A loader does what a service does, on records of its own, and tells about it:
// "try" before each step and "ok" after it was acknowledged.
type loader struct {
	st   *sqlstore.Store
	tell func(format string, args ...any)
}

// run loads until an error, which the end of ctx is too.
func (l loader) run(ctx context.Context, salt string) error {
	for n := 0; ; n++ {
		if err := l.once(ctx, fmt.Sprintf("%s-%d", salt, n)); err != nil {
			return err
		}
	}
}

func (l loader) step(do func() error, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	l.tell("try %s", text)
	if err := do(); err != nil {
		l.tell("err %s: %v", text, err)
		return err
	}
	l.tell("ok %s", text)
	return nil
}

func (l loader) once(ctx context.Context, name string) error {
	var tok store.Token
	err := l.step(func() (err error) {
		tok, err = l.st.InsertToken(ctx, tokenNamed(name, time.Now()), limits)
		return err
	}, "issue %s", name)
	if err != nil {
		return err
	}
	for n := range rand.N(3) {
		next := fmt.Sprintf("%s.%d", strings.SplitN(name, ".", 2)[0], n)
		err := l.step(func() error {
			now := time.Now()
			_, err := l.st.Rotate(ctx, store.Rotation{Refresh: refreshOf(name), ApplicationID: 1, Revision: 1, At: now, Token: tokenNamed(next, now)})
			return err
		}, "rotate %s %s", name, next)
		if err != nil {
			return err
		}
		name = next
	}
	if rand.N(2) == 0 {
		err := l.step(func() error {
			_, err := l.st.RevokeTokens(ctx, store.Selection{Family: tok.Family}, time.Now())
			return err
		}, "revoke %s", name)
		if err != nil {
			return err
		}
	}
	err = l.step(func() error {
		now := time.Now()
		_, _, err := l.st.InsertSession(ctx, store.Session{Digest: sessionOf(name), UserID: "1", Created: now, Seen: now, Expires: now.Add(hour)}, store.Digest{}, 0)
		return err
	}, "login %s", name)
	if err != nil || rand.N(2) == 0 {
		return err
	}
	return l.step(func() error {
		_, err := l.st.EndSessions(ctx, store.SessionSelection{Digest: sessionOf(name)}, store.EndedLogout, time.Now())
		return err
	}, "logout %s", name)
}

// loadArgs are the arguments of loadChild.
type loadArgs struct {
	Place   place
	Salt    string
	Workers int
	Pragma  string // to run before the load, on its only connection; "" for none
}

func loadChild(args []byte) error {
	var a loadArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	db, err := a.Place.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st, err := sqlstore.Open(ctx, db, a.Place.Dialect, a.Place.options())
	if err != nil {
		return err
	}
	if a.Pragma != "" {
		db.SetMaxOpenConns(1)
		if _, err := db.Exec(a.Pragma); err != nil {
			return err
		}
	}
	go func() { // the parent may have gone
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	loadAll(ctx, st, a.Salt, a.Workers, func(line string) { os.Stdout.WriteString(line + "\n") })
	return nil
}

// loadAll runs workers, each until its first error.
func loadAll(ctx context.Context, st *sqlstore.Store, salt string, workers int, tell func(string)) {
	var mu sync.Mutex
	l := loader{st, func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		tell(fmt.Sprintf(format, args...))
	}}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { l.run(ctx, fmt.Sprintf("%s-%d", salt, w)) })
	}
	wg.Wait()
}

// A ledger is what a load told.
type ledger struct {
	tokens, sessions map[string]bool // whether it must be live
	pending          map[string]bool // steps nobody knows the outcome of
	acknowledged     int
	lost             int
}

func newLedger() *ledger {
	return &ledger{tokens: map[string]bool{}, sessions: map[string]bool{}, pending: map[string]bool{}}
}

func (l *ledger) note(line string) {
	kind, step, _ := strings.Cut(line, " ")
	switch kind {
	case "try":
		l.pending[step] = true
	case "ok":
		delete(l.pending, step)
		l.acknowledged++
		f := strings.Fields(step)
		switch f[0] {
		case "issue":
			l.tokens[f[1]] = true
		case "rotate":
			l.tokens[f[1]], l.tokens[f[2]] = false, true
		case "revoke":
			l.tokens[f[1]] = false
		case "login":
			l.sessions[f[1]] = true
		case "logout":
			l.sessions[f[1]] = false
		}
	}
}

// check compares the ledger with what is stored. A pending step has happened
// wholly or not at all.
func (l *ledger) check(t testing.TB, st *sqlstore.Store) {
	t.Helper()
	// The state of a record: absent, live or dead.
	token := func(name string) string {
		a, err := st.AccessByDigest(context.Background(), accessOf(name))
		return state(t, a.Revoked, err)
	}
	session := func(name string) string {
		v, _, err := st.SessionByDigest(context.Background(), sessionOf(name))
		return state(t, v.Ended, err)
	}
	// pair is the state of two at one moment: a server may still be busy with
	// what a program sent before it was killed.
	pair := func(name, other string) string {
		for {
			a, b := token(name), token(other)
			if token(name) == a {
				return a + " " + b
			}
		}
	}
	open := map[string]bool{}
	for step := range l.pending {
		f := strings.Fields(step)
		var got string
		var want []string
		switch f[0] {
		case "issue":
			got, want = token(f[1]), []string{"absent", "live"}
		case "rotate":
			got, want = pair(f[1], f[2]), []string{"live absent", "dead live"}
		case "revoke":
			got, want = token(f[1]), []string{"live", "dead"}
		case "login":
			got, want = session(f[1]), []string{"absent", "live"}
		case "logout":
			got, want = session(f[1]), []string{"live", "dead"}
		}
		for _, name := range f[1:] {
			open[name] = true
		}
		if got != want[0] && got != want[1] {
			t.Errorf("%s was done by halves: %s", step, got)
		}
	}
	verify := func(kind, name, got string, live bool) {
		if open[name] {
			return
		}
		want := "dead"
		if live {
			want = "live"
		}
		if got != want {
			t.Errorf("%s %s is %s, acknowledged was %s", kind, name, got, want)
			l.lost++
		}
	}
	for name, live := range l.tokens {
		verify("token", name, token(name), live)
	}
	for name, live := range l.sessions {
		verify("session", name, session(name), live)
	}
}

func state(t testing.TB, ended time.Time, err error) string {
	t.Helper()
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "absent"
	case err != nil:
		t.Fatal(err)
	case ended.IsZero():
		return "live"
	}
	return "dead"
}
