package bench

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// A duty is a token with all that a gate of this module looks at.
type duty struct {
	id, application, via int64
	owner                *atomic.Pointer[store.User]
	scopes, audience     string
	addresses            []netip.Prefix
	epoch                int64
	expires              time.Time
	revoked              atomic.Bool
	used                 atomic.Int64 // Unix seconds
}

// duties is the least that does all that a bearer request of this module must do, in one
// straight function over a plain map. What it costs beyond the other floors is the price
// of the public [auth.Principal] and of the checks.
type duties struct {
	table atomic.Pointer[map[store.Digest]*duty]
	log   *slog.Logger
	hook  observe.Func // nil: that a gate may have one costs the look at it
	touch func(*duty, time.Time)
}

func newDuties(tokens []string, alice store.User) *duties {
	owner := new(atomic.Pointer[store.User])
	owner.Store(&alice)
	table := make(map[store.Digest]*duty, Stored)
	add := func(d store.Digest) {
		one := &duty{id: int64(len(table) + 1), owner: owner, scopes: auth.ScopeRead, epoch: alice.Epoch, expires: time.Now().Add(time.Hour)}
		one.used.Store(time.Now().Unix())
		table[d] = one
	}
	for _, s := range tokens {
		add(store.DigestOf(s))
	}
	for i := len(table); i < Stored; i++ {
		add(store.DigestOf(string([]byte{byte(i), byte(i >> 8)})))
	}
	d := &duties{log: quiet, touch: func(one *duty, now time.Time) { one.used.Store(now.Unix()) }}
	d.table.Store(&table)
	return d
}

// A bearerCarrier carries a principal as a gate does.
type bearerCarrier struct {
	context.Context
	principal auth.Principal
	peer      string
	request   http.Request
}

// Value implements [context.Context].
func (c *bearerCarrier) Value(key any) any {
	if key == (recordKey{}) {
		return &c.principal
	}
	return client.Value(c.Context, key, c.peer)
}

const touchEvery = 60 // seconds

var varies = []string{"Authorization, Cookie"}

// admit sets p to the principal of r, or writes a refusal.
//
//go:noinline
func (d *duties) admit(w http.ResponseWriter, r *http.Request, p *auth.Principal) bool {
	values := r.Header["Authorization"]
	if len(values) != 1 || r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return d.refuse(w)
	}
	v := values[0]
	if len(v) <= len("Bearer ") || len(v) > 519 || v[:7] != "Bearer " && !strings.EqualFold(v[:7], "bearer ") {
		return d.refuse(w)
	}
	if q := r.URL.RawQuery; q != "" && (strings.Contains(q, "access_token") || strings.Contains(q, "%")) && r.URL.Query().Has("access_token") {
		return d.refuse(w)
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return d.refuse(w)
	}
	digest := store.DigestOf(v[7:])
	one := (*d.table.Load())[digest]
	if one == nil {
		return d.refuse(w)
	}
	now, u := time.Now(), one.owner.Load()
	switch {
	case one.revoked.Load(), u == nil, !u.Active, u.Service && one.via != 0, one.epoch != u.Epoch, !now.Before(one.expires),
		one.audience != "" && !ascii.HasWord(one.audience, "resource"),
		len(one.addresses) > 0 && !client.In(one.addresses, client.Of(r)):
		return d.refuse(w)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if one.scopes != auth.ScopeRead && !auth.Scopes(one.scopes).Has(auth.ScopeRead) {
			return d.refuse(w)
		}
	default:
		if !auth.Scopes(one.scopes).Has(auth.ScopeWrite) {
			return d.refuse(w)
		}
	}
	if now.Unix()-one.used.Load() > touchEvery {
		d.touch(one, now)
	}
	p.ID, p.Name, p.Scopes, p.TokenID, p.TokenDigest = u.ID, u.Name, auth.Scopes(one.scopes), one.id, digest
	p.ApplicationID, p.ViaApplicationID, p.Admin, p.Auditor = one.application, one.via, u.Admin, u.Auditor
	p.Credential, p.HasEpoch, p.Epoch, p.Expires = auth.CredentialBearer, true, u.Epoch, one.expires
	if d.log.Enabled(ctx, slog.LevelDebug) {
		d.log.LogAttrs(ctx, slog.LevelDebug, "allowed", slog.String("user", p.Name))
	}
	if d.hook != nil {
		d.hook(ctx, observe.Event{Name: observe.RequestAllowed, Kind: observe.KindBearer, Count: 1, Duration: time.Since(now)})
	}
	h := w.Header()
	if v := h["Vary"]; len(v) == 0 {
		h["Vary"] = varies
	} else {
		h["Vary"] = append(slices.Clip(v), varies...)
	}
	return true
}

func (d *duties) refuse(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

// require is the floor of [auth.Gate.Require].
//
//go:noinline
func (d *duties) require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p auth.Principal
		if !d.admit(w, r, &p) {
			return
		}
		c := &bearerCarrier{Context: r.Context(), principal: p, peer: r.RemoteAddr}
		c.request = *r.WithContext(c)
		next.ServeHTTP(w, &c.request)
	})
}

// argued is the floor of [auth.Gate.RequirePrincipal].
//
//go:noinline
func (d *duties) argued(next func(http.ResponseWriter, *http.Request, auth.Principal)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p auth.Principal
		if d.admit(w, r, &p) {
			next(w, r, p)
		}
	})
}

// copied is what a handler outside costs that puts something into the context: a copy of
// the request, which the handlers between it and the gate see.
//
//go:noinline
func copied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pass(w, r, nil, next) })
}

// dutiful answers requests of alice behind duties.
var dutiful = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if c, ok := r.Context().(*bearerCarrier); ok && c.principal.Name == "alice" {
		w.WriteHeader(Passed)
	}
})
