package auth

import (
	"log/slog"
	"slices"

	"github.com/ostiary/auth/audit"
)

// prepared is what a gate writes for a refusal, made once.
type prepared struct {
	challenge []string // its capacity makes an append copy it
	body      detailBody
	// The attributes of the event that do not depend on the request, as a group without a
	// name: a record has room for five without an allocation.
	event slog.Attr
}

// refusalAttrs returns what an event says about a refusal, but not about its request.
func refusalAttrs(e *Error) []slog.Attr {
	return []slog.Attr{
		slog.String(audit.KeyOutcome, "failure"),
		slog.Int(audit.KeyStatus, e.Status), slog.String(audit.KeyCode, e.Code), slog.String(audit.KeyReason, audit.Clip(e.Detail)),
	}
}

// prepare returns the refusals that strangers can have as often as they like.
func prepare(c *challenge) map[*Error]*prepared {
	list := make(map[*Error]*prepared)
	for _, e := range []*Error{
		errUnauthorized, errUnknownScheme, errMalformedBearer, errInvalidToken, errExpiredToken, errTokenAudience, errTokenAddress,
		errMalformedBasic, errBadPassword, errDeadSession, errSessionLimit, errNeedsRead, errNeedsWrite,
	} {
		list[e] = &prepared{slices.Clip(c.with(e)), bodyOf(e), slog.GroupAttrs("", refusalAttrs(e)...)}
	}
	return list
}
