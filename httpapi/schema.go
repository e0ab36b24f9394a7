package httpapi

import "net/http"

// The document of OpenAPI is for everybody, like the metadata of RFC 8414, so
// that tools can read it without a credential. It is made of the configuration
// alone, and says nothing about users, tokens, applications or requests.

// getSchema serves the document, and a page of it to browsers.
func (a *api) getSchema(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept")
	if wants(r, "text/html") && !wants(r, "application/json") {
		return a.schemaPage(w, r)
	}
	if !acceptsJSON(r) && !accepts(r, openAPIType) {
		return errNotAcceptable
	}
	w.Header().Set("Cache-Control", documentLifetime)
	writeEncoded(w, r, http.StatusOK, a.describedAs.document())
	return nil
}

// openAPIType is the media type that clients may ask for. The answer is JSON.
const openAPIType = "application/vnd.oai.openapi+json"

// schemaPage shows the page to everybody. Unlike the document it is not stored by
// caches, because its examples have the address of this host.
func (a *api) schemaPage(w http.ResponseWriter, r *http.Request) error {
	return a.schema.write(w, r, http.StatusOK, schemaData{r.URL.Path, a.describedAs.subjects(address(r))})
}
