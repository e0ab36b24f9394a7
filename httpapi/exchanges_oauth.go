package httpapi

import (
	"maps"
	"net/http"
	"slices"

	"github.com/ostiary/auth/oauth"
)

// Parameters that several forms of OAuth have.
var (
	clientParameters = fields{
		"client_id":     {Type: "string", Label: "Client ID", HelpText: "Of a client that does not authenticate by Basic."},
		"client_secret": {Type: "string", Label: "Client secret", HelpText: "Of a client that does not authenticate by Basic."},
	}
	scopeParameter    = field{Type: "string", Label: "Scope", HelpText: "Scopes, separated by single blanks (RFC 6749 section 3.3)."}
	resourceParameter = field{Type: "list", Label: "Resource", HelpText: "The services that the token is for (RFC 8707)."}
	tokenParameter    = field{Type: "string", Label: "Token", HelpText: "An access token or a refresh token."}
)

// tokenParameters are the parameters of the token endpoint.
var tokenParameters = clientParameters.and(fields{
	"grant_type": {Type: "choice", Label: "Grant type", Required: true, Choices: [][2]string{
		{"authorization_code", "Authorization code"}, {"refresh_token", "Refresh token"}, {"client_credentials", "Client credentials"},
		{"password", "Password"}, {oauth.GrantDeviceCode, "Device code"},
	}},
	"code":          {Type: "string", Label: "Code", HelpText: "The authorization code."},
	"redirect_uri":  {Type: "string", Label: "Redirect URI", HelpText: "That of the authorization request."},
	"code_verifier": {Type: "string", Label: "Code verifier", HelpText: "Of PKCE (RFC 7636)."},
	"refresh_token": {Type: "string", Label: "Refresh token"},
	"username":      {Type: "string", Label: "Username"},
	"password":      {Type: "string", Label: "Password"},
	"device_code":   {Type: "string", Label: "Device code"},
	"scope":         scopeParameter,
	"resource":      resourceParameter,
})

// authorizationParameters are the parameters of the authorization endpoint.
var authorizationParameters = fields{
	"response_type":         {Type: "string", Label: "Response type", HelpText: "code"},
	"response_mode":         {Type: "string", Label: "Response mode", HelpText: "query"},
	"client_id":             {Type: "string", Label: "Client ID"},
	"redirect_uri":          {Type: "string", Label: "Redirect URI", HelpText: "Needed unless the application has exactly one."},
	"scope":                 scopeParameter,
	"state":                 {Type: "string", Label: "State", HelpText: "Comes back with the answer."},
	"code_challenge":        {Type: "string", Label: "Code challenge", HelpText: "Of PKCE (RFC 7636)."},
	"code_challenge_method": {Type: "string", Label: "Code challenge method", HelpText: "S256"},
	"resource":              resourceParameter,
	"approval_prompt":       {Type: "string", Label: "Approval prompt", HelpText: "auto asks only if the user did not agree before."},
}

var deviceLink = fields{"user_code": {Type: "string", Label: "User code", HelpText: "The code that the device shows."}}

// The exchanges of the endpoints of OAuth.
var (
	tokenEndpoint      = oauthForm(tokenParameters, map[string]any{"grant_type": "client_credentials", "scope": "read"}, issuedToken{})
	revocationEndpoint = oauthForm(clientParameters.and(fields{"token": tokenParameter, "token_type_hint": {Type: "string", Label: "Token type hint"}}),
		map[string]any{"token": "the token"}, struct{}{})
	introspectionEndpoint = oauthForm(clientParameters.and(fields{"token": tokenParameter, "token_type_hint": {Type: "string", Label: "Token type hint"}}),
		map[string]any{"token": "the token"}, either{introspection{}, inactive{}})
	deviceEndpoint = oauthForm(clientParameters.and(fields{"scope": scopeParameter, "resource": resourceParameter}),
		map[string]any{"client_id": "the client ID", "scope": "read"}, deviceAuthorization{})
)

// and returns the fields of f and of more.
func (f fields) and(more fields) fields {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// oauthForm returns the exchange of an endpoint for applications.
func oauthForm(f fields, example map[string]any, body any) exchanges {
	return exchanges{"POST": {
		body:    &input{forms: true, writable: slices.Sorted(maps.Keys(f)), fields: f, example: example},
		answers: []answer{{http.StatusOK, body}}, refused: []int{http.StatusUnauthorized}, oauth: true,
	}}
}
