package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// The filters of a list are evaluated by the store, which reads each record at
// most once. Their number is limited, and there are no regular expressions.
const (
	maxConditions = 20
	maxValues     = 100 // of one filter __in
)

// secretFields can be neither filtered nor ordered by: that would give them away
// one character at a time.
var secretFields = []string{"token", "refresh_token", "client_secret", "client_id", "password", "code"}

// filterKind says how the values of a filter are written.
type filterKind uint8

const (
	filterText    filterKind = iota
	filterUserID             // of the listed users themselves, in the order of the list
	filterUserRef            // the ID of another record's user, which has no order
	filterNumber
	filterBool
	filterTime
	filterClientType
	filterObject
)

// A filter is a field that lists can be filtered by.
type filter struct {
	column   store.Column
	kind     filterKind
	nullable bool // null means that the store has nothing there
}

// filters are the filters of a list by their names.
type filters map[string]filter

// names returns the names in the order of the alphabet.
func (f filters) names() string { return strings.Join(slices.Sorted(maps.Keys(f)), ", ") }

// lookups are AWX's names for comparisons. Those that begin with i fold case.
var lookups = map[string]store.Comparison{
	"exact": store.Equal, "in": store.Equal, "isnull": store.Unset,
	"gt": store.Greater, "gte": store.AtLeast, "lt": store.Less, "lte": store.AtMost,
	"contains": store.Contains, "startswith": store.StartsWith, "endswith": store.EndsWith,
}

// relations can be followed by the ID of what they lead to, as in user__id.
var relations = []string{"user", "application", "organization", "actor", "o_auth2_access_token", "o_auth2_application"}

// A lookup is the name of a filter in its parts.
type lookup struct {
	name    string // as it was sent
	field   string
	is      store.Comparison
	in      bool // several values
	either  bool // one of those with or__ is enough
	negated bool
	folded  bool
}

// parseLookup reads a name such as or__not__username__icontains.
func parseLookup(name string, known filters) (l lookup, err error) {
	l.name = name
	parts := strings.Split(name, "__")
	for _, part := range parts {
		if slices.Contains(secretFields, part) {
			return l, &auth.Error{Status: http.StatusForbidden, Detail: "Filtering on " + part + " is not allowed."}
		}
	}
	for ; len(parts) > 1; parts = parts[1:] {
		switch parts[0] {
		case "or":
			l.either = true
			continue
		case "not":
			l.negated = true
			continue
		case "chain": // fields of one record are always those of the same
			continue
		}
		break
	}
	l.field = parts[0]
	rest := parts[1:]
	if len(rest) > 0 && rest[0] == "id" && slices.Contains(relations, l.field) {
		rest = rest[1:]
	}
	if _, ok := known[l.field]; !ok || len(rest) > 1 {
		return l, badRequest("Cannot filter by " + quoted(name) + ". Possible: " + known.names() + ".")
	}
	if len(rest) == 0 {
		return l, nil
	}
	which := rest[0]
	is, ok := lookups[which]
	if !ok && strings.HasPrefix(which, "i") {
		l.folded = true
		is, ok = lookups[which[1:]]
		ok = ok && (is == store.Equal && which == "iexact" || ofText(is))
	}
	if !ok {
		return l, badRequest("The filter " + quoted(name) + " has an unknown comparison. Possible: " +
			strings.Join(slices.Sorted(maps.Keys(lookups)), ", ") + ", and iexact, icontains, istartswith, iendswith.")
	}
	l.is, l.in = is, which == "in"
	return l, nil
}

func ofText(is store.Comparison) bool {
	return is == store.Contains || is == store.StartsWith || is == store.EndsWith
}

// condition returns what the store compares.
func (l lookup) condition(f filter, value string) (store.Condition, error) {
	c := store.Condition{Column: f.column, Is: l.is, Fold: l.folded, Not: l.negated}
	if !storable(value) || len(value) > auth.MaxDescription {
		return c, badRequest("The filter " + quoted(l.name) + " is longer than any value, or has characters that none has.")
	}
	fits := f.kind == filterText || f.kind == filterUserID || !ofText(l.is)
	switch f.kind {
	case filterBool, filterClientType, filterObject, filterUserRef:
		fits = l.is == store.Equal || l.is == store.Unset
	}
	switch {
	case !fits || l.folded && f.kind != filterText && f.kind != filterUserID:
		return c, badRequest("The filter " + quoted(l.name) + " compares what cannot be compared like this.")
	case l.is == store.Unset:
		null, ok := booleans[strings.ToLower(value)]
		if !ok {
			return c, l.invalid("true or false")
		}
		if c.Not = c.Not != !null; !f.nullable {
			c.Is = store.Equal // with no value: for nobody
		}
		return c, nil
	case f.nullable && l.is == store.Equal && !l.in && (value == "" || strings.EqualFold(value, "null") || strings.EqualFold(value, "none")):
		c.Is = store.Unset
		return c, nil
	}
	texts := []string{value}
	if l.in {
		if texts = strings.Split(value, ","); len(texts) > maxValues || value == "" {
			return c, badRequest("The filter " + quoted(l.name) + " needs 1 to " + strconv.Itoa(maxValues) + " values, separated by commas.")
		}
	}
	for _, text := range texts {
		v, err := l.value(f.kind, text)
		if err != nil {
			return c, err
		}
		if v != nil {
			c.Values = append(c.Values, v)
		}
	}
	return c, nil
}

// value returns a value as the store takes it, or nil for one that nothing has.
func (l lookup) value(kind filterKind, text string) (any, error) {
	if kind != filterText {
		text = strings.TrimSpace(text)
	}
	switch kind {
	case filterNumber:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, l.invalid("a number")
		}
		if n < 1 && l.is == store.Equal {
			return nil, nil // no ID, and none at all is null
		}
		return n, nil
	case filterBool:
		b, ok := booleans[strings.ToLower(text)]
		if !ok {
			return nil, l.invalid("true or false")
		}
		return b, nil
	case filterTime:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
			if t, err := time.Parse(layout, text); err == nil {
				return t, nil
			}
		}
		return nil, l.invalid("a time of the form 2027-01-31T12:00:00Z (RFC 3339)")
	case filterObject:
		for kind, name := range objectNames {
			if name == text {
				return string(kind), nil
			}
		}
		return nil, nil
	case filterClientType:
		switch text {
		case oauth.ClientConfidential:
			return true, nil
		case oauth.ClientPublic:
			return false, nil
		}
		return nil, nil
	}
	return text, nil
}

func (l lookup) invalid(what string) error {
	return badRequest(quoted(l.name) + " must be " + what + ".")
}

// filterBy adds the conditions of a parameter to the query.
func (q *listQuery) filterBy(name string, values []string, known filters, searched []store.Column) error {
	if name == "search" && len(searched) > 0 {
		return q.search(values[0], searched)
	}
	l, err := parseLookup(name, known)
	if err != nil {
		return err
	}
	for _, value := range values {
		c, err := l.condition(known[l.field], value)
		if err != nil {
			return err
		}
		if q.conditions++; q.conditions > maxConditions {
			return badRequest("There are more than " + strconv.Itoa(maxConditions) + " filters.")
		}
		if l.either {
			q.either = append(q.either, c)
		} else {
			q.where = append(q.where, []store.Condition{c})
		}
	}
	return nil
}

// search asks for records that have a text in one of the columns.
func (q *listQuery) search(text string, columns []store.Column) error {
	if !storable(text) || len(text) > auth.MaxDescription {
		return badRequest(`The filter "search" is longer than any value, or has characters that none has.`)
	}
	var group []store.Condition
	for _, column := range columns {
		group = append(group, store.Condition{Column: column, Is: store.Contains, Values: []any{text}, Fold: true})
	}
	if text != "" {
		q.where = append(q.where, group)
	}
	return nil
}

// conditionsOf returns all conditions of the query.
func (q *listQuery) conditionsOf() store.Where {
	if len(q.either) > 0 {
		return append(q.where, q.either)
	}
	return q.where
}

// takeNumber takes the condition out of the query that a column has one number, so
// that a store finds it by its index. It returns 0 if there is none.
func (q *listQuery) takeNumber(column store.Column) int64 {
	n, _ := take(q, column).(int64)
	return n
}

// takeText is takeNumber for text.
func (q *listQuery) takeText(column store.Column) string {
	s, _ := take(q, column).(string)
	return s
}

func take(q *listQuery, column store.Column) any {
	for i, group := range q.where {
		c := group[0]
		if len(group) != 1 || c.Column != column || c.Is != store.Equal || c.Not || c.Fold || len(c.Values) != 1 {
			continue
		}
		switch v := c.Values[0]; v {
		case int64(0), "": // which mean any elsewhere
		default:
			q.where = slices.Delete(q.where, i, i+1)
			return v
		}
	}
	return nil
}
