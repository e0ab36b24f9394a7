package memory

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// userID is a text that is ordered as IDs of users are.
type userID string

// A matcher finds the records that meet all groups of a Where. Column returns
// the value of a column, and whether the records have it.
type matcher[T any] struct {
	where  store.Where
	column func(T, store.Column) (any, bool)
	err    error // of the first condition that cannot be
}

// meet reports whether the record meets every group.
func (m *matcher[T]) meet(record T) bool {
	for _, group := range m.where {
		met := false
		for i := 0; i < len(group) && !met && m.err == nil; i++ {
			met, m.err = meets(record, group[i], m.column)
		}
		if !met {
			return false
		}
	}
	return true
}

func meets[T any](record T, c store.Condition, column func(T, store.Column) (any, bool)) (bool, error) {
	have, known := column(record, c.Column)
	if !known {
		return false, fmt.Errorf("memory: the records of this list have no column %d", c.Column)
	}
	values := c.Values
	if c.Is == store.Unset {
		values = []any{nil}
	} else if c.Is != store.Equal && len(values) != 1 {
		return false, fmt.Errorf("memory: comparison %d takes one value, not %d", c.Is, len(values))
	}
	met := false
	for _, v := range values {
		one, ok := compare(have, c.Is, v, c.Fold)
		if !ok {
			return false, fmt.Errorf("memory: column %d cannot be compared with a %T by %d", c.Column, v, c.Is)
		}
		met = met || one
	}
	return met != c.Not, nil
}

// compare reports whether the comparison holds, and whether it can be made.
func compare(have any, is store.Comparison, value any, fold bool) (met, ok bool) {
	switch have := have.(type) {
	case string:
		v, ok := value.(string)
		if fold {
			have, v = strings.ToLower(have), strings.ToLower(v)
		}
		return compareText(have, is, v, cmp.Compare(have, v)), ok || is == store.Unset
	case userID:
		v, ok := value.(string)
		return compareText(string(have), is, v, compareIDs(string(have), v)), ok || is == store.Unset
	case int64:
		v, ok := value.(int64)
		return ordered(is, cmp.Compare(have, v), have == 0), (ok || is == store.Unset) && !ofText(is)
	case bool:
		v, ok := value.(bool)
		return is == store.Unset && !have || is == store.Equal && have == v, (ok || is == store.Unset) && (is == store.Equal || is == store.Unset)
	case time.Time:
		v, ok := value.(time.Time)
		never := have.IsZero()
		return (is == store.Unset || !never) && ordered(is, have.Compare(micro(v)), never), (ok || is == store.Unset) && !ofText(is)
	}
	return false, false
}

func ofText(is store.Comparison) bool {
	return is == store.Contains || is == store.StartsWith || is == store.EndsWith
}

func compareText(have string, is store.Comparison, v string, order int) bool {
	switch is {
	case store.Contains:
		return strings.Contains(have, v)
	case store.StartsWith:
		return strings.HasPrefix(have, v)
	case store.EndsWith:
		return strings.HasSuffix(have, v)
	}
	return ordered(is, order, have == "")
}

// ordered reports what a comparison makes of the order of two values.
func ordered(is store.Comparison, order int, unset bool) bool {
	switch is {
	case store.Equal:
		return order == 0
	case store.Less:
		return order < 0
	case store.AtMost:
		return order <= 0
	case store.Greater:
		return order > 0
	case store.AtLeast:
		return order >= 0
	}
	return is == store.Unset && unset
}
