package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/store"
)

// An exchange says what a method of a route takes and returns. The document of
// OpenAPI is made of exchanges; no handler reads them.
type exchange struct {
	about   string    // "" is what the route is about
	query   fields    // parameters of the URL
	list    *resource // its list parameters are taken
	body    *input    // nil takes none
	answers []answer
	refused []int // further statuses of refusals
	oauth   bool  // refusals have the form of RFC 6749 section 5.2
}

// exchanges has the exchanges of a route by method.
type exchanges map[string]exchange

// An answer is a successful one. A nil body is an empty one.
type answer struct {
	status int
	body   any // the zero value of its Go type, or pageBody
}

// pageBody is the body of an answer that is a page.
type pageBody struct{}

// either is the body of an answer that has one of several forms. The last one may
// be a page.
type either []any

// An input is the body of a request.
type input struct {
	forms    bool // form-encoded
	json     bool
	writable []string
	ignored  []string // what a representation has, and the handler ignores
	optional bool     // nothing is required
	spared   string   // is required in some configurations only
	fields   fields   // nil means those of the route
	example  map[string]any
}

// A resource is what several routes list, show and change.
type resource struct {
	name, plural string // in sentences
	shown        any    // the zero representation
	listed       any    // the zero page of a list
	fields       fields
	filters      filters
	orders       map[string]store.OrderBy
	searched     bool
	body         input // of a creation and of changes, unless they have their own
	changed      *input
	refused      []int // of changes
}

// collection returns the exchanges of a list.
func (s *resource) collection() exchanges {
	body := s.body
	return exchanges{
		"GET":  {about: "List " + s.plural, list: s, answers: []answer{{http.StatusOK, s.listed}}},
		"POST": {about: "Create " + s.name, body: &body, answers: []answer{{http.StatusCreated, s.shown}}, refused: s.refused},
	}
}

// single returns the exchanges of one object.
func (s *resource) single() exchanges {
	body := s.body
	if s.changed != nil {
		body = *s.changed
	}
	body.optional = true
	change := exchange{about: "Change " + s.name, body: &body, answers: []answer{{http.StatusOK, s.shown}}, refused: s.refused}
	return exchanges{
		"GET": {about: "Show " + s.name, answers: []answer{{http.StatusOK, s.shown}}},
		"PUT": change, "PATCH": change,
		"DELETE": {about: "Delete " + s.name, answers: []answer{{http.StatusNoContent, nil}}, refused: s.refused},
	}
}

// with returns e with another exchange of a method.
func (e exchanges) with(method string, one exchange) exchanges {
	e[method] = one
	return e
}

// renewal is the exchange that gives s a new secret.
func (s *resource) renewal(body input) exchanges {
	body.json, body.optional = true, true
	return exchanges{"POST": {
		about: "Give " + s.name + " a new secret", body: &body, answers: []answer{{http.StatusOK, s.shown}}, refused: []int{http.StatusNotFound, http.StatusConflict},
	}}
}

// read is the exchange of a route that answers GET with a JSON document.
func read(body any) exchanges {
	return exchanges{"GET": {answers: []answer{{http.StatusOK, body}}}}
}

// people is the exchange of pages, whose forms are for the pages themselves.
func people(query fields) exchanges {
	answers := []answer{{http.StatusOK, pageBody{}}, {http.StatusFound, nil}}
	return exchanges{
		"GET":  {query: query, answers: answers},
		"POST": {body: &input{forms: true, fields: fields{}}, answers: append(answers, answer{http.StatusSeeOther, nil}), refused: []int{http.StatusConflict}},
	}
}
