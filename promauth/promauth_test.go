package promauth_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/promauth"
)

// sums returns the value of each counter, and the number of observations of each
// histogram, by its name and labels.
func sums(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
			}
			all[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestEventsAreCounted(t *testing.T) {
	for _, tt := range []struct {
		e    observe.Event
		want []string // the series that grow, with how much
	}{
		{observe.Event{Name: observe.RequestAllowed, Kind: observe.KindBearer, Count: 1, Duration: time.Millisecond},
			[]string{"ostiary_request_allowed_total credential=bearer 1", "ostiary_request_duration_seconds credential=bearer 1"}},
		{observe.Event{Name: observe.RequestRefused, Reason: observe.ReasonNoCredentials, Count: 1},
			[]string{"ostiary_request_refused_total credential=none outcome=refused reason=no_credentials 1"}},
		{observe.Event{Name: observe.PasswordHashed, Reason: observe.ReasonBusy, Count: 1, Wait: time.Second},
			[]string{"ostiary_password_hash_wait_seconds outcome=failed 1", "ostiary_password_hashed_total outcome=failed reason=busy 1"}},
		{observe.Event{Name: observe.PasswordHashed, Count: 1, Duration: time.Second},
			[]string{"ostiary_password_hash_duration_seconds outcome=success 1", "ostiary_password_hash_wait_seconds outcome=success 1", "ostiary_password_hashed_total outcome=success reason=none 1"}},
		{observe.Event{Name: observe.SessionEnded, Kind: observe.KindRevoked, Count: 7},
			[]string{"ostiary_session_ended_total cause=revoked 7"}},
		{observe.Event{Name: observe.Purged, Kind: observe.KindTokens, Count: 0, Duration: time.Second},
			[]string{"ostiary_purge_duration_seconds outcome=success record=tokens 1"}},
		{observe.Event{Name: observe.StoreCalled, Kind: observe.KindRead, Reason: observe.ReasonTimeout, Count: 1},
			[]string{"ostiary_store_call_duration_seconds operation=read outcome=failed 1", "ostiary_store_called_total operation=read outcome=failed reason=timeout 1"}},
		{observe.Event{Name: observe.ConsentWithdrawn, Count: 1}, []string{"ostiary_consent_withdrawn_total 1"}},
	} {
		reg := prometheus.NewPedanticRegistry()
		events := auth.Must(promauth.New(reg))
		before := sums(t, reg)
		events(t.Context(), tt.e)
		var got []string
		for name, n := range sums(t, reg) {
			if n != before[name] {
				got = append(got, fmt.Sprintf("%s %v", name, n))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.e.Name, got, tt.want)
		}
	}
}

// All series are there before the first event, and no event adds one, not even one
// that is no constant of package observe.
func TestSeriesAreFixed(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	events := auth.Must(promauth.New(reg))
	before := sums(t, reg)
	for name := range 256 {
		for kind := range 64 {
			for reason := range 64 {
				events(t.Context(), observe.Event{Name: observe.Name(name), Kind: observe.Kind(kind), Reason: observe.Reason(reason), Count: 1})
			}
		}
	}
	events(t.Context(), observe.Event{Name: 255, Kind: 255, Reason: 255})
	after := sums(t, reg)
	if b, a := slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)); !slices.Equal(b, a) {
		t.Errorf("series before %q and after %q", b, a)
	}
	for name, n := range after {
		if n != 1 && !strings.Contains(name, "_seconds") || n == 0 {
			t.Errorf("%s is %v after one event of each", name, n)
		}
	}
	t.Logf("%d counters and histograms", len(after))
	if len(after) > 400 {
		t.Errorf("%d counters and histograms", len(after))
	}
}

func TestRegisterTwice(t *testing.T) {
	reg := prometheus.NewRegistry()
	taken := prometheus.NewCounter(prometheus.CounterOpts{Name: "ostiary_token_issued_total", Help: "The host's."})
	reg.MustRegister(taken)
	if _, err := promauth.New(reg); err == nil || !strings.Contains(err.Error(), "token.issued") {
		t.Errorf("error %v", err)
	}
	if n := len(sums(t, reg)); n != 1 {
		t.Errorf("%d series stay registered", n)
	}
	reg = prometheus.NewRegistry()
	auth.Must(promauth.New(reg))
	before := sums(t, reg)
	if _, err := promauth.New(reg); err == nil {
		t.Error("two services share their series")
	}
	if after := sums(t, reg); !maps.Equal(before, after) {
		t.Errorf("the series of the first service were %v and are %v", before, after)
	}
	if _, err := promauth.New(prometheus.WrapRegistererWith(prometheus.Labels{"service": "other"}, prometheus.NewRegistry())); err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a nil Registerer does not panic")
		}
	}()
	_, _ = promauth.New(nil)
}

// The names and the help are as Prometheus wants them.
func TestLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	auth.Must(promauth.New(reg))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// doc/observability.md has every metric with its labels.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../doc/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	auth.Must(promauth.New(reg))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if n := fmt.Sprintf("%d counters and histograms", len(sums(t, reg))); !strings.Contains(string(page), n) {
		t.Errorf("the page does not say that there are %s", n)
	}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		ok := false
		for line := range strings.Lines(string(page)) {
			ok = ok || strings.Contains(line, "`"+f.GetName()+"`") && !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(line, l) })
		}
		if !ok {
			t.Errorf("no line with %s and its labels %s", f.GetName(), labels)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	events := auth.Must(promauth.New(prometheus.NewRegistry()))
	e := observe.Event{Name: observe.RequestAllowed, Kind: observe.KindBearer, Count: 1, Duration: time.Millisecond}
	if n := testing.AllocsPerRun(100, func() { events(t.Context(), e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
