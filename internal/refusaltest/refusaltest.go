// Package refusaltest holds errors against the refusals that tests expect.
package refusaltest

import (
	"errors"
	"testing"

	"github.com/ostiary/auth"
)

// Status fails the test unless err is a refusal with that status and
// field.
func Status(t testing.TB, err error, status int, field string) {
	t.Helper()
	for _, e := range All(err) {
		if e.Status == status && e.Field == field {
			return
		}
	}
	t.Errorf("error is %v, want a refusal with status %d and field %q", err, status, field)
}

// All returns the refusals that err is or joins.
func All(err error) (list []*auth.Error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			list = append(list, All(err)...)
		}
		return list
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		list = append(list, e)
	}
	return list
}
