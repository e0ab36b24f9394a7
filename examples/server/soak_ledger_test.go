package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// A soakUser has a ledger of what was acknowledged.
type soakUser struct {
	name, password string

	mu     sync.Mutex
	things map[string][]*thing // by kind
	dead   []*thing            // some that were given up
	gone   map[string]int
}

// A thing was acknowledged: a session, a personal token, or the two tokens of a
// grant. Who holds its lock may use it.
type thing struct {
	kind            string // session, token or grant
	id              int64  // of a token
	value, refresh  string
	made, confirmed time.Time

	mu   sync.Mutex
	dead bool
}

func (u *soakUser) basic(r *http.Request) { r.SetBasicAuth(u.name, u.password) }

func (th *thing) present(r *http.Request) {
	if th.kind == "session" {
		r.Header.Set("Cookie", th.value)
	} else {
		r.Header.Set("Authorization", "Bearer "+th.value)
	}
}

// some returns a thing of a kind, nil if there is none.
func (u *soakUser) some(kind string) *thing {
	u.mu.Lock()
	defer u.mu.Unlock()
	if all := u.things[kind]; len(all) > 0 {
		return all[rand.IntN(len(all))]
	}
	return nil
}

func (u *soakUser) add(th *thing) {
	th.made, th.confirmed = time.Now(), time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.things[th.kind] = append(u.things[th.kind], th)
}

// forget takes a thing, which the caller holds, out of the ledger: nobody knows
// whether it is good.
func (u *soakUser) forget(th *thing) {
	th.dead = true
	u.mu.Lock()
	defer u.mu.Unlock()
	u.things[th.kind] = slices.DeleteFunc(u.things[th.kind], func(other *thing) bool { return other == th })
}

// remove notes that a thing, which the caller holds, was given up.
func (u *soakUser) remove(th *thing) {
	u.forget(th)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone[th.kind]++
	if u.dead = append(u.dead, th); len(u.dead) > 100 {
		u.dead = u.dead[1:]
	}
}

// record returns what is stored of a thing.
func (s *soak) record(th *thing) string {
	pool, err := openFile(s.file)
	if err != nil {
		return err.Error()
	}
	defer pool.Close()
	_, secret, ok := strings.Cut(th.value, "=")
	query := `SELECT 'ended ' || COALESCE(ended_at, 'never') || ' ' || reason || ', expires ' || s.expires_at || ', epoch ' || s.epoch ||
		', now ' || u.epoch FROM auth_sessions s JOIN auth_users u ON u.id = s.user_id WHERE digest = ?`
	if !ok {
		secret = th.value
		query = `SELECT 'revoked ' || COALESCE(revoked_at, 'never') || ', expires ' || t.expires_at || ', epoch ' || t.epoch ||
			', now ' || u.epoch FROM auth_tokens t JOIN auth_users u ON u.id = t.user_id WHERE digest = ?`
	}
	d := store.DigestOf(secret)
	var text string
	if err := pool.QueryRow(query, d[:]).Scan(&text); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("stored at %d: %s", time.Now().UnixMicro(), text)
}
