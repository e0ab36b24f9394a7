package observe

// Kind distinguishes the events of a name.
type Kind uint8

// The kinds.
const (
	KindNone Kind = iota // the events of the name are of one kind, or it is not known

	KindSession // credentials
	KindBasic
	KindBearer
	KindProxy
	KindOther

	KindPersonal          // a personal access token
	KindApplication       // a token that a user made for an application
	KindAuthorizationCode // grants of RFC 6749 and RFC 8628
	KindRefreshToken
	KindPassword // also the limits of passwords in the store
	KindClientCredentials
	KindDeviceCode // also the limit of devices that start

	KindFlood    // the limit of a network in the process
	KindClient   // an application: the limit of its failures, a revocation by it
	KindUserCode // the limit of wrong codes of devices

	KindLogout  // a session was ended by a logout
	KindLimit   // by a newer session of the user
	KindRevoked // by the user elsewhere, or by an administrator

	KindOne      // one token was revoked, with those it minted
	KindAll      // all of a user or of an application, or all there are
	KindReported // one that was found in public

	KindFirst // use of a refresh token
	KindRetry // within the grace

	KindRead // of the database
	KindWrite

	KindTokens // records that a purge deletes, with codes
	KindSessions
	KindAttempts // counters of the throttle

	kinds // their number
)

// String returns the name of k, for the label of a metric.
func (k Kind) String() string { return text(kindTexts[:], k) }

var kindTexts = [kinds]string{
	KindNone: "none",

	KindSession: "session",
	KindBasic:   "basic",
	KindBearer:  "bearer",
	KindProxy:   "proxy",
	KindOther:   "other",

	KindPersonal:          "personal",
	KindApplication:       "application",
	KindAuthorizationCode: "authorization_code",
	KindRefreshToken:      "refresh_token",
	KindPassword:          "password",
	KindClientCredentials: "client_credentials",
	KindDeviceCode:        "device_code",

	KindFlood:    "flood",
	KindClient:   "client",
	KindUserCode: "user_code",

	KindLogout:  "logout",
	KindLimit:   "limit",
	KindRevoked: "revoked",

	KindOne:      "one",
	KindAll:      "all",
	KindReported: "reported",

	KindFirst: "first",
	KindRetry: "retry",

	KindRead:  "read",
	KindWrite: "write",

	KindTokens:   "tokens",
	KindSessions: "sessions",
	KindAttempts: "attempts",
}
