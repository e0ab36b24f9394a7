package observe

// Reason is why something was refused or failed.
type Reason uint8

// The reasons. Those from ReasonBusy on are no fault of the client.
const (
	ReasonNone Reason = iota // it was done

	ReasonNoCredentials     // the request has none
	ReasonMalformed         // they are malformed, doubled or of an unknown scheme
	ReasonInvalidToken      // the token is unknown or revoked, or its user is disabled
	ReasonExpiredToken      // the token or the code has expired
	ReasonOtherResource     // the token was not issued for this resource
	ReasonOtherAddress      // the token is bound to other addresses
	ReasonSessionEnded      // the session has ended
	ReasonWrongPassword     // the name or the password is wrong, or the user is disabled
	ReasonInvalidCredential // any other credential is wrong
	ReasonCrossSite         // a page of another site sent the request
	ReasonPlainHTTP         // the credential needs HTTPS
	ReasonInsufficientScope // the scopes do not suffice
	ReasonForbidden         // the user or the application lacks the right
	ReasonMethod            // the method is never allowed
	ReasonNotFound          // the object does not exist for the user
	ReasonInvalidRequest    // the request is at fault in another way
	ReasonInvalidGrant      // the code or the refresh token is not good
	ReasonInvalidScope      // the scope or the resource is unknown, or was not granted
	ReasonPending           // the user has not decided about the device yet
	ReasonDenied            // the user has denied the request
	ReasonThrottled         // a limit was reached

	ReasonBusy        // too many passwords are being hashed
	ReasonCanceled    // the client has gone
	ReasonTimeout     // the database took too long
	ReasonCircuitOpen // the database does not answer, and was not asked
	ReasonOutage      // something failed

	reasons // their number
)

// Outcome returns the outcome that r stands for.
func (r Reason) Outcome() Outcome {
	switch {
	case r == ReasonNone:
		return OutcomeSuccess
	case r < ReasonBusy:
		return OutcomeRefused
	}
	return OutcomeFailed
}

// String returns the name of r, for the label of a metric.
func (r Reason) String() string { return text(reasonTexts[:], r) }

var reasonTexts = [reasons]string{
	ReasonNone: "none",

	ReasonNoCredentials:     "no_credentials",
	ReasonMalformed:         "malformed",
	ReasonInvalidToken:      "invalid_token",
	ReasonExpiredToken:      "expired_token",
	ReasonOtherResource:     "other_resource",
	ReasonOtherAddress:      "other_address",
	ReasonSessionEnded:      "session_ended",
	ReasonWrongPassword:     "wrong_password",
	ReasonInvalidCredential: "invalid_credential",
	ReasonCrossSite:         "cross_site",
	ReasonPlainHTTP:         "plain_http",
	ReasonInsufficientScope: "insufficient_scope",
	ReasonForbidden:         "forbidden",
	ReasonMethod:            "method",
	ReasonNotFound:          "not_found",
	ReasonInvalidRequest:    "invalid_request",
	ReasonInvalidGrant:      "invalid_grant",
	ReasonInvalidScope:      "invalid_scope",
	ReasonPending:           "pending",
	ReasonDenied:            "denied",
	ReasonThrottled:         "throttled",

	ReasonBusy:        "busy",
	ReasonCanceled:    "canceled",
	ReasonTimeout:     "timeout",
	ReasonCircuitOpen: "circuit_open",
	ReasonOutage:      "outage",
}
