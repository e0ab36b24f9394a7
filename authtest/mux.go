package authtest

import "net/http"

// Mux is an [http.ServeMux] that remembers its patterns, for [AuditRoutes]. A
// ServeMux does not tell them, and a list beside it would miss the route that
// somebody forgot. So the function of a host that registers routes must take an
// interface with the method Handle, to which its server gives an [http.ServeMux]
// and its test a Mux. The zero Mux is ready for use. It is not safe for concurrent
// registration.
type Mux struct {
	mux      http.ServeMux
	patterns []string
}

// Handle is the method of [http.ServeMux].
func (m *Mux) Handle(pattern string, h http.Handler) {
	m.mux.Handle(pattern, h)
	m.patterns = append(m.patterns, pattern)
}

// HandleFunc is the method of [http.ServeMux].
func (m *Mux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(h))
}

// ServeHTTP implements [http.Handler].
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// Patterns implements [Router].
func (m *Mux) Patterns() []string { return m.patterns }

// Pattern implements [Router].
func (m *Mux) Pattern(r *http.Request) string {
	_, pattern := m.mux.Handler(r)
	return pattern
}
