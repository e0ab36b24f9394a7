package otelauth_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/otelauth"
)

// A telemetry is what the SDK of OpenTelemetry takes in.
type telemetry struct {
	t      testing.TB
	reader *sdkmetric.ManualReader
	spans  *tracetest.SpanRecorder
	tracer trace.Tracer // of the host
	events observe.Func
}

func newTelemetry(t testing.TB) *telemetry {
	t.Helper()
	x := &telemetry{t: t, reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(x.reader))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(x.spans))
	x.tracer = tracers.Tracer("host")
	x.events = auth.Must(otelauth.New(&otelauth.Options{MeterProvider: meters, TracerProvider: tracers}))
	return x
}

func words(set attribute.Set) string {
	var list []string
	for _, kv := range set.ToSlice() {
		list = append(list, string(kv.Key)+"="+kv.Value.String())
	}
	return strings.Join(list, " ")
}

// metrics returns all data points: a counter with its value, a histogram with its
// number of values, and the unit.
func (x *telemetry) metrics() (list []string) {
	x.t.Helper()
	var all metricdata.ResourceMetrics
	if err := x.reader.Collect(context.Background(), &all); err != nil {
		x.t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					list = append(list, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", m.Name, p.Value, m.Unit, words(p.Attributes))))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					list = append(list, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", m.Name, p.Count, m.Unit, words(p.Attributes))))
				}
			default:
				x.t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestMetrics(t *testing.T) {
	for _, tt := range []struct {
		e    observe.Event
		want []string
	}{
		{observe.Event{Name: observe.RequestAllowed, Kind: observe.KindBearer, Count: 1, Duration: time.Millisecond},
			[]string{"ostiary.request.allowed 1 {request} ostiary.credential=bearer", "ostiary.request.duration 1 s ostiary.credential=bearer"}},
		{observe.Event{Name: observe.RequestRefused, Reason: observe.ReasonNoCredentials, Count: 1},
			[]string{"ostiary.request.refused 1 {request} error.type=no_credentials ostiary.credential=none ostiary.outcome=refused"}},
		{observe.Event{Name: observe.PasswordHashed, Reason: observe.ReasonBusy, Count: 1, Wait: time.Second},
			[]string{"ostiary.password.hash.wait 1 s error.type=busy ostiary.outcome=failed", "ostiary.password.hashed 1 {hash} error.type=busy ostiary.outcome=failed"}},
		{observe.Event{Name: observe.SessionEnded, Kind: observe.KindRevoked, Count: 7},
			[]string{"ostiary.session.ended 7 {session} ostiary.cause=revoked"}},
		{observe.Event{Name: observe.ConsentWithdrawn, Count: 1}, []string{"ostiary.consent.withdrawn 1 {consent}"}},
		{observe.Event{Name: observe.ConsentWithdrawn, Kind: observe.KindBearer, Count: 1}, nil},
		{observe.Event{Name: 255, Kind: 255, Reason: 255, Count: 1}, nil},
	} {
		x := newTelemetry(t)
		x.events(t.Context(), tt.e)
		if got := x.metrics(); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.e.Name, got, tt.want)
		}
	}
}

func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTelemetry(t)
		read := observe.Event{Name: observe.StoreCalled, Kind: observe.KindRead, Reason: observe.ReasonTimeout, Count: 1, Duration: 2 * time.Second}
		x.events(t.Context(), read) // no span above: none below
		ctx, parent := x.tracer.Start(t.Context(), "GET /jobs/")
		time.Sleep(2 * time.Second)
		x.events(ctx, read)
		x.events(ctx, observe.Event{Name: observe.PasswordChecked, Reason: observe.ReasonWrongPassword, Count: 1, Duration: time.Second})
		x.events(ctx, observe.Event{Name: observe.TokenIssued, Kind: observe.KindPersonal, Count: 1})
		x.events(ctx, observe.Event{Name: observe.CircuitClosed, Count: 1, Duration: time.Hour})
		spans := x.spans.Ended()
		if len(spans) != 2 {
			t.Fatalf("%d spans", len(spans))
		}
		for i, want := range []struct {
			name, attributes string
			kind             trace.SpanKind
			status           codes.Code
			took             time.Duration
		}{
			{"ostiary.store.call", "error.type=timeout ostiary.operation=read ostiary.outcome=failed", trace.SpanKindClient, codes.Error, 2 * time.Second},
			{"ostiary.password.check", "error.type=wrong_password ostiary.outcome=refused", trace.SpanKindInternal, codes.Unset, time.Second},
		} {
			s := spans[i]
			if s.Name() != want.name || words(attribute.NewSet(s.Attributes()...)) != want.attributes || s.SpanKind() != want.kind ||
				s.Status().Code != want.status || s.EndTime().Sub(s.StartTime()) != want.took || !s.EndTime().Equal(time.Now()) ||
				s.Parent().SpanID() != parent.SpanContext().SpanID() {
				t.Errorf("span %s, %v of %v from %v to %v, status %v; want %+v", s.Name(), s.Attributes(), s.SpanKind(), s.StartTime(), s.EndTime(), s.Status(), want)
			}
		}
	})
}

// A span that is not sampled has none below it.
func TestUnsampled(t *testing.T) {
	x := newTelemetry(t)
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(x.spans), sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, _ := tracers.Tracer("host").Start(t.Context(), "GET /")
	x.events(ctx, observe.Event{Name: observe.StoreCalled, Kind: observe.KindRead, Count: 1, Duration: time.Second})
	if n := len(x.spans.Ended()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// Whatever happens, there are no more data points than the definitions have, and
// doc/observability.md has every metric and attribute.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../doc/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	x := newTelemetry(t)
	most := 0
	for _, name := range observe.Names() {
		d := name.Definition()
		most += 3 * len(d.Kinds) * len(d.Reasons)
		for kind := range 64 {
			for reason := range 64 {
				x.events(t.Context(), observe.Event{Name: name, Kind: observe.Kind(kind), Reason: observe.Reason(reason), Count: 1})
			}
		}
	}
	points := x.metrics()
	if len(points) > most || len(points) < most/3 {
		t.Errorf("%d data points, at most %d are defined", len(points), most)
	}
	for _, point := range points {
		name, rest, _ := strings.Cut(point, " ")
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
		for _, word := range strings.Fields(rest)[2:] {
			if key, _, _ := strings.Cut(word, "="); !strings.Contains(string(page), "`"+key+"`") {
				t.Errorf("%s is not documented", key)
			}
		}
	}
}

// The global providers are the default, and do nothing unless the host sets them.
func TestDefaults(t *testing.T) {
	events, err := otelauth.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	events(t.Context(), observe.Event{Name: observe.TokenIssued, Kind: observe.KindPersonal, Count: 1})
}
