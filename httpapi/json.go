package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// mask replaces secrets in every answer but the one that issues them.
const mask = "************"

// writeJSON writes v as the answer.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("httpapi: encode: %w", err)
	}
	writeEncoded(w, r, status, body)
	return nil
}

// buffers has room for the answers that are appended to. A [http.ResponseWriter]
// must not keep what it is given to write, see [io.Writer].
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// writeAppended writes an answer with the body that append adds to a buffer.
func writeAppended(w http.ResponseWriter, r *http.Request, status int, add func([]byte) []byte) {
	b := buffers.Get().(*[]byte)
	*b = add((*b)[:0])
	writeEncoded(w, r, status, *b)
	buffers.Put(b)
}

// appendJSON appends s as [json.Marshal] writes it.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // which succeeds for every string
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

var contentJSON = []string{"application/json"}

// writeEncoded writes a body that is JSON already.
func writeEncoded(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentJSON
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the client has gone
	}
}

// timestamp writes a time as AWX does: RFC 3339, UTC, microseconds; null for the
// zero time.
type timestamp time.Time

// MarshalJSON implements [json.Marshaler].
func (t timestamp) MarshalJSON() ([]byte, error) {
	return t.append(nil), nil
}

func (t timestamp) append(b []byte) []byte {
	if time.Time(t).IsZero() {
		return append(b, "null"...)
	}
	return time.Time(t).UTC().AppendFormat(b, `"2006-01-02T15:04:05.000000Z"`)
}

// userID writes a numeric ID as a number, as AWX has it, and others as text.
type userID string

// maxNumber is the largest number in an answer, because many clients read a
// float64, which skips 2⁵³+1 (RFC 8259 section 6).
const maxNumber = 1 << 53

// MarshalJSON implements [json.Marshaler]. There is no user without an ID.
func (id userID) MarshalJSON() ([]byte, error) { return id.append(nil), nil }

func (id userID) append(b []byte) []byte {
	if id == "" {
		return append(b, "null"...)
	}
	if isDecimal(string(id)) {
		if n, err := strconv.ParseInt(string(id), 10, 64); err == nil && n <= maxNumber {
			return append(b, id...)
		}
	}
	return appendJSON(b, string(id))
}
