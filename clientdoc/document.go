package clientdoc

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/jsonobject"
	"github.com/ostiary/auth/internal/text"
)

const (
	maxDocument     = 5 << 10 // bytes, as the draft recommends
	maxRedirectURIs = 20
	maxRedirectURI  = 512 // bytes
	maxName         = 100 // characters
)

// The faults of documents, for people.
const (
	faultJSON      = "The document of the application must be one JSON object with each member once."
	faultType      = "A member of the document of the application has another type than it must have."
	faultClientID  = "The client_id in the document of the application must be the address of the document."
	faultSecret    = "The document of the application must not contain a client secret."
	faultMethod    = "The application must be a public client: token_endpoint_auth_method in its document must be none."
	faultGrants    = "The grant_types in the document of the application must have authorization_code, and nothing else but refresh_token and the device grant."
	faultResponses = "The response_types in the document of the application must be code."
	faultRedirects = "The document of the application must have 1 to 20 redirect_uris, each once."
	faultRedirect  = "The redirect_uris in the document of the application must be https addresses of its own host, or http addresses of 127.0.0.1, [::1] or localhost."
	faultName      = "The client_name in the document of the application must be at most 100 visible characters."
)

// A Document is what a client says about itself. Nobody has verified it, except that
// the server of Host serves it.
type Document struct {
	ClientID     string   // the URL of the document
	Host         string   // of ClientID, such as "client.example"
	Name         string   // client_name, "" if the document has none
	RedirectURIs []string // of Host with https, or of a loopback address with http
}

// LoopbackOnly reports whether every redirect URI is one of the user's computer.
// Every program there can pose as such a client.
func (d Document) LoopbackOnly() bool {
	return !slices.ContainsFunc(d.RedirectURIs, func(uri string) bool { return strings.HasPrefix(uri, scheme) })
}

// Parse returns the document of a client_id that [Fetcher.Document] accepts. It
// returns an [*Error] for a body that breaks one of the rules.
func Parse(clientID string, body []byte) (Document, error) {
	if len(body) > maxDocument {
		return Document{}, &Error{Detail: faultSize}
	}
	members, err := jsonobject.Members(body)
	if err != nil {
		return Document{}, &Error{Detail: faultJSON}
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(clientID, scheme), "/")
	d := Document{ClientID: clientID, Host: host}
	var id, method string
	var grants, responses []string
	for name, to := range map[string]any{
		"client_id": &id, "client_name": &d.Name, "token_endpoint_auth_method": &method,
		"redirect_uris": &d.RedirectURIs, "grant_types": &grants, "response_types": &responses,
	} {
		if !decode(members, name, to) {
			return Document{}, &Error{Detail: faultType}
		}
	}
	for name := range members {
		if strings.HasPrefix(name, "client_secret") {
			return Document{}, &Error{Detail: faultSecret}
		}
	}
	if fault := d.fault(id, method, grants, responses); fault != "" {
		return Document{}, &Error{Detail: fault}
	}
	return d, nil
}

// decode puts a member into to, a string or a list of strings. It reports whether the
// member is absent or has that type. Null has no type.
func decode(members map[string]json.RawMessage, name string, to any) bool {
	raw, ok := members[name]
	if !ok {
		return true
	}
	switch to := to.(type) {
	case *string:
		return raw[0] == '"' && json.Unmarshal(raw, to) == nil
	case *[]string:
		var list []*string
		if raw[0] != '[' || json.Unmarshal(raw, &list) != nil || slices.Contains(list, nil) {
			return false
		}
		*to = make([]string, len(list))
		for i, s := range list {
			(*to)[i] = *s
		}
		return true
	}
	return false
}

// fault returns the fault of a document, "" for none. Absent lists are nil.
func (d *Document) fault(id, method string, grants, responses []string) string {
	switch {
	case id != d.ClientID:
		return faultClientID
	// An absent method would be client_secret_basic (RFC 7591 section 2), which
	// documents cannot have.
	case method != "" && method != "none":
		return faultMethod
	case grants != nil && !grantsOurs(grants):
		return faultGrants
	case responses != nil && !slices.Equal(responses, []string{"code"}):
		return faultResponses
	case len(d.RedirectURIs) == 0 || len(d.RedirectURIs) > maxRedirectURIs:
		return faultRedirects
	case d.Name != "" && text.Name(d.Name, maxName) != "":
		return faultName
	}
	for i, uri := range d.RedirectURIs {
		if slices.Contains(d.RedirectURIs[:i], uri) {
			return faultRedirects
		}
		if !redirects(uri, d.Host) {
			return faultRedirect
		}
	}
	return ""
}

// grantsOurs reports whether a client uses the code grant, and no grant that a public
// client cannot have here.
func grantsOurs(grants []string) bool {
	for _, g := range grants {
		if g != "authorization_code" && g != "refresh_token" && g != "urn:ietf:params:oauth:grant-type:device_code" {
			return false
		}
	}
	return slices.Contains(grants, "authorization_code")
}

// redirects reports whether a code may be sent to uri: to the host of the document,
// or to a program on the user's computer at any port (RFC 8252 section 7.3).
func redirects(uri, host string) bool {
	if len(uri) > maxRedirectURI || !ascii.Visible(uri) || strings.ContainsAny(uri, "\\\"'<>^`{|}*#") {
		return false
	}
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || u.String() != uri || dotSegments(u.Path) {
		return false
	}
	if u.Scheme == "https" {
		return u.Host == host
	}
	name, port, hasPort := cutPort(u.Host)
	return u.Scheme == "http" && isLoopbackHost(name) && (!hasPort || isPort(port))
}
