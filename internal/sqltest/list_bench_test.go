package sqltest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// BenchmarkApplicationsPage lists 200 applications with their newest tokens, and
// 200 tokens of as many applications: a constant number of queries each.
func BenchmarkApplicationsPage(b *testing.B) {
	on := func(name string, open func(*testing.B) accounts) {
		b.Run(name, func(b *testing.B) {
			st := open(b)
			e := newTokenEndpoint(b, st)
			for i := range 200 {
				app, err := st.InsertApplication(b.Context(), store.Application{ClientID: fmt.Sprint("c", i), Name: fmt.Sprint("n", i), OrganizationID: 1})
				if err != nil {
					b.Fatal(err)
				}
				for range 3 {
					if _, err := e.server.IssueFor(b.Context(), e.by, app.ID, auth.TokenRequest{}); err != nil {
						b.Fatal(err)
					}
				}
			}
			for _, target := range []string{"applications", "tokens"} {
				b.Run(target, func(b *testing.B) {
					token, err := e.server.IssueFor(b.Context(), e.by, e.app.ID, auth.TokenRequest{})
					if err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						r := httptest.NewRequest(http.MethodGet, "/api/v2/"+target+"/?page_size=200", nil)
						r.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
						w := httptest.NewRecorder()
						if e.handler.ServeHTTP(w, r); w.Code != 200 {
							b.Fatal(w.Body)
						}
					}
				})
			}
		})
	}
	on("memory", func(*testing.B) accounts { return memory.New() })
	for _, d := range databases() {
		on(d.name, func(b *testing.B) accounts { return d.fresh(b).open(b) })
	}
}
