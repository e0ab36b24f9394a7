package auth

import (
	"errors"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

const modified = scs.Modified

// sessionWriter saves the session before the first byte of the response goes
// out. If that fails, the client gets 503 and nothing of what the handler
// writes.
type sessionWriter struct {
	http.ResponseWriter
	st     *sessionState
	r      *http.Request
	failed bool
}

var errNotSaved = errors.New("auth: the session could not be saved; the response was replaced")

// before saves the session once, and reports whether the response may go out.
func (w *sessionWriter) before() bool {
	if !w.st.sent {
		if err := w.st.save(w.Header()); err != nil {
			w.failed = true
			clear(w.Header()) // it was made for another response
			w.st.session.deny(w.ResponseWriter, w.r, err)
		}
	}
	return !w.failed
}

// WriteHeader implements [http.ResponseWriter]. Informational responses come
// before the one that carries the cookie.
func (w *sessionWriter) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if informational && !w.st.sent || w.before() {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements [http.ResponseWriter].
func (w *sessionWriter) Write(b []byte) (int, error) {
	if !w.before() {
		return 0, errNotSaved
	}
	return w.ResponseWriter.Write(b)
}

// FlushError is what [http.ResponseController] calls.
func (w *sessionWriter) FlushError() error {
	if !w.before() {
		return errNotSaved
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *sessionWriter) Flush() { _ = w.FlushError() }

// Unwrap is for [http.ResponseController].
func (w *sessionWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
