package bench

import (
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/store"
)

// A loginDuty is a session with all that a gate of this module looks at.
type loginDuty struct {
	owner            *atomic.Pointer[store.User]
	userID           string
	epoch            int64
	created, expires time.Time
	ended            atomic.Bool
}

// dutifulSession is the least that does all that a request with the cookie of a login
// costs at a gate of this module, in one straight function over a plain map. It is to
// floorSession what duties is to the tuned floor.
//
//go:noinline
func dutifulSession(alice store.User, next http.Handler) http.Handler {
	type key struct{}
	var table atomic.Pointer[map[[32]byte]*loginDuty]
	owner := new(atomic.Pointer[store.User])
	owner.Store(&alice)
	logins, began := make(map[[32]byte]*loginDuty), time.Now()
	for i := range Stored {
		logins[sha256.Sum256([]byte(floorID(i)))] = &loginDuty{owner: owner, userID: alice.ID, epoch: alice.Epoch, created: began, expires: began.Add(time.Hour)}
	}
	table.Store(&logins)
	refuse := func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if r.Method == http.MethodConnect || r.Method == http.MethodTrace || len(r.Header["Authorization"]) > 0 || ctx.Value(key{}) != nil {
			refuse(w) // or a session that has been read further out
			return
		}
		id, cookies := "", 0
		for _, line := range r.Header["Cookie"] {
			for rest := line; rest != ""; {
				var pair string
				pair, rest, _ = strings.Cut(rest, ";")
				if k, v, _ := strings.Cut(ascii.TrimOWS(pair), "="); k == "__Host-session" {
					id = v
					cookies++
				}
			}
		}
		if cookies != 1 || len(id) != 43 || !ascii.Base64URL(id) || ctx.Err() != nil {
			refuse(w)
			return
		}
		s := (*table.Load())[store.DigestOf(id)]
		if s == nil {
			refuse(w)
			return
		}
		now, u := time.Now(), s.owner.Load()
		switch {
		case s.ended.Load(), !now.Before(s.expires), now.Sub(s.created) >= 12*time.Hour,
			u == nil, u.ID != s.userID, !u.Active, u.Service, u.Epoch != s.epoch,
			r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions,
			len(r.Header["Upgrade"]) > 0, len(r.Header["Sec-Websocket-Key"]) > 0, len(r.Header["Sec-Fetch-Mode"]) > 0:
			refuse(w) // or a look at the origin
			return
		}
		if quiet.Enabled(ctx, slog.LevelDebug) {
			quiet.LogAttrs(ctx, slog.LevelDebug, "allowed", slog.String("user", u.Name))
		}
		w.Header()["Vary"] = varies
		c := &bearerCarrier{Context: ctx, peer: r.RemoteAddr, principal: auth.Principal{
			ID: u.ID, Name: u.Name, Scopes: auth.Unrestricted, Credential: auth.CredentialSession, Admin: u.Admin, Auditor: u.Auditor,
			Epoch: s.epoch, HasEpoch: true, Proved: s.created.UTC(),
		}}
		c.request = *r.WithContext(c)
		next.ServeHTTP(w, &c.request)
	})
}
