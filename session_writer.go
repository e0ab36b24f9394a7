package auth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// sessionWriter saves the session before the first byte of the response. If
// that fails, the client gets 503 and nothing of the handler's response.
//
// It is the state of the request with other methods, so that it takes no room.
type sessionWriter sessionState

// Format keeps the identifier out of logs that print writers.
func (w *sessionWriter) Format(f fmt.State, verb rune) { (*sessionState)(w).Format(f, verb) }

var errNotSaved = errors.New("auth: the session could not be saved; the response was replaced")

// before saves the session once, and reports whether the response may go out.
func (w *sessionWriter) before() bool {
	if w.hinted { // httputil.ReverseProxy clears the header after each informational response
		w.hinted = false
		vary(w.writer.Header()) // also after a Hijack that failed
	}
	if w.sent {
		return !w.failed
	}
	return w.save(w.writer.Header())
}

// save saves the session, which it does once, and adds its fields to h.
func (w *sessionWriter) save(h http.Header) bool {
	if w.sent {
		return !w.failed
	}
	if err := (*sessionState)(w).save(h); err != nil {
		w.failed = true
		clear(w.Header()) // it was made for another response
		w.session.deny(w.writer, w.request, err)
	}
	return !w.failed
}

// Header implements [http.ResponseWriter].
func (w *sessionWriter) Header() http.Header { return w.writer.Header() }

// WriteHeader implements [http.ResponseWriter]. Informational responses do not
// carry the cookie.
func (w *sessionWriter) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if informational && !w.sent {
		w.hinted = true
	} else if !w.before() {
		return
	}
	w.writer.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *sessionWriter) Write(b []byte) (int, error) {
	if !w.before() {
		return 0, errNotSaved
	}
	return w.writer.Write(b)
}

// ReadFrom implements [io.ReaderFrom], which net/http uses for files.
func (w *sessionWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.before() {
		return 0, errNotSaved
	}
	return io.Copy(w.writer, src)
}

// FlushError is called by [http.ResponseController].
func (w *sessionWriter) FlushError() error {
	if !w.before() {
		return errNotSaved
	}
	return http.NewResponseController(w.writer).Flush()
}

// Flush implements [http.Flusher].
func (w *sessionWriter) Flush() { _ = w.FlushError() }

// Hijack implements [http.Hijacker], which libraries for WebSockets need. The
// session is saved before the connection is taken. If the library writes its
// response to the connection, the fields of the session are added to that
// response.
func (w *sessionWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !hijackable(w.writer) {
		return nil, nil, http.ErrNotSupported // such as HTTP/2: the session can still change
	}
	late := w.sent // the response was written by WriteHeader, fields included
	fields := make(http.Header)
	if !w.save(fields) {
		return nil, nil, errNotSaved
	}
	conn, rw, err := http.NewResponseController(w.writer).Hijack()
	if err != nil {
		// The handler will answer in another way.
		for name, values := range fields {
			w.Header()[name] = append(w.Header()[name], values...)
		}
		return nil, nil, err
	}
	if late || len(fields["Set-Cookie"]) == 0 {
		return conn, rw, nil
	}
	var head bytes.Buffer
	_ = fields.Write(&head) // a buffer takes everything
	taken := &takenConn{Conn: conn, session: (*sessionState)(w)}
	taken.fields.Store(&head)
	return taken, bufio.NewReadWriter(rw.Reader, bufio.NewWriter(taken)), nil
}

// hijackable reports whether [http.ResponseController] finds a connection to take.
func hijackable(w http.ResponseWriter) bool {
	for {
		switch v := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
}

// Unwrap is for [http.ResponseController].
func (w *sessionWriter) Unwrap() http.ResponseWriter { return w.writer }

// takenConn is a connection that a handler took before its response was written,
// while the session has a cookie to send. It puts the fields of the session
// behind the status line.
type takenConn struct {
	net.Conn
	session *sessionState
	fields  atomic.Pointer[bytes.Buffer] // nil when they are written
}

// Write implements [net.Conn].
func (c *takenConn) Write(b []byte) (int, error) {
	if len(b) == 0 || c.fields.Load() == nil {
		return c.Conn.Write(b)
	}
	head := c.fields.Swap(nil)
	if head == nil {
		return c.Conn.Write(b)
	}
	fields := head.Bytes()
	end := bytes.Index(b, []byte("\r\n")) + 2
	if end < 2 || !strings.HasPrefix(string(b[:end]), "HTTP/1.") {
		c.session.lostCookie("the cookie had no response to go with")
		return c.Conn.Write(b)
	}
	all := make([]byte, 0, len(b)+len(fields))
	all = append(append(append(all, b[:end]...), fields...), b[end:]...)
	n, err := c.Conn.Write(all)
	// The caller knows of its own bytes only.
	switch {
	case n >= end+len(fields):
		n -= len(fields)
	case n > end:
		n = end
	}
	return n, err
}
