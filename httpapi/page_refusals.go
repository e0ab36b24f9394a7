package httpapi

import (
	"slices"
	"strings"
)

// refusals are the sentences with which packages auth and oauth refuse what a form
// of a page sends, so that the host can say them in its language. A %s stands for
// what differs. TestRefusalsAreKnown holds that none is missing.
var refusals = []string{
	// Users and passwords.
	"A user with that name already exists.",
	"Control characters are not allowed.",
	"Ensure this field has no more than %s characters.",
	"Enter a valid email address.",
	"Incorrect user name or password.",
	"Must be UTF-8 without control characters, of at most %s bytes.",
	"Must have at least %s characters.",
	"Not the current password.",
	"Only a superuser changes the name, the rights and the state of a user.",
	"Send the current password too, or log in again.",
	"The password was changed at the same time.",
	"This is the last active superuser, who cannot be deleted, disabled or demoted. Make another one first.",
	"Too many attempts. Try again later.",
	"Too many logins at the same time. Try again later.",

	// Names and descriptions.
	"Must not be longer than %s bytes.",
	"Must not have more than %s characters.",
	"Null characters and invalid UTF-8 are not allowed.",
	"The name must be UTF-8.",
	"The name must have at most %s characters.",
	"The name must not be empty.",
	"The name must not begin or end with a blank.",
	"The name must not begin with a combining mark.",
	"The name must not contain the invisible character %s.",
	"The name must not contain two blanks in a row.",
	"This field is required.",

	// Tokens.
	"Select the tokens of a user, of an application, or all.",
	"%s is not among the addresses of the token that asks.",
	"Must be a list of %s, separated by single spaces.",
	"Must not be later than %s.",
	"The life of a token can only be shortened: create a new one.",
	"The scope of a token can only be narrowed: create a new one.",
	"The token was changed at the same time: try again.",
	"The user has %s tokens or more, and no more are allowed: delete some first.",
	"This date is in the past.",
	"This date is in the past: delete the token.",

	// Applications and devices.
	"A client that acts for itself must be confidential.",
	"A public client always needs consent: anybody can pose as it.",
	"A public client cannot stand for a resource: anybody can pose as it.",
	"A public client has no secret.",
	"An application of the organization has this name.",
	"Must be between 0 and %s seconds.",
	"Must be a resource that tokens can be requested for.",
	"Must be one of %s.",
	"Only a superuser who logged in can let an application stand for a resource.",
	"Only a superuser who logged in can switch consent off.",
	"Redirect URIs must be absolute",
	"Redirect URIs must be absolute and begin with a scheme in lower case",
	"Redirect URIs must be valid URIs",
	"Redirect URIs must be visible ASCII without wildcards, quotes and backslashes",
	"Redirect URIs must name a host, in ASCII and lower case",
	"Redirect URIs must not be longer than %s bytes",
	"Redirect URIs must not contain dot segments",
	"Redirect URIs must not contain fragments",
	"Redirect URIs must not contain user information",
	"Redirect URIs must not repeat",
	"Redirect URIs of a private-use scheme must have the form %s:/path or %s://host/path",
	"The application was changed at the same time: try again.",
	"The grant type needs a redirect URI.",
	"The name is reserved for the client with the document at that address.",
	"The consent to this application was withdrawn at the same time.",
	"There is no object with this ID.",
	"There must not be more than %s redirect URIs",
	"This client needs PKCE.",
	"This code is not valid. It may have expired, or been used: check the spelling, or start again on the device.",
	"Unauthorized redirect scheme: %s",
	"Unauthorized redirect scheme: http is only for 127.0.0.1, [::1] and localhost",

	// Clients with a document.
	"Only the document of the application changes it. It can be disabled and deleted.",
	"A member of the document of the application has another type than it must have.",
	"Applications of this host are not accepted here.",
	"The address of the application must be visible ASCII without quotes, backslashes and percent signs.",
	"The address of the application must begin with https://.",
	"The address of the application must have a path without dot segments.",
	"The address of the application must have at most 255 characters.",
	"The address of the application must have neither a query nor a fragment.",
	"The address of the application must have the full name of a public host, in lower case.",
	"The address of the application must not contain a port.",
	"The address of the application must not contain a user name.",
	"The application must be a public client: token_endpoint_auth_method in its document must be none.",
	"The client_id in the document of the application must be the address of the document.",
	"The client_name in the document of the application must be at most 100 visible characters.",
	"The document of the application cannot be fetched.",
	"The document of the application must be application/json without compression.",
	"The document of the application must be one JSON object with each member once.",
	"The document of the application must have 1 to 20 redirect_uris, each once.",
	"The document of the application must have at most 5,120 bytes.",
	"The document of the application must not contain a client secret.",
	"The grant_types in the document of the application must have authorization_code, and nothing else but refresh_token and the device grant.",
	"The redirect_uris in the document of the application must be https addresses of its own host, or http addresses of 127.0.0.1, [::1] or localhost.",
	"The response_types in the document of the application must be code.",
	"The server of the application must answer with its document, with status 200 and without a redirect.",
	"Too many documents of applications are being fetched. Try again later.",

	// All pages.
	"Not found.",
	"The request has no session, because it has an Authorization field: leave that out.", // browsers send one that HTTP Basic asked for
	"The user has changed meanwhile. Log in again.",
	"You do not have permission to perform this action.",
}

// refusalOf returns the text of a detail and its arguments. A detail without a text
// is its own.
func refusalOf(detail string) (text string, args []any) {
	if slices.Contains(refusals, detail) {
		return detail, nil
	}
	for _, text := range refusals {
		if args, ok := argumentsOf(text, detail); ok {
			return text, args
		}
	}
	return detail, nil
}

// argumentsOf returns what stands in s where text has %s.
func argumentsOf(text, s string) (args []any, ok bool) {
	parts := strings.Split(text, "%s")
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return nil, false
	}
	for i, part := range parts[1:] {
		at := strings.Index(rest, part)
		if i == len(parts)-2 {
			at = len(rest) - len(part)
			if !strings.HasSuffix(rest, part) {
				at = -1
			}
		}
		if at < 1 {
			return nil, false
		}
		args, rest = append(args, rest[:at]), rest[at+len(part):]
	}
	return args, rest == ""
}
