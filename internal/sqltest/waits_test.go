package sqltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// While a large application is deleted and as much is purged, nobody else waits
// for it: logins, refreshes and revocations take no longer than a step of it.
func TestNobodyWaitsForBulk(t *testing.T) {
	const many, bound = 100_000, 100 * time.Millisecond
	p := freshOn(sharedPostgres)(t)
	st, db := p.openDB(t)
	ctx := context.Background()
	big, err := st.InsertApplication(ctx, store.Application{ClientID: "big", Name: "big"})
	if err != nil {
		t.Fatal(err)
	}
	tok := tokenNamed("big", time.Now())
	tok.ApplicationID, tok.Refresh, tok.UserID = big.ID, store.Refresh{}, "big"
	if tok, err = st.InsertToken(ctx, tok, limits); err != nil {
		t.Fatal(err)
	}
	copies := func(what, ends string) {
		t.Helper()
		statement := `
			INSERT INTO auth_tokens (digest, user_id, application_id, scopes, audience, addresses, epoch, description,
				created_at, modified_at, expires_at, refresh_scopes, ends_at, purge_at, parent_id, independent, root_id,
				ancestors, via_id, refresh_number, seq, successor_id, minted, revision, family)
			SELECT sha256(('` + what + `' || g)::bytea), user_id, application_id, scopes, audience, addresses, epoch, description,
				created_at, modified_at, expires_at, refresh_scopes, ` + ends + `, ` + ends + `, parent_id, independent, root_id,
				ancestors, via_id, refresh_number, seq, successor_id, minted, revision, -g
			FROM auth_tokens, generate_series(1, $2::int) g WHERE id = $1`
		if _, err := db.Exec(strings.ReplaceAll(statement, "auth_", p.Prefix), tok.ID, many); err != nil {
			t.Fatal(err)
		}
	}
	copies("live", "ends_at")
	copies("ended", "1")
	if _, err := db.Exec("ANALYZE " + p.Prefix + "tokens"); err != nil {
		t.Fatal(err)
	}

	quiet := whileBusy(t, st, "quiet", func() {
		for n := range 100 {
			useOthers(t, st, fmt.Sprintf("q%d", n))
		}
	})
	bulk := whileBusy(t, st, "bulk", func() {
		if d := took(func() { err = st.DeleteApplication(ctx, big.ID, time.Now()) }); err != nil || d > 10*time.Second {
			t.Errorf("the deletion took %v: %v", d, err)
		}
		end := time.Now().Add(10 * time.Second)
		for removed := 1; removed > 0 && err == nil && time.Now().Before(end); {
			removed, err = st.Purge(ctx, time.Now().Add(-hour), 500)
		}
		if err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	// A machine that has other work to do is slow without any bulk, too.
	for what, all := range bulk {
		p99, most := all[len(all)*99/100], max(bound, 4*quiet[what][len(quiet[what])-1])
		t.Logf("%s: %d times, half within %v, 99 %% within %v, at most %v; bound %v", what, len(all), all[len(all)/2], p99, all[len(all)-1], most)
		if p99 > most || all[len(all)-1] > 10*most {
			t.Errorf("%s: 99 %% took up to %v, all up to %v", what, p99, all[len(all)-1])
		}
	}
}

// whileBusy returns how long the calls of others take, in order, while do runs.
func whileBusy(t *testing.T, st *sqlstore.Store, name string, do func()) map[string][]time.Duration {
	var busy sync.WaitGroup
	var over atomic.Bool
	busy.Go(func() {
		defer over.Store(true)
		do()
	})
	var mu sync.Mutex
	waits := map[string][]time.Duration{}
	for w := range 4 {
		busy.Go(func() {
			for n := 0; !over.Load(); n++ {
				for what, d := range useOthers(t, st, fmt.Sprintf("%s%d.%d", name, w, n)) {
					mu.Lock()
					waits[what] = append(waits[what], d)
					mu.Unlock()
				}
			}
		})
	}
	busy.Wait()
	for _, all := range waits {
		slices.Sort(all)
	}
	return waits
}

// useOthers logs in, refreshes and revokes, and returns how long each took.
func useOthers(t *testing.T, st *sqlstore.Store, name string) map[string]time.Duration {
	ctx, now := context.Background(), time.Now()
	var first store.Token
	steps := []struct {
		what string
		do   func() error
	}{
		{"login", func() error {
			_, err := st.Charge(ctx, []store.Charge{{Key: name, Limit: store.Limit{Max: 9, Window: hour}}}, now)
			if err != nil {
				return err
			}
			_, _, err = st.InsertSession(ctx, store.Session{Digest: sessionOf(name), UserID: name, Created: now, Seen: now, Expires: now.Add(hour)}, store.Digest{}, 5)
			return err
		}},
		{"issue", func() (err error) {
			first, err = st.InsertToken(ctx, tokenNamed(name, now), limits)
			return err
		}},
		{"refresh", func() error {
			_, err := st.Rotate(ctx, store.Rotation{
				Refresh: first.Refresh.Digest, ApplicationID: 1, Revision: first.Revision, At: now, Token: tokenNamed(name+"'", now),
			})
			return err
		}},
		{"revocation", func() error {
			_, err := st.RevokeTokens(ctx, store.Selection{Family: first.Family}, now)
			return err
		}},
	}
	times := map[string]time.Duration{}
	for _, s := range steps {
		var err error
		times[s.what] = took(func() { err = s.do() })
		if err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
	}
	return times
}
