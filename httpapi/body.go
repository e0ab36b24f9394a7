package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/jsonobject"
)

// maxBody is the length of the longest request body, in bytes.
const maxBody = 64 << 10

var errTooLarge = &auth.Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("The request body is larger than %d bytes.", maxBody)}

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

// unwrapped returns net/http's own writer. MaxBytesReader can make that one
// close the connection; otherwise the server would wait for the rest of the
// body before it answers.
func unwrapped(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// maxParameters is the number of parameters that a form may have.
const maxParameters = 64

// readForm reads a form from the body alone. Only the parameters in repeatable
// may repeat.
func readForm(w http.ResponseWriter, r *http.Request, repeatable ...string) (url.Values, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if strings.Count(string(body), "&") >= maxParameters {
		return nil, badRequest("The form has too many parameters.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest("The form is malformed.")
	}
	for name, values := range form {
		if len(values) > 1 && !slices.Contains(repeatable, name) {
			return nil, badRequest("The parameter " + clip(name) + " of the form is given more than once.")
		}
	}
	return form, nil
}

// An object is a JSON object of a request, by its names.
type object map[string]json.RawMessage

// readObject reads the body: one JSON object in UTF-8, without duplicate names.
// Every name must be in writable or in ignored, which has the fields of AWX's
// representation that callers cannot set. An empty body is an empty object.
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
		if !slices.Contains(writable, name) && !slices.Contains(ignored, name) {
			return nil, badField(clip(name), "This field does not exist. Known fields: "+strings.Join(writable, ", ")+".")
		}
	}
	return o, nil
}

// parseObject is stricter than [json.Unmarshal], which takes the last of
// duplicate names, folds their case and stops after the first value.
func parseObject(body []byte) (object, error) {
	if !jsonobject.IsText(body) {
		return nil, parseError("not UTF-8, or an escape that is half a character")
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
			return nil, parseError("duplicate name " + quoted(key))
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

// reason returns the fault of a document, with at most a short quotation.
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

// textOrNull is text for a field whose empty value AWX also writes as null.
func (o object) textOrNull(name string) (*string, error) {
	if o.null(name) {
		return new(string), nil
	}
	return o.text(name)
}

// null reports whether the object has the value null under name.
func (o object) null(name string) bool { return string(o[name]) == "null" }

// integer returns the whole number under name, or nil if there is no such name,
// null, or an empty text. Forms and command lines send numbers as text, and
// some languages with a decimal point.
func (o object) integer(name string) (n *int64, ok bool) {
	raw := string(o[name])
	if raw == "" || raw == "null" {
		return nil, true
	}
	var s string
	if json.Unmarshal(o[name], &s) == nil {
		if raw = strings.TrimSpace(s); raw == "" {
			return nil, true
		}
		if !isDecimal(raw) {
			return nil, false
		}
	}
	i, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(raw, 64)
		if i = int64(f); err != nil || f != float64(i) || i > maxNumber || i < -maxNumber {
			return nil, false
		}
	}
	return &i, true
}

// id returns the ID of an object under name, or nil as integer does.
func (o object) id(name string) (*int64, error) {
	n, ok := o.integer(name)
	if !ok {
		return nil, badField(name, "Incorrect type. Expected pk value, received "+clip(string(o[name]))+".")
	}
	return n, nil
}

// booleans are AWX's spellings of true and false, in lower case.
var booleans = map[string]bool{
	"true": true, "t": true, "yes": true, "y": true, "on": true, "1": true,
	"false": false, "f": false, "no": false, "n": false, "off": false, "0": false,
}

// boolean returns the value under name, or nil if there is no such name. Null is
// false.
func (o object) boolean(name string) (*bool, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	if o.null(name) {
		return new(bool), nil
	}
	spelling := string(raw)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		spelling = strings.ToLower(strings.TrimSpace(s))
	} else if f, err := strconv.ParseFloat(spelling, 64); err == nil {
		spelling = strconv.FormatFloat(f, 'f', -1, 64) // 1.0 is 1
	}
	b, ok := booleans[spelling]
	if !ok {
		return nil, badField(name, "Must be a valid boolean.")
	}
	return &b, nil
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
