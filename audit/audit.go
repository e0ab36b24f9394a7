// Package audit names the audit events of this module and their attributes.
//
// Events are records of log/slog. The message of a record is one of the names
// below, and the keys of its attributes are the Key constants. No attribute
// carries a secret. Text from clients is cut by [Clip]; the slog handler must
// escape it. Names and keys do not change after v1; events may gain attributes.
//
//	event               level  attributes                                    when
//	RequestAllowed      1)     outcome user user_id credential token_id      a gate let a request in
//	                           application_id method path client
//	RequestRefused      2)     outcome status code reason method path        a gate refused a request; with user to
//	                           client error token_in_url                     application_id if they are known
//	StoreFailed         3)     operation token_id error                      a store is down or lost a write
//	PasswordRefused     WARN   user reason client                            a name and a password were not accepted; ERROR
//	                                                                         if the stored hash is no hash
//	PasswordChanged     INFO   user_id client                                a user has a new password
//	PasswordRehashed    INFO   user reason client                            a hash was outdated and was replaced
//	ClientUnknown       WARN   reason                                        a password was checked without the address of the
//	                                                                         client; once an hour
//	ClocksDiffer        WARN   behind                                        the clocks of the service's processes differ;
//	                                                                         once an hour
//	UserCreated         INFO   8)                                            a user was created
//	UserChanged         INFO   8) before                                     a user was changed
//	UserDeleted         INFO   8)                                            a user was deleted, with sessions and tokens
//	Login               INFO   user user_id client                           a session began
//	Logout              INFO   user user_id reason client                    a session ended by logout
//	SessionLimit        INFO   user user_id client                           a login ended an older session of the user
//	SessionEnded        INFO   actor actor_id actor_token_id user_id         sessions of a user were ended by the user, or by
//	                           sessions client                               an administrator
//	SessionLost         4)     user user_id reason client                    values that a host put into a session are lost
//	TokenIssued         INFO   5), or 6) and token_id                        a token was issued
//	TokenChanged        INFO   5) before                                     its scopes, description or expiry changed
//	TokenRotated        INFO   5)                                            it has a new value
//	TokenRevoked        INFO   5), or 6) and token_id                        it was revoked
//	ApplicationCreated  INFO   7)                                            an application was registered
//	ApplicationChanged  INFO   7) before                                     it was changed
//	ApplicationRotated  INFO   7)                                            it has a new client secret
//	ApplicationDeleted  INFO   7)                                            it was deleted, with its tokens
//	ClientRefused       WARN   client_id reason client                       an application failed to authenticate
//	DocumentFetched     INFO   client_id redirect_uris client                a client ID metadata document was fetched
//	DocumentRefused     WARN   client_id reason error client                 a client_id or its document was not accepted
//	Consented           INFO   6)                                            a user let an application act
//	ConsentWithdrawn    INFO   actor actor_id actor_token_id user_id         a consent of a user was taken back, by the user or
//	                           application_id client                         an administrator
//	GrantRefused        WARN   6) reason                                     a code or device code was not redeemed
//	GrantReused         WARN   6)                                            a code or refresh token was used twice; all its
//	                                                                         tokens are revoked
//	GrantRetried        INFO   6) token_id                                   a refresh was repeated within its grace
//	ProxyRefused        WARN   outcome reason peer method path               a proof of a proxy does not hold
//	GatewayKeys         INFO   outcome keys, or outcome error                keys of the gateway were fetched; ERROR if not
//	GatewayUserRefused  WARN   outcome reason user client                    the gateway named an unknown or disabled user
//	GatewayTokenRefused WARN   outcome reason client                         a JSON Web Token of the gateway does not hold
//
//	1) DEBUG by session and bearer token, INFO by all other credentials
//	2) INFO for a request without credentials, ERROR from status 500, otherwise WARN
//	3) ERROR, or WARN if the request goes on regardless
//	4) ERROR, or INFO if the session has ended in the meantime
//	5) actor actor_id actor_token_id token_id user_id application_id parent_id scope expires client
//	6) application_id application grant_type user_id scope client
//	7) actor actor_id actor_token_id application_id application organization_id confidential
//	   grant_type redirect_uris skip_consent require_pkce resource disabled client
//	8) actor actor_id actor_token_id user user_id admin auditor active service client
package audit

import (
	"log/slog"
	"net/netip"
	"strings"

	"github.com/ostiary/auth/internal/client"
)

// The events, as messages of log/slog records.
const (
	RequestAllowed = "auth: request"
	RequestRefused = "auth: request refused"
	StoreFailed    = "auth: store failed"

	PasswordRefused  = "auth: password refused"
	PasswordChanged  = "auth: password changed"
	PasswordRehashed = "auth: password rehashed"
	ClientUnknown    = "auth: address of the client unknown, so the throttle takes all clients for one"
	ClocksDiffer     = "auth: clocks of this service differ"

	UserCreated = "auth: user created"
	UserChanged = "auth: user changed"
	UserDeleted = "auth: user deleted"

	Login        = "auth: user logged in"
	Logout       = "auth: user logged out"
	SessionLimit = "auth: session limit reached"
	SessionEnded = "auth: session ended"
	SessionLost  = "auth: session changes lost"

	TokenIssued  = "auth: token issued"
	TokenChanged = "auth: token changed"
	TokenRotated = "auth: token rotated"
	TokenRevoked = "auth: token revoked"

	ApplicationCreated = "auth: application created"
	ApplicationChanged = "auth: application changed"
	ApplicationRotated = "auth: client secret rotated"
	ApplicationDeleted = "auth: application deleted"
	ClientRefused      = "auth: client refused"
	DocumentFetched    = "auth: client document fetched"
	DocumentRefused    = "auth: client document refused"

	Consented        = "auth: user consented"
	ConsentWithdrawn = "auth: consent withdrawn"
	GrantRefused     = "auth: grant refused"
	GrantReused      = "auth: grant used twice, all its tokens revoked"
	GrantRetried     = "auth: refresh retried"

	ProxyRefused        = "auth: proof of a proxy refused"
	GatewayKeys         = "auth: keys of the gateway fetched"
	GatewayUserRefused  = "auth: user of the gateway refused"
	GatewayTokenRefused = "auth: token of the gateway refused"
)

// The keys of attributes.
const (
	KeyOutcome = "outcome" // "success" or "failure"
	KeyReason  = "reason"  // why, in words
	KeyError   = "error"   // the cause, as errors say it
	KeyStatus  = "status"  // HTTP status of the refusal
	KeyCode    = "code"    // RFC 6749 section 5.2 or RFC 6750 section 3.1

	KeyMethod     = "method"
	KeyPath       = "path"
	KeyClient     = "client"       // address of the client, "" if it is not known
	KeyPeer       = "peer"         // the other end of the connection, as net/http has it
	KeyTokenInURL = "token_in_url" // the URL carries a token (RFC 6750 section 5.3)

	KeyUser       = "user"    // the name of a user, as it was typed where nobody is found
	KeyUserID     = "user_id" // the ID of a user; store.User
	KeyCredential = "credential"
	KeyAdmin      = "admin"   // the user may do everything
	KeyAuditor    = "auditor" // the user may read everything
	KeyActive     = "active"  // the user may log in
	KeyService    = "service" // the user is a service account

	KeyActor        = "actor" // the name of the acting user; of an operator "operator:" and a name
	KeyActorID      = "actor_id"
	KeyActorTokenID = "actor_token_id" // the token it was done with, 0 for none

	KeyTokenID  = "token_id"
	KeyParentID = "parent_id" // the token that minted this one, 0 for none
	KeyScope    = "scope"
	KeyExpires  = "expires"

	KeyApplication    = "application" // the name of an application
	KeyApplicationID  = "application_id"
	KeyClientID       = "client_id" // as the client sent it
	KeyOrganizationID = "organization_id"
	KeyConfidential   = "confidential"
	KeyGrantType      = "grant_type"
	KeyRedirectURIs   = "redirect_uris"
	KeySkipConsent    = "skip_consent"
	KeyRequirePKCE    = "require_pkce"
	KeyResource       = "resource"
	KeyDisabled       = "disabled"

	KeySessions = "sessions" // how many

	KeyBefore = "before" // a group: what changed attributes were before

	KeyOperation = "operation" // of a store
	KeyBehind    = "behind"    // the time by which a clock is behind another one
	KeyKeys      = "keys"      // the number of keys
)

// maxText is the length to which Clip cuts, in bytes.
const maxText = 256

// Clip returns text from a client for an event: valid UTF-8, cut to 256 bytes
// and an ellipsis.
func Clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Client returns the attribute for the address of a client. It is "" for the
// zero Addr, which stands for an unknown address.
func Client(addr netip.Addr) slog.Attr { return slog.String(KeyClient, client.String(addr)) }
