package auth

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"time"
)

// codec encodes the values that a host keeps in a session. What security
// depends on is not among them: the store has fields for it. Most sessions have
// no values at all and cost nine bytes, where gob alone would spend 15 µs on
// describing its types.
//
//	version  1 byte
//	deadline 8 bytes, UTC microseconds, for scs
//	values   gob of map[string]any, only if there are any
type codec struct{}

const (
	codecVersion = 1
	codecHeader  = 9
	// maxSessionData is the most that a host may keep in a session, in bytes.
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
