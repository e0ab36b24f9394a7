package promauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/promauth"
	"github.com/ostiary/auth/store/memory"
)

// A service that counts what its gate does. The address with the metrics is for
// Prometheus alone: serve it where no client reaches it.
func ExampleNew() {
	registry := prometheus.NewRegistry()
	events := auth.Must(promauth.New(registry))
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Observe: events}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Observe: events})
	gate.Require(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))

	w := httptest.NewRecorder()
	metrics.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, "no_credentials") && strings.HasSuffix(line, " 1\n") {
			fmt.Print(line)
		}
	}
	// Output:
	// ostiary_request_refused_total{credential="none",outcome="refused",reason="no_credentials"} 1
}

// The numbers of a gate, with the defaults.
func Example() {
	db := memory.New()
	bearer := auth.NewBearer(auth.Must(auth.NewTokens(db, db, nil)))
	events := auth.Must(promauth.New(prometheus.DefaultRegisterer))
	gate := auth.NewGate(bearer, &auth.GateOptions{Observe: events})
	http.Handle("/", gate.Require(http.NotFoundHandler()))
}
