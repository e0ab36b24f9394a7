package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth"
)

// A resource is a collection of this service's own: GET lists or shows, POST
// adds. The gate in front of it has authenticated the request and checked the
// scope for the method.
type resource struct {
	path   string // of the collection
	fields map[string]field
	gate   *auth.Gate // for refusals
	list   func(ctx context.Context, p *auth.Principal, q query) (list []item, total int, err error)
	add    func(ctx context.Context, p *auth.Principal, name string) (item, error) // nil if nobody may
}

// An item is one of a collection.
type item struct {
	ID        int64      `json:"id"`
	Type      string     `json:"type"`
	URL       string     `json:"url"` // the resource fills it in
	Name      string     `json:"name"`
	CreatedBy string     `json:"created_by,omitempty"`
	Created   *time.Time `json:"created,omitempty"`
}

// A field describes a field to AWX's own client, which makes its commands of it.
type field struct {
	Type     string `json:"type"`
	Label    string `json:"label"`
	Required bool   `json:"required,omitempty"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

const (
	maxBody      = 64 << 10 // bytes
	maxName      = 512      // bytes
	pageSize     = 25
	maxPageSize  = 200
	maxPageIndex = 1_000_000_000 // times maxPageSize fits an int64
)

// A query says which items are asked for: those of a name and an ID, unless these
// are zero, and of them one page.
type query struct {
	name          string
	id            int64
	either        bool // one of the two is enough
	offset, limit int
}

var errNotFound = &auth.Error{Status: http.StatusNotFound, Detail: "Not found."}

func badRequest(detail string) error {
	return &auth.Error{Status: http.StatusBadRequest, Detail: detail}
}

func (res *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, err := res.answer(w, r)
	if err != nil {
		res.gate.Deny(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store") // it depends on the user
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

func (res *resource) answer(w http.ResponseWriter, r *http.Request) (status int, body any, err error) {
	p, ok := auth.FromContext(r.Context())
	if !ok {
		return 0, nil, errors.New("there is no gate in front of the resource")
	}
	rest := strings.TrimPrefix(r.URL.Path, res.path)
	w.Header().Set("Allow", res.allow(rest))
	switch r.Method {
	case http.MethodOptions:
		return http.StatusOK, res.options(rest), nil
	case http.MethodGet, http.MethodHead:
		if rest == "" {
			body, err = res.page(r, p)
		} else {
			body, err = res.one(r.Context(), p, rest)
		}
		return http.StatusOK, body, err
	case http.MethodPost:
		if rest == "" && res.add != nil {
			name, err := readName(r)
			if err != nil {
				return 0, nil, err
			}
			added, err := res.add(r.Context(), p, name)
			return http.StatusCreated, res.addressed(added), err
		}
	}
	return 0, nil, &auth.Error{Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("Method %q not allowed.", r.Method)}
}

func (res *resource) allow(rest string) string {
	if rest == "" && res.add != nil {
		return "GET, POST, HEAD, OPTIONS"
	}
	return "GET, HEAD, OPTIONS"
}

func (res *resource) options(rest string) any {
	actions := map[string]map[string]field{"GET": res.fields}
	if rest == "" && res.add != nil {
		actions["POST"] = map[string]field{"name": {Type: "string", Label: "Name", Required: true}}
	}
	return map[string]any{"name": res.path, "actions": actions}
}

// one shows the item that the rest of the path names.
func (res *resource) one(ctx context.Context, p *auth.Principal, rest string) (any, error) {
	number, slash := strings.CutSuffix(rest, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !slash || id < 1 {
		return nil, errNotFound
	}
	list, _, err := res.list(ctx, p, query{id: id, limit: 1})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNotFound
	}
	return res.addressed(list[0]), nil
}

// addressed returns the item with its URL.
func (res *resource) addressed(it item) item {
	it.URL = res.path + strconv.FormatInt(it.ID, 10) + "/"
	return it
}

// page lists as AWX does: count, next, previous, results.
func (res *resource) page(r *http.Request, p *auth.Principal) (any, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The query of the URL is malformed.")
	}
	page, q := 1, query{limit: pageSize}
	for name, v := range values {
		n, err := strconv.Atoi(v[0])
		number := err == nil && n > 0
		switch {
		case len(v) > 1:
			return nil, badRequest(strconv.Quote(name) + " is given more than once.")
		case name == "name" && validText(v[0]):
			q.name = v[0]
		case name == "id" && number:
			q.id = int64(n)
		// Where a name could be an ID, the Ansible collection asks for either.
		case name == "or__name" && validText(v[0]) && !values.Has("name"):
			q.name, q.either = v[0], values.Has("or__id")
		case name == "or__id" && number && !values.Has("id"):
			q.id, q.either = int64(n), values.Has("or__name")
		case name == "page_size" && number:
			q.limit = min(n, maxPageSize)
		case name == "page" && number && n <= maxPageIndex:
			page = n
		case name == "page":
			return nil, &auth.Error{Status: http.StatusNotFound, Detail: "Invalid page."}
		case name == "format" || name == "order_by" && v[0] == "id":
		default:
			return nil, badRequest("Cannot filter by " + strconv.Quote(name) + " like this. Possible: id, name, page, page_size.")
		}
	}
	q.offset = (page - 1) * q.limit
	list, total, err := res.list(r.Context(), p, q)
	if err != nil {
		return nil, err
	}
	results := make([]item, len(list))
	for i := range list {
		results[i] = res.addressed(list[i])
	}
	link := func(to int) *string {
		if to < 1 || (to-1)*q.limit >= total {
			return nil
		}
		values.Set("page", strconv.Itoa(to))
		s := res.path + "?" + values.Encode()
		return &s
	}
	return struct {
		Count    int     `json:"count"`
		Next     *string `json:"next"`
		Previous *string `json:"previous"`
		Results  []item  `json:"results"`
	}{total, link(page + 1), link(page - 1), results}, nil
}

// validText reports whether s is a text that every database takes.
func validText(s string) bool { return s != "" && !strings.ContainsRune(s, 0) && utf8.ValidString(s) }

// readName reads {"name": "…"}, whatever the Content-Type says. No body is longer
// than maxBody, see newService.
func readName(r *http.Request) (string, error) {
	var in struct {
		Name *string `json:"name"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return "", &auth.Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("The request body is larger than %d bytes.", maxBody)}
	}
	switch {
	case err != nil || in.Name == nil:
		return "", badRequest(`Send a JSON object of the form {"name": "…"}.`)
	case !validText(*in.Name) || len(*in.Name) > maxName:
		return "", badRequest(fmt.Sprintf("The name must have 1 to %d bytes.", maxName))
	}
	return *in.Name, nil
}
