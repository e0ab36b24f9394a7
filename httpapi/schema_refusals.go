package httpapi

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/ostiary/auth"
)

// parts are the components of a document: what operations refer to.
type parts struct {
	schemas            components
	responses, schemes schema
}

// refusal returns a reference to the refusal with a status, in AWX's form or in
// that of OAuth.
func (p parts) refusal(status int, oauth bool) schema {
	name := strings.ReplaceAll(http.StatusText(status), " ", "")
	if oauth {
		name = "OAuth" + name
	}
	if p.responses[name] == nil {
		p.responses[name] = p.describeRefusal(status, oauth)
	}
	return reference("responses", name)
}

func (p parts) describeRefusal(status int, oauth bool) schema {
	content := schema{"application/json": schema{"schema": p.refusalBody(status, oauth)}}
	if !oauth {
		content["text/html"] = schema{"schema": schema{"type": "string"}}
	}
	described := schema{"description": http.StatusText(status), "content": content}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		described["headers"] = schema{"WWW-Authenticate": schema{"description": "The challenge (RFC 6750 section 3).", "schema": schema{"type": "string"}}}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		described["headers"] = schema{"Retry-After": schema{"description": "Seconds to wait.", "schema": schema{"type": "integer"}}}
	}
	return described
}

// refusalBody returns the schema of a refusal.
func (p parts) refusalBody(status int, oauth bool) schema {
	if oauth {
		return p.schemas.of(reflect.TypeFor[oauthError]())
	}
	p.schemas["Detail"] = schema{
		"type": "object", "properties": schema{"detail": schema{"type": "string", "description": "Why the request is refused."}},
		"required": []string{"detail"}, "additionalProperties": false,
	}
	detail := reference("schemas", "Detail")
	if status != http.StatusBadRequest {
		return detail
	}
	p.schemas["FieldErrors"] = schema{
		"type": "object", "description": "What is wrong with each field of the body; __all__ is about several.", "minProperties": 1,
		"additionalProperties": schema{"type": "array", "items": schema{"type": "string"}, "minItems": 1},
	}
	return schema{"anyOf": []schema{detail, reference("schemas", "FieldErrors")}}
}

// refusals returns the statuses that refuse a request with this method.
func (e *exchange) refusals(s *served, method string) []int {
	list := append([]int{http.StatusServiceUnavailable}, e.refused...)
	switch {
	case e.oauth:
		list = append(list, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests)
	case s.access == protected || s.access == anyScope:
		list = append(list, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotAcceptable, http.StatusTooManyRequests)
	case s.access == public:
		list = append(list, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotAcceptable, http.StatusTooManyRequests)
	case s.access == session:
		list = append(list, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusNotAcceptable, http.StatusTooManyRequests)
	case s.access == open:
		list = append(list, http.StatusNotAcceptable)
	}
	if strings.Contains(s.pattern, "{") || e.list != nil { // such as a page that is not there
		list = append(list, http.StatusNotFound)
	}
	if e.body != nil && !e.oauth {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// securitySchemes describes the credentials that the configuration accepts.
func (a *api) securitySchemes(basic bool) schema {
	schemes := schema{}
	if a.Session != nil {
		schemes["session"] = schema{"type": "apiKey", "in": "cookie", "name": a.Session.CookieName(), "description": "The cookie of a login, in a browser."}
	}
	if basic {
		schemes["basic"] = schema{"type": "http", "scheme": "basic", "description": "The name and the password of a user."}
	}
	if a.Tokens != nil {
		schemes["bearer"] = schema{"type": "http", "scheme": "bearer", "description": "A token with the scope read, or write, which includes read."}
	}
	if a.OAuth != nil {
		schemes["oauth2"] = schema{"type": "oauth2", "flows": a.flows(), "description": "A token of an application."}
		schemes["client"] = schema{"type": "http", "scheme": "basic", "description": "The client ID and the secret of an application."}
	}
	return schemes
}

// flows describes the grants that OpenAPI knows.
func (a *api) flows() schema {
	base := "" // of this host
	scopes := schema{auth.ScopeRead: "Read everything that the user can read.", auth.ScopeWrite: "Read and change everything that the user can."}
	if a.OAuth.Issuer() != "" {
		base = a.base()
		for _, name := range a.Tokens.ScopeNames() { // which the metadata has, too
			if scopes[name] == nil {
				scopes[name] = "A scope of this service."
			}
		}
	}
	token := base + "/api/o/token/"
	flow := func() schema { return schema{"tokenUrl": token, "refreshUrl": token, "scopes": scopes} }
	flows := schema{"clientCredentials": flow()}
	if a.Session != nil {
		flows["authorizationCode"] = flow()
		flows["authorizationCode"].(schema)["authorizationUrl"] = base + "/api/o/authorize/"
	}
	if a.Passwords != nil {
		flows["password"] = flow()
	}
	return flows
}

// security returns the credentials that a method of the route needs: one of a
// list, or none at all.
func (rt *route) security(method string, schemes schema) []schema {
	list := []schema{}
	scopes := []string{auth.ScopeWrite}
	switch {
	case rt.speaks[method].oauth:
		return []schema{{"client": []string{}}, {}} // or client_id and client_secret in the form
	case rt.access == session && rt.subject() != "Sessions":
		return []schema{{"session": []string{}}}
	case rt.access != protected && rt.access != anyScope:
		return list
	case rt.access == anyScope:
		scopes = []string{}
	case method == http.MethodGet:
		scopes = []string{auth.ScopeRead}
	}
	for _, name := range []string{"bearer", "oauth2", "basic", "session"} {
		if schemes[name] == nil {
			continue
		}
		if name == "basic" || name == "session" {
			list = append(list, schema{name: []string{}})
			continue
		}
		list = append(list, schema{name: scopes})
	}
	return list
}
