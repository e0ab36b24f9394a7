package httpapi

import (
	"errors"
	"maps"
	"math"
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
	maxPage         = min(1_000_000_000, math.MaxInt/maxPageSize) // times maxPageSize fits an int
)

// An envelope is a page of a list. Count is exact up to [store.MaxCount], and from
// there on at least as many as there are up to the next page.
type envelope[T any] struct {
	Count    int     `json:"count"`
	Next     *string `json:"next"`
	Previous *string `json:"previous"`
	Results  []T     `json:"results"`
}

var errPage = &auth.Error{Status: http.StatusNotFound, Detail: "Invalid page."}

// A listQuery is the query of a list request.
type listQuery struct {
	path   string
	values url.Values
	page   int // from 1; 0 is the last
	size   int

	ordered string // by which field, as the client calls it
	store.Page

	where      store.Where
	either     []store.Condition // one of them is enough
	conditions int
}

// parseList reads the query. Only the given filters and orders are allowed. The
// filter search looks into the columns that are named.
func parseList(r *http.Request, known filters, orders map[string]store.OrderBy, searched ...store.Column) (*listQuery, error) {
	q := &listQuery{path: r.URL.EscapedPath(), page: 1, size: defaultPageSize}
	if r.URL.RawQuery == "" {
		return q, nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The query of the URL is malformed.")
	}
	q.values = values
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		if len(v) > 1 && !strings.Contains(name, "__") { // two comparisons of a field make sense
			return nil, badRequest(quoted(name) + " is given more than once.")
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
			err = q.filterBy(name, v, known, searched)
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

// parseSize sets the size of the page. Like AWX it takes the default for a
// malformed size.
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
			return badRequest("Cannot order by " + quoted(name) + ". Possible: " + strings.Join(slices.Sorted(maps.Keys(orders)), ", ") + ".")
		}
		if first { // equal values are ordered by ID
			q.Order, q.Descending, q.ordered, first = order, descending, name, false
		}
	}
	return nil
}

// fetch returns a page of the records of list, which also returns the total.
// Show gets all records at once, because one look-up for each would take a
// query each.
func fetch[R, T any](q *listQuery, list func(store.Page) ([]R, int, error), show func([]R) ([]T, error)) (*envelope[T], error) {
	if q.values.Has("count_disabled") {
		q.CountTo = -1
	}
	if q.page == 0 {
		_, total, err := list(store.Page{CountTo: math.MaxInt}) // which nothing else needs
		if err != nil {
			return nil, err
		}
		q.page = max(1, (total+q.size-1)/q.size)
	}
	q.Offset, q.Limit = (q.page-1)*q.size, q.size
	records, total, err := list(q.Page)
	if errors.Is(err, store.ErrOrder) {
		return nil, badRequest("Cannot order by " + quoted(q.ordered) + " more than " + strconv.Itoa(store.MaxCount) +
			" objects. Use filters, or another order.")
	}
	if err != nil {
		return nil, err
	}
	if q.page > 1 && q.Offset >= total {
		return nil, errPage
	}
	e := &envelope[T]{Count: total, Results: []T{}}
	if len(records) > 0 {
		if e.Results, err = show(records); err != nil {
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
	values := url.Values{}
	maps.Copy(values, q.values)
	values.Set("page", strconv.Itoa(page))
	if values.Has("page_size") {
		values.Set("page_size", strconv.Itoa(q.size))
	}
	s := q.path + "?" + values.Encode()
	return &s
}

// writeList writes the page, without the envelope if the client asks for that. Add
// appends one result.
func writeList[T any](w http.ResponseWriter, r *http.Request, q *listQuery, e *envelope[T], add func([]byte, T) []byte) error {
	return writeAppended(w, r, http.StatusOK, func(b []byte) []byte {
		b = append(b, '{')
		if !q.values.Has("count_disabled") {
			b = appendNumber(b, `"count":`, int64(e.Count))
			b = appendAddress(b, `,"next":`, e.Next)
			b = appendAddress(b, `,"previous":`, e.Previous)
			b = append(b, ',')
		}
		b = append(b, `"results":[`...)
		for i, result := range e.Results {
			if i > 0 {
				b = append(b, ',')
			}
			b = add(b, result)
		}
		return append(b, "]}"...)
	})
}

// appendAddress appends a member that is null if there is no address.
func appendAddress(b []byte, name string, address *string) []byte {
	if address == nil {
		return append(append(b, name...), "null"...)
	}
	return appendText(b, name, *address)
}
