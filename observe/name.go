package observe

// Name is what happened.
type Name uint8

// The events. [Name.Definition] and doc/observability.md of the repository say what
// each is about.
const (
	RequestAllowed Name = iota
	RequestRefused

	PasswordChecked
	PasswordHashed
	PasswordChanged
	Throttled

	SessionStarted
	SessionEnded

	TokenIssued
	TokenRefreshed
	TokenChanged
	TokenRotated
	TokenRevoked

	GrantRefused
	GrantReused
	ClientRefused
	ConsentGiven
	ConsentWithdrawn
	DeviceStarted
	DeviceDenied

	ProofRefused
	GatewayUserRefused
	KeysFetched

	StoreCalled
	CircuitOpened
	CircuitClosed
	Purged

	names // their number
)

// String returns the name of n in the form that OpenTelemetry has for metrics, such
// as "request.allowed".
func (n Name) String() string { return n.Definition().text }

// Names returns all names.
func Names() []Name {
	list := make([]Name, names)
	for i := range list {
		list[i] = Name(i)
	}
	return list
}

// A Definition says what the events of a name are about and which values they have.
type Definition struct {
	// Help is a sentence about the event.
	Help string
	// Unit is what Event.Count counts, such as "request".
	Unit string
	// Label is the name of what Event.Kind distinguishes, such as "credential". It
	// is empty if all events have KindNone.
	Label string
	// Kinds and Reasons are all values that the events have.
	Kinds   []Kind
	Reasons []Reason
	// Duration and Wait name what Event.Duration and Event.Wait measure, such as
	// "request.duration". They are empty if the event has no such time. What waits
	// and is refused has no duration.
	Duration, Wait string

	text string
}

// Definition returns the definition of n. It is the zero Definition if n is none of
// the constants. The caller must not change its slices.
func (n Name) Definition() Definition {
	if n >= names {
		return Definition{text: "unknown"}
	}
	return definitions[n]
}

var (
	one  = []Kind{KindNone}
	done = []Reason{ReasonNone}

	credentials = []Kind{KindNone, KindSession, KindBasic, KindBearer, KindProxy, KindOther}
	grants      = []Kind{KindAuthorizationCode, KindRefreshToken, KindPassword, KindClientCredentials, KindDeviceCode}
)

var definitions = [names]Definition{
	RequestAllowed: {
		text: "request.allowed", Unit: "request", Label: "credential", Kinds: credentials[1:], Reasons: done, Duration: "request.duration",
		Help: "Requests that a gate let in, by the kind of their credential.",
	},
	RequestRefused: {
		text: "request.refused", Unit: "request", Label: "credential", Kinds: credentials, Reasons: []Reason{
			ReasonNoCredentials, ReasonMalformed, ReasonInvalidToken, ReasonExpiredToken, ReasonOtherResource, ReasonOtherAddress,
			ReasonSessionEnded, ReasonWrongPassword, ReasonInvalidCredential, ReasonCrossSite, ReasonPlainHTTP,
			ReasonInsufficientScope, ReasonForbidden, ReasonMethod, ReasonNotFound, ReasonInvalidRequest, ReasonThrottled,
			ReasonBusy, ReasonCanceled, ReasonOutage,
		},
		Help: "Refusals that were written for requests, by a gate or by a handler through the gate.",
	},
	PasswordChecked: {
		text: "password.checked", Unit: "attempt", Kinds: one, Reasons: []Reason{
			ReasonNone, ReasonWrongPassword, ReasonThrottled, ReasonBusy, ReasonCanceled, ReasonOutage,
		}, Duration: "password.check.duration",
		Help: "Names and passwords that were checked, by login forms, Basic and the password grant.",
	},
	PasswordHashed: {
		text: "password.hashed", Unit: "hash", Kinds: one, Reasons: []Reason{ReasonNone, ReasonThrottled, ReasonBusy, ReasonCanceled, ReasonOutage},
		Duration: "password.hash.duration", Wait: "password.hash.wait",
		Help: "Places for hashing that were asked for; a refusal got none.",
	},
	PasswordChanged: {
		text: "password.changed", Unit: "password", Kinds: one, Reasons: done,
		Help: "New passwords that were stored.",
	},
	Throttled: {
		text: "throttle.refused", Unit: "attempt", Label: "limit", Kinds: []Kind{KindFlood, KindPassword, KindClient, KindDeviceCode, KindUserCode},
		Reasons: []Reason{ReasonThrottled},
		Help:    "Attempts that a limit refused.",
	},
	SessionStarted: {
		text: "session.started", Unit: "session", Kinds: one, Reasons: done,
		Help: "Sessions that began with a login.",
	},
	SessionEnded: {
		text: "session.ended", Unit: "session", Label: "cause", Kinds: []Kind{KindLogout, KindLimit, KindRevoked}, Reasons: done,
		Help: "Sessions that were ended before their time.",
	},
	TokenIssued: {
		text: "token.issued", Unit: "token", Label: "grant",
		Kinds:   []Kind{KindPersonal, KindApplication, KindAuthorizationCode, KindPassword, KindClientCredentials, KindDeviceCode},
		Reasons: done,
		Help:    "Access tokens that were issued anew, not for a refresh token.",
	},
	TokenRefreshed: {
		text: "token.refreshed", Unit: "token", Label: "attempt", Kinds: []Kind{KindFirst, KindRetry}, Reasons: done,
		Help: "Access tokens that were issued for a refresh token.",
	},
	TokenChanged: {
		text: "token.changed", Unit: "token", Kinds: one, Reasons: done,
		Help: "Tokens whose description, scopes or expiry were changed.",
	},
	TokenRotated: {
		text: "token.rotated", Unit: "token", Kinds: one, Reasons: done,
		Help: "Personal access tokens that got a new secret.",
	},
	TokenRevoked: {
		text: "token.revoked", Unit: "revocation", Label: "cause", Kinds: []Kind{KindOne, KindAll, KindClient, KindReported}, Reasons: done,
		Help: "Revocations of one token, or of all tokens of a user or an application.",
	},
	GrantRefused: {
		text: "grant.refused", Unit: "request", Label: "grant", Kinds: grants, Reasons: []Reason{
			ReasonInvalidRequest, ReasonInvalidGrant, ReasonInvalidScope, ReasonForbidden, ReasonPending, ReasonDenied, ReasonExpiredToken,
			ReasonThrottled, ReasonBusy, ReasonCanceled, ReasonOutage,
		},
		Help: "Requests for a token of an application that got none.",
	},
	GrantReused: {
		text: "grant.reused", Unit: "grant", Label: "grant", Kinds: []Kind{KindAuthorizationCode, KindRefreshToken, KindDeviceCode}, Reasons: done,
		Help: "Codes and refresh tokens that were used twice, so that all their tokens ended.",
	},
	ClientRefused: {
		text: "client.refused", Unit: "request", Kinds: one, Reasons: []Reason{ReasonInvalidRequest, ReasonInvalidCredential, ReasonThrottled, ReasonCanceled, ReasonOutage},
		Help: "Applications that failed to authenticate.",
	},
	ConsentGiven: {
		text: "consent.given", Unit: "consent", Label: "grant", Kinds: []Kind{KindAuthorizationCode, KindDeviceCode}, Reasons: done,
		Help: "Codes and devices that were approved, by a user or by a remembered consent.",
	},
	ConsentWithdrawn: {
		text: "consent.withdrawn", Unit: "consent", Kinds: one, Reasons: done,
		Help: "Applications whose consents a user withdrew.",
	},
	DeviceStarted: {
		text: "device.started", Unit: "device", Kinds: one, Reasons: done,
		Help: "Device codes that were issued.",
	},
	DeviceDenied: {
		text: "device.denied", Unit: "device", Kinds: one, Reasons: done,
		Help: "Devices that a user denied.",
	},
	ProofRefused: {
		text: "proof.refused", Unit: "request", Kinds: one, Reasons: []Reason{ReasonInvalidCredential},
		Help: "Requests whose proof of a proxy does not hold; they count as unproven.",
	},
	GatewayUserRefused: {
		text: "gateway_user.refused", Unit: "request", Kinds: one, Reasons: []Reason{ReasonMalformed, ReasonNotFound, ReasonForbidden},
		Help: "Proven requests whose user is malformed, unknown or disabled.",
	},
	KeysFetched: {
		text: "keys.fetched", Unit: "fetch", Kinds: one, Reasons: []Reason{ReasonNone, ReasonOutage},
		Help: "Attempts to fetch the keys of the gateway.",
	},
	StoreCalled: {
		text: "store.called", Unit: "call", Label: "operation", Kinds: []Kind{KindRead, KindWrite}, Reasons: []Reason{
			ReasonNone, ReasonCanceled, ReasonTimeout, ReasonCircuitOpen, ReasonOutage,
		}, Duration: "store.call.duration",
		Help: "Calls of the database with all repetitions; \"not found\" and lost races are successes.",
	},
	CircuitOpened: {
		text: "circuit.opened", Unit: "change", Kinds: one, Reasons: done,
		Help: "Times that the store began to refuse calls because the database does not answer.",
	},
	CircuitClosed: {
		text: "circuit.closed", Unit: "change", Kinds: one, Reasons: done, Duration: "circuit.open.duration",
		Help: "Times that the database answered again.",
	},
	Purged: {
		text: "record.purged", Unit: "record", Label: "record", Kinds: []Kind{KindTokens, KindSessions, KindAttempts}, Reasons: []Reason{ReasonNone, ReasonOutage},
		Duration: "purge.duration",
		Help:     "Records that were deleted after their end.",
	},
}
