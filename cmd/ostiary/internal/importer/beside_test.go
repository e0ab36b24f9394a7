package importer_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// An import beside a service that makes users, logs them in, issues tokens and refreshes
// them fails no request of it and loses nothing of it, and brings what it would have
// brought alone.
func TestImportBesideService(t *testing.T) {
	for _, p := range places {
		t.Run("into "+p.name, func(t *testing.T) {
			_, from := sourceOf(t, places[0], "awx.sql")
			addMany(t, from, 100, 1000)
			o := importer.Options{Kind: importer.AWX, Now: start, NewSecrets: t.TempDir() + "/secrets", Batch: 50, Workers: 3, RebuildIndexes: p.name == "PostgreSQL"}
			alone := target(t, p.fresh(t))
			want := mustImport(t, from, alone, o)

			name := p.fresh(t)
			to := target(t, name)
			// The users of the source have numbers below these.
			run(t, to, "UPDATE auth_counters SET last_id = 1000000 WHERE name = 'users'")
			host, err := database.Open(t.Context(), name, sqlstore.Options{}) // of the service
			if err != nil {
				t.Fatal(err)
			}
			defer host.Close()
			h := &hostTraffic{service: serve(t, host), db: host, ended: make(chan bool), made: make(chan bool), issued: make(map[string]string)}
			var clients sync.WaitGroup
			for n := range 2 {
				clients.Go(func() { h.run(n) })
			}
			batches := 0
			o.Progress = func(step string, _, _ int64) {
				if batches++; step == "tokens" && batches < 10 { // so that both do something
					<-h.made
				}
			}
			got := mustImport(t, from, to, o)
			close(h.ended)
			clients.Wait()

			if diff := cmp.Diff(outcome(want), outcome(got)); diff != "" {
				t.Errorf("report (-alone +beside):\n%s", diff)
			}
			all := dump(t, to)
			rows := make(map[string]bool)
			for _, line := range all {
				rows[line] = true
			}
			for _, line := range dump(t, alone) {
				if !rows[line] {
					t.Errorf("missing %s", line)
				}
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			for token, user := range h.issued {
				if me := h.me(token); me != user {
					t.Errorf("a token of %s that the service issued is %q", user, me)
				}
			}
			t.Logf("%d users of the service, each with a token, beside %d tokens of the import", len(h.issued), got.Counts["tokens"].Stored)
		})
	}
}

// A hostTraffic is what clients of a service do.
type hostTraffic struct {
	service
	db    *database.DB
	ended chan bool
	made  chan bool // one has made a user, or given up

	mu     sync.Mutex
	issued map[string]string // users by token
}

// run makes users until the import has ended.
func (h *hostTraffic) run(client int) {
	hash, err := auth.Argon2id{}.Hash("correct horse battery")
	for n := 0; ; n++ {
		if err == nil {
			err = h.user(fmt.Sprintf("host-%d-%d", client, n), hash)
		}
		select {
		case <-h.ended:
			if err != nil {
				h.t.Error(err)
			}
			return
		case h.made <- true:
		default:
		}
	}
}

// user makes a user who logs in, issues a token and uses it.
func (h *hostTraffic) user(name, hash string) error {
	u, err := h.db.Store.InsertUser(h.t.Context(), store.User{Name: name, Active: true, Created: start})
	if err == nil {
		err = h.db.Store.SetPasswordHash(h.t.Context(), u.ID, hash)
	}
	if err != nil {
		return err
	}
	if !h.logsIn(name, "correct horse battery") {
		return fmt.Errorf("%s does not log in", name)
	}
	r := httptest.NewRequest("POST", "/api/v2/tokens/", strings.NewReader(`{"scope": "write"}`))
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth(name, "correct horse battery")
	status, body := h.do(r)
	token, _ := body["token"].(string)
	if status != 201 || h.me(token) != name {
		return fmt.Errorf("issue: %d %v", status, body)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.issued[token] = name
	return nil
}
