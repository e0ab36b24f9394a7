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
	b := appendHeader(make([]byte, 0, 512), deadline)
	b = binary.AppendUvarint(append(b, valuesEntries), uint64(len(keys)))
	for _, k := range keys {
		var err error
		if b, err = appendValue(appendCounted(b, k), values[k]); err != nil {
			return nil, err
		}
	}
	return limited(b)
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
	list, err := parse(b)
	if err != nil {
		return time.Time{}, nil, err
	}
	values := make(map[string]any, list.n)
	if list.old {
		values, err = decodeOld(b[codecHeader:])
	} else if list.n > 0 {
		text := string(b) // one copy for all strings
		for at := list.first; at < len(b) && err == nil; {
			e, _ := entryAt(b, at)
			raw := text[at : at+len(e.raw)]
			values[raw[e.keyAt:e.keyAt+len(e.key)]], err = e.decode(raw)
			at += len(e.raw)
		}
	}
	if err != nil {
		return time.Time{}, nil, err
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC(), values, nil
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

// entries are the valid entries of encoded values.
type entries struct {
	data  []byte
	first int // offset of the first one
	n     int
	old   bool // all values are one gob, of an earlier version
	gob   bool // some or all values are gob
}

// parse checks encoded values, except what is gob, and returns their entries. It
// allocates nothing.
func parse(b []byte) (entries, error) {
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
	if n == 0 || n > uint64(len(values)) {
		return entries{}, errSessionData
	}
	list := entries{data: b, first: codecHeader + 1 + size, n: int(n)}
	at := list.first
	var last []byte
	for i := range list.n {
		e, ok := entryAt(b, at)
		if !ok || !validValue(e.kind, e.value) || i > 0 && bytes.Compare(last, e.key) >= 0 {
			return entries{}, errSessionData
		}
		last = e.key
		list.gob = list.gob || e.kind == kindGob
		at += len(e.raw)
	}
	if at != len(b) {
		return entries{}, errSessionData
	}
	return list, nil
}

// holdsValues reports whether encoded values are these, without encoding them. It
// reports false if it cannot tell, because some are gob.
func holdsValues(b []byte, values map[string]any) bool {
	list, err := parse(b)
	if err != nil || list.gob || list.n != len(values) {
		return false
	}
	for at := list.first; at < len(list.data); {
		e, _ := entryAt(b, at)
		if v, ok := values[string(e.key)]; !ok || !e.is(v) {
			return false
		}
		at += len(e.raw)
	}
	return true
}

// sameValues compares encoded values without their deadlines. Only values in gob
// are decoded.
func sameValues(a, b []byte) bool {
	x, errX := parse(a)
	y, errY := parse(b)
	if errX != nil || errY != nil {
		return false
	}
	if bytes.Equal(a[codecHeader:], b[codecHeader:]) {
		return true
	}
	if !x.gob && !y.gob {
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
	for at := list.first; at < len(list.data); {
		e, _ := entryAt(b, at)
		m[string(e.key)] = e
		at += len(e.raw)
	}
	return m, nil
}
