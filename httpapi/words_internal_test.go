package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store/memory"
)

// TestAWXWords checks the texts for clients where package auth reports a fault
// with a request by the fields of Go, and where it uses a name of the wire.
func TestAWXWords(t *testing.T) {
	db := memory.New()
	a := &api{Config: Config{Tokens: auth.Must(auth.NewTokens(db, db, nil))}}
	sent := object{"organization": json.RawMessage("7"), "application": json.RawMessage(`"99"`), "client_type": json.RawMessage(`"odd"`)}
	refusal := func(field, code, detail string) error {
		return &auth.Error{Status: 400, Field: field, Code: code, Detail: detail}
	}
	for name, tt := range map[string]struct {
		err  error
		want map[string][]string
	}{
		"a name of Go":          {refusal("SkipConsent", "", "why"), map[string][]string{"skip_authorization": {"why"}}},
		"a name of the wire":    {refusal("skip_authorization", "", "why"), map[string][]string{"skip_authorization": {"why"}}},
		"a sentence of AWX's":   {refusal("Name", "required", "why"), map[string][]string{"name": {"This field is required."}}},
		"with what was sent":    {refusal("OrganizationID", "does_not_exist", "why"), map[string][]string{"organization": {`Invalid pk "7" - object does not exist.`}}},
		"with text that was":    {refusal("ApplicationID", "does_not_exist", "why"), map[string][]string{"application": {`Invalid pk "99" - object does not exist.`}}},
		"a choice":              {refusal("ClientType", "invalid_choice", "why"), map[string][]string{"client_type": {`"odd" is not a valid choice.`}}},
		"several fields":        {refusal("", "unique", "why"), map[string][]string{"__all__": {"Application with this Name and Organization already exists."}}},
		"several, without code": {refusal("", "", "why"), map[string][]string{"__all__": {"why"}}},
		"redirect URIs":         {refusal("RedirectURIs", "", "why"), map[string][]string{"__all__": {"why"}}},
		"scopes": {refusal("Scopes", "invalid_scope", "why"), map[string][]string{
			"scope": {"Must be a simple space-separated string with allowed scopes ['read', 'write']."}}},
		"joined": {errors.Join(refusal("Name", "required", ""), refusal("expires", "", "late"), refusal("GrantType", "required", "")), map[string][]string{
			"name": {"This field is required."}, "expires": {"late"}, "authorization_grant_type": {"This field is required."}}},
		"wrapped":        {fmt.Errorf("auth: %w", refusal("Name", "required", "")), map[string][]string{"name": {"This field is required."}}},
		"no bad request": {&auth.Error{Status: 403, Field: "Name", Detail: "why"}, nil},
		"an outage":      {errors.New("down"), nil},
	} {
		if diff := cmp.Diff(tt.want, fieldsOf(a.inAWXWords(tt.err, sent), nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	} // A refusal that nobody translated has at least the name of the wire.
	if diff := cmp.Diff(map[string][]string{"authorization_grant_type": {"why"}}, fieldsOf(refusal("GrantType", "required", "why"), nil)); diff != "" {
		t.Errorf("not translated (-want +got):\n%s", diff)
	}
}
