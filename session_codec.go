package auth

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// codec encodes the values that a host keeps in a session. The user and the
// times of the session are not among them: the store has fields for them. Most
// sessions have no values and take nine bytes; gob alone would take 15 µs to
// describe its types.
//
//	version  1 byte
//	deadline 8 bytes, UTC microseconds, for scs
//	values   gob of map[string]any, only if there are any
type codec struct{}

const (
	codecVersion = 1
	codecHeader  = 9
	// maxSessionData is the maximum size of the values in a session, in bytes.
	maxSessionData = 64 << 10
)

var errSessionData = errors.New("auth: session data is not of a known version")

// Encode implements scs.Codec.
func (codec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	head := make([]byte, codecHeader)
	head[0] = codecVersion
	binary.BigEndian.PutUint64(head[1:], uint64(deadline.UnixMicro()))
	if len(values) == 0 {
		return head, nil
	}
	buf := bytes.NewBuffer(head)
	if err := gob.NewEncoder(buf).Encode(values); err != nil {
		return nil, fmt.Errorf("auth: encode session values: %w", err)
	}
	if buf.Len() > maxSessionData {
		return nil, fmt.Errorf("auth: session values take %d bytes; the most is %d", buf.Len(), maxSessionData)
	}
	return buf.Bytes(), nil
}

// Decode implements scs.Codec. It is total: any bytes give values or an error.
func (codec) Decode(b []byte) (time.Time, map[string]any, error) {
	if len(b) < codecHeader || len(b) > maxSessionData || b[0] != codecVersion {
		return time.Time{}, nil, errSessionData
	}
	deadline := time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
	values := make(map[string]any)
	if rest := b[codecHeader:]; len(rest) > 0 {
		r := bytes.NewReader(rest)
		if err := gob.NewDecoder(r).Decode(&values); err != nil {
			return time.Time{}, nil, fmt.Errorf("auth: decode session values: %w", err)
		}
		if r.Len() > 0 {
			return time.Time{}, nil, errSessionData
		}
	}
	return deadline, values, nil
}

// sameValues compares encoded sessions without their deadlines. It decodes
// them, because gob writes maps in any order.
func sameValues(a, b []byte) bool {
	if len(a) != len(b) || len(a) < codecHeader {
		return false
	}
	if bytes.Equal(a[codecHeader:], b[codecHeader:]) {
		return true
	}
	_, x, errX := codec{}.Decode(a)
	_, y, errY := codec{}.Decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// mergeValues applies the changes from base to mine to theirs.
func mergeValues(base, mine, theirs []byte) ([]byte, error) {
	_, before, err := codec{}.Decode(base)
	if err != nil {
		return nil, err
	}
	deadline, after, err := codec{}.Decode(mine)
	if err != nil {
		return nil, err
	}
	_, merged, err := codec{}.Decode(theirs)
	if err != nil {
		return nil, err
	}
	for k := range before {
		if _, kept := after[k]; !kept {
			delete(merged, k)
		}
	}
	for k, v := range after {
		if old, had := before[k]; !had || !reflect.DeepEqual(old, v) {
			merged[k] = v
		}
	}
	return codec{}.Encode(deadline, merged)
}
