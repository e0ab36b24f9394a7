package otelauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/otelauth"
	"github.com/ostiary/auth/store/memory"
)

// A service that reports what its gate does. A service in production gives its
// provider an exporter in place of the reader, such as one for OTLP.
func ExampleNew() {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	events := auth.Must(otelauth.New(&otelauth.Options{MeterProvider: provider}))

	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Observe: events}))
	gate := auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Observe: events})
	gate.Require(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		panic(err)
	}
	m := all.ScopeMetrics[0].Metrics[0]
	fmt.Println(m.Name, m.Unit, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
	// Output: ostiary.request.refused {request} 1
}

// The numbers of a gate, with the defaults.
func Example() {
	db := memory.New()
	bearer := auth.NewBearer(auth.Must(auth.NewTokens(db, db, nil)))
	events := auth.Must(otelauth.New(nil))
	gate := auth.NewGate(bearer, &auth.GateOptions{Observe: events})
	http.Handle("/", gate.Require(http.NotFoundHandler()))
}
