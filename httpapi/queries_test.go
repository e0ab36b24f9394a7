package httpapi_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// counted counts the reads that a list can be made of.
type counted struct {
	*memory.Store
	reads map[string]int
}

func (c *counted) UserByID(ctx context.Context, id string) (store.User, error) {
	c.reads["user"]++
	return c.Store.UserByID(ctx, id)
}

func (c *counted) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	c.reads["token"]++
	return c.Store.TokenByID(ctx, id)
}

func (c *counted) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	c.reads["list of tokens"]++
	return c.Store.ListTokens(ctx, f, p)
}

func (c *counted) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	c.reads["application"]++
	return c.Store.ApplicationByID(ctx, id)
}

func (c *counted) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	c.reads["list of applications"]++
	return c.Store.ListApplications(ctx, f, p)
}

func (c *counted) SummarizeTokens(ctx context.Context, apps []int64, f store.TokenFilter, most int) ([]store.TokenSummary, error) {
	c.reads["summaries"]++
	return c.Store.SummarizeTokens(ctx, apps, f, most)
}

// TestQueriesOfAPage holds that a page of 200 takes as many queries as one of 10,
// for a superuser, an administrator of an organization and a member.
func TestQueriesOfAPage(t *testing.T) { // F2
	var db *counted
	organizations := map[int64]int{}
	o := newOAuth(t, func(c *options) {
		c.db = func(m *memory.Store) database {
			db = &counted{m, map[string]int{}}
			return db
		}
		byID := c.tokens.Organizations.ByID
		c.tokens.Organizations.ByID = func(ctx context.Context, id int64) (auth.Organization, error) {
			organizations[id]++
			return byID(ctx, id)
		}
	})
	for i := range 200 {
		app, err := db.InsertApplication(t.Context(), store.Application{
			ClientID: fmt.Sprint("client ", i), Name: fmt.Sprint("app ", i), OrganizationID: int64(1 + i%2), GrantType: "password",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []store.User{o.member, o.orgadmin} {
			_, err := db.InsertToken(t.Context(), store.Token{Digest: store.DigestOf(fmt.Sprint(u.ID, " ", i)), UserID: u.ID, ApplicationID: app.ID, Scopes: "read"}, store.InsertLimits{})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(who with, target string, want int) map[string]int {
		t.Helper()
		clear(db.reads)
		clear(organizations)
		results := o.do("GET", target, who).wants(200).json()["results"].([]any)
		if len(results) != want {
			t.Fatalf("%s shows %d, want %d", target, len(results), want)
		}
		for id, n := range organizations {
			if n > 1 {
				t.Errorf("%s: organization %d is looked up %d times", target, id, n)
			}
		}
		return maps.Clone(db.reads)
	}
	for name, tt := range map[string]struct {
		who    with
		target string
		most   int
	}{
		"applications of a superuser":     {as("admin"), "/api/v2/applications/", 200},
		"applications of an auditor":      {as("auditor"), "/api/v2/applications/", 200},
		"applications of an organization": {as("orgadmin"), "/api/v2/applications/", 104},
		"applications of a member":        {as("member"), "/api/v2/applications/", 104},
		"tokens of a superuser":           {as("admin"), "/api/v2/tokens/", 200},
		"tokens of an organization":       {as("orgadmin"), "/api/v2/tokens/", 200},
		"tokens of a member":              {as("member"), "/api/v2/tokens/", 200},
		"tokens of a user":                {as("admin"), "/api/v2/users/member/tokens/", 200},
	} {
		few, many := count(tt.who, tt.target+"?page_size=10", 10), count(tt.who, tt.target+"?page_size=200", tt.most)
		if diff := cmp.Diff(few, many); diff != "" {
			t.Errorf("%s (-10 +%d):\n%s", name, tt.most, diff)
		}
		t.Log(name, many)
	}

	// Owners are the host's: each is looked up once.
	for i := range 30 {
		u := authtest.AddUser(t, db.Store, store.User{Name: fmt.Sprint("user ", i)}, "")
		for range 3 {
			o.token(u, "read")
		}
	}
	one, all := count(as("admin"), "/api/v2/tokens/?order_by=-id&page_size=3", 3), count(as("admin"), "/api/v2/tokens/?order_by=-id&page_size=90", 90)
	if got := all["user"] - one["user"]; got != 29 {
		t.Errorf("%d more users are looked up for 30 owners than for one", got)
	}
}
