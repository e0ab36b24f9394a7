package bench

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
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
