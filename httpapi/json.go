package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
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

// writeEncoded writes a body that is JSON already.
func writeEncoded(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
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
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000000Z"`)), nil
}

// userID writes a numeric ID as a number, as AWX has it, and others as text.
type userID string

// maxNumber is the largest number in an answer, because many clients read a
// float64, which skips 2⁵³+1 (RFC 8259 section 6).
const maxNumber = 1 << 53

// MarshalJSON implements [json.Marshaler]. There is no user without an ID.
func (id userID) MarshalJSON() ([]byte, error) {
	if id == "" {
		return []byte("null"), nil
	}
	if isDecimal(string(id)) {
		if n, err := strconv.ParseInt(string(id), 10, 64); err == nil && n <= maxNumber {
			return []byte(id), nil
		}
	}
	return json.Marshal(string(id))
}
