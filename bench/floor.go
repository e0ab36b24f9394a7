package bench

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A record is what a floor keeps of a credential.
type record struct {
	user    string
	scope   string
	expires time.Time
	revoked bool
}

type recordKey struct{}

// theirs answers requests of alice behind a floor.
var theirs = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c, ok := ctx.(*carrier)
	if !ok {
		rec, _ := ctx.Value(recordKey{}).(*record)
		c = &carrier{record: rec}
	}
	if c.record != nil && c.record.user == "alice" {
		w.WriteHeader(Passed)
	}
})

func floorTable(secrets []string) map[[32]byte]*record {
	table := make(map[[32]byte]*record, Stored)
	for _, s := range secrets {
		table[sha256.Sum256([]byte(s))] = &record{user: "alice", scope: "read", expires: time.Now().Add(time.Hour)}
	}
	for i := len(table); i < Stored; i++ {
		table[sha256.Sum256([]byte{byte(i), byte(i >> 8)})] = &record{}
	}
	return table
}

// naive is the middleware that most people would write. It is not inlined, so
// that the request escapes to a handler that it does not know, as in a server.
//
//go:noinline
func naive(tokens []string, next http.Handler) http.Handler {
	var mu sync.RWMutex
	table := floorTable(tokens)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		if !ok || !strings.EqualFold(scheme, "bearer") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		sum := sha256.Sum256([]byte(token))
		mu.RLock()
		rec := table[sum]
		mu.RUnlock()
		if rec == nil || rec.revoked || !time.Now().Before(rec.expires) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
	})
}

// A carrier is a context and the request that has it, in one allocation.
type carrier struct {
	context.Context
	record  *record
	request http.Request
}

func (c *carrier) Value(key any) any {
	if key == (recordKey{}) {
		return c.record
	}
	return c.Context.Value(key)
}

// look is the least that finds and checks the record of a bearer token. It copies
// the token to the stack and reads a map without a lock.
func look(table map[[32]byte]*record, r *http.Request) *record {
	values := r.Header["Authorization"]
	if len(values) != 1 || len(values[0]) < 8 || values[0][:7] != "Bearer " {
		return nil
	}
	var scratch [128]byte
	rec := table[sha256.Sum256(append(scratch[:0], values[0][7:]...))]
	if rec == nil || rec.revoked || !time.Now().Before(rec.expires) {
		return nil
	}
	return rec
}

// tuned is naive with look and one allocation.
//
//go:noinline
func tuned(tokens []string, next http.Handler) http.Handler {
	table := floorTable(tokens)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := look(table, r)
		if rec == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pass(w, r, rec, next)
	})
}

// argued is tuned for a handler that takes the record as an argument.
//
//go:noinline
func argued(tokens []string) http.Handler {
	table := floorTable(tokens)
	next := func(w http.ResponseWriter, _ *http.Request, rec *record) {
		if rec.user == "alice" {
			w.WriteHeader(Passed)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := look(table, r)
		if rec == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r, rec)
	})
}

// pass calls next with a request that carries rec.
func pass(w http.ResponseWriter, r *http.Request, rec *record, next http.Handler) {
	c := &carrier{Context: r.Context(), record: rec}
	c.request = *r.WithContext(c)
	next.ServeHTTP(w, &c.request)
}
