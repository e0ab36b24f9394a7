package auth

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// plan is a type of a host, which has no kind of its own.
type plan struct {
	Name  string
	Seats map[string]int
}

// oldSession returns values as earlier versions stored them.
func oldSession(tb testing.TB, values map[string]any) []byte {
	b := bytes.NewBuffer(appendHeader(nil, time.Unix(1e9, 0)))
	if err := gob.NewEncoder(b).Encode(values); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// someValues has a value of each kind, and the odd ones.
func someValues() map[string]any {
	gob.Register(plan{})
	gob.Register(time.Time{})         // which scs does not do
	gob.Register(map[string]string{}) // nor this
	return map[string]any{
		"nil": nil, "string": "x", "no string": "", "long": strings.Repeat("é", 200), "not UTF-8": "\xff\x00",
		"bytes": []byte{0, 0xff}, "no bytes": []byte{}, "nil bytes": []byte(nil),
		"strings": []string{"a", "", strings.Repeat("b", 300)}, "no strings": []string{}, "nil strings": []string(nil), "one empty string": []string{""},
		"map": map[string]string{"b": "1", "": "", "a": strings.Repeat("c", 130)}, "no map": map[string]string{}, "nil map": map[string]string(nil),
		"true": true, "false": false, "float32": float32(1.5), "float64": 1e300, "-0": math.Copysign(0, -1), "Inf": math.Inf(-1),
		"int": 7, "int min": math.MinInt, "int8": int8(-128), "int16": int16(-300), "int32": int32(1 << 30), "int64": int64(math.MinInt64), "int64 0": int64(0),
		"uint": uint(7), "uint8": uint8(255), "uint16": uint16(65535), "uint32": uint32(1 << 31), "uint64": uint64(math.MaxUint64),
		"UTC": time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC), "local": time.Unix(1e9, 5), "monotonic": time.Now(), "zero time": time.Time{},
		"zone": time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("X", 3600)), "odd zone": time.Date(1800, 1, 1, 0, 0, 0, 0, time.FixedZone("X", 3601)),
		// By gob.
		"struct": plan{"gold", map[string]int{"a": 1, "b": 2}}, "ints": []int{1, 2}, "complex": 1i, "pointer": &plan{Name: "silver"}, "pointer to int": new(int),
	}
}

// Every value comes back as gob would bring it back: with its type, without a
// monotonic clock, with nil for an empty slice and an empty map for nil.
func TestCodecIsLikeGob(t *testing.T) {
	for name, v := range someValues() {
		one := map[string]any{name: v}
		_, want, err := codec{}.Decode(oldSession(t, one))
		if err != nil {
			t.Fatal(err)
		}
		b, err := codec{}.Encode(time.Unix(1e9, 0), one)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, got, err := codec{}.Decode(b)
		if err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("%s: %#v, %v; gob has %#v", name, got, err, want)
		}
		// What came back is stored already, in the old form, too.
		list, err := parse(b)
		if err != nil || !sameValues(b, oldSession(t, one)) || holdsValues(b, got) == list.gob || !list.gob && !holdsValues(b, one) {
			t.Errorf("%s: %v; same as in gob %v, known to be stored %v and %v", name, err, sameValues(b, oldSession(t, one)), holdsValues(b, got), holdsValues(b, one))
		}
	}
	for name, v := range map[string]any{"nil pointer": (*plan)(nil), "function": func() {}, "not registered": struct{ A int }{1}, "channel": make(chan int)} {
		if b, err := (codec{}).Encode(time.Time{}, map[string]any{"k": v}); err == nil {
			t.Errorf("%s: encoded as %x", name, b)
		}
	}
}

// However many strings there are, among other values, each comes back under its key.
func TestCodecManyStrings(t *testing.T) {
	values := make(map[string]any)
	for n := range 20 {
		b, err := codec{}.Encode(time.Time{}, values)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := (codec{}).Decode(b); err != nil || !reflect.DeepEqual(got, values) {
			t.Errorf("%v, %v; want %v", got, err, values)
		}
		values[strings.Repeat("k", n)] = strings.Repeat("v", n)
		values[strings.Repeat("i", n/3)] = n
	}
}

// The form of each kind is a promise to what is stored.
func TestCodecForm(t *testing.T) {
	values := map[string]any{
		"nil": nil, "s": "x", "b": []byte{1}, "l": []string{"a", ""}, "m": map[string]string{"k": "v"}, "time": time.Unix(0, 1).UTC(), "t": true, "f": float32(1), "d": 1.0,
		"i": -1, "i8": int8(1), "i16": int16(-300), "i32": int32(2), "i64": int64(3), "u": uint(4), "u8": uint8(5), "u16": uint16(300), "u32": uint32(6), "u64": uint64(7),
	}
	const want = "010000000000000001" + "8113" + "0162030101" + "016409083ff0000000000000" + "016608043f800000" + "01690a0101" + "036931360c02d704" + "036933320d0104" +
		"036936340e0106" + "0269380b0102" + "016c0403016100" + "016d0504016b0176" + "036e696c0100" + "0173020178" + "0174070101" + "0474696d65060f010000000e7791f70000000001ffff" +
		"01750f0104" + "03753136" + "1102ac02" + "03753332" + "120106" + "03753634" + "130107" + "0275381001" + "05"
	for range 20 { // maps have no order
		b, err := codec{}.Encode(time.UnixMicro(1), maps.Clone(values))
		if diff := cmp.Diff(want, hex.EncodeToString(b)); diff != "" || err != nil {
			t.Fatalf("%v; form (-want +got):\n%s", err, diff)
		}
	}
}

// What no version of the codec wrote is no session.
func TestCodecRefuses(t *testing.T) {
	for name, values := range map[string]string{
		"no entries":                  "\x81\x00",
		"another form":                "\x82\x01\x01k\x01\x00",
		"fewer than said":             "\x81\x02\x01k\x01\x00",
		"more than said":              "\x81\x01\x01k\x01\x00\x01l\x01\x00",
		"many more than there can be": "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01k\x01\x00",
		"a key twice":                 "\x81\x02\x01k\x01\x00\x01k\x01\x00",
		"keys out of order":           "\x81\x02\x01l\x01\x00\x01k\x01\x00",
		"a long count":                "\x81\x81\x00\x01k\x01\x00",
		"a long length of a key":      "\x81\x01\x81\x00k\x01\x00",
		"a length beyond the end":     "\x81\x01\x01k\x02\x05x",
		"an enormous length":          "\x81\x01\x01k\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
		"no kind":                     "\x81\x01\x01k",
		"an unknown kind":             "\x81\x01\x01k\x14\x00",
		"nil with bytes":              "\x81\x01\x01k\x01\x01x",
		"a bool of 2":                 "\x81\x01\x01k\x07\x01\x02",
		"a short float":               "\x81\x01\x01k\x09\x04\x00\x00\x00\x00",
		"an int8 of 128":              "\x81\x01\x01k\x0b\x02\x80\x02",
		"a uint16 of 65536":           "\x81\x01\x01k\x11\x03\x80\x80\x04",
		"a long integer":              "\x81\x01\x01k\x0a\x02\x81\x00",
		"two integers":                "\x81\x01\x01k\x0a\x02\x01\x01",
		"no integer":                  "\x81\x01\x01k\x0a\x00",
		"half a string in a list":     "\x81\x01\x01k\x04\x02\x05a",
		"half a map":                  "\x81\x01\x01k\x05\x02\x01a",
		"a map out of order":          "\x81\x01\x01k\x05\x08\x01b\x01x\x01a\x01x",
		"a map with a key twice":      "\x81\x01\x01k\x05\x08\x01a\x01x\x01a\x01y",
		"half a time":                 "\x81\x01\x01k\x06\x02\x01\x00",
		"no gob":                      "\x81\x01\x01k\x00\x03abc",
		"a byte behind gob":           "\x81\x01\x01k\x00\x0a\x07\x10\x00\x03int\x04\x02\x00\x00\x00",
	} {
		b := append(appendHeader(nil, time.Time{}), values...)
		if _, got, err := (codec{}).Decode(b); err == nil {
			t.Errorf("%s: decodes to %v", name, got)
		}
	}
}

// Values that are stored are not encoded again.
func TestEqualValuesAreNotEncoded(t *testing.T) {
	values := someValues()
	for _, name := range []string{"struct", "ints", "complex", "pointer", "pointer to int"} {
		delete(values, name)
	}
	stored, err := codec{}.Encode(time.Time{}, values)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := (changes{stored: stored}).Encode(time.Now(), values); err != nil || &b[0] != &stored[0] {
		t.Errorf("equal values are encoded again: %v", err)
	}
	// Whatever differs is seen.
	for name := range values {
		for _, v := range values {
			other := maps.Clone(values)
			other[name] = v
			again, err := codec{}.Encode(time.Time{}, other)
			if err != nil {
				t.Fatal(err)
			}
			if holdsValues(stored, other) != bytes.Equal(again, stored) {
				t.Errorf("%s: %#v in place of %#v: taken for equal: %v", name, v, values[name], holdsValues(stored, other))
			}
		}
		less := maps.Clone(values)
		delete(less, name)
		if holdsValues(stored, less) {
			t.Errorf("the lack of %s is not seen", name)
		}
		less["other"] = values[name]
		if holdsValues(stored, less) {
			t.Errorf("another name of %s is not seen", name)
		}
	}
}

// A merge takes old values, too, and writes the form of today.
func TestMergeOldValues(t *testing.T) {
	type m = map[string]any
	gob.Register(plan{})
	theirs, err := codec{}.Encode(time.Time{}, m{"struct": plan{Name: "gold"}, "theirs": 1, "dropped": 1})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := codec{}.Encode(time.Unix(5, 0), m{"struct": plan{Name: "gold"}, "mine": "x"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := mergeValues(oldSession(t, m{"struct": plan{Name: "gold"}, "dropped": 1}), mine, theirs)
	if err != nil {
		t.Fatal(err)
	}
	deadline, got, err := codec{}.Decode(b)
	if diff := cmp.Diff(m{"struct": plan{Name: "gold"}, "theirs": 1, "mine": "x"}, got); diff != "" || err != nil || !deadline.Equal(time.Unix(5, 0)) {
		t.Errorf("%v, deadline %v; merged (-want +got):\n%s", err, deadline, diff)
	}
	big := strings.Repeat("x", maxSessionData/2)
	mine, _ = codec{}.Encode(time.Time{}, m{"a": big})
	theirs, _ = codec{}.Encode(time.Time{}, m{"b": big})
	if _, err := mergeValues(appendHeader(nil, time.Time{}), mine, theirs); err == nil {
		t.Error("a merge was encoded that may not be decoded")
	}
}

// A time that Go itself does not bring back as it was is no reason to lose a session.
func TestCodecOddZone(t *testing.T) {
	one := map[string]any{"k": time.Date(1800, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", -17762))}
	gob.Register(time.Time{})
	_, want, _ := codec{}.Decode(oldSession(t, one))
	b, err := codec{}.Encode(time.Time{}, one)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := (codec{}).Decode(b); err != nil || !reflect.DeepEqual(want, got) {
		t.Errorf("%v, %v; gob has %v", got, err, want)
	}
}

// FuzzSessionEntries: bytes that decode are the only form of their values, but for gob
// and for times.
func FuzzSessionEntries(f *testing.F) {
	for name, v := range someValues() {
		b, err := codec{}.Encode(time.Unix(1e9, 0), map[string]any{name: v, "k": "v"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(oldSession(f, map[string]any{name: v}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parse(b)
		deadline, values, errDecode := codec{}.Decode(b)
		if err != nil && errDecode == nil || !list.gob && err == nil && errDecode != nil {
			t.Fatalf("%x: %v, but decoding it: %v", b, err, errDecode)
		}
		if errDecode != nil {
			return
		}
		again, err := codec{}.Encode(deadline, values)
		if err != nil {
			return // the hour of a year 300,000, or what gob does not encode
		}
		timed := slices.ContainsFunc(slices.Collect(maps.Values(values)), func(v any) bool { _, ok := v.(time.Time); return ok })
		if !list.gob && !timed && (!bytes.Equal(again, b) || !holdsValues(b, values)) {
			t.Fatalf("%x decodes to %v, and that encodes to %x", b, values, again)
		}
		merged, err := mergeValues(again, again, again)
		if err != nil || !bytes.Equal(merged, again) {
			t.Fatalf("%x merged with itself is %x, %v", again, merged, err)
		}
		for k := range values {
			delete(values, k)
			if holdsValues(again, values) {
				t.Fatalf("%x is taken for %v", again, values)
			}
			break
		}
	})
}
