package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth/observe"
)

// The two sentences are documented by AWX; clients compare them.
const (
	detailUnauthorized = "Authentication credentials were not provided."
	detailForbidden    = "You do not have permission to perform this action."
)

var (
	errUnauthorized = &Error{Status: http.StatusUnauthorized, Detail: detailUnauthorized}
	errNobody       = &Error{
		Status: http.StatusUnauthorized,
		Detail: detailUnauthorized,
		Err:    errors.New("nil Principal: the request has passed no Gate, or is anonymous behind Gate.Identify; put Gate.Require around the handler"),
	}
	errForbidden      = &Error{Status: http.StatusForbidden, Detail: detailForbidden}
	errMethod         = &Error{Status: http.StatusMethodNotAllowed, Detail: "This method is never allowed."}
	errBadPassword    = &Error{Status: http.StatusUnauthorized, Detail: "Incorrect user name or password."}
	errMalformedBasic = &Error{Status: http.StatusUnauthorized, Detail: "The Basic credentials are malformed."}
	// No authenticator knows the scheme of the Authorization field.
	errUnknownScheme = &Error{Status: http.StatusUnauthorized, Detail: "The scheme of the Authorization field is not supported."}
	// The token acts for no user, and the gate is for users.
	errApplicationAlone = &Error{Status: http.StatusForbidden, Detail: detailForbidden, Err: errors.New("the token acts for an application alone, see GateOptions.ApplicationTokens")}
	errNeedsRead        = &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: ScopeRead}
	errNeedsWrite       = &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: ScopeWrite}
)

// refusalFields sets the fields of a refusal that do not depend on its body.
func refusalFields(h http.Header, e *Error) {
	// A middleware that rewrites a challenge in place must not change the ones to come.
	for _, name := range []string{"Www-Authenticate", "Allow"} {
		if v := h[name]; v != nil {
			h[name] = slices.Clone(v)
		}
	}
	vary(h)
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(e.RetryAfter))) // RFC 9110 section 10.2.3
	}
}

// writeRefusal writes the header of a refusal and calls body for the rest.
func writeRefusal(w http.ResponseWriter, r *http.Request, e *Error, body func(http.ResponseWriter, *http.Request, *Error)) {
	refusalFields(w.Header(), e)
	rw := refusalWriter{ResponseWriter: w, status: e.Status}
	if body(&rw, r, e); !rw.wrote {
		bodyOf(e).write(w, e.Status)
	}
}

// refusalWriter keeps the body function of a host from answering a refusal with a
// success, as net/http does for a body without a status and for no answer at all.
type refusalWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader implements [http.ResponseWriter].
func (w *refusalWriter) WriteHeader(status int) {
	if status >= 200 {
		w.wrote = true
		if status < 300 {
			status = w.status
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *refusalWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(w.status)
	}
	return w.ResponseWriter.Write(b)
}

// FlushError is for [http.ResponseController].
func (w *refusalWriter) FlushError() error {
	if !w.wrote {
		w.WriteHeader(w.status)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refusal returns the part of err that the client may see.
func refusal(err error) *Error {
	// An Error with another status is a mistake of its author. It must not let
	// the request pass.
	if e, ok := errors.AsType[*Error](err); ok && e.Status >= 400 && e.Status <= 599 {
		return e
	}
	if errors.Is(err, ErrNoCredentials) {
		return errUnauthorized
	}
	return &Error{
		Status:     http.StatusServiceUnavailable,
		Detail:     "The service is temporarily unavailable.",
		RetryAfter: time.Second,
		Err:        err,
	}
}

// statusReason returns the reason that the status of a refusal stands for.
func statusReason(e *Error) observe.Reason {
	switch e.Status {
	case http.StatusUnauthorized:
		return observe.ReasonInvalidCredential
	case http.StatusForbidden:
		return observe.ReasonForbidden
	case http.StatusMethodNotAllowed:
		return observe.ReasonMethod
	case http.StatusNotFound:
		return observe.ReasonNotFound
	case http.StatusTooManyRequests:
		return observe.ReasonThrottled
	}
	switch {
	case e.Status < http.StatusInternalServerError:
		return observe.ReasonInvalidRequest
	case errors.Is(e, context.Canceled):
		return observe.ReasonCanceled
	}
	return observe.ReasonOutage
}

// A detailBody is the body that AWX's clients read, a JSON object with a detail.
type detailBody struct {
	text   []byte
	length []string // of Content-Length
}

var unauthorizedJSON = newDetailBody(detailUnauthorized)

// bodyOf returns the default body of a refusal.
func bodyOf(e *Error) detailBody {
	if e.Status == http.StatusUnauthorized {
		return unauthorizedJSON // it says nothing about the cause: the challenge does
	}
	return newDetailBody(e.Detail)
}

func newDetailBody(detail string) detailBody {
	text := detailJSON(detail)
	return detailBody{text, []string{strconv.Itoa(len(text))}}
}

func (b detailBody) write(w http.ResponseWriter, status int) {
	h := w.Header()
	h["Content-Type"] = isJSON
	h["Content-Length"] = b.length
	w.WriteHeader(status)
	_, _ = w.Write(b.text) // an error means that the client has gone
}

func detailJSON(detail string) []byte {
	body, err := json.Marshal(struct {
		Detail string `json:"detail"`
	}{detail})
	if err != nil { // a string always encodes
		panic(err)
	}
	return body
}

// Header fields that are shared by all replies; their capacity makes an append
// copy them. doc/limits.md says that nobody may change one in place.
var (
	varies  = []string{"Authorization, Cookie"}
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
	isJSON  = []string{"application/json"}
	// The methods that a gate may allow, for Allow (RFC 9110 section 15.5.6).
	allowed = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
)

// vary says that a reply depends on the credentials (RFC 9110 section 12.5.5).
func vary(h http.Header) {
	if len(h) == 0 { // as nearly always
		h["Vary"] = varies
		return
	}
	switch v := h["Vary"]; {
	case len(v) == 0:
		h["Vary"] = varies
	case !slices.Contains(v, varies[0]):
		h["Vary"] = append(slices.Clip(v), varies...)
	}
}

// seconds rounds up, so that a client does not give up early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
