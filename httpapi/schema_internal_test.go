package httpapi

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEveryRouteIsDescribed holds that a route cannot be added without saying what
// it takes and returns, nor a field without its type and label.
func TestEveryRouteIsDescribed(t *testing.T) { // G9
	checkFields := func(where string, f fields) {
		for name, one := range f {
			if fieldTypes[one.Type] == nil || one.Label == "" || (one.Type == "choice") != (len(one.Choices) > 0) {
				t.Errorf("%s: the field %s has the type %q and the label %q", where, name, one.Type, one.Label)
			}
		}
	}
	for _, rt := range routes {
		if rt.about == "" {
			t.Errorf("%s is about nothing", rt.pattern)
		}
		checkFields(rt.pattern, rt.fields)
		for _, segment := range strings.Split(rt.pattern, "/") {
			if variable(segment) && variables[strings.Trim(segment, "{}")].Label == "" {
				t.Errorf("%s: %s is not described", rt.pattern, segment)
			}
		}
		if subjectTexts[rt.subject()] == "" {
			t.Errorf("%s: the subject %q is not described", rt.pattern, rt.subject())
		}
		for method := range rt.methods {
			where := method + " " + rt.pattern
			e, ok := rt.speaks[method]
			if !ok || len(e.answers) == 0 {
				t.Errorf("%s is not described", where)
			}
			checkFields(where, e.query)
			if e.body != nil {
				checkBody(t, where, e.body, rt.fields)
				checkFields(where, e.body.fields)
			} else if method == http.MethodPut || method == http.MethodPatch {
				t.Errorf("%s has no body", where)
			}
		}
	}
	checkFields("commonFields", commonFields)
	checkFields("listFields", listFields)
}

func checkBody(t *testing.T, where string, in *input, of fields) {
	t.Helper()
	if in.fields != nil {
		of = in.fields
	}
	for _, name := range in.writable {
		if _, ok := of[name]; !ok {
			t.Errorf("%s: the field %s of the body is not described", where, name)
		}
	}
	for name, value := range in.example {
		if !slices.Contains(in.writable, name) || strings.Contains(asJSON(value), "'") {
			t.Errorf("%s: the example has %s: %v", where, name, value)
		}
	}
	if len(in.writable) > 0 && in.example == nil && !in.optional {
		t.Errorf("%s has no example", where)
	}
}

// TestEveryMemberIsDescribed holds the same for what is shown, and that OPTIONS
// describes no member that is not there.
func TestEveryMemberIsDescribed(t *testing.T) { // G9
	for of, known := range named {
		properties, required := schema{}, []string{}
		components{}.members(of, properties, &required)
		if known.fields == nil {
			continue
		}
		for name := range properties {
			if _, ok := known.fields[name]; !ok && commonFields[name].Label == "" {
				t.Errorf("%s: the member %s is not described", of, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(known.fields)) {
			if properties[name] == nil && !known.fields[name].WriteOnly {
				t.Errorf("%s has no member %s", of, name)
			}
		}
	}
	// Nothing is described twice under one name.
	names := make(map[string]reflect.Type)
	for of, known := range named {
		if names[known.name] != nil {
			t.Errorf("%s and %s are %s", of, names[known.name], known.name)
		}
		names[known.name] = of
	}
}

// TestOperationsHaveNames holds that generators get a name for each operation.
func TestOperationsHaveNames(t *testing.T) { // G9
	a, _, _ := everything(t)
	seen := make(map[any]string)
	paths := a.document(true)["paths"].(schema)
	want := 0
	for i := range a.routes {
		want += len(a.api.pathsOf(&a.routes[i]))
	}
	if len(paths) != want || want < len(a.routes)+20 {
		t.Errorf("%d paths of %d routes, want %d", len(paths), len(a.routes), want)
	}
	for path, item := range paths {
		for method, o := range item.(schema) {
			if method == "parameters" {
				continue
			}
			id := o.(schema)["operationId"]
			if seen[id] != "" || o.(schema)["summary"] == "" {
				t.Errorf("%s %s and %s are %v", method, path, seen[id], id)
			}
			seen[id] = method + " " + path
		}
	}
}
