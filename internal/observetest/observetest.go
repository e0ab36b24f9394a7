// Package observetest records the events of a test, and says which ones it did not
// make. Each part of the module has a test that makes all of its own: the definitions
// of package observe are then no more and no less than what happens.
package observetest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/ostiary/auth/observe"
)

// The names of events by the package whose test makes them.
var (
	Auth = []observe.Name{
		observe.RequestAllowed, observe.RequestRefused,
		observe.PasswordChecked, observe.PasswordHashed, observe.PasswordChanged, observe.Throttled,
		observe.SessionStarted, observe.SessionEnded,
		observe.TokenIssued, observe.TokenChanged, observe.TokenRotated, observe.TokenRevoked,
		observe.ProofRefused, observe.GatewayUserRefused, observe.KeysFetched, observe.Purged,
	}
	OAuth = []observe.Name{
		observe.TokenRefreshed, observe.GrantRefused, observe.GrantReused, observe.ClientRefused,
		observe.ConsentGiven, observe.ConsentWithdrawn, observe.DeviceStarted, observe.DeviceDenied,
	}
	SQL = []observe.Name{observe.StoreCalled, observe.CircuitOpened, observe.CircuitClosed}
)

// OAuthKinds are the kinds of events of Auth that package oauth makes.
var OAuthKinds = map[observe.Name][]observe.Kind{
	observe.Throttled:    {observe.KindClient, observe.KindDeviceCode, observe.KindUserCode},
	observe.TokenIssued:  {observe.KindApplication, observe.KindAuthorizationCode, observe.KindPassword, observe.KindClientCredentials, observe.KindDeviceCode},
	observe.TokenRevoked: {observe.KindClient},
}

// A Recorder remembers events.
type Recorder struct {
	mu     sync.Mutex
	events []observe.Event
}

// Observe is an [observe.Func].
func (r *Recorder) Observe(_ context.Context, e observe.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Events returns the events so far.
func (r *Recorder) Events() []observe.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// During returns the events of f without their times.
func (r *Recorder) During(f func()) []observe.Event {
	n := len(r.Events())
	f()
	list := r.Events()[n:]
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		list[i].Duration, list[i].Wait = 0, 0
	}
	return list
}

// Complete fails the test unless each of the names was recorded with all kinds and
// all reasons of its definition, and unless every recorded event is as its
// definition says. A kind of later is another test's.
func (r *Recorder) Complete(t testing.TB, names []observe.Name, later map[observe.Name][]observe.Kind) {
	t.Helper()
	kinds, reasons := make(map[observe.Event]bool), make(map[observe.Event]bool)
	for _, e := range r.Events() {
		d := e.Name.Definition()
		if !slices.Contains(d.Kinds, e.Kind) || !slices.Contains(d.Reasons, e.Reason) || e.Count < 0 ||
			d.Duration == "" && e.Duration != 0 || d.Wait == "" && e.Wait != 0 || e.Duration < 0 || e.Wait < 0 {
			t.Errorf("event %v of kind %v, reason %v, count %d, duration %v, wait %v is not as defined", e.Name, e.Kind, e.Reason, e.Count, e.Duration, e.Wait)
		}
		kinds[observe.Event{Name: e.Name, Kind: e.Kind}] = true
		reasons[observe.Event{Name: e.Name, Reason: e.Reason}] = true
	}
	for _, name := range names {
		for _, k := range name.Definition().Kinds {
			if !kinds[observe.Event{Name: name, Kind: k}] && !slices.Contains(later[name], k) {
				t.Errorf("no event %v of kind %v", name, k)
			}
		}
		for _, reason := range name.Definition().Reasons {
			if !reasons[observe.Event{Name: name, Reason: reason}] {
				t.Errorf("no event %v with reason %v", name, reason)
			}
		}
	}
}
