package oauth

import (
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// No consent covers nothing, not even the authorization that asks for nothing.
func TestNoConsentCoversNothing(t *testing.T) {
	for _, scopes := range []auth.Scopes{"", "read"} {
		a := Authorization{Scopes: scopes}
		if covers(store.Consent{Scopes: "read write"}, a) || !covers(store.Consent{ApplicationID: 1, Scopes: "read write"}, a) {
			t.Errorf("scopes %q: covered by none, or not by a consent", scopes)
		}
	}
}
