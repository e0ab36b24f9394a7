package sqltest

import (
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/sqlstore"
)

// A listing is a page of tokens that somebody asks for.
type listing struct {
	name   string
	filter store.TokenFilter
	page   store.Page
}

// listings returns pages of 50 of rows tokens of the user 1, which were issued to
// an application of organization 0.
func listings(rows int) []listing {
	user, all, org := store.TokenFilter{UserID: "1"}, store.TokenFilter{All: true}, store.TokenFilter{Organizations: []int64{0}}
	both := store.TokenFilter{UserID: "1", Organizations: []int64{0}}
	first := store.Page{Limit: 50}
	ordered := func(by store.OrderBy) store.Page { return store.Page{Limit: 50, Order: by, Descending: true} }
	deep := store.Page{Limit: 50, Offset: rows - 100}
	return []listing{
		{"user/first", user, first},
		{"user/last", user, ordered(store.OrderID)},
		{"user/deep", user, deep},
		{"user/created", user, ordered(store.OrderCreated)},
		{"user/modified", user, ordered(store.OrderModified)},
		{"user/expires", user, ordered(store.OrderExpires)},
		{"user/used", user, ordered(store.OrderLastUsed)},
		{"all/first", all, first},
		{"all/created", all, ordered(store.OrderCreated)},
		{"organization/first", org, first},
		{"organization/created", org, ordered(store.OrderCreated)},
		{"both/first", both, first},
		{"application/first", store.TokenFilter{All: true, ApplicationID: 1}, first},
		{"scope/first", store.TokenFilter{All: true, Scopes: "read write"}, first},
	}
}

// BenchmarkLists measures pages of 50 tokens beside a floor: 50 look-ups of one
// token each. OSTIARY_ROWS says of how many tokens.
func BenchmarkLists(b *testing.B) {
	for _, rows := range benchRows() {
		b.Run(fmt.Sprint("memory/", rows), func(b *testing.B) {
			st := memory.New()
			now := time.Now()
			serve(b, st)
			if _, err := st.InsertUser(b.Context(), store.User{Name: "bench", Active: true, Created: now}); err != nil {
				b.Fatal(err)
			}
			for i := range rows {
				tok := tokenNamed(strconv.Itoa(i), now)
				tok.UserID, tok.Scopes = "1", "read write"
				if _, err := st.InsertToken(b.Context(), tok, limits); err != nil {
					b.Fatal(err)
				}
			}
			benchLists(b, st, rows)
		})
	}
	benchStores(b, func(b *testing.B, st *sqlstore.Store, db *sql.DB, p place, rows int) {
		benchLists(b, st, rows)
		// A revocation of something else, which a list has to look at.
		if _, err := st.RevokeTokens(b.Context(), store.Selection{UserID: "nobody"}, time.Now()); err != nil {
			b.Fatal(err)
		}
		b.Run("cut", func(b *testing.B) { benchLists(b, st, rows) })
	})
}

func benchLists(b *testing.B, st store.OAuth, rows int) {
	b.Run("floor", func(b *testing.B) {
		reportMedian(b, func() error {
			for i := range 50 {
				if _, err := st.TokenByDigest(b.Context(), accessOf(strconv.Itoa(i))); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for _, l := range listings(rows) {
		for name, to := range map[string]int{"counted": 0, "uncounted": -1} {
			l.page.CountTo = to
			b.Run(l.name+"/"+name, func(b *testing.B) {
				reportMedian(b, func() error {
					list, _, err := st.ListTokens(b.Context(), l.filter, l.page)
					if err == nil && len(list) != 50 {
						err = fmt.Errorf("%d tokens", len(list))
					}
					return err
				})
			})
		}
	}
}

func reportMedian(b *testing.B, f func() error) {
	b.Helper()
	var times []time.Duration
	for b.Loop() {
		begun := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "median-µs")
	b.ReportMetric(0, "ns/op")
}
