// Package promauth counts the events of package auth in metrics for Prometheus.
//
//	events, err := promauth.New(prometheus.DefaultRegisterer)
//	gate := auth.NewGate(bearer, &auth.GateOptions{Observe: events})
//
// Each event has a counter, such as ostiary_request_refused_total, and those that take
// time have a histogram of seconds, such as ostiary_store_call_duration_seconds. The
// labels and their values are those of [observe.Name.Definition], so the number of
// series is fixed before the first request. All of them are there from the start,
// with the value 0. The page doc/observability.md of the repository lists them.
package promauth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ostiary/auth/observe"
)

// namespace begins the names of all metrics.
const namespace = "ostiary"

// buckets are the upper bounds of all histograms, in seconds: from a look-up in memory
// to the longest wait for a place to hash.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}

// New registers the metrics with reg and returns the function that counts events, for
// the options Observe of all parts of a service. The function takes no lock and
// allocates nothing.
//
// New returns an error if reg has one of the metrics already. Then it registers
// nothing. Services that share a registry give each a registerer with a label of its
// own, see [prometheus.WrapRegistererWith]. It panics if reg is nil.
func New(reg prometheus.Registerer) (observe.Func, error) {
	if reg == nil {
		panic("promauth: New: nil Registerer")
	}
	list := make([]metrics, len(observe.Names()))
	var done []prometheus.Collector
	for _, name := range observe.Names() {
		m, collectors := newMetrics(name)
		for _, c := range collectors {
			if err := reg.Register(c); err != nil {
				for _, c := range done {
					reg.Unregister(c)
				}
				return nil, fmt.Errorf("promauth: register the metrics of %v: %w", name, err)
			}
			done = append(done, c)
		}
		list[name] = m
	}
	return func(_ context.Context, e observe.Event) {
		if int(e.Name) < len(list) {
			list[e.Name].observe(e)
		}
	}, nil
}

// A series is what one kind of event with one reason counts in.
type series struct {
	count          prometheus.Counter
	duration, wait prometheus.Observer // nil if there is none
}

// metrics are the series of the events of one name, by kind and reason.
type metrics [][]series

func (m metrics) observe(e observe.Event) {
	if int(e.Kind) >= len(m) || int(e.Reason) >= len(m[e.Kind]) {
		return
	}
	s := m[e.Kind][e.Reason]
	if s.count == nil {
		return // not of the definition
	}
	s.count.Add(float64(e.Count))
	if s.duration != nil {
		s.duration.Observe(e.Duration.Seconds())
	}
	if s.wait != nil {
		s.wait.Observe(e.Wait.Seconds())
	}
}

// newMetrics returns the series of a name and what they belong to.
func newMetrics(name observe.Name) (m metrics, all []prometheus.Collector) {
	d := name.Definition()
	var counted []string
	if d.Label != "" {
		counted = append(counted, d.Label)
	}
	timed := slices.Clone(counted)
	reasons := len(d.Reasons) > 1
	if reasons {
		counted, timed = append(counted, "outcome", "reason"), append(timed, "outcome")
	}
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: metricName(name.String()) + "_total", Help: d.Help}, counted)
	duration := newHistogram(d.Duration, "Time of: "+d.Help, timed)
	wait := newHistogram(d.Wait, "Time in line of: "+d.Help, timed)
	for _, vec := range []*prometheus.HistogramVec{duration, wait} {
		if vec != nil {
			all = append(all, vec)
		}
	}
	m = make(metrics, slices.Max(d.Kinds)+1)
	for _, kind := range d.Kinds {
		m[kind] = make([]series, slices.Max(d.Reasons)+1)
		for _, reason := range d.Reasons {
			var values []string
			if d.Label != "" {
				values = append(values, kind.String())
			}
			times := slices.Clone(values)
			if reasons {
				values, times = append(values, reason.Outcome().String(), reason.String()), append(times, reason.Outcome().String())
			}
			s := series{count: counter.WithLabelValues(values...)}
			if duration != nil && (wait == nil || reason == observe.ReasonNone) {
				s.duration = duration.WithLabelValues(times...)
			}
			if wait != nil {
				s.wait = wait.WithLabelValues(times...)
			}
			m[kind][reason] = s
		}
	}
	return m, append(all, counter)
}

// newHistogram returns nil for a name that is empty.
func newHistogram(name, help string, labels []string) *prometheus.HistogramVec {
	if name == "" {
		return nil
	}
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: metricName(name) + "_seconds", Help: help, Buckets: buckets,
	}, labels)
}

// metricName spells a name of package observe for Prometheus.
func metricName(s string) string { return strings.ReplaceAll(s, ".", "_") }
