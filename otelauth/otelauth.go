// Package otelauth reports the events of package auth to OpenTelemetry: metrics for
// all of them, and spans for those that take time.
//
//	events, err := otelauth.New(nil) // the global providers
//	gate := auth.NewGate(bearer, &auth.GateOptions{Observe: events})
//
// Each event has a counter, such as ostiary.request.refused, and those that take time
// have a histogram of seconds, such as ostiary.store.call.duration. The attributes are
// ostiary.outcome, one such as ostiary.credential, and error.type with the reason of
// what was refused or failed. Their values are those of [observe.Name.Definition]. The
// page doc/observability.md of the repository lists them.
package otelauth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ostiary/auth/observe"
)

// Options are the options of [New].
// A zero Options consists entirely of default values.
type Options struct {
	// MeterProvider and TracerProvider take the metrics and the spans. Nil means the
	// global ones of package otel, as they are when [New] is called.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
}

const (
	scope     = "github.com/ostiary/auth/otelauth"
	namespace = "ostiary."
)

// buckets are the upper bounds of all histograms, in seconds: from a look-up in memory
// to the longest wait for a place to hash. A view of the host may choose others.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}

// New returns the function that reports events, for the options Observe of all parts
// of a service. Nil options mean the defaults. It returns an error if the meter refuses
// an instrument.
//
// A span is a child of the span in the context of the event, and there is none without
// a span that records. It begins when the event did, but it is made at its end: spans
// of a driver below it are its siblings. Events without a duration make no spans.
func New(opts *Options) (observe.Func, error) {
	if opts == nil {
		opts = &Options{}
	}
	meters, tracers := opts.MeterProvider, opts.TracerProvider
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	meter := meters.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	tracer := tracers.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	list := make([]*instruments, len(observe.Names()))
	for _, name := range observe.Names() {
		i, err := newInstruments(meter, name)
		if err != nil {
			return nil, fmt.Errorf("otelauth: make the instruments of %v: %w", name, err)
		}
		list[name] = i
	}
	return func(ctx context.Context, e observe.Event) {
		if int(e.Name) >= len(list) {
			return
		}
		i := list[e.Name]
		a := i.attributesOf(e)
		if a == nil {
			return // not of the definition
		}
		i.record(ctx, e, a)
		if i.span != "" && e.Duration > 0 && trace.SpanFromContext(ctx).IsRecording() {
			i.trace(ctx, tracer, e, a)
		}
	}, nil
}

// instruments are what the events of one name are recorded in.
type instruments struct {
	count          metric.Int64Counter
	duration, wait metric.Float64Histogram // nil if there is none
	span           string                  // "" for no spans
	attributes     [][]*attributes         // by kind and reason
}

// attributes are those of one kind and reason, made once.
type attributes struct {
	list   []attribute.KeyValue
	add    []metric.AddOption
	record []metric.RecordOption
}

func newInstruments(meter metric.Meter, name observe.Name) (i *instruments, err error) {
	d := name.Definition()
	i = &instruments{attributes: make([][]*attributes, slices.Max(d.Kinds)+1)}
	if i.count, err = meter.Int64Counter(namespace+name.String(), metric.WithDescription(d.Help), metric.WithUnit("{"+d.Unit+"}")); err != nil {
		return nil, err
	}
	if i.duration, err = newHistogram(meter, d.Duration, "Time of: "+d.Help); err != nil {
		return nil, err
	}
	if i.wait, err = newHistogram(meter, d.Wait, "Time in line of: "+d.Help); err != nil {
		return nil, err
	}
	if name != observe.CircuitClosed { // whose time began in another request
		if what, ok := strings.CutSuffix(d.Duration, ".duration"); ok {
			i.span = namespace + what
		}
	}
	for _, kind := range d.Kinds {
		i.attributes[kind] = make([]*attributes, slices.Max(d.Reasons)+1)
		for _, reason := range d.Reasons {
			i.attributes[kind][reason] = newAttributes(d, kind, reason)
		}
	}
	return i, nil
}

// newHistogram returns nil for a name that is empty.
func newHistogram(meter metric.Meter, name, help string) (metric.Float64Histogram, error) {
	if name == "" {
		return nil, nil
	}
	return meter.Float64Histogram(namespace+name, metric.WithDescription(help), metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(buckets...))
}

func newAttributes(d observe.Definition, kind observe.Kind, reason observe.Reason) *attributes {
	a := new(attributes)
	if d.Label != "" {
		a.list = append(a.list, attribute.String(namespace+d.Label, kind.String()))
	}
	if len(d.Reasons) > 1 {
		a.list = append(a.list, attribute.String(namespace+"outcome", reason.Outcome().String()))
	}
	if reason != observe.ReasonNone {
		a.list = append(a.list, semconv.ErrorTypeKey.String(reason.String()))
	}
	set := metric.WithAttributeSet(attribute.NewSet(a.list...))
	a.add, a.record = []metric.AddOption{set}, []metric.RecordOption{set}
	return a
}

// attributesOf returns nil for an event that its definition does not have.
func (i *instruments) attributesOf(e observe.Event) *attributes {
	if int(e.Kind) >= len(i.attributes) || int(e.Reason) >= len(i.attributes[e.Kind]) {
		return nil
	}
	return i.attributes[e.Kind][e.Reason]
}

func (i *instruments) record(ctx context.Context, e observe.Event, a *attributes) {
	i.count.Add(ctx, e.Count, a.add...)
	if i.duration != nil && (i.wait == nil || e.Reason == observe.ReasonNone) {
		i.duration.Record(ctx, e.Duration.Seconds(), a.record...)
	}
	if i.wait != nil {
		i.wait.Record(ctx, e.Wait.Seconds(), a.record...)
	}
}

// trace makes the span of something that has just ended. A refusal is no error of the
// service, so that its status stays unset.
func (i *instruments) trace(ctx context.Context, tracer trace.Tracer, e observe.Event, a *attributes) {
	end := time.Now()
	kind := trace.SpanKindInternal
	if e.Name == observe.StoreCalled {
		kind = trace.SpanKindClient
	}
	_, span := tracer.Start(ctx, i.span, trace.WithTimestamp(end.Add(-e.Duration)), trace.WithSpanKind(kind), trace.WithAttributes(a.list...))
	if e.Outcome() == observe.OutcomeFailed {
		span.SetStatus(codes.Error, e.Reason.String())
	}
	span.End(trace.WithTimestamp(end))
}
