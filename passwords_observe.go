package auth

import (
	"context"
	"errors"
	"time"

	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/observe"
)

// observeChecked reports the answer to a name and a password.
func observeChecked(ctx context.Context, h *hook.Hook, began time.Time, err error) {
	if h != nil {
		h.Took(ctx, observe.PasswordChecked, observe.KindNone, passwordReason(err), began)
	}
}

// observeNotHashed reports an attempt that got no place for hashing, or gave it back.
func observeNotHashed(ctx context.Context, h *hook.Hook, asked time.Time, err error) {
	if h != nil {
		h.Emit(ctx, observe.Event{Name: observe.PasswordHashed, Reason: passwordReason(err), Count: 1, Wait: time.Since(asked)})
	}
}

// observeHashed reports the use of a place that was asked for and then got.
func observeHashed(ctx context.Context, h *hook.Hook, asked, got time.Time, err error) {
	if h != nil {
		h.Emit(ctx, observe.Event{
			Name: observe.PasswordHashed, Reason: passwordReason(err), Count: 1, Duration: time.Since(got), Wait: got.Sub(asked),
		})
	}
}

func passwordReason(err error) observe.Reason {
	switch {
	case err == nil:
		return observe.ReasonNone
	case err == errBadPassword:
		return observe.ReasonWrongPassword
	case err == errBusy:
		return observe.ReasonBusy
	case errors.Is(err, context.Canceled):
		return observe.ReasonCanceled
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return statusReason(e) // of the throttle
	}
	return observe.ReasonOutage
}
