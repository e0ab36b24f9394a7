package bench

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Basic returns the contest of requests with a password that was verified before.
func Basic(tb testing.TB) Contest {
	s := newSystem(tb)
	pair := base64.StdEncoding.EncodeToString([]byte("alice:" + password))
	fields := Fields("Authorization", []string{"Basic " + pair})
	return Contest{"basic", []Contestant{
		Serving("floor, tuned", tunedBasic(theirs), Passed, fields),
		Serving("floor, for one network and this origin", boundBasic(pair, theirs), Passed, fields),
		Serving("Require", s.gate.Require(ours), Passed, fields),
	}}
}

// tunedBasic decodes the password on the stack, hashes it with a secret of the
// process and the stored hash, and looks for that among those that were verified.
//
//go:noinline
func tunedBasic(next http.Handler) http.Handler {
	type user struct {
		record
		hash string
	}
	users := map[string]*user{"alice": {record{user: "alice"}, strings.Repeat("h", 97)}}
	var mu sync.RWMutex
	verified := make(map[[32]byte]time.Time)
	key := func(name, password []byte, hash string) [32]byte {
		var scratch [512]byte
		b := append(scratch[:0], "a secret of this process, random"...)
		b = binary.LittleEndian.AppendUint64(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.LittleEndian.AppendUint64(b, uint64(len(password)))
		b = append(b, password...)
		b = append(b, hash...)
		sum := sha256.Sum256(b)
		clear(b)
		return sum
	}
	verified[key([]byte("alice"), []byte(password), users["alice"].hash)] = time.Now().Add(time.Hour)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.Header["Authorization"]
		if len(values) != 1 || len(values[0]) < 7 || len(values[0]) > 256 || values[0][:6] != "Basic " {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var src, pair [256]byte
		n, err := base64.StdEncoding.Decode(pair[:], append(src[:0], values[0][6:]...))
		colon := 0
		for colon < n && pair[colon] != ':' {
			colon++
		}
		u := users[string(pair[:colon])]
		if err != nil || u == nil || colon == n {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		k := key(pair[:colon], pair[colon+1:n], u.hash)
		mu.RLock()
		until := verified[k]
		mu.RUnlock()
		if !time.Now().Before(until) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		pass(w, r, &u.record, next)
	})
}

// boundBasic is a floor with what tunedBasic leaves out: a proof counts for one network,
// the users and their hashes can change while it serves, pages of other origins cannot
// upgrade with credentials of the browser, caches are told what the answer depends on,
// and the copy of the password is wiped. It hashes the text of the credentials, with a
// secret so short that this is one block, in place of what they say.
//
//go:noinline
func boundBasic(credentials string, next http.Handler) http.Handler {
	type user struct {
		record
		hash   string
		active bool
	}
	type proof struct {
		digest  [32]byte
		network netip.Addr
	}
	type proved struct {
		name, hash string
		until      time.Time
	}
	alice := &user{record{user: "alice"}, strings.Repeat("h", 97), true}
	var mu, usersMu sync.RWMutex
	users := map[string]*user{"alice": alice}
	digest := func(credentials string) [32]byte {
		var scratch [256]byte
		b := append(append(scratch[:0], "a random secret."...), credentials...)
		sum := sha256.Sum256(b)
		clear(b)
		return sum
	}
	verified := map[proof]proved{
		{digest(credentials), netip.MustParseAddr("127.0.0.1")}: {"alice", alice.hash, time.Now().Add(time.Hour)},
	}
	varies := []string{"Authorization, Cookie"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.Header["Authorization"]
		upgrade := len(r.Header["Upgrade"]) > 0 || len(r.Header["Sec-Websocket-Key"]) > 0 || len(r.Header["Sec-Fetch-Mode"]) > 0
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if len(values) != 1 || len(values[0]) < 7 || values[0][:6] != "Basic " || r.Method != http.MethodGet || upgrade || err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p := proof{digest(values[0][6:]), peer.Addr()}
		mu.RLock()
		v := verified[p]
		mu.RUnlock()
		usersMu.RLock()
		u := users[v.name]
		usersMu.RUnlock()
		if u == nil || !u.active || u.hash != v.hash || !time.Now().Before(v.until) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if h := w.Header(); len(h["Vary"]) == 0 {
			h["Vary"] = varies
		}
		pass(w, r, &u.record, next)
	})
}
