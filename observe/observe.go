// Package observe has the events that the parts of this module report to a host
// for its metrics and traces. The options of a part take a [Func] in their field
// Observe. The modules promauth and otelauth have one for Prometheus and one for
// OpenTelemetry. Package audit has the events for logs, which say who did what.
//
// An [Event] consists of numbers only: constants of this package, times and counts.
// No name, identifier, address or other text can be in one, so that no input of a
// client becomes the label of a metric. [Name.Definition] says which values an event
// can have.
package observe

import (
	"context"
	"time"
)

// A Func is called for each event. Nil costs nothing.
//
// The part calls it in the goroutine of the request and waits for it, so it must
// return soon. Many goroutines call it at the same time. Ctx is the context of the
// request, or of the work in the background; it may have been canceled. A Func must
// not keep it.
//
// A Func decides nothing: the part calls it after a decision. A panic in it is
// recovered and logged, once a minute at most, and the request goes on as without a
// Func.
type Func func(ctx context.Context, e Event)

// All returns a Func that calls each of the given ones in order. It leaves out nil
// ones, and returns nil if no other is left. If one panics, those after it are not
// called for that event.
func All(funcs ...Func) Func {
	var list []Func
	for _, f := range funcs {
		if f != nil {
			list = append(list, f)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return func(ctx context.Context, e Event) {
		for _, f := range list {
			f(ctx, e)
		}
	}
}

// An Event is something that happened. Events are comparable.
type Event struct {
	Name   Name
	Kind   Kind   // what it happened to; KindNone if there is one kind only
	Reason Reason // why it was refused or failed; ReasonNone if it was not
	// Count is how many things the event is about. It is 1, but for events about
	// sessions, tokens and records that ended together. It can be 0 for a purge.
	Count int64
	// Duration is the time that it took and Wait the time in line before that. Both
	// are zero for events that take no time, see [Definition].
	Duration, Wait time.Duration
}

// Outcome returns the outcome of e, which follows from its reason.
func (e Event) Outcome() Outcome { return e.Reason.Outcome() }

// Outcome is how something ended.
type Outcome uint8

// The outcomes.
const (
	OutcomeSuccess Outcome = iota // it was done
	OutcomeRefused                // it was not done, by a rule
	OutcomeFailed                 // it was not done, because something is down or full
)

// String returns the name of o, for the label of a metric.
func (o Outcome) String() string { return text(outcomes[:], o) }

var outcomes = [...]string{OutcomeSuccess: "success", OutcomeRefused: "refused", OutcomeFailed: "failed"}

// text returns the text of a constant, and "unknown" for other values.
func text[T ~uint8](texts []string, v T) string {
	if int(v) < len(texts) {
		return texts[v]
	}
	return "unknown"
}
