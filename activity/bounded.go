package activity

import (
	"log/slog"
	"reflect"
	"slices"
)

// What is deeper or larger is not compared, and not shown. A value that contains itself
// would be printed until the stack is full, which ends the process.
const (
	maxDepth = 16
	maxParts = 10_000
)

// tooMuch stands in place of a value that is too deep or too large.
type tooMuch struct{}

func (tooMuch) String() string { return "[too much to show]" }

// bounded returns v, resolved, with tooMuch in place of what is in it and too deep. It
// counts down parts, of which there may be so many.
func bounded(v slog.Value, depth int, parts *int) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		if depth == 0 || *parts < 0 {
			return slog.AnyValue(tooMuch{})
		}
		group := slices.Clone(v.Group())
		for i, a := range group {
			*parts--
			group[i].Value = bounded(a.Value, depth-1, parts)
		}
		return slog.GroupValue(group...)
	case slog.KindAny:
		in := reflect.ValueOf(v.Any())
		if in.Kind() == reflect.Pointer { // package fmt follows no other
			in = in.Elem()
		}
		if !fits(in, depth, parts) {
			return slog.AnyValue(tooMuch{})
		}
	}
	return v
}

// fits reports whether package fmt comes to an end of a value.
func fits(v reflect.Value, depth int, parts *int) bool {
	*parts--
	if depth == 0 || *parts < 0 {
		return false
	}
	switch v.Kind() {
	case reflect.Interface:
		return fits(v.Elem(), depth, parts)
	case reflect.Struct:
		for i := range v.NumField() {
			if !fits(v.Field(i), depth-1, parts) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !fits(it.Value(), depth-1, parts) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !fits(v.Index(i), depth-1, parts) {
				return false
			}
		}
	}
	return true
}
