package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

const (
	defaultPageSize = 25
	maxPageSize     = 200
	maxPage         = 1_000_000_000 // times maxPageSize fits an int64
)

// An envelope is a page of a list.
type envelope[T any] struct {
	Count    int     `json:"count"`
	Next     *string `json:"next"`
	Previous *string `json:"previous"`
	Results  []T     `json:"results"`
}

var errPage = &auth.Error{Status: http.StatusNotFound, Detail: "Invalid page."}

// secretFields can be neither filtered nor ordered by: that would give them away
// one character at a time.
var secretFields = []string{"token", "refresh_token", "client_secret", "password", "code"}

// A listQuery is the query of a list request.
type listQuery struct {
	path    string
	values  url.Values
	filters url.Values // what is not about pages and order
	page    int        // from 1; 0 is the last
	size    int
	store.Page
}

// parseList reads the query. Filters must be among those named, orders among
// those of the map.
func parseList(r *http.Request, filters []string, orders map[string]store.OrderBy) (*listQuery, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The query of the URL is malformed.")
	}
	q := &listQuery{path: r.URL.EscapedPath(), values: values, filters: url.Values{}, page: 1, size: defaultPageSize}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		if len(v) > 1 {
			return nil, badRequest(strconv.Quote(name) + " is given more than once.")
		}
		switch name {
		case "page":
			err = q.parsePage(v[0])
		case "page_size":
			q.parseSize(v[0])
		case "order_by", "order":
			err = q.parseOrder(v[0], orders)
		case "format", "count_disabled":
		default:
			err = checkFilter(name, v[0], filters)
			q.filters[name] = v
		}
		if err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *listQuery) parsePage(s string) error {
	if s == "last" {
		q.page = 0
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || !isDecimal(s) || n < 1 || n > maxPage {
		return errPage
	}
	q.page = n
	return nil
}

// parseSize falls back to the default for what is no size, as AWX does.
func (q *listQuery) parseSize(s string) {
	if n, err := strconv.Atoi(s); err == nil && isDecimal(s) && n > 0 {
		q.size = min(n, maxPageSize)
	}
}

func (q *listQuery) parseOrder(s string, orders map[string]store.OrderBy) error {
	first := true
	for field := range strings.SplitSeq(s, ",") {
		name, descending := strings.CutPrefix(strings.TrimSpace(field), "-")
		order, ok := orders[name]
		if !ok {
			return badRequest("Cannot order by " + strconv.Quote(name) + ". Possible: " + strings.Join(slices.Sorted(maps.Keys(orders)), ", ") + ".")
		}
		if first { // the ID decides between equals
			q.Order, q.Descending, first = order, descending, false
		}
	}
	return nil
}

func checkFilter(name, value string, filters []string) error {
	for part := range strings.SplitSeq(name, "__") {
		if contains(secretFields, part) {
			return &auth.Error{Status: http.StatusForbidden, Detail: "Filtering on " + part + " is not allowed."}
		}
	}
	if !contains(filters, name) {
		return badRequest("Cannot filter by " + strconv.Quote(name) + ". Possible: " + strings.Join(filters, ", ") + ".")
	}
	if !storable(value) || len(value) > auth.MaxDescription {
		return badRequest("The filter " + strconv.Quote(name) + " is longer than any value, or has characters that none has.")
	}
	return nil
}

// fetch gets the page with list, which returns records and how many there are.
func fetch[R, T any](q *listQuery, list func(store.Page) ([]R, int, error), convert func(R) (T, error)) (*envelope[T], error) {
	if q.page == 0 {
		_, total, err := list(store.Page{})
		if err != nil {
			return nil, err
		}
		q.page = max(1, (total+q.size-1)/q.size)
	}
	q.Offset, q.Limit = (q.page-1)*q.size, q.size
	records, total, err := list(q.Page)
	if err != nil {
		return nil, err
	}
	if q.page > 1 && q.Offset >= total {
		return nil, errPage
	}
	e := &envelope[T]{Count: total, Results: make([]T, len(records))}
	for i, record := range records {
		if e.Results[i], err = convert(record); err != nil {
			return nil, err
		}
	}
	if q.Offset+q.size < total {
		e.Next = q.link(q.page + 1)
	}
	if q.page > 1 {
		e.Previous = q.link(q.page - 1)
	}
	return e, nil
}

// link returns the address of another page, relative to the host, with all other
// parameters as they are.
func (q *listQuery) link(page int) *string {
	values := maps.Clone(q.values)
	values.Set("page", strconv.Itoa(page))
	if values.Has("page_size") {
		values.Set("page_size", strconv.Itoa(q.size))
	}
	s := q.path + "?" + values.Encode()
	return &s
}

// write answers with the page, without the frame if the client asked so.
func writeList[T any](w http.ResponseWriter, r *http.Request, q *listQuery, e *envelope[T]) error {
	if q.values.Has("count_disabled") {
		return writeJSON(w, r, http.StatusOK, map[string][]T{"results": e.Results})
	}
	return writeJSON(w, r, http.StatusOK, e)
}
