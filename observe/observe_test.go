package observe_test

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/internal/observetest"
	"github.com/ostiary/auth/observe"
)

// No field of an event can hold text, so no input of a client can be in one.
func TestEventsHaveNoText(t *testing.T) {
	e := reflect.TypeFor[observe.Event]()
	for i := range e.NumField() {
		switch f := e.Field(i); f.Type.Kind() {
		case reflect.Uint8, reflect.Int64:
		default:
			t.Errorf("field %s is a %v", f.Name, f.Type)
		}
	}
	if !e.Comparable() {
		t.Error("events are not comparable")
	}
}

// Every constant has a text of its own, and is named by a definition.
func TestNamesAndTexts(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)*$`)
	texts := make(map[string]bool)
	unique := func(text string) {
		if !form.MatchString(text) || texts[text] || text == "unknown" {
			t.Errorf("%q is no text, or that of two", text)
		}
		texts[text] = true
	}
	kinds, reasons := make(map[observe.Kind]bool), make(map[observe.Reason]bool)
	for _, n := range observe.Names() {
		d := n.Definition()
		unique(n.String())
		if d.Help == "" || d.Unit == "" || len(d.Reasons) == 0 || (d.Label == "") != (slices.Equal(d.Kinds, []observe.Kind{observe.KindNone})) {
			t.Errorf("%v: %+v", n, d)
		}
		for _, text := range []string{d.Duration, d.Wait} {
			if text != "" {
				unique(text)
			}
		}
		for _, k := range d.Kinds {
			kinds[k] = true
		}
		for _, r := range d.Reasons {
			reasons[r] = true
		}
	}
	clear(texts)
	for k := range observe.Kind(255) {
		if text := k.String(); text != "unknown" {
			unique(text)
			if !kinds[k] {
				t.Errorf("no event has kind %v", k)
			}
		}
	}
	clear(texts)
	for r := range observe.Reason(255) {
		if text := r.String(); text != "unknown" {
			unique(text)
			if !reasons[r] {
				t.Errorf("no event has reason %v", r)
			}
		}
	}
	if observe.Name(255).String() != "unknown" || observe.Outcome(255).String() != "unknown" {
		t.Error("values that are no constants have texts")
	}
}

func TestOutcome(t *testing.T) {
	for r, want := range map[observe.Reason]string{
		observe.ReasonNone:          "success",
		observe.ReasonNoCredentials: "refused",
		observe.ReasonThrottled:     "refused",
		observe.ReasonBusy:          "failed",
		observe.ReasonOutage:        "failed",
	} {
		if got := (observe.Event{Reason: r}).Outcome().String(); got != want {
			t.Errorf("%v is %s, want %s", r, got, want)
		}
	}
}

// The tests of the packages divide all names among them.
func TestEveryNameHasATest(t *testing.T) {
	got := slices.Concat(observetest.Auth, observetest.OAuth, observetest.SQL)
	slices.Sort(got)
	if !slices.Equal(got, observe.Names()) {
		t.Errorf("got %v, want %v", got, observe.Names())
	}
}

func TestAll(t *testing.T) {
	if observe.All() != nil || observe.All(nil, nil) != nil {
		t.Error("nothing is not nil")
	}
	var calls []int
	add := func(n int) observe.Func { return func(context.Context, observe.Event) { calls = append(calls, n) } }
	observe.All(nil, add(1))(t.Context(), observe.Event{})
	observe.All(add(2), nil, add(3))(t.Context(), observe.Event{})
	if !slices.Equal(calls, []int{1, 2, 3}) {
		t.Errorf("calls %v", calls)
	}
}

// doc/observability.md has every event with all its values, and every reason.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../doc/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	rows := make(map[string]string)
	for line := range strings.Lines(page) {
		if cells := strings.SplitN(line, "|", 3); len(cells) == 3 {
			rows[strings.TrimSpace(cells[1])] += cells[2]
		}
	}
	for _, n := range observe.Names() {
		d := n.Definition()
		row := rows["`"+n.String()+"`"]
		if !strings.Contains(row, d.Help) || !strings.Contains(row, "{"+d.Unit+"}") {
			t.Errorf("%v has no row with its unit and its meaning", n)
		}
		if d.Label != "" {
			for _, k := range d.Kinds {
				if !strings.Contains(row, "`"+d.Label+"`") || !strings.Contains(row, "`"+k.String()+"`") {
					t.Errorf("the rows of %v have no %s %v", n, d.Label, k)
				}
			}
		}
		if len(d.Reasons) > 1 {
			for _, r := range d.Reasons {
				if !strings.Contains(row, "`"+r.String()+"`") || r != observe.ReasonNone && rows["`"+r.String()+"`"] == "" {
					t.Errorf("the rows of %v have no reason %v, or that has none itself", n, r)
				}
			}
		}
	}
	for o := range observe.OutcomeFailed + 1 {
		if !strings.Contains(page, "`"+o.String()+"`") {
			t.Errorf("outcome %v is not documented", o)
		}
	}
}
