// Package clientdoctest serves client ID metadata documents to tests.
package clientdoctest

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/ostiary/auth/clientdoc"
)

// A Server is a host of clients on a loopback address, with TLS.
type Server struct {
	t   testing.TB
	web *httptest.Server

	mu       sync.Mutex
	requests int
	handlers map[string]http.HandlerFunc
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, handlers: make(map[string]http.HandlerFunc)}
	s.web = httptest.NewUnstartedServer(s)
	s.web.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that tests mean to fail
	s.web.StartTLS()
	t.Cleanup(s.Stop)
	return s
}

// Stop ends the server, as if its host were down.
func (s *Server) Stop() {
	s.web.CloseClientConnections()
	s.web.Close()
}

// URL returns the address of the server, without a last slash. It is the origin of
// its redirect URIs, too.
func (s *Server) URL() string { return s.web.URL }

// Host returns the host and port of the server.
func (s *Server) Host() string { return s.web.Listener.Addr().String() }

// Roots returns the authority of its certificate.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.web.Certificate())
	return pool
}

// Fetcher returns a fetcher that accepts this server and others on loopback
// addresses. Change may set further options.
func (s *Server) Fetcher(change func(*clientdoc.Options)) *clientdoc.Fetcher {
	s.t.Helper()
	o := clientdoc.Options{AllowHosts: []string{"*"}, RootCAs: s.Roots(), InsecureLoopback: true}
	if change != nil {
		change(&o)
	}
	f, err := clientdoc.New(&o)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// Requests returns the number of requests so far.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Handle answers requests for a path, and returns the client_id of its document. Nil
// means 404.
func (s *Server) Handle(path string, h http.HandlerFunc) (clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[path] = h
	return s.URL() + path
}

// Client serves the document of a public client and returns its client_id.
func (s *Server) Client(path, name string, redirectURIs ...string) (clientID string) {
	return s.Handle(path, Answer(map[string]any{"client_id": s.URL() + path, "client_name": name, "redirect_uris": redirectURIs,
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}}))
}

// Answer returns a handler that answers with a document.
func Answer(document any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document) // the client may be gone
	}
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	h := s.handlers[r.URL.Path]
	s.mu.Unlock()
	if h == nil {
		h = http.NotFound
	}
	h(w, r)
}
