package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/promauth"
)

// metrics are those of the process. Nil counts nothing, for tests and while settings
// are only checked.
type metrics struct {
	registry *prometheus.Registry
	events   observe.Func // of the parts of the module
	requests *prometheus.HistogramVec
}

func newMetrics() (*metrics, error) {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time of HTTP requests, by method and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}, []string{"method", "code"}),
	}
	b := thisBuild()
	version := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ostiary_build_info", Help: "1, with the version of the program in labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	version.Set(1)
	for _, c := range []prometheus.Collector{
		m.requests, version, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	var err error
	m.events, err = promauth.New(m.registry)
	return m, err
}

// observe returns the function for the parts of the module.
func (m *metrics) observe() observe.Func {
	if m == nil {
		return nil
	}
	return m.events
}

// watch adds the connections of a database.
func (m *metrics) watch(db *sql.DB) error {
	if m == nil {
		return nil
	}
	return m.registry.Register(collectors.NewDBStatsCollector(db, "ostiary"))
}

// count measures the requests that next answers. Methods that nobody registered are
// one label, and no other input is in any.
func (m *metrics) count(next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	return promhttp.InstrumentHandlerDuration(m.requests, next)
}

// routes serves the metrics.
func (m *metrics) routes(mux router) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelError), MaxRequestsInFlight: 4,
	}))
}

// serveAdmin answers the operator on l, until the returned function is called. It does
// nothing without a listener.
func serveAdmin(l net.Listener, s *service) (stop func()) {
	if l == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	s.metrics.routes(mux)
	s.health.routes(mux, true)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			slog.ErrorContext(context.Background(), "the address of -admin-addr is not served any more", "error", err)
		}
	}()
	fmt.Printf("Metrics on http://%s/metrics\n", l.Addr())
	return func() {
		_ = srv.Close() // scrapes in flight are lost with the process anyway
		<-ended
	}
}
