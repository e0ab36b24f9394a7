package sqltest

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// An orders says of the orders of a list why no index has it in them, "" where one has.
// Without an index the list is sorted up to [store.MaxCount], and refused beyond it, but for ofMany.
type orders map[store.OrderBy]string

const (
	ofUses   = "each use of a token would write a new version of its row, and into every index of it"
	ofOthers = "each new token would write into a further index of all, and the order by ID is nearly the same"
	ofSome   = "no organization has as many applications, and its order by name has one"
	ofMany   = "who administers several organizations has their applications sorted: never refused, and few have many"
)

var (
	ofOneUser     = orders{store.OrderID: "", store.OrderCreated: "", store.OrderModified: "", store.OrderExpires: "", store.OrderLastUsed: ofUses}
	ofSeveral     = orders{store.OrderID: "", store.OrderCreated: ofOthers, store.OrderModified: ofOthers, store.OrderExpires: ofOthers, store.OrderLastUsed: ofUses}
	ofUsers       = orders{store.OrderID: "", store.OrderName: "", store.OrderCreated: ""}
	ofActivities  = orders{store.OrderCreated: ""}
	ofSessions    = orders{store.OrderCreated: ""}
	ofAllApps     = orders{store.OrderID: "", store.OrderOrganization: "", store.OrderName: "", store.OrderCreated: "", store.OrderModified: ""}
	ofOneOwner    = orders{store.OrderOrganization: "", store.OrderName: "", store.OrderID: ofSome, store.OrderCreated: ofSome, store.OrderModified: ofSome}
	ofManyOwners  = orders{store.OrderOrganization: ofMany, store.OrderName: ofSome, store.OrderID: ofSome, store.OrderCreated: ofSome, store.OrderModified: ofSome}
	onlyOnePerson = orders{store.OrderID: "a list of one", store.OrderName: "a list of one"}
)

// Every order that the API describes has a place in the tables above. The tests of long lists
// go through those of one user, of several, of all applications and of one organization. Other things that a page of a list can read more for are: what
// a filter without an index passes over until the page is full; what stands before the first
// page after a jump beyond record MaxCount; page=last, which counts all; consents, which the
// API does not list, and which their user approved one by one: they are sorted; and in
// store/memory, what stands before a page.
func TestEveryOrderHasAPlace(t *testing.T) {
	t.Parallel()
	st, quiet := memory.New(), slog.New(slog.DiscardHandler)
	passwords := auth.Must(auth.NewPasswords(st, st, &auth.PasswordsOptions{Hasher: plainHasher{}, Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(st, st, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens,
		Accounts: auth.Must(auth.NewAccounts(st, passwords, &auth.AccountsOptions{Logger: quiet})),
		OAuth:    auth.Must(oauth.NewServer(tokens, st, st, &oauth.Options{Logger: quiet})),
		Activity: auth.Must(activity.NewStream(st, &activity.Options{Logger: quiet})),
	}))
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "http://app.example/api/v2/schema/", nil))
	var document struct {
		Paths map[string]struct {
			Get struct {
				Parameters []struct{ Name, Description string }
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	fields := map[string]store.OrderBy{
		"id": store.OrderID, "created": store.OrderCreated, "modified": store.OrderModified, "expires": store.OrderExpires,
		"last_used": store.OrderLastUsed, "name": store.OrderName, "username": store.OrderName, "organization": store.OrderOrganization,
		"timestamp": store.OrderCreated,
	}
	lists := 0
	for path, methods := range document.Paths {
		for _, p := range methods.Get.Parameters {
			_, described, is := strings.Cut(p.Description, "Fields: ")
			if p.Name != "order_by" || !is {
				continue
			}
			lists++
			tables := tablesOf(path)
			if tables == nil {
				t.Errorf("the list %s has no table", path)
			}
			for field := range strings.SplitSeq(strings.TrimSuffix(described, "."), ", ") {
				order, known := fields[strings.TrimPrefix(field, "-")]
				if strings.Contains(path, "activity_stream") {
					order = store.OrderCreated // entries have a number in this order
				}
				for _, table := range tables {
					if _, has := table[order]; !has || !known {
						t.Errorf("%s: order_by=%s has no place in a table", path, field)
					}
				}
			}
		}
	}
	if lists < 10 {
		t.Errorf("%d lists were described", lists)
	}
}

// tablesOf returns the tables that have the lists of a path, for each caller who sees others.
func tablesOf(path string) []orders {
	switch last := path[strings.LastIndex(strings.TrimSuffix(path, "/"), "/")+1:]; last {
	case "tokens/", "authorized_tokens/", "personal_tokens/":
		return []orders{ofOneUser, ofSeveral}
	case "applications/":
		return []orders{ofAllApps, ofOneOwner, ofManyOwners}
	case "users/":
		return []orders{ofUsers}
	case "me/":
		return []orders{onlyOnePerson}
	case "activity_stream/":
		return []orders{ofActivities}
	case "sessions/":
		return []orders{ofSessions}
	}
	return nil
}

// The tables have every order of package store.
func TestTablesHaveEveryOrder(t *testing.T) {
	t.Parallel()
	for order := store.OrderID; order <= store.OrderOrganization; order++ {
		if !slices.ContainsFunc([]orders{ofOneUser, ofUsers, ofAllApps}, func(o orders) bool { _, has := o[order]; return has }) {
			t.Errorf("order %d is in no table", order)
		}
	}
}

// What no index has in order is sorted as long as it is no more than MaxCount, with a
// filter for instance.
func TestShortListsAreSorted(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		st, db := p.openDB(t)
		p.fillFar(t, st, db, store.MaxCount+400)
		sorted(t, st)
	})
}

func TestShortListsAreSortedInMemory(t *testing.T) {
	t.Parallel()
	st, now := memory.New(), time.Now()
	if _, err := st.InsertApplication(t.Context(), store.Application{ClientID: "c", OrganizationID: 9}); err != nil {
		t.Fatal(err)
	}
	for i := range store.MaxCount + 1 {
		tok := tokenNamed(string(rune('a'+i%26))+time.Duration(i).String(), now.Add(time.Duration(i*7919%4999)*time.Second))
		tok.UserID, tok.ApplicationID = "1", 1
		tok.LastUsed = now.Add(time.Duration(i*7907%4993) * time.Second)
		if _, err := st.InsertToken(t.Context(), tok, limits); err != nil {
			t.Fatal(err)
		}
	}
	sorted(t, st)
}

func sorted(t *testing.T, st interface {
	store.Tokens
}) {
	for _, f := range []store.TokenFilter{{All: true}, {UserID: "1"}} {
		for _, order := range []store.OrderBy{store.OrderCreated, store.OrderLastUsed} {
			if f.UserID != "" && order == store.OrderCreated {
				continue
			}
			for _, to := range []int{-1, 0, 50} {
				p := store.Page{Limit: 25, Offset: 50, Order: order, Descending: true, CountTo: to}
				if list, n, err := st.ListTokens(t.Context(), f, p); !errors.Is(err, store.ErrOrder) || len(list) > 0 || n != 0 {
					t.Errorf("%+v: of more, %d of %d tokens, %v", p, len(list), n, err)
				}
				if _, n, err := st.ListTokens(t.Context(), f, store.Page{Order: order}); n <= store.MaxCount || err != nil {
					t.Errorf("%+v: %d are counted, %v", p, n, err)
				}
				few := f
				few.Where = store.Where{{{Column: store.ColumnID, Is: store.AtMost, Values: []any{int64(store.MaxCount)}}}}
				list, n, err := st.ListTokens(t.Context(), few, p)
				if err != nil || len(list) != 25 || n <= 75 || to == 0 && n != store.MaxCount {
					t.Errorf("%+v: %d of %d tokens, %v", p, len(list), n, err)
				}
				if !slices.IsSortedFunc(list, func(a, b store.Token) int {
					if order == store.OrderCreated {
						return b.Created.Compare(a.Created)
					}
					return b.LastUsed.Compare(a.LastUsed)
				}) {
					t.Errorf("%+v: out of order", p)
				}
			}
		}
	}
}
