package httpapi

import (
	"net/http"
	"strings"
)

// allowAnyOrigin allows scripts of every origin to read the answer (Fetch
// section 3.2), but not to send cookies.
func allowAnyOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
}

// preflight reports whether r is a CORS preflight (Fetch section 3.2.2).
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// answerPreflight allows scripts to send all fields that other clients can
// send. The wildcard does not include Authorization.
func answerPreflight(w http.ResponseWriter, methods []string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, *")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}
