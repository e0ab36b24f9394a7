package sqltest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// pageSizes are how many tokens the two stores of BenchmarkPages have.
var pageSizes = [2]int{1_000, 100_000}

// BenchmarkPages is a page of 25 tokens over HTTP, of many tokens beside one of few:
// one after the other, so that what else the machine does hits both. All tokens are
// of one user and one application. OSTIARY_PAGES names a file for the table.
func BenchmarkPages(b *testing.B) {
	var table strings.Builder
	fmt.Fprintf(&table, "| store | page of 25 | of %d | of %d | × |\n| --- | --- | ---: | ---: | ---: |\n", pageSizes[0], pageSizes[1])
	on := func(name string, open func(b *testing.B, rows int) accounts) {
		b.Run(name, func(b *testing.B) {
			var sides [2]paged
			var stores [2]accounts
			for i, rows := range pageSizes {
				stores[i] = open(b, rows)
				sides[i] = newPaged(b, stores[i])
			}
			// Another user's revocation, which a list has to look at.
			cut := func() {
				for _, st := range stores {
					if _, err := st.RevokeTokens(b.Context(), store.Selection{UserID: "nobody"}, time.Now()); err != nil {
						b.Fatal(err)
					}
				}
			}
			beside := ""
			for range 2 {
				if beside != "" {
					cut()
				}
				for _, who := range []string{"bench", "chief", "admin"} {
					for _, query := range []string{"", "&count_disabled=1", "&order_by=-created&count_disabled=1"} {
						if who != "bench" && strings.HasPrefix(query, "&order") {
							continue // of several users no index has that order
						}
						name := map[string]string{"bench": "own", "chief": "of an organization", "admin": "all"}[who] + query + beside
						b.Run(name, func(b *testing.B) {
							var took [2][]time.Duration
							for b.Loop() {
								for range 20 {
									for i, s := range sides {
										begun := time.Now()
										s.get(b, who, query)
										took[i] = append(took[i], time.Since(begun))
									}
								}
							}
							var median [2]float64
							for i := range took {
								slices.Sort(took[i])
								median[i] = float64(took[i][len(took[i])/2].Nanoseconds()) / 1000
								b.ReportMetric(median[i], "µs/"+strconv.Itoa(pageSizes[i]))
							}
							b.ReportMetric(median[1]/median[0], "×")
							b.ReportMetric(0, "ns/op")
							fmt.Fprintf(&table, "| %s | %s | %.0f µs | %.0f µs | %.2f |\n", b.Name()[len("BenchmarkPages/"):strings.LastIndexByte(b.Name(), '/')], strings.ReplaceAll(name, "&", ", "), median[0], median[1], median[1]/median[0])
						})
					}
				}
				beside = ", beside a cut-off"
			}
		})
	}
	on("memory", func(b *testing.B, rows int) accounts {
		st, now := memory.New(), time.Now()
		serve(b, st)
		if _, err := st.InsertUser(b.Context(), store.User{Name: "bench", Active: true, Created: now}); err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			tok := tokenNamed(strconv.Itoa(i), now)
			tok.UserID, tok.ApplicationID, tok.Scopes = "1", 1, "read write"
			if _, err := st.InsertToken(b.Context(), tok, limits); err != nil {
				b.Fatal(err)
			}
		}
		return st
	})
	for _, d := range databases() {
		on(d.name, func(b *testing.B, rows int) accounts {
			p := d.fresh(b)
			st, db := p.openDB(b)
			fill(b, st, db, p, rows)
			return st
		})
	}
	if file := os.Getenv("OSTIARY_PAGES"); file != "" {
		if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// A paged is the API on a store with tokens of the user 1, who is called bench.
type paged struct {
	handler http.Handler
	secrets map[string]string // of tokens of bench, admin, and chief of the organization
}

func newPaged(b *testing.B, st accounts) paged {
	b.Helper()
	quiet := slog.New(slog.DiscardHandler)
	app, err := st.ApplicationByID(b.Context(), 1)
	if err != nil {
		b.Fatal(err)
	}
	if app.OrganizationID = 1; st.UpdateApplication(b.Context(), app) != nil {
		b.Fatal("the application has no organization")
	}
	s := paged{secrets: map[string]string{}}
	var chief string
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet, MaxPerUser: -1, Organizations: auth.Organizations{
		Of: func(_ context.Context, id string) (auth.Memberships, error) {
			if id == chief {
				return auth.Memberships{Admin: []int64{1}}, nil
			}
			return auth.Memberships{}, nil
		},
		ByID: func(_ context.Context, id int64) (auth.Organization, error) { return auth.Organization{ID: id}, nil },
	}}))
	server := auth.Must(oauth.NewServer(tokens, st, st, &oauth.Options{Logger: quiet}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet})
	s.handler = auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: st, Tokens: tokens, OAuth: server, Logger: quiet}))
	for _, name := range []string{"bench", "chief", "admin"} {
		u := store.User{ID: "1", Name: name}
		if name != "bench" {
			u, err = st.InsertUser(b.Context(), store.User{Name: name, Admin: name == "admin", Active: true, Created: time.Now()})
			if err != nil {
				b.Fatal(err)
			}
		}
		if name == "chief" {
			chief = u.ID
		}
		t, err := tokens.Issue(b.Context(), &auth.Principal{ID: u.ID, Name: name, Scopes: auth.Unrestricted}, auth.TokenRequest{})
		if err != nil {
			b.Fatal(err)
		}
		s.secrets[name] = t.AccessToken.Reveal()
	}
	return s
}

func (s paged) get(b *testing.B, who, query string) {
	r := httptest.NewRequest(http.MethodGet, "/api/v2/tokens/?page_size=25"+query, nil)
	r.Header.Set("Authorization", "Bearer "+s.secrets[who])
	w := httptest.NewRecorder()
	if s.handler.ServeHTTP(w, r); w.Code != http.StatusOK || strings.Count(w.Body.String(), `"o_auth2_access_token"`) != 25 {
		b.Fatalf("%s %s: %d %s", who, query, w.Code, w.Body)
	}
}
