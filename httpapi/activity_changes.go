package httpapi

import (
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// changeNames are AWX's names of what audit events call otherwise.
var changeNames = map[string]string{
	audit.KeyUser: "username", audit.KeyAdmin: "is_superuser", audit.KeyAuditor: "is_system_auditor", audit.KeyActive: "is_active", audit.KeyService: "is_service_account",
	audit.KeyApplicationID: "application", audit.KeyParentID: "parent",
	audit.KeyApplication: "name", audit.KeyOrganizationID: "organization", audit.KeyConfidential: "client_type",
	audit.KeyGrantType: "authorization_grant_type", audit.KeySkipConsent: "skip_authorization", audit.KeyRequirePKCE: "pkce_required",
}

// showChanges returns the changes in AWX's words: new values, and for an update
// pairs of the old and the new one. Secrets are masked.
func showChanges(e store.Activity) map[string]any {
	shown := map[string]any{}
	for _, c := range activity.Changes(e) {
		name := c.Field
		if other, ok := changeNames[name]; ok {
			name = other
		}
		before, after := changeValue(c.Field, c.Old), changeValue(c.Field, c.New)
		if e.Operation == store.OperationUpdate {
			shown[name] = []any{before, after}
		} else {
			shown[name] = after
		}
	}
	switch {
	case e.Associated != "":
		shown["object1"], shown["object1_pk"] = objectNames[e.Object], userID(e.UserID)
		if e.Object == store.ObjectApplication {
			shown["object1_pk"] = e.ApplicationID
		}
		shown["object2"] = objectNames[e.Associated]
		if e.Associated == store.ObjectApplication {
			shown["object2_pk"] = e.ApplicationID
		}
	case e.Operation == store.OperationUpdate:
	case e.Object == store.ObjectUser:
		shown["id"] = userID(e.UserID)
	case e.Object == store.ObjectToken && e.TokenID == 0: // all tokens
		shown["token"] = mask
	case e.Object == store.ObjectToken:
		shown["id"], shown["user"], shown["token"] = e.TokenID, userID(e.UserID), mask
	case e.Object == store.ObjectApplication:
		shown["id"] = e.ApplicationID
	}
	return shown
}

func changeValue(field string, v any) any {
	switch field {
	case activity.FieldToken, activity.FieldSecret:
		return mask
	case activity.FieldPassword:
		return userMask
	case audit.KeyConfidential:
		switch v {
		case true:
			return oauth.ClientConfidential
		case false:
			return oauth.ClientPublic
		}
	}
	return v
}
