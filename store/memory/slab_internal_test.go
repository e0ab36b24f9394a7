package memory

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/ostiary/auth/store"
)

// A slab gives no place to two records, keeps none for a record that is gone, and
// keeps no chunk without records.
func TestSlabGivesEachPlaceOnce(t *testing.T) {
	type record struct{ n int }
	r := rand.New(rand.NewPCG(1, 2))
	var s slab[record]
	held := map[ref]*record{}
	if s.at(0) != nil || s.at(1) != nil {
		t.Error("an empty slab has records")
	}
	most := 0
	for i := range 20_000 {
		if grow := i/2000%2 == 0; r.IntN(5) > 2 == grow || len(held) == 0 {
			at, x := s.take()
			if held[at] != nil || at == 0 {
				t.Fatalf("place %d is given twice", at)
			}
			x.n = i
			held[at] = x
		} else {
			for at, x := range held {
				if s.at(at) != x {
					t.Fatalf("the record at %d has moved", at)
				}
				s.drop(at)
				delete(held, at)
				break
			}
		}
		most = max(most, len(held))
	}
	if n := len(*s.chunks.Load()); n > 2*most/chunkSize+2 {
		t.Errorf("%d chunks for at most %d records: places are not used again", n, most)
	}
	for at := range maps.Keys(held) {
		s.drop(at)
	}
	for i := range *s.chunks.Load() {
		if (*s.chunks.Load())[i].Load() != nil {
			t.Errorf("chunk %d is kept without records", i)
		}
	}
}

// FuzzIndex holds an index against a map. Each byte of ops is a key that is added, or
// removed if it is there. hashes is how many different hashes there are.
func FuzzIndex(f *testing.F) {
	f.Add([]byte("abcabcabc"), uint32(1))
	r := rand.New(rand.NewPCG(1, 2))
	for _, hashes := range []uint32{1, 7, 1 << 20} {
		ops := make([]byte, 5000)
		for i := range ops {
			ops[i] = byte(r.IntN(256))
		}
		f.Add(ops, hashes)
	}
	f.Fuzz(func(t *testing.T, ops []byte, hashes uint32) {
		x, want := newIndex(), map[ref]bool{}
		hash := func(r ref) uint32 { return uint32(r) * 0x9e3779b1 % max(hashes, 1) * (math.MaxUint32 / max(hashes, 1)) }
		for _, op := range ops {
			key := ref(op) + 1
			if want[key] {
				x.remove(hash(key), key)
				delete(want, key)
			} else {
				x.add(hash(key), key)
				want[key] = true
			}
			probe := ref(op>>1) + 1
			if got := x.find(hash(probe), func(r ref) bool { return r == probe }); (got == probe) != want[probe] {
				t.Fatalf("find(%d) = %d, there %v", probe, got, want[probe])
			}
		}
		for key := ref(1); key < 258; key++ {
			if got := x.find(hash(key), func(r ref) bool { return r == key }); (got == key) != want[key] {
				t.Errorf("in the end find(%d) = %d, there %v", key, got, want[key])
			}
		}
		for key := range want {
			x.remove(hash(key), key)
		}
		if slots := len(*x.slots.Load()); x.held != 0 || slots > 2*minSlots {
			t.Errorf("%d records in %d slots are left", x.held, slots)
		}
	})
}

// FuzzSorted holds a list of tokens against a slice: ops are those of FuzzIndex.
func FuzzSorted(f *testing.F) {
	f.Add([]byte("the quick brown fox jumps over the lazy dog"))
	r := rand.New(rand.NewPCG(1, 2))
	ops := make([]byte, 6000)
	for i := range ops {
		ops[i] = byte(r.IntN(256))
	}
	f.Add(ops)
	f.Fuzz(func(t *testing.T, ops []byte) {
		ts := new(tokens)
		l := sorted[token]{ordering: new(ts.ordering(tokenOrder(store.OrderExpires)))}
		var want []*token
		order := func(a, b *token) int {
			return cmp.Or(cmp.Compare(a.expires, b.expires), cmp.Compare(a.id, b.id))
		}
		for i, op := range ops {
			if op < 64 && len(want) > 0 {
				at := i * 31 % len(want)
				l.remove(want[at])
				ts.slab.drop(want[at].self)
				want = slices.Delete(want, at, at+1)
				continue
			}
			self, tok := ts.slab.take()
			tok.self = self
			tok.id, tok.expires = int64(i), instant(op%32)
			l.add(tok)
			want = append(want, tok)
		}
		slices.SortFunc(want, order)
		if got := slices.Collect(l.all(false)); !slices.Equal(got, want) || l.n != len(want) {
			t.Errorf("%d tokens, want %d in order", l.n, len(want))
		}
		if len(want) > 0 && l.first() != want[0] || len(want) == 0 && l.first() != nil {
			t.Error("another one is the first")
		}
	})
}

// Tokens are found by ID as in a map, and pages without tokens go.
func TestIDsAgreeWithMap(t *testing.T) {
	x, want := newIDs(), map[int64]ref{}
	r := rand.New(rand.NewPCG(1, 2))
	for last := int64(1); last < 5000; last++ {
		x.add(last, ref(last))
		want[last] = ref(last)
		if old := r.Int64N(last) + 1; want[old] != 0 && old%100 != 1 {
			x.remove(old)
			delete(want, old)
		}
	}
	for id := int64(-200); id < 5200; id++ {
		if got := x.find(id); got != want[id] {
			t.Fatalf("find(%d) = %d, want %d", id, got, want[id])
		}
	}
	for id := range want {
		x.remove(id)
	}
	if x.n != 0 || len(x.pages) != 0 {
		t.Errorf("%d tokens in %d pages are left", x.n, len(x.pages))
	}
}

// Texts are kept once, as long as somebody holds them, and not the request that they
// are a part of.
func TestTextsAreShared(t *testing.T) {
	ts := texts{newShared[string, struct{}]()}
	request := "read write"
	a, b, c := ts.hold(request[:4]), ts.hold("read"), ts.hold("write")
	if a != b || a == c || ts.of(a) != "read" || ts.of(c) != "write" || ts.hold("") != 0 || ts.of(0) != "" {
		t.Errorf("read is %d and %d, write %d", a, b, c)
	}
	if unsafe.StringData(ts.of(a)) == unsafe.StringData(request) {
		t.Error("the text keeps the whole request")
	}
	ts.release(a)
	if ts.of(b) != "read" {
		t.Error("a text that is held is gone")
	}
	if b = ts.replace(b, "admin"); ts.of(b) != "admin" || ts.byKey.held != 2 {
		t.Errorf("%q, %d texts", ts.of(b), ts.byKey.held)
	}
	ts.release(b)
	ts.release(c)
	if ts.byKey.held != 0 || ts.get(b) != nil || ts.get(c) != nil {
		t.Errorf("%d texts are left", ts.byKey.held)
	}
}

// The collector follows no pointer of a token, and a token has its size in few objects:
// at most 200 bytes with everything that finds it, and 320 with a refresh token. Those of
// a grant that was refreshed take 370, of which the family is 30.
func TestTokensAreSmall(t *testing.T) {
	for _, tt := range []struct {
		of   reflect.Type
		most uintptr
	}{{reflect.TypeFor[token](), 128}, {reflect.TypeFor[refresh](), 104}, {reflect.TypeFor[spending](), 56}, {reflect.TypeFor[family](), 48}} {
		if tt.of.Size() > tt.most {
			t.Errorf("%v takes %d bytes, want at most %d", tt.of, tt.of.Size(), tt.most)
		}
		if path := pointerIn(tt.of); path != "" {
			t.Errorf("%v has a pointer: %s", tt.of, path)
		}
	}
	const n = 20_000
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name               string
		refresh, refreshed bool
		most               float64
	}{{"alone", false, false, 200}, {"with a refresh token", true, false, 320}, {"of a refreshed grant", true, true, 370}} {
		s := New()
		objects, bytes := heapNow()
		for i := range n {
			r := store.Token{
				Digest: store.DigestOf(fmt.Sprint(i)), UserID: fmt.Sprint(i % 20), Scopes: "read",
				Created: now, Modified: now, Expires: now.Add(time.Hour + time.Duration(i)*time.Second),
			}
			rotate := tt.refreshed && i%2 == 1 // the token before it
			if tt.refresh {
				r.Refresh = store.Refresh{Digest: store.DigestOf(fmt.Sprint("r", i)), Scopes: "read", Expires: r.Expires, Grant: store.DigestOf(fmt.Sprint("g", i))}
			}
			var err error
			if rotate {
				r.Refresh.Grant = store.DigestOf(fmt.Sprint("g", i-1))
				_, err = s.Rotate(t.Context(), store.Rotation{Refresh: store.DigestOf(fmt.Sprint("r", i-1)), Revision: 1, At: now, Token: r})
			} else {
				_, err = s.InsertToken(t.Context(), r, store.InsertLimits{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		objects2, bytes2 := heapNow()
		perObjects, perBytes := (objects2-objects)/n, (bytes2-bytes)/n
		t.Logf("%s: %.1f bytes and %.3f objects a token", tt.name, perBytes, perObjects)
		if perBytes > tt.most || perObjects > 0.1 {
			t.Errorf("%s: %.1f bytes and %.3f objects a token, want at most %v and 0.1", tt.name, perBytes, perObjects, tt.most)
		}
		runtime.KeepAlive(s)
	}
}

func heapNow() (objects, bytes float64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapObjects), float64(m.HeapAlloc)
}

// pointerIn returns the path of a field with a pointer, "" for none.
func pointerIn(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Struct:
		for i := range of.NumField() {
			f := of.Field(i)
			if path := pointerIn(f.Type); path != "" {
				return f.Name + " " + path
			}
		}
		return ""
	case reflect.Array:
		return pointerIn(of.Elem())
	}
	if of.Kind() >= reflect.Bool && of.Kind() <= reflect.Complex128 {
		return ""
	}
	return of.String()
}
