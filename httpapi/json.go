package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
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

// writeAppended writes an answer with the body that add appends to a buffer.
func writeAppended(w http.ResponseWriter, r *http.Request, status int, add func([]byte) []byte) error {
	b := buffers.Get().(*[]byte)
	*b = add((*b)[:0])
	writeEncoded(w, r, status, *b)
	clear(*b) // it may have the secret of a token
	buffers.Put(b)
	return nil
}

// appendJSON appends s as [json.Marshal] writes it.
func appendJSON(b []byte, s string) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped is appendJSON without the quotation marks.
func appendEscaped(b []byte, s string) []byte {
	long := false // more than ASCII
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendMarshalled(b, s)
		}
		long = long || c >= utf8.RuneSelf
	}
	if long && (!utf8.ValidString(s) || strings.ContainsRune(s, '\u2028') || strings.ContainsRune(s, '\u2029')) {
		return appendMarshalled(b, s)
	}
	return append(b, s...)
}

func appendMarshalled(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // which succeeds for every string
	return append(b, text[1:len(text)-1]...)
}

// The following append a member. Name is what stands before its value, as in
// `,"id":`, so that it is a constant.

func appendText(b []byte, name, s string) []byte { return appendJSON(append(b, name...), s) }

func appendBool(b []byte, name string, v bool) []byte {
	return strconv.AppendBool(append(b, name...), v)
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}

// appendReference appends the ID of another record, which is null if it is 0.
func appendReference(b []byte, name string, id int64) []byte {
	if id == 0 {
		return append(append(b, name...), "null"...)
	}
	return appendNumber(b, name, id)
}

func appendTime(b []byte, name string, t time.Time) []byte {
	return timestamp(t).append(append(b, name...))
}

// closeObject ends an object whose members end with a comma.
func closeObject(b []byte) []byte {
	if last := len(b) - 1; b[last] == ',' {
		b = b[:last]
	}
	return append(b, '}')
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
	at := time.Time(t).UTC()
	year, month, day := at.Date()
	if year < 0 || year > 9999 {
		return at.AppendFormat(b, timeFormat)
	}
	second := int(at.Unix() % 86400) // of the day; Clock would take the date apart again
	if second < 0 {
		second += 86400
	}
	micro := at.Nanosecond() / 1000
	from := len(b)
	b = append(b, timeFormat...)
	text := b[from:]
	putTwo(text[1:], year/100)
	putTwo(text[3:], year%100)
	putTwo(text[6:], int(month))
	putTwo(text[9:], day)
	putTwo(text[12:], second/3600)
	putTwo(text[15:], second/60%60)
	putTwo(text[18:], second%60)
	putTwo(text[21:], micro/10000)
	putTwo(text[23:], micro/100%100)
	putTwo(text[25:], micro%100)
	return b
}

const timeFormat = `"2006-01-02T15:04:05.000000Z"`

// putTwo writes the two digits of n. Package time reads its format anew for each
// time, which takes several times as long.
func putTwo(b []byte, n int) { b[0], b[1] = byte('0'+n/10), byte('0'+n%10) }

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
