package remote

import (
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// FuzzAnswer has the properties of an accepted answer, each seen by package json,
// which is more lenient.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"active":false}`, `{"active":true}`, `{}`, `[]`, `{"active":true,"active":false}`, `{"Active":true}`,
		`{"active":true,"iss":"i","token_type":"Bearer","aud":"r","jti":"1","exp":9999999999,"sub":"a","username":"b","scope":"read write"}`,
		`{"active":true,"iss":"i","token_type":"bearer","aud":["r"],"jti":"1","exp":9999999999,"application":1,"scope":"*"}`,
		`{"active":true,"iss":"i","token_type":"bearer","jti":"01","exp":1e3,"application":-1}`,
	} {
		f.Add([]byte(seed))
	}
	x := expected{issuer: "i", resource: "r"}
	now := time.Unix(1_000_000_000, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := x.read(body, now)
		if err != nil {
			if e != (entry{}) {
				t.Errorf("an entry beside the error %v", err)
			}
			if r, ok := errors.AsType[*auth.Error](err); ok && r.Status != 401 {
				t.Errorf("refusal with status %d", r.Status)
			}
			return
		}
		var loose struct {
			Active   bool   `json:"active"`
			Issuer   string `json:"iss"`
			Subject  string `json:"sub"`
			Username string `json:"username"`
			Scope    string `json:"scope"`
		}
		_ = json.Unmarshal(body, &loose)
		p := e.principal()
		if loose.Issuer != "i" || p.ID == "" && p.ApplicationID <= 0 || p.TokenID <= 0 || !p.Expires.After(now) ||
			strings.Contains(" "+string(p.Scopes)+" ", " * ") || p.Scopes == auth.Unrestricted {
			t.Errorf("%q is accepted as %+v", body, p)
		}
	})
}

// TestEntrySize measures what the table takes with an answer in every place.
func TestEntrySize(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size != 96 {
		t.Errorf("an entry has %d bytes, the documentation says 96", size)
	}
	const n = 8192
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	x := expected{issuer: "i", resource: "r"}
	body := []byte(`{"active":true,"iss":"i","token_type":"Bearer","aud":["r"],"jti":"1234567","exp":9999999999,"sub":"1234567",` +
		`"username":"a.name.of.usual.length","scope":"read write","application":12,"is_superuser":true}`)
	before := allocated()
	table := newTable(n)
	kept, err := x.read(body, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * n { // until nearly every place is taken
		e := kept
		e.text = strings.Clone(kept.text) // as of an answer of its own
		e.digest, e.until = store.DigestOf(strconv.Itoa(i)), time.Duration(i+1)
		table.put(e, 0)
	}
	taken := 0
	for i := range table.sets {
		for j := range table.sets[i] {
			if table.sets[i][j].text != "" {
				taken++
			}
		}
	}
	perEntry := float64(allocated()-before) / float64(taken)
	t.Logf("%d of %d places, %.0f bytes each", taken, n, perEntry)
	if perEntry > 200 || taken < n*9/10 {
		t.Errorf("%d of %d places are taken, with %.0f bytes each; at most 200 are promised", taken, n, perEntry)
	}
	runtime.KeepAlive(table)
}

// TestTable has the rules of the places.
func TestTable(t *testing.T) {
	table := newTable(8) // one set
	at := func(i int) store.Digest { return store.Digest{byte(i), 1} }
	for i := range 8 {
		table.put(entry{digest: at(i), text: "x", until: time.Duration(10 + i)}, 0)
	}
	has := func(i int, now time.Duration) bool {
		d := at(i)
		_, ok := table.get(&d, now)
		return ok
	}
	table.put(entry{digest: at(3), text: "x", until: 100}, 0)
	table.put(entry{digest: at(8), text: "x", until: 50}, 0)
	if has(0, 0) || !has(1, 0) || !has(3, 99) || has(3, 100) || !has(8, 49) || has(8, 50) {
		t.Error("another entry than the one that ends first was replaced, or an entry counts after its end")
	}
	table.put(entry{digest: at(9), text: strings.Repeat("x", maxText+1), until: 100}, 0)
	table.put(entry{digest: at(10), text: "x", until: 5}, 5)
	if has(9, 0) || has(10, 0) {
		t.Error("a long entry, or one that has ended, is kept")
	}
	if has(11, 0) {
		t.Error("there is an entry that nobody put there")
	}
	empty, zero := newTable(8), store.Digest{}
	if _, ok := empty.get(&zero, 0); ok {
		t.Error("an empty place is an entry")
	}
}
