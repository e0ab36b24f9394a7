package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// reasonOf returns the reason of a call that ended with err. An answer of the
// contract, such as "not found", is none.
func reasonOf(err error) observe.Reason {
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows):
		return observe.ReasonNone
	case errors.Is(err, context.Canceled):
		return observe.ReasonCanceled
	case timedOut(err):
		return observe.ReasonTimeout
	}
	for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed, store.ErrLimit} {
		if errors.Is(err, answer) {
			return observe.ReasonNone
		}
	}
	return observe.ReasonOutage
}

// refusedReason returns the reason of a call that was not admitted.
func refusedReason(err error) observe.Reason {
	if errors.Is(err, errSilent) {
		return observe.ReasonCircuitOpen
	}
	return observe.ReasonCanceled // while it waited for the answer
}
