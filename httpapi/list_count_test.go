package httpapi_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// The count is exact up to 10,000. Beyond it leads to every page nevertheless, and
// whoever wants none gets none.
func TestCountIsBounded(t *testing.T) {
	s := newSystem(t)
	const n = store.MaxCount + 60
	now := time.Now()
	for i := range n {
		_, err := s.db.InsertToken(t.Context(), store.Token{
			Digest: store.DigestOf(fmt.Sprint("count ", i)), UserID: s.alice.ID, Scopes: "read", Created: now, Modified: now, Expires: now.Add(time.Hour),
		}, store.InsertLimits{})
		if err != nil {
			t.Fatal(err)
		}
	}
	alice := basic("alice", "alice-pw")
	for _, tt := range []struct {
		query             string
		count, results    int
		next, hasPrevious bool
	}{
		{"", store.MaxCount + 1, 50, true, false},
		{"&page=200", store.MaxCount + 1, 50, true, true},
		{"&page=201", store.MaxCount + 51, 50, true, true},
		{"&page=202", n, 10, false, true},
		{"&page=last", n, 10, false, true},
	} {
		doc := s.do("GET", "/api/v2/tokens/?page_size=50"+tt.query, alice).wants(200).json()
		results, _ := doc["results"].([]any)
		if doc["count"] != float64(tt.count) || len(results) != tt.results || (doc["next"] != nil) != tt.next || (doc["previous"] != nil) != tt.hasPrevious {
			t.Errorf("%q: count %v, %d results, next %v, previous %v", tt.query, doc["count"], len(results), doc["next"], doc["previous"])
		}
	}
	s.do("GET", "/api/v2/tokens/?page_size=50&page=203", alice).wants(404).hasDetail("Invalid page.")
	for query, want := range map[string]int{"": 50, "&page=202": 10, "&page=last": 10} {
		doc := s.do("GET", "/api/v2/tokens/?page_size=50&count_disabled=1"+query, alice).wants(200).json()
		if results, _ := doc["results"].([]any); len(doc) != 1 || len(results) != want {
			t.Errorf("count_disabled%s: %d fields, %d results, want %d", query, len(doc), len(results), want)
		}
	}
	s.do("GET", "/api/v2/tokens/?page_size=50&count_disabled=1&page=203", alice).wants(404).hasDetail("Invalid page.")
	// An order that no index has is for lists of as many, or for filters.
	for _, query := range []string{"", "&count_disabled=1", "&page=2", "&page=last"} {
		s.do("GET", "/api/v2/tokens/?order_by=-last_used"+query, alice).wants(400).hasDetail(`Cannot order by "last_used" more than 10000 objects. Use filters, or another order.`)
	}
	s.do("GET", "/api/v2/tokens/?order_by=-last_used&id__lte=9000", alice).wants(200)
}
