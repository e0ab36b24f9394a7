package httpapi

import (
	"maps"
	"net/http"
	"slices"

	"github.com/ostiary/auth/oauth"
)

// spoken returns the texts of the pages that do not stand in a template.
func spoken() []string {
	list := []string{otherError, errOutOfService, errStale, onThisComputer}
	for text := range maps.Values(notices) {
		list = append(list, text)
	}
	for text := range maps.Values(errorTitles) {
		list = append(list, text)
	}
	for text := range maps.Values(grantTexts) {
		list = append(list, text)
	}
	return slices.Concat(list, said, refusals)
}

// said are the texts that the handlers of pages say themselves.
var said = []string{
	"%s ago",
	"%s days",
	"%s hours",
	"%s minutes",
	"1 day",
	"1 hour",
	"1 minute",
	"Application %s",
	"Application created",
	"Choose at least one.",
	"Client ID",
	"Client secret",
	"Confidential: a server that can keep a secret",
	"Copy the token now: it is shown this once, and nobody can look it up later.",
	"Delete an application",
	"Delete",
	"Device connected",
	"Device not connected",
	"Do you want to delete “%s”? This cannot be undone.",
	"Do you want to end the access of “%s”?",
	"Do you want to revoke “%s”? This cannot be undone.",
	"Done",
	"Everything that it holds in your name ends at once.",
	"Give these to the application. The secret is shown this once, and nobody can look it up later.",
	"Give this to the application. A public one has no secret.",
	"Go to your account",
	"It can ask you again. If you do not want that, do not agree.",
	"It issued the token “%s”, which ends, too.",
	"It issued the token “%s”, which goes on without it.",
	"Its client ID and secret stop working.",
	"Log in again",
	"Log in",
	"Must be a date of the form 2027-01-31.",
	"Must be the number of an organization.",
	"New client secret",
	"New secret",
	"Not at all",
	"Nothing was saved: please look at what is marked below.",
	"People who agreed to it have to agree again to a new one.",
	"Programs that use it lose their access at once.",
	"Public: a program on people's devices or in their browsers",
	"Revoke a token",
	"Revoke what it issued, too",
	"Revoke",
	"Say what the token is for, so that you know it again.",
	"The device gets no access.",
	"The same is so for %s more.",
	"The two passwords differ.",
	"Token %s",
	"Token created",
	"Token",
	"Tokens that end: %s.",
	"Type in your password as it is now.",
	"Unknown browser",
	"Withdraw access",
	"Withdraw",
	"You are logged out",
	"You can go back to your device.",
	"Your session has ended in this browser.",
	"confidential",
	"in %s",
	"just now",
	"less than a minute",
	"public",
	"read and change everything that you can read and change",
	"read everything that you can read",
	"use the scope “%s”",
}

const errStale = "This page was out of date, or it was shown to another user. Please check it again."

const onThisComputer = "an application on this computer"

// notices are what pages say after something was done.
var notices = map[string]string{
	"stale":            errStale,
	"profile_changed":  "Your profile was changed.",
	"password_changed": "Your password was changed. All other sessions have ended.",
	"all_changed":      "Your password was changed. All other sessions and all of your tokens have ended.",
	"session_ended":    "The session has ended.",
	"sessions_ended":   "All other sessions have ended.",
	"token_changed":    "The token was changed.",
	"token_revoked":    "The token was revoked.",
	"token_twice":      "This form was sent twice. The token was created once, and only the first answer showed its secret. If you do not have it, make a new one below.",
	"token_other":      "The token was changed meanwhile, and nothing was done. Please look at it again.",
	"withdrawn":        "The application has no access any more.",
	"app_changed":      "The application was changed.",
	"app_twice":        "This form was sent twice. The application was created once, and only the first answer showed its secret. If you do not have it, make a new one below.",
	"app_deleted":      "The application was deleted.",
	"app_other":        "The application was changed meanwhile, and nothing was done. Please look at it again.",
}

// errorTitles are the titles of pages about errors.
var errorTitles = map[int]string{
	http.StatusUnauthorized:        "You are not logged in",
	http.StatusForbidden:           "This is not allowed",
	http.StatusNotFound:            "There is no such page",
	http.StatusMethodNotAllowed:    "There is no such page",
	http.StatusTooManyRequests:     "Too many requests",
	http.StatusServiceUnavailable:  "This does not work at the moment",
	http.StatusInternalServerError: "This does not work at the moment",
}

const (
	otherError      = "This request cannot be served"
	errOutOfService = "Please try again in a minute. If it does not help, tell the administrators."
)

// grantTexts say what applications do to get tokens.
var grantTexts = map[string]string{
	oauth.GrantAuthorizationCode: "Asks people in the browser (authorization code)",
	oauth.GrantDeviceCode:        "Shows people a code (device)",
	oauth.GrantClientCredentials: "Acts for itself (client credentials)",
	oauth.GrantPassword:          "Takes people's passwords (not advised)",
}
