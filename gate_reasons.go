package auth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/observe"
)

// credentialKind returns the kind of event for a credential that was accepted.
func credentialKind(c Credential) observe.Kind {
	switch c {
	case CredentialSession:
		return observe.KindSession
	case CredentialBasic:
		return observe.KindBasic
	case CredentialBearer:
		return observe.KindBearer
	case CredentialProxy:
		return observe.KindProxy
	}
	return observe.KindOther
}

// presented returns the kind of the credential in a request that was refused. A
// cookie says nothing, because each request of a browser has some.
func presented(r *http.Request, e *Error) observe.Kind {
	switch {
	case sessionEnded(e), errors.Is(e, errSessionDoubled):
		return observe.KindSession
	case errors.Is(e, errGatewayUser):
		return observe.KindProxy
	case len(r.Header["Authorization"]) == 0:
		return observe.KindNone
	}
	scheme, _, err := header.Authorization(r.Header)
	switch {
	case err != nil:
		return observe.KindOther
	case header.IsScheme(scheme, "bearer"):
		return observe.KindBearer
	case header.IsScheme(scheme, "basic"):
		return observe.KindBasic
	}
	return observe.KindOther
}

// Reason returns the reason of a refusal as it stands in the event
// RequestRefused of package observe. An error of a host or of another package has
// the reason that its status stands for.
func (e *Error) Reason() observe.Reason {
	switch e {
	case errUnauthorized, errNobody:
		return observe.ReasonNoCredentials
	case errMalformedBearer, errMalformedBasic, errUnknownScheme, errDoubled, errSessionDoubled:
		return observe.ReasonMalformed
	case errInvalidToken:
		return observe.ReasonInvalidToken
	case errExpiredToken:
		return observe.ReasonExpiredToken
	case errTokenAudience:
		return observe.ReasonOtherResource
	case errTokenAddress:
		return observe.ReasonOtherAddress
	case errDeadSession, errSessionLimit:
		return observe.ReasonSessionEnded
	case errBadPassword:
		return observe.ReasonWrongPassword
	case errBasicInClear:
		return observe.ReasonPlainHTTP
	case errBusy:
		return observe.ReasonBusy
	}
	switch {
	case strings.HasPrefix(e.Detail, csrfFailed):
		return observe.ReasonCrossSite
	case e.Code == "insufficient_scope":
		return observe.ReasonInsufficientScope
	}
	return statusReason(e)
}
