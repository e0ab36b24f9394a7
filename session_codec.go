package auth

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// codec encodes the values that a host keeps in a session. The user and the
// times of the session are not among them: the store has fields for them. Most
// sessions have no values and take nine bytes.
//
//	version  1 byte
//	deadline 8 bytes, UTC microseconds, for scs
//	values   only if there are any
//
// Values begin with a byte for their form. With valuesEntries, the number of
// entries follows as a varint, and then the entries, ordered by key, see [entry].
// Other bytes begin the gob of a map[string]any, which earlier versions wrote:
// gob begins with a length, whose first byte is below 0x80 or above 0xf7.
//
// The same values have the same form, except those in gob.
type codec struct{}

const (
	codecVersion  = 1
	codecHeader   = 9
	valuesEntries = 0x81
	// maxSessionData is the maximum size of the values in a session, in bytes.
	maxSessionData = 64 << 10
)

var errSessionData = errors.New("auth: session data is not of a known version")

// Encode implements scs.Codec.
func (codec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	if len(values) == 0 {
		return appendHeader(nil, deadline), nil
	}
	var few [16]string
	keys := slices.AppendSeq(few[:0], maps.Keys(values))
	slices.Sort(keys)
	var room [512]byte // most values need no more, and then one allocation
	b := appendHeader(room[:0], deadline)
	b = binary.AppendUvarint(append(b, valuesEntries), uint64(len(keys)))
	for _, k := range keys {
		var err error
		if b, err = appendValue(appendCounted(b, k), values[k]); err != nil {
			return nil, err
		}
	}
	return limited(bytes.Clone(b))
}

func appendHeader(b []byte, deadline time.Time) []byte {
	return binary.BigEndian.AppendUint64(append(b, codecVersion), uint64(deadline.UnixMicro()))
}

func limited(b []byte) ([]byte, error) {
	if len(b) > maxSessionData {
		return nil, fmt.Errorf("auth: session values take %d bytes; the most is %d", len(b), maxSessionData)
	}
	return b, nil
}

// Decode implements scs.Codec. It is total: any bytes give values or an error.
func (codec) Decode(b []byte) (time.Time, map[string]any, error) {
	deadline, values, _, err := decodeValues(b)
	return deadline, values, err
}

// decodeValues is Decode that also reports whether no value can be changed in place, so
// that requests may share them.
func decodeValues(b []byte) (deadline time.Time, values map[string]any, shareable bool, err error) {
	list, err := begin(b)
	if err != nil {
		return time.Time{}, nil, false, err
	}
	if list.old {
		values, err = decodeOld(b[codecHeader:])
	} else {
		values, shareable, err = list.decode()
	}
	if err != nil {
		return time.Time{}, nil, false, err
	}
	return deadlineOf(b), values, shareable, nil
}

// deadlineOf returns the deadline of encoded values that can be decoded.
func deadlineOf(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
}

// decode checks and decodes the entries.
func (list *entries) decode() (values map[string]any, shareable bool, err error) {
	values, shareable = make(map[string]any, list.n), true
	if list.n == 0 {
		return values, true, nil
	}
	text := string(list.data) // one copy for all strings
	var few boxes
	e := entry{end: list.first}
	for range list.n {
		if !e.next(list.data) {
			return nil, false, errSessionData
		}
		raw := text[e.end-len(e.raw) : e.end]
		key := raw[e.keyAt : e.keyAt+len(e.key)]
		if e.kind == kindString {
			few.put(values, key, raw[len(raw)-len(e.value):])
			continue
		}
		v, err := e.decode(raw)
		if err != nil {
			return nil, false, err
		}
		values[key] = v
		shareable = shareable && e.constant()
	}
	few.flush(values)
	if e.end != len(list.data) {
		return nil, false, errSessionData
	}
	return values, shareable, nil
}

// boxes puts strings into a map of interfaces with one allocation for some of them,
// because each interface with a string takes an allocation of its own.
type boxes struct {
	keys, values [4]string
	n            int
}

func (x *boxes) put(m map[string]any, key, value string) {
	if x.n == len(x.keys) {
		x.flush(m)
	}
	x.keys[x.n], x.values[x.n] = key, value
	x.n++
}

func (x *boxes) flush(m map[string]any) {
	if x.n == 1 {
		m[x.keys[0]] = x.values[0]
	} else if x.n > 1 {
		// An element of an array that nobody can change needs no copy of its own.
		values := reflect.ValueOf(x.values)
		for i, key := range x.keys[:x.n] {
			m[key] = values.Index(i).Interface()
		}
	}
	x.n = 0
}

// decodeOld returns the values of an earlier version.
func decodeOld(b []byte) (map[string]any, error) {
	values := make(map[string]any)
	r := bytes.NewReader(b)
	if err := gob.NewDecoder(r).Decode(&values); err != nil {
		return nil, fmt.Errorf("auth: decode session values: %w", err)
	}
	if r.Len() > 0 {
		return nil, errSessionData
	}
	return values, nil
}

// entries are the entries of encoded values.
type entries struct {
	data  []byte
	first int // offset of the first one
	n     int
	old   bool // all values are one gob, of an earlier version
	gob   bool // some or all values are gob
}

// begin returns the entries of encoded values before they are checked.
func begin(b []byte) (entries, error) {
	if len(b) < codecHeader || len(b) > maxSessionData || b[0] != codecVersion {
		return entries{}, errSessionData
	}
	values := b[codecHeader:]
	switch {
	case len(values) == 0:
		return entries{}, nil
	case values[0] < 0x80, values[0] > 0xf7:
		return entries{old: true, gob: true}, nil
	case values[0] != valuesEntries:
		return entries{}, errSessionData
	}
	n, size := uvarint(values[1:])
	if n == 0 || n > uint64(len(values)/3) { // an entry has three bytes at least
		return entries{}, errSessionData
	}
	return entries{data: b, first: codecHeader + 1 + size, n: int(n)}, nil
}

// parse checks encoded values, except what is gob, and returns their entries. It
// allocates nothing.
func parse(b []byte) (entries, error) {
	list, err := begin(b)
	if err != nil || list.n == 0 {
		return list, err
	}
	e := entry{end: list.first}
	for range list.n {
		if !e.next(b) {
			return entries{}, errSessionData
		}
		list.gob = list.gob || e.kind == kindGob
	}
	if e.end != len(b) {
		return entries{}, errSessionData
	}
	return list, nil
}

// holdsValues reports whether encoded values are these, without encoding them. It
// reports false if it cannot tell, because some are gob.
func holdsValues(b []byte, values map[string]any) bool {
	list, err := begin(b)
	if err != nil || list.gob || list.n != len(values) {
		return false
	}
	e := entry{end: list.first}
	for range list.n {
		if !e.next(b) {
			return false
		}
		if v, ok := values[string(e.key)]; !ok || !e.is(v) {
			return false
		}
	}
	return list.n == 0 || e.end == len(b)
}

// holdsGob reports whether some encoded values are gob, or cannot be read. Without gob
// values have one form.
func holdsGob(b []byte) bool {
	list, err := begin(b)
	if err != nil || list.old {
		return true
	}
	e := entry{end: list.first}
	for range list.n {
		if !e.read(b) || e.kind == kindGob {
			return true
		}
	}
	return false
}

// sameValues compares encoded values without their deadlines. Only values in gob
// are decoded.
func sameValues(a, b []byte) bool {
	if !holdsGob(a) && !holdsGob(b) {
		return bytes.Equal(a[codecHeader:], b[codecHeader:])
	}
	_, errX := parse(a)
	if errX == nil && len(a) == len(b) && b[0] == codecVersion && bytes.Equal(a[codecHeader:], b[codecHeader:]) {
		return true
	}
	_, errY := parse(b)
	if errX != nil || errY != nil {
		return false
	}
	_, p, errX := codec{}.Decode(a)
	_, q, errY := codec{}.Decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(p, q)
}

// mergeValues applies the changes from base to mine to theirs.
func mergeValues(base, mine, theirs []byte) ([]byte, error) {
	before, err := entriesOf(base)
	if err != nil {
		return nil, err
	}
	after, err := entriesOf(mine)
	if err != nil {
		return nil, err
	}
	merged, err := entriesOf(theirs)
	if err != nil {
		return nil, err
	}
	for k := range before {
		if _, kept := after[k]; !kept {
			delete(merged, k)
		}
	}
	for k, e := range after {
		if old, had := before[k]; !had || !old.same(&e) {
			merged[k] = e
		}
	}
	b := bytes.Clone(mine[:codecHeader])
	if len(merged) > 0 {
		b = binary.AppendUvarint(append(b, valuesEntries), uint64(len(merged)))
	}
	for _, k := range slices.Sorted(maps.Keys(merged)) {
		b = append(b, merged[k].raw...)
	}
	return limited(b)
}

// entriesOf returns entries by their keys.
func entriesOf(b []byte) (map[string]entry, error) {
	list, err := parse(b)
	if err == nil && list.old {
		var values map[string]any
		if values, err = decodeOld(b[codecHeader:]); err != nil {
			return nil, err
		}
		if b, err = (codec{}).Encode(time.Time{}, values); err != nil {
			return nil, err
		}
		list, err = parse(b)
	}
	if err != nil {
		return nil, err
	}
	m := make(map[string]entry, list.n)
	e := entry{end: list.first}
	for range list.n {
		e.read(b)
		m[string(e.key)] = e
	}
	return m, nil
}
