package bench

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

// Users returns the contest of /api/v2/me/ by bearer where there are ten users and where
// there are 100,000. Where one token is presented, what differs is what a look-up costs.
// Where many are, the users differ, too, and caches hold ten of them better. All IDs and
// names are of one length, because the answer repeats the ID.
func Users(tb testing.TB) Contest {
	var floors, ours []Contestant
	for _, n := range []int{10, 100_000} {
		s := newSystem(tb)
		users := make([]store.User, n)
		for i := range users {
			users[i] = authtest.AddUser(tb, s.db, store.User{ID: strconv.Itoa(100_000 + i), Name: fmt.Sprintf("user%06d", i), Email: "user@example.com"}, "")
		}
		tokens, table := make([]string, Stored), make(map[[32]byte]*record, Stored)
		for i := range tokens {
			u := users[i*7919%n] // no neighbours
			tokens[i] = authtest.AddToken(tb, s.tokens, u, auth.ScopeRead)
			table[store.DigestOf(tokens[i])] = &record{user: u.ID, scope: "read", expires: u.Created.AddDate(1, 0, 0)}
		}
		api := auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Passwords: s.words, Tokens: s.tokens, Session: s.session, Logger: quiet}))
		fields := Fields("Authorization", prefixed("Bearer ", tokens))
		for _, presented := range []int{1, Presented} {
			of := fmt.Sprintf("%d of %d users", min(presented, n), n)
			floors = append(floors, Serving("floor, "+of, shown(table, users), http.StatusOK, fields[:presented]))
			ours = append(ours, Serving(of, api, http.StatusOK, fields[:presented]))
		}
	}
	return Contest{"me/, by number of users", append(floors, ours...)}
}

// shown is a floor that looks up the user of a token, in a second map, and answers with
// its texts.
func shown(table map[[32]byte]*record, list []store.User) http.Handler {
	users := make(map[string]*store.User, len(list))
	for _, u := range list {
		users[u.ID] = &u
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := look(table, r)
		if rec == nil || users[rec.user] == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		u := users[rec.user]
		body := append(append(append(make([]byte, 0, 128), u.ID...), u.Name...), u.Email...)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(u.Created.AppendFormat(body, "2006-01-02T15:04:05.000000Z"))
	})
}
