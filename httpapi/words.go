package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/ostiary/auth"
)

// A fault is the name of a field, "*" for any, and the code of the error about
// it.
type fault struct{ field, code string }

// sentences are AWX's texts about faults; clients compare some of them. %s
// stands for the value in the request. Other faults keep the text of the error.
var sentences = map[fault]string{
	{"*", "required"}:            "This field is required.",
	{"*", "invalid_choice"}:      "%s is not a valid choice.",
	{"*", "does_not_exist"}:      "Invalid pk %s - object does not exist.",
	{"", "unique"}:               "Application with this Name and Organization already exists.",
	{"RedirectURIs", "required"}: "redirect_uris cannot be empty with grant_type authorization-code",
	{"Scopes", "invalid_scope"}:  "Must be a simple space-separated string with allowed scopes [%s].",
	{"UserName", "unique"}:       "A user with that username already exists.",
	{"Name", "max_length"}:       "Ensure this field has no more than 255 characters.",
}

// inAWXWords translates errors about fields of the body o to AWX's names and
// texts. Other errors do not change.
func (a *api) inAWXWords(err error, o object) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []error
		for _, err := range joined.Unwrap() {
			list = append(list, a.inAWXWords(err, o))
		}
		return errors.Join(list...)
	}
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status != http.StatusBadRequest {
		return err
	}
	name, ok := wireNames[e.Field]
	if !ok { // it has a name of the wire already
		return err
	}
	translated := *e
	translated.Field = name
	sentence, ok := sentences[fault{e.Field, e.Code}]
	if !ok {
		sentence, ok = sentences[fault{"*", e.Code}]
	}
	if ok {
		sent := quoted(strings.Trim(string(o[name]), `"`))
		if name == "scope" {
			sent = "'" + strings.Join(a.Tokens.ScopeNames(), "', '") + "'"
		}
		translated.Detail = strings.Replace(sentence, "%s", sent, 1)
	}
	return &translated
}
