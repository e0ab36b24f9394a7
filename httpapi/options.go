package httpapi

import (
	"net/http"
	"strings"

	"github.com/ostiary/auth"
)

// field describes a field of a resource as AWX's clients expect it.
type field struct {
	Type     string      `json:"type"`
	Label    string      `json:"label"`
	HelpText string      `json:"help_text,omitempty"`
	Required bool        `json:"required"`
	ReadOnly bool        `json:"read_only"`
	Choices  [][2]string `json:"choices,omitempty"` // value and label
}

// options describes a route. AWX's own client builds its commands from it; it
// crashes on actions other than GET and POST.
func (a *api) options(w http.ResponseWriter, r *http.Request, m methods) error {
	actions := make(map[string]map[string]field)
	fields := fieldsOfPath(r.URL.Path)
	if m["GET"] != nil {
		shown := make(map[string]field, len(fields))
		for name, f := range fields {
			f.Required = false
			shown[name] = f
		}
		actions["GET"] = shown
	}
	if m["POST"] != nil {
		writable := make(map[string]field)
		for name, f := range fields {
			if !f.ReadOnly {
				writable[name] = f
			}
		}
		actions["POST"] = writable
	}
	return writeJSON(w, r, http.StatusOK, struct {
		Name    string                      `json:"name"`
		Renders []string                    `json:"renders"`
		Parses  []string                    `json:"parses"`
		Actions map[string]map[string]field `json:"actions"`
	}{
		Name:    r.URL.Path,
		Renders: []string{"application/json"},
		Parses:  []string{"application/json"},
		Actions: actions,
	})
}

func fieldsOfPath(path string) map[string]field {
	switch {
	case strings.HasSuffix(path, "/rotate/"):
		return nil
	case strings.HasSuffix(path, "/rotate_secret/"):
		return rotateSecretFields
	case strings.Contains(path, "applications/") && !strings.Contains(path, "tokens/"):
		return applicationFields
	case strings.Contains(path, "tokens/"):
		return tokenFields
	case strings.HasPrefix(path, "/api/v2/"):
		return userFields
	}
	return nil
}

var tokenFields = map[string]field{
	"id":          {Type: "integer", Label: "ID", ReadOnly: true},
	"created":     {Type: "datetime", Label: "Created", ReadOnly: true},
	"modified":    {Type: "datetime", Label: "Modified", ReadOnly: true},
	"description": {Type: "string", Label: "Description", HelpText: "What the token is for."},
	"user":        {Type: "id", Label: "User", ReadOnly: true},
	"token":       {Type: "string", Label: "Token", HelpText: "Shown once, when the token is created.", ReadOnly: true},
	"application": {Type: "id", Label: "Application"},
	"expires":     {Type: "datetime", Label: "Expires", HelpText: "When the token ends."},
	"scope":       {Type: "string", Label: "Scope", HelpText: "read, or write, which includes read."},
	"last_used":   {Type: "datetime", Label: "Last used", ReadOnly: true},
}

var applicationFields = map[string]field{
	"id":            {Type: "integer", Label: "ID", ReadOnly: true},
	"created":       {Type: "datetime", Label: "Created", ReadOnly: true},
	"modified":      {Type: "datetime", Label: "Modified", ReadOnly: true},
	"name":          {Type: "string", Label: "Name", Required: true},
	"description":   {Type: "string", Label: "Description"},
	"organization":  {Type: "id", Label: "Organization", Required: true},
	"client_id":     {Type: "string", Label: "Client ID", ReadOnly: true},
	"client_secret": {Type: "string", Label: "Client secret", HelpText: "Shown once, when the application is created.", ReadOnly: true},
	"client_type": {Type: "choice", Label: "Client type", Required: true, Choices: [][2]string{
		{auth.ClientConfidential, "Confidential"}, {auth.ClientPublic, "Public"},
	}},
	"authorization_grant_type": {Type: "choice", Label: "Authorization grant type", Required: true, Choices: [][2]string{
		{auth.GrantAuthorizationCode, "Authorization code"}, {auth.GrantPassword, "Resource owner password-based"},
		{auth.GrantClientCredentials, "Client credentials"}, {auth.GrantDeviceCode, "Device code"},
	}},
	"redirect_uris":      {Type: "string", Label: "Redirect URIs", HelpText: "Allowed URIs, separated by spaces."},
	"skip_authorization": {Type: "boolean", Label: "Skip authorization", HelpText: "Do not ask for consent. Only for superusers."},
}

var rotateSecretFields = map[string]field{
	"overlap": {Type: "integer", Label: "Overlap", HelpText: "For how many seconds the old secret stays good."},
}

var userFields = map[string]field{
	"id":                {Type: "integer", Label: "ID", ReadOnly: true},
	"username":          {Type: "string", Label: "Username", ReadOnly: true},
	"first_name":        {Type: "string", Label: "First name", ReadOnly: true},
	"last_name":         {Type: "string", Label: "Last name", ReadOnly: true},
	"email":             {Type: "string", Label: "Email", ReadOnly: true},
	"is_superuser":      {Type: "boolean", Label: "Superuser", ReadOnly: true},
	"is_system_auditor": {Type: "boolean", Label: "System auditor", ReadOnly: true},
}
