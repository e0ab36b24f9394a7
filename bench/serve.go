package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
)

// Passed is the status with which the handlers of contestants answer.
const Passed = http.StatusNoContent

// A Writer writes nowhere and counts the answers that have a status.
type Writer struct {
	header http.Header
	status int // that counts
	count  int
}

// Header implements [http.ResponseWriter].
func (w *Writer) Header() http.Header { return w.header }

// Write implements [http.ResponseWriter].
func (w *Writer) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements [http.ResponseWriter].
func (w *Writer) WriteHeader(status int) {
	if status == w.status {
		w.count++
	}
}

// Serving returns a contestant whose handler gets requests with these fields in
// turn. It panics if one is not answered with that status.
func Serving(name string, h http.Handler, status int, fields []http.Header) Contestant {
	return Contestant{name, func() func(int) {
		w := &Writer{header: make(http.Header), status: status}
		requests := make([]*http.Request, len(fields))
		for i, f := range fields {
			requests[i] = NewRequest(f.Clone())
		}
		next := 0
		return func(n int) {
			before := w.count
			for range n {
				clear(w.header)
				h.ServeHTTP(w, requests[next])
				if next++; next == len(requests) {
					next = 0
				}
			}
			if got := w.count - before; got != n {
				panic(fmt.Sprintf("%s: %d of %d answers have status %d", name, got, n, status))
			}
		}
	}}
}

// NewRequest returns a request with these fields and the chain of contexts that
// net/http builds. Only the API looks at the path.
func NewRequest(fields http.Header) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/api/v2/me/"}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: fields, Host: "app.example", RemoteAddr: "127.0.0.1:1234",
	}
	ctx := context.WithValue(context.Background(), http.ServerContextKey, nil)
	ctx, cancel := context.WithCancel(ctx)
	runtime.KeepAlive(cancel) // the request lives as long as the process
	return r.WithContext(ctx)
}

// Fields returns a header with one field for each value. The values stand in memory one
// after the other, wherever they were made.
func Fields(name string, values []string) []http.Header {
	list := make([]http.Header, len(values))
	for i, v := range values {
		list[i] = http.Header{name: {strings.Clone(v)}}
	}
	return list
}
