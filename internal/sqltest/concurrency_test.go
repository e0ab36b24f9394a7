package sqltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// together runs all at the same time.
func together(all ...func()) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, f := range all {
		wg.Go(func() {
			<-begin
			f()
		})
	}
	close(begin)
	wg.Wait()
}

// A revocation ends a family that is being rotated at the same time: it must not
// miss the successor because it looked before that was committed.
func TestRevocationMeetsRotation(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		a, b := p.open(t), p.open(t)
		for n := range 40 {
			now := time.Now()
			user := fmt.Sprintf("u%d", n)
			named := func(i int) store.Token {
				tok := tokenNamed(fmt.Sprintf("%s.%d", user, i), now)
				tok.UserID, tok.Refresh.Grant = user, store.DigestOf(user)
				return tok
			}
			first, err := a.InsertToken(t.Context(), named(0), limits)
			if err != nil {
				t.Fatal(err)
			}
			sel := store.Selection{UserID: user}
			if n%2 == 0 {
				sel = store.Selection{Family: first.Family}
			}
			together(func() {
				for i := range 5 {
					_, err := a.Rotate(t.Context(), store.Rotation{
						Refresh: named(i).Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: named(i + 1),
					})
					if errors.Is(err, store.ErrNotFound) {
						return // revoked
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}, func() {
				if _, err := b.RevokeTokens(t.Context(), sel, now); err != nil {
					t.Error(err)
				}
			})
			if list, _, err := a.ListTokens(t.Context(), store.TokenFilter{UserID: user}, page1); err != nil || len(list) != 0 {
				t.Fatalf("round %d: live after the revocation: %v, %v", n, list, err)
			}
		}
	})
}

// No order of a revocation and the minting of children and grandchildren leaves
// one of them alive.
func TestRevocationMeetsMinting(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		a, b := p.open(t), p.open(t)
		for n := range 40 {
			now := time.Now()
			user := fmt.Sprintf("u%d", n)
			insert := func(name string, parent int64) (int64, error) {
				tok := tokenNamed(user+name, now)
				tok.UserID, tok.ParentID = user, parent
				tok, err := a.InsertToken(t.Context(), tok, limits)
				if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
				return tok.ID, err
			}
			root, err := insert("", 0)
			if err != nil {
				t.Fatal(err)
			}
			mint := func(name string) {
				id := root
				var err error
				for i := 0; i < 4 && err == nil; i++ {
					id, err = insert(fmt.Sprintf("%s%d", name, i), id)
				}
			}
			together(func() { mint("x") }, func() { mint("y") }, func() {
				if _, err := b.RevokeTokens(t.Context(), store.Selection{TokenID: root}, now); err != nil {
					t.Error(err)
				}
			})
			if list, _, err := a.ListTokens(t.Context(), store.TokenFilter{UserID: user}, page1); err != nil || len(list) != 0 {
				t.Fatalf("round %d: live after the revocation: %v, %v", n, list, err)
			}
		}
	})
}

// Where the pool is exhausted a call waits no longer than its deadline, and
// reports an outage. A look-up has a deadline of its own.
func TestExhaustedPool(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		p.open(t) // migrates
		db := p.pool(t)
		opts := p.options()
		opts.Timeout, opts.LookupTimeout = 1000*hour, 500*time.Millisecond
		st, err := sqlstore.Open(t.Context(), db, p.Dialect, opts)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if _, err := st.InsertToken(t.Context(), tokenNamed("x", time.Now()), limits); err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := st.RevokeTokens(ctx, store.Selection{UserID: "1"}, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("RevokeTokens = %v", err)
		}
		if _, err := st.AccessByDigest(t.Context(), accessOf("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("AccessByDigest = %v", err)
		}
		conn.Close()
		_, err = st.AccessByDigest(t.Context(), accessOf("x"))
		for deadline := time.Now().Add(servertest.Patience); err != nil && time.Now().Before(deadline); {
			_, err = st.AccessByDigest(t.Context(), accessOf("x"))
		}
		if err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// One connection is enough for everything: no method waits for a second one
// while it has one.
func TestOneConnectionIsEnough(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st, db := fresh(t).openDB(t)
		db.SetMaxOpenConns(1)
		putTogether(t, st)
	})
}

// A context that has ended before the call changes nothing.
func TestEndedContext(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st := fresh(t).open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := st.InsertToken(ctx, tokenNamed("x", time.Now()), limits); !errors.Is(err, context.Canceled) {
			t.Errorf("InsertToken = %v", err)
		}
		if _, err := st.AccessByDigest(ctx, accessOf("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("AccessByDigest = %v", err)
		}
		if _, err := st.AccessByDigest(t.Context(), accessOf("x")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("AccessByDigest = %v", err)
		}
	})
}

// Text with NUL or invalid UTF-8 does not reach a driver: it is not found, and
// it is not stored.
func TestOddTextDoesNotReachTheDriver(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		_, _ = p.openDB(t)
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		tap.arm(0, fails, nil)
		for _, text := range []string{"a\x00", "\xff", "\xed\xa0\x80"} {
			if _, err := st.UserByName(t.Context(), text); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("UserByName(%q) = %v", text, err)
			}
			if _, err := st.ApplicationByClientID(t.Context(), text); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("ApplicationByClientID(%q) = %v", text, err)
			}
			if list, n, err := st.ListTokens(t.Context(), store.TokenFilter{All: true, Search: text}, page1); len(list) != 0 || n != 0 || err != nil {
				t.Errorf("ListTokens(%q) = %v, %d, %v", text, list, n, err)
			}
		}
		if n := tap.counted(); n != 0 {
			t.Errorf("the driver was called %d times", n)
		}
		for _, text := range []string{"a\x00", "\xff"} {
			if _, err := st.InsertUser(t.Context(), store.User{Name: text}); err == nil {
				t.Errorf("InsertUser(%q) succeeds", text)
			}
			if _, err := st.InsertApplication(t.Context(), store.Application{Name: "a", ClientID: "c", RedirectURIs: []string{text}}); err == nil {
				t.Errorf("InsertApplication(%q) succeeds", text)
			}
			// All databases say what could not be done, and why.
			tok, session := tokenNamed("odd", time.Now()), sessionNamed("odd", "u", time.Now())
			tok.Description, session.Agent = text, text
			child := tok
			child.ParentID = 1
			_, err1 := st.InsertToken(t.Context(), tok, store.InsertLimits{})
			_, err2 := st.InsertToken(t.Context(), child, limits)
			_, err3 := st.ImportTokens(t.Context(), []store.Token{tok})
			_, _, err4 := st.InsertSession(t.Context(), session, store.Digest{}, 0)
			for i, want := range []string{"insert a token", "insert a token", "import tokens", "insert a session"} {
				want = "sqlstore: " + want + ": sqlstore: text with NUL or invalid UTF-8"
				if got := fmt.Sprint([]error{err1, err2, err3, err4}[i]); got != want {
					t.Errorf("%q: %q, want %q", text, got, want)
				}
			}
		}
	})
}
