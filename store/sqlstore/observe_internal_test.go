package sqlstore

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/observetest"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// Everything that package sqlstore reports happens here, with each kind and reason.
func TestObserve(t *testing.T) {
	rec := new(observetest.Recorder)
	called := func(kind observe.Kind, r observe.Reason) observe.Event {
		return observe.Event{Name: observe.StoreCalled, Kind: kind, Reason: r, Count: 1}
	}
	synctest.Test(t, func(t *testing.T) {
		s, m, _ := openMute(t)
		s.hook = hook.New(rec.Observe, s.log)
		read := func(ctx context.Context) func() {
			return func() { _, _ = s.AccessByDigest(ctx, store.Digest{1}) }
		}
		write := func(ctx context.Context) func() {
			return func() { _ = s.UpdateToken(ctx, store.Token{ID: 1}, store.KeepMinted) }
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, tt := range []struct {
			name string
			do   func()
			want []observe.Event
		}{
			{"not found", read(t.Context()), []observe.Event{called(observe.KindRead, 0)}},
			{"a list", func() {
				_, _, _ = s.ListUsers(t.Context(), store.UserFilter{}, store.Page{Limit: 1, CountTo: 1})
			}, []observe.Event{called(observe.KindRead, 0)}},
			{"a write that finds nothing", write(t.Context()), []observe.Event{called(observe.KindWrite, 0)}},
			{"the caller has gone", write(canceled), []observe.Event{called(observe.KindWrite, observe.ReasonCanceled)}},
			{"a database that refuses", func() { m.refuses.Store(true); read(t.Context())(); m.refuses.Store(false) },
				[]observe.Event{called(observe.KindRead, observe.ReasonOutage)}},
			{"a database that hangs", func() { m.hangs.Store(true); read(t.Context())() },
				[]observe.Event{called(observe.KindRead, observe.ReasonTimeout), {Name: observe.CircuitOpened, Count: 1}}},
			{"the next call", write(t.Context()), []observe.Event{called(observe.KindWrite, observe.ReasonCircuitOpen)}},
			{"a database that answers again", func() { time.Sleep(lookupTimeout); m.hangs.Store(false); read(t.Context())() },
				[]observe.Event{{Name: observe.CircuitClosed, Count: 1}, called(observe.KindRead, 0)}},
		} {
			got := rec.During(tt.do)
			if tt.name == "a list" && len(got) > 1 {
				got = got[:1] // the count is another call
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: events (-want +got):\n%s", tt.name, diff)
			}
		}
		for _, e := range rec.Events() {
			if e.Reason == observe.ReasonTimeout && e.Duration != lookupTimeout || e.Name == observe.CircuitClosed && e.Duration < lookupTimeout {
				t.Errorf("%v took %v", e.Name, e.Duration)
			}
		}
	})
	rec.Complete(t, observetest.SQL, nil)
}
