package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/ostiary/auth"
)

// reportFields describes a report.
var reportFields = fields{
	"tokens": {Type: "list", Label: "Tokens", HelpText: "The tokens that were found, in clear.", Required: true},
}

var reportWritable = []string{"tokens"}

// reportTokens ends tokens that were found in public. The answer is the same for
// tokens that exist, that have ended, and that never were.
func (a *api) reportTokens(w http.ResponseWriter, r *http.Request) error {
	if p := principal(r); !p.Admin && (a.MayReport == nil || !a.MayReport(p)) {
		return errForbidden
	}
	o, err := readObject(w, r, reportWritable, nil)
	if err != nil {
		return err
	}
	var texts []string
	if !o.given("tokens") {
		return badField("tokens", "This field is required.")
	}
	if err := json.Unmarshal(o["tokens"], &texts); err != nil {
		return badField("tokens", "Must be a list of tokens.") // without what was sent
	}
	reported := make([]auth.Secret, len(texts))
	for i, s := range texts {
		reported[i] = auth.Secret(s)
	}
	if a.OAuth != nil {
		err = a.OAuth.EndReported(r.Context(), principal(r), reported...)
	} else {
		err = a.Tokens.EndReported(r.Context(), principal(r), reported...)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
