package auth

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"
)

// The kinds of values in a session. A kind stands for one type of Go, so that an
// int64 does not come back as an int. A released kind never changes.
const (
	kindGob     = iota // any other type: gob of an interface value
	kindNil            // no bytes
	kindString         // its bytes
	kindBytes          // []byte: its bytes
	kindStrings        // []string: each with its length
	kindMap            // map[string]string: keys and values with their lengths, ordered by key
	kindTime           // as time.Time.MarshalBinary has it, which gob uses
	kindBool           // 0 or 1
	kindFloat32        // IEEE 754, 4 bytes
	kindFloat64        // IEEE 754, 8 bytes
	kindInt            // signed: zigzag varint
	kindInt8
	kindInt16
	kindInt32
	kindInt64
	kindUint // unsigned: varint
	kindUint8
	kindUint16
	kindUint32
	kindUint64
)

// An entry is a key of a session with its encoded value:
//
//	key    its length as a varint, and its bytes
//	kind   1 byte
//	value  its length as a varint, and its bytes
//
// Varints have no superfluous bytes. Each value therefore has one form, except
// one in gob, which writes maps in any order and numbers types by their first use.
// A time with an offset of negative seconds comes back with another offset, as by gob.
type entry struct {
	key, value []byte
	kind       byte

	raw   []byte // the entire entry, which ends with value
	keyAt int    // offset of key in raw
	end   int    // offset behind raw
}

// next sets e to the entry behind it, and reports whether that is a valid one.
func (e *entry) next(b []byte) bool {
	last, first := e.key, e.raw == nil
	return e.read(b) && validValue(e.kind, e.value) && (first || bytes.Compare(last, e.key) < 0)
}

// read is next without a look at the value and the order.
func (e *entry) read(b []byte) (ok bool) {
	start, at := e.end, e.end
	if e.key, at, ok = counted(b, at); !ok || at == len(b) {
		return false
	}
	e.keyAt, e.kind = at-len(e.key)-start, b[at]
	if e.value, at, ok = counted(b, at+1); !ok {
		return false
	}
	e.raw, e.end = b[start:at], at
	return true
}

// counted returns the bytes of b at an offset that stand behind their length, and
// the offset behind them.
func counted(b []byte, at int) (part []byte, next int, ok bool) {
	n, size := uint64(0), 1
	if at < len(b) && b[at] < 0x80 { // without a call
		n = uint64(b[at])
	} else {
		n, size = uvarint(b[at:])
	}
	at += size
	if size == 0 || n > uint64(len(b)-at) {
		return nil, 0, false
	}
	next = at + int(n)
	return b[at:next:next], next, true
}

// uvarint is [binary.Uvarint] that returns 0 bytes also for a varint which could
// be shorter.
func uvarint(b []byte) (x uint64, size int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	x, size = binary.Uvarint(b)
	if size < 1 || b[size-1] == 0 {
		return 0, 0
	}
	return x, size
}

// whole returns the number that b consists of.
func whole(b []byte) (x uint64, ok bool) {
	x, size := uvarint(b)
	return x, size > 0 && size == len(b)
}

// signed returns the number whose zigzag form is x.
func signed(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }

// validValue reports whether v is the form of a value of that kind. It does not
// look at gob.
func validValue(kind byte, v []byte) bool {
	switch kind {
	case kindGob, kindString, kindBytes:
		return true
	case kindNil:
		return len(v) == 0
	case kindStrings:
		for at, ok := 0, false; at < len(v); {
			if _, at, ok = counted(v, at); !ok {
				return false
			}
		}
		return true
	case kindMap:
		var last, key []byte
		for at, ok := 0, false; at < len(v); last = key {
			first := at == 0
			if key, at, ok = counted(v, at); !ok || !first && bytes.Compare(last, key) >= 0 {
				return false
			}
			if _, at, ok = counted(v, at); !ok {
				return false
			}
		}
		return true
	case kindTime:
		return new(time.Time).UnmarshalBinary(v) == nil
	case kindBool:
		return len(v) == 1 && v[0] <= 1
	case kindFloat32:
		return len(v) == 4
	case kindFloat64:
		return len(v) == 8
	}
	x, ok := whole(v)
	i := signed(x)
	switch kind {
	case kindInt:
		return ok && int64(int(i)) == i
	case kindInt8:
		return ok && int64(int8(i)) == i
	case kindInt16:
		return ok && int64(int16(i)) == i
	case kindInt32:
		return ok && int64(int32(i)) == i
	case kindInt64, kindUint64:
		return ok
	case kindUint:
		return ok && uint64(uint(x)) == x
	case kindUint8:
		return ok && x <= math.MaxUint8
	case kindUint16:
		return ok && x <= math.MaxUint16
	case kindUint32:
		return ok && x <= math.MaxUint32
	}
	return false
}

// decode returns the value of a valid entry. Raw is e.raw, and strings are parts
// of it. An empty slice is nil and a nil map is empty, as after gob.
func (e *entry) decode(raw string) (any, error) {
	text := raw[len(raw)-len(e.value):]
	v := e.value
	switch e.kind {
	case kindGob:
		var x any
		r := bytes.NewReader(v)
		if err := gob.NewDecoder(r).Decode(&x); err != nil {
			return nil, fmt.Errorf("auth: decode a session value: %w", err)
		}
		if r.Len() > 0 {
			return nil, errSessionData
		}
		return x, nil
	case kindNil:
		return nil, nil
	case kindString:
		return text, nil
	case kindBytes:
		return append([]byte(nil), v...), nil
	case kindStrings:
		var list []string
		for at := 0; at < len(v); {
			s, next, _ := counted(v, at)
			list, at = append(list, text[next-len(s):next]), next
		}
		return list, nil
	case kindMap:
		m := make(map[string]string)
		for at := 0; at < len(v); {
			key, next, _ := counted(v, at)
			val, end, _ := counted(v, next)
			m[text[next-len(key):next]], at = text[end-len(val):end], end
		}
		return m, nil
	case kindTime:
		var t time.Time
		err := t.UnmarshalBinary(v)
		return t, err
	case kindBool:
		return v[0] == 1, nil
	case kindFloat32:
		return math.Float32frombits(binary.BigEndian.Uint32(v)), nil
	case kindFloat64:
		return math.Float64frombits(binary.BigEndian.Uint64(v)), nil
	}
	x, _ := whole(v)
	switch i := signed(x); e.kind {
	case kindInt:
		return int(i), nil
	case kindInt8:
		return int8(i), nil
	case kindInt16:
		return int16(i), nil
	case kindInt32:
		return int32(i), nil
	case kindInt64:
		return i, nil
	case kindUint:
		return uint(x), nil
	case kindUint8:
		return uint8(x), nil
	case kindUint16:
		return uint16(x), nil
	case kindUint32:
		return uint32(x), nil
	}
	return x, nil
}

// constant reports whether nobody can change the value of a valid entry in place.
func (e *entry) constant() bool {
	switch e.kind {
	case kindGob, kindBytes, kindStrings, kindMap:
		return false
	}
	return true
}

// same reports whether two valid entries have the same value.
func (e *entry) same(f *entry) bool {
	if bytes.Equal(e.raw, f.raw) {
		return true
	}
	if e.kind != kindGob && f.kind != kindGob {
		return false
	}
	x, errX := e.decode(string(e.raw))
	y, errY := f.decode(string(f.raw))
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// appendValue appends the kind of v, the length of its encoded form, and that form.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, kindNil, 0), nil
	case string:
		return appendCounted(append(b, kindString), v), nil
	case []byte:
		return appendCounted(append(b, kindBytes), v), nil
	case []string:
		n := 0
		for _, s := range v {
			n += sizeCounted(s)
		}
		b = binary.AppendUvarint(append(b, kindStrings), uint64(n))
		for _, s := range v {
			b = appendCounted(b, s)
		}
		return b, nil
	case map[string]string:
		n := 0
		for k, s := range v {
			n += sizeCounted(k) + sizeCounted(s)
		}
		b = binary.AppendUvarint(append(b, kindMap), uint64(n))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = appendCounted(appendCounted(b, k), v[k])
		}
		return b, nil
	case time.Time:
		at := len(b) + 1
		b, err := v.AppendBinary(append(b, kindTime, 0))
		if err != nil {
			return nil, fmt.Errorf("auth: encode a session value: %w", err)
		}
		b[at] = byte(len(b) - at - 1)
		return b, nil
	case bool:
		if v {
			return append(b, kindBool, 1, 1), nil
		}
		return append(b, kindBool, 1, 0), nil
	case float32:
		return binary.BigEndian.AppendUint32(append(b, kindFloat32, 4), math.Float32bits(v)), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(b, kindFloat64, 8), math.Float64bits(v)), nil
	case int:
		return appendInt(b, kindInt, int64(v)), nil
	case int8:
		return appendInt(b, kindInt8, int64(v)), nil
	case int16:
		return appendInt(b, kindInt16, int64(v)), nil
	case int32:
		return appendInt(b, kindInt32, int64(v)), nil
	case int64:
		return appendInt(b, kindInt64, v), nil
	case uint:
		return appendUint(b, kindUint, uint64(v)), nil
	case uint8:
		return appendUint(b, kindUint8, uint64(v)), nil
	case uint16:
		return appendUint(b, kindUint16, uint64(v)), nil
	case uint32:
		return appendUint(b, kindUint32, uint64(v)), nil
	case uint64:
		return appendUint(b, kindUint64, v), nil
	}
	return appendGob(b, v)
}

// appendGob is appendValue for types that have no kind. They must be registered
// with gob.
func appendGob(b []byte, v any) ([]byte, error) {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(&v); err != nil {
		return nil, fmt.Errorf("auth: encode a session value: %w", err)
	}
	return appendCounted(append(b, kindGob), buf.Bytes()), nil
}

func appendCounted[S string | []byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// sizeCounted returns the number of bytes that appendCounted appends.
func sizeCounted(s string) int {
	n := 1 + len(s)
	for x := len(s); x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

func appendInt(b []byte, kind byte, i int64) []byte {
	return appendUint(b, kind, uint64(i)<<1^uint64(i>>63))
}

func appendUint(b []byte, kind byte, x uint64) []byte {
	at := len(b) + 1
	b = binary.AppendUvarint(append(b, kind, 0), x)
	b[at] = byte(len(b) - at - 1)
	return b
}

// is reports whether the value of a valid entry is v, without encoding more of v
// than a number. It does not know values in gob, and reports false for them.
func (e *entry) is(v any) bool {
	rest := e.value
	switch v := v.(type) {
	case string:
		return e.kind == kindString && string(rest) == v
	case []byte:
		return e.kind == kindBytes && bytes.Equal(rest, v)
	case []string:
		if e.kind != kindStrings {
			return false
		}
		for _, s := range v {
			part, next, ok := counted(rest, 0)
			if !ok || string(part) != s {
				return false
			}
			rest = rest[next:]
		}
		return len(rest) == 0
	case map[string]string:
		if e.kind != kindMap {
			return false
		}
		n := 0
		for ; len(rest) > 0; n++ {
			key, at, _ := counted(rest, 0)
			val, next, _ := counted(rest, at)
			if s, has := v[string(key)]; !has || string(val) != s {
				return false
			}
			rest = rest[next:]
		}
		return n == len(v)
	case nil, time.Time, bool, float32, float64, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		var buf [24]byte
		b, err := appendValue(buf[:0], v)
		return err == nil && b[0] == e.kind && bytes.Equal(b[2:], rest)
	}
	return false
}
