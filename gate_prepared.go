package auth

import "slices"

// prepared is what a gate writes for a refusal, made once.
type prepared struct {
	challenge []string // its capacity makes an append copy it
	body      detailBody
}

// prepare returns the refusals that strangers can have as often as they like.
func prepare(c *challenge) map[*Error]prepared {
	list := make(map[*Error]prepared)
	for _, e := range []*Error{
		errUnauthorized, errUnknownScheme, errMalformedBearer, errInvalidToken, errExpiredToken, errTokenAudience, errTokenAddress,
		errMalformedBasic, errBadPassword, errDeadSession, errSessionLimit, errNeedsRead, errNeedsWrite,
	} {
		list[e] = prepared{slices.Clip(c.with(e)), bodyOf(e)}
	}
	return list
}
