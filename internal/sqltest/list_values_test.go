package sqltest

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// A database takes a limited number of values: SQLite 32766 in one statement, the
// others twice as many. Lists stay below that with as many filters as a request may
// have, for the applications of a whole page, and beside cut-offs.
func TestListsOfManyValues(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		db := p.pool(t)
		st := openIn(t, db, p)
		ctx := t.Context()
		now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
		var apps, organizations []int64
		for i := range int64(200) {
			a, err := st.InsertApplication(ctx, store.Application{ClientID: fmt.Sprint(i), Name: fmt.Sprint(i), OrganizationID: 1 + i%60, Created: now, Modified: now})
			if err != nil {
				t.Fatal(err)
			}
			apps, organizations = append(apps, a.ID), append(organizations, i+1)
		}
		insert := func(user string, app int64) store.Token {
			n := fmt.Sprint(user, " ", app, " ", time.Now())
			x, err := st.InsertToken(ctx, store.Token{Digest: store.DigestOf(n), UserID: user, ApplicationID: app, Created: now, Modified: now, Expires: now.Add(time.Hour)}, limits)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		cut := insert("0", apps[0])
		for i := range 64 {
			if _, err := st.RevokeTokens(ctx, store.Selection{UserID: fmt.Sprint(i), ApplicationID: apps[0]}, now); err != nil {
				t.Fatal(err)
			}
		}
		// As it is before the mark is made.
		if _, err := db.ExecContext(ctx, fmt.Sprintf("UPDATE %stokens SET revoked_at = NULL WHERE id = %d", cmp.Or(p.Prefix, "auth_"), cut.ID)); err != nil {
			t.Fatal(err)
		}
		for _, app := range apps {
			insert("0", app)
			insert("0", app)
		}
		many := store.Condition{Column: store.ColumnID}
		for i := range int64(100) {
			many.Values = append(many.Values, -i)
		}
		var where store.Where
		for range 20 {
			where = append(where, []store.Condition{many, {Column: store.ColumnUser, Is: store.Equal, Values: []any{"0"}}})
		}

		page := store.Page{Limit: 10}
		for name, f := range map[string]store.TokenFilter{
			"all":              {All: true},
			"own":              {UserID: "0"},
			"of organizations": {UserID: "0", Organizations: organizations},
			"of some":          {UserID: "0", Organizations: organizations[:18]},
		} {
			for _, f.Where = range []store.Where{nil, where} {
				want := 400
				list, n, err := st.ListTokens(ctx, f, page)
				if err != nil || n != want || len(list) != 10 || list[0].ID == cut.ID {
					t.Errorf("%s, %d filters: %d tokens of %d, want 10 of %d: %v", name, len(f.Where), len(list), n, want, err)
				}
				if f.Where != nil {
					continue // which nobody asks of a summary
				}
				sums, err := st.SummarizeTokens(ctx, apps, f, 1)
				if err != nil || len(sums) != len(apps) {
					t.Errorf("%s: %d summaries: %v", name, len(sums), err)
				}
				for i, sum := range sums {
					if sum.Total != 2 || len(sum.First) != 1 || sum.First[0].ID == cut.ID {
						t.Errorf("%s: application %d has %+v", name, apps[i], sum)
						break
					}
				}
			}
		}

		for i := range int64(64) {
			if _, err := st.InsertActivity(ctx, store.Activity{At: now, Operation: store.OperationCreate, Object: store.ObjectToken, UserID: "0", OrganizationID: i + 1}, 100); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []int{1, 64, 200} {
			for _, w := range []store.Where{nil, where} {
				list, n, err := st.ListActivities(ctx, store.ActivityFilter{UserID: "0", Organizations: organizations[:n], Where: w}, page)
				if err != nil || n != 64 || len(list) != 10 {
					t.Errorf("%d filters: %d activities of %d, want 10 of 64: %v", len(w), len(list), n, err)
				}
			}
		}
	})
}
