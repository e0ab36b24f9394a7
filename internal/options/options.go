// Package options has what the constructors of this module do with the options
// they are given.
package options

import (
	"log/slog"
	"reflect"
)

// IsNil reports whether v is nil or an interface that holds a nil pointer, map
// or function. Each of these is a bug at construction, not something to find out
// while serving.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan:
		return rv.IsNil()
	}
	return false
}

// Logger returns l, or [slog.Default] where l is nil.
func Logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}
