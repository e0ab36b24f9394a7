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
	log       *slog.Logger // with the attributes of the refusal, whose text it keeps
}

// appendRefusal appends what an event says about a refusal, but not about its request.
func appendRefusal(attrs []slog.Attr, e *Error) []slog.Attr {
	return append(attrs,
		slog.String(audit.KeyOutcome, "failure"),
		slog.Int(audit.KeyStatus, e.Status), slog.String(audit.KeyCode, e.Code), slog.String(audit.KeyReason, audit.Clip(e.Detail)))
}

// prepare returns the refusals that strangers can have as often as they like.
func prepare(c *challenge, log *slog.Logger) map[*Error]prepared {
	list := make(map[*Error]prepared)
	for _, e := range []*Error{
		errUnauthorized, errUnknownScheme, errMalformedBearer, errInvalidToken, errExpiredToken, errTokenAudience, errTokenAddress,
		errMalformedBasic, errBadPassword, errDeadSession, errSessionLimit, errNeedsRead, errNeedsWrite,
	} {
		list[e] = prepared{slices.Clip(c.with(e)), bodyOf(e), slog.New(log.Handler().WithAttrs(appendRefusal(nil, e)))}
	}
	return list
}
