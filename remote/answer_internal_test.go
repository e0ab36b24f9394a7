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
	"github.com/ostiary/auth/internal/recent"
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
		p := e.principal(store.Digest{})
		if loose.Issuer != "i" || p.ID == "" && p.ApplicationID <= 0 || p.TokenID <= 0 || !p.Expires.After(now) ||
			strings.Contains(" "+string(p.Scopes)+" ", " * ") || p.Scopes == auth.Unrestricted {
			t.Errorf("%q is accepted as %+v", body, p)
		}
	})
}

// TestEntrySize measures what the table takes with an answer in every place.
func TestEntrySize(t *testing.T) {
	if size := unsafe.Sizeof(entry{}) + unsafe.Sizeof(store.Digest{}) + unsafe.Sizeof(time.Duration(0)); size != 96 {
		t.Errorf("a place has %d bytes, the documentation says 96", size)
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
	table := recent.New[entry](n)
	kept, err := x.read(body, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * n { // until nearly every place is taken
		e := kept
		e.text = strings.Clone(kept.text) // as of an answer of its own
		digest := store.DigestOf(strconv.Itoa(i))
		table.Put(&digest, e, time.Duration(i+1), 0)
	}
	taken := 0
	for i := range 3 * n {
		digest := store.DigestOf(strconv.Itoa(i))
		if _, ok := table.Get(&digest, 0); ok {
			taken++
		}
	}
	perEntry := float64(allocated()-before) / float64(taken)
	t.Logf("%d of %d places, %.0f bytes each", taken, n, perEntry)
	if perEntry > 200 || taken < n*9/10 {
		t.Errorf("%d of %d places are taken, with %.0f bytes each; at most 200 are promised", taken, n, perEntry)
	}
	runtime.KeepAlive(table)
}
