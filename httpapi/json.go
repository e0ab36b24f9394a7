package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth"
)

// maxBody is the longest request body that is read, in bytes.
const maxBody = 64 << 10

// Refusals in AWX's words; clients compare some of them.
var (
	errNoRoute       = &auth.Error{Status: http.StatusNotFound, Detail: "The requested resource could not be found."}
	errNotFound      = &auth.Error{Status: http.StatusNotFound, Detail: "Not found."}
	errForbidden     = &auth.Error{Status: http.StatusForbidden, Detail: "You do not have permission to perform this action."}
	errNotAcceptable = &auth.Error{Status: http.StatusNotAcceptable, Detail: "Could not satisfy the request Accept header."}
	errTooLarge      = &auth.Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("The request body is larger than %d bytes.", maxBody)}
	errMediaType     = &auth.Error{Status: http.StatusUnsupportedMediaType, Detail: "You did not use correct Content-Type in your HTTP request. If you are using our REST API, the Content-Type must be application/json"}
)

func badRequest(detail string) error {
	return &auth.Error{Status: http.StatusBadRequest, Detail: detail}
}

// badField is a refusal that names the field of the body.
func badField(name, why string) error {
	return &auth.Error{Status: http.StatusBadRequest, Field: name, Detail: why}
}

func methodNotAllowed(method string) error {
	return &auth.Error{Status: http.StatusMethodNotAllowed, Detail: "Method " + strconv.Quote(method) + " not allowed."}
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("httpapi: encode: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	}
	return nil
}

// fail answers for an error: refusals that name fields in AWX's form, all others
// through the gate.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	if fields := fieldsOf(err, nil); fields != nil {
		if err = writeJSON(w, r, http.StatusBadRequest, fields); err == nil {
			return
		}
	}
	a.Gate.Deny(w, r, err)
}

// fieldsOf collects the refusals of single fields in err, which may be joined.
func fieldsOf(err error, fields map[string][]string) map[string][]string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			fields = fieldsOf(err, fields)
		}
		return fields
	}
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Field != "" && e.Status == http.StatusBadRequest {
		if fields == nil {
			fields = make(map[string][]string)
		}
		fields[e.Field] = append(fields[e.Field], e.Detail)
	}
	return fields
}

// acceptsJSON reports whether the client can read the answer (RFC 9110 section
// 12.5.1).
func acceptsJSON(r *http.Request) bool {
	return accepts(r, "application/json", "application/*", "*/*")
}

// wants reports whether the client names the media type itself.
func wants(r *http.Request, mediaType string) bool {
	return len(r.Header["Accept"]) > 0 && accepts(r, mediaType)
}

func accepts(r *http.Request, ranges ...string) bool {
	values := r.Header["Accept"]
	if len(values) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		mediaRange, params, _ := strings.Cut(strings.ToLower(part), ";")
		for _, want := range ranges {
			if strings.TrimSpace(mediaRange) == want && !zeroQuality(params) {
				return true
			}
		}
	}
	return false
}

// zeroQuality reports whether the parameters say "not this one".
func zeroQuality(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if q, err := strconv.ParseFloat(value, 64); name == "q" && (err != nil || q <= 0) {
			return true
		}
	}
	return false
}

// mediaType returns the type of the body, "" where the request does not say, or
// not clearly.
func mediaType(r *http.Request) string {
	values := r.Header["Content-Type"]
	if len(values) != 1 {
		return ""
	}
	t, _, err := mime.ParseMediaType(values[0])
	if err != nil {
		return ""
	}
	return t
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(unwrapped(w), r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, badRequest("The request body could not be read.")
	}
	return body, nil
}

// unwrapped returns net/http's own writer. MaxBytesReader knows how to tell that
// one to close the connection; otherwise the server would wait for the rest of
// the body before it answers.
func unwrapped(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// An object is a JSON object of a request, by its names.
type object map[string]json.RawMessage

// readObject reads the body: one JSON object in UTF-8, without duplicate names.
// Every name must be one of writable, or one of ignored, which AWX's own
// representation has but callers cannot set. An empty body is an empty object.
func readObject(w http.ResponseWriter, r *http.Request, writable, ignored []string) (object, error) {
	body, err := readBody(w, r)
	switch {
	case err != nil:
		return nil, err
	case len(bytes.TrimSpace(body)) == 0:
		return object{}, nil
	case mediaType(r) != "application/json":
		return nil, errMediaType
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	for name := range o {
		if !contains(writable, name) && !contains(ignored, name) {
			return nil, badField(name, "This field does not exist. Known fields: "+strings.Join(writable, ", ")+".")
		}
	}
	return o, nil
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// parseObject is stricter than [json.Unmarshal], which takes the last of
// duplicate names, folds their case and stops after the first value.
func parseObject(body []byte) (object, error) {
	if !utf8.Valid(body) {
		return nil, parseError("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	start, err := d.Token()
	if err != nil {
		return nil, parseError(reason(err))
	}
	if start != json.Delim('{') {
		return nil, parseError("not a JSON object")
	}
	o := make(object)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, parseError(reason(err))
		}
		key, _ := name.(string) // the decoder accepts nothing else here
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, parseError(reason(err))
		}
		if _, twice := o[key]; twice {
			return nil, parseError("duplicate name " + strconv.Quote(key))
		}
		o[key] = value
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, parseError(reason(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, parseError("data after the object")
	}
	return o, nil
}

func parseError(why string) error { return badRequest("JSON parse error - " + why) }

// reason says what is wrong with a document without quoting much of it.
func reason(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return e.Error() + " at byte " + strconv.FormatInt(e.Offset, 10)
	}
	return "unexpected end"
}

// given reports whether the object has a value other than null under name.
func (o object) given(name string) bool {
	v, ok := o[name]
	return ok && string(v) != "null"
}

// text returns the string under name, or nil if there is no such name.
func (o object) text(name string) (*string, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return nil, badField(name, "Not a valid string.")
	}
	return s, nil
}

// instant returns the RFC 3339 time under name, or the zero time if there is
// none.
func (o object) instant(name string) (time.Time, error) {
	if !o.given(name) {
		return time.Time{}, nil
	}
	s, err := o.text(name)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, *s)
	if err != nil {
		return time.Time{}, badField(name, "Not a time of the form 2027-01-31T12:00:00Z (RFC 3339).")
	}
	return t, nil
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

// MarshalJSON implements [json.Marshaler]. There is no user without an ID.
func (id userID) MarshalJSON() ([]byte, error) {
	if id == "" {
		return []byte("null"), nil
	}
	if isDecimal(string(id)) {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// isDecimal reports whether s is a decimal number without sign and leading zeros
// that fits an int64.
func isDecimal(s string) bool {
	if s == "" || len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
