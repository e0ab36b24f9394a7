package sqlstore

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth/store"
)

// A columnType says what a column holds.
type columnType uint8

const (
	textColumn   columnType = iota
	numberColumn            // 0 means none
	boolColumn
	timeColumn // may be NULL
	userColumn // u.id, which is ordered by u.id_number
)

// A whereColumn is what a statement calls one of [store.Column].
type whereColumn struct {
	name string
	is   columnType
}

type whereColumns map[store.Column]whereColumn

var (
	userWhere = whereColumns{
		store.ColumnID:        {"u.id", userColumn},
		store.ColumnName:      {"u.name", textColumn},
		store.ColumnCreated:   {"u.created_at", timeColumn},
		store.ColumnEmail:     {"u.email", textColumn},
		store.ColumnFirstName: {"u.first_name", textColumn},
		store.ColumnLastName:  {"u.last_name", textColumn},
		store.ColumnAdmin:     {"u.is_admin", boolColumn},
		store.ColumnAuditor:   {"u.is_auditor", boolColumn},
		store.ColumnActive:    {"u.is_active", boolColumn},
		store.ColumnService:   {"u.is_service", boolColumn},
	}
	tokenWhere = whereColumns{
		store.ColumnID:          {"t.id", numberColumn},
		store.ColumnCreated:     {"t.created_at", timeColumn},
		store.ColumnModified:    {"t.modified_at", timeColumn},
		store.ColumnDescription: {"t.description", textColumn},
		store.ColumnUser:        {"t.user_id", textColumn},
		store.ColumnApplication: {"t.application_id", numberColumn},
		store.ColumnScopes:      {"t.scopes", textColumn},
		store.ColumnExpires:     {"t.expires_at", timeColumn},
		store.ColumnLastUsed:    {"t.last_used_at", timeColumn},
	}
	applicationWhere = whereColumns{
		store.ColumnID:           {"a.id", numberColumn},
		store.ColumnName:         {"a.name", textColumn},
		store.ColumnCreated:      {"a.created_at", timeColumn},
		store.ColumnModified:     {"a.modified_at", timeColumn},
		store.ColumnDescription:  {"a.description", textColumn},
		store.ColumnOrganization: {"a.organization_id", numberColumn},
		store.ColumnConfidential: {"a.confidential", boolColumn},
		store.ColumnGrantType:    {"a.grant_type", textColumn},
		store.ColumnSkipConsent:  {"a.skip_consent", boolColumn},
	}
)

// andWhere adds the conditions of w. Like every condition they consist of
// constants; what callers send goes into the arguments.
func (f *filter) andWhere(d Dialect, w store.Where, of whereColumns) error {
	for _, group := range w {
		var either filter
		for _, c := range group {
			text, args, err := d.condition(c, of)
			if err != nil {
				return err
			}
			if c.Not {
				text = "NOT " + text
			}
			either.and(text, args...)
		}
		if len(group) == 0 {
			either.and(never)
		}
		f.and("("+strings.Join(either.parts, " OR ")+")", either.args...)
	}
	return nil
}

// Conditions that hold for no record, and for each.
const (
	never  = "(1 = 0)"
	always = "(1 = 1)"
)

// condition returns the text of a condition in brackets. It is never NULL, so
// that NOT before it does what it says.
func (d Dialect) condition(c store.Condition, of whereColumns) (text string, args []any, err error) {
	col, known := of[c.Column]
	if !known {
		return "", nil, fmt.Errorf("sqlstore: the records of this list have no column %d", c.Column)
	}
	if c.Is == store.Unset {
		return "(" + col.unset() + ")", nil, nil
	}
	if args, err = col.args(c); err != nil {
		return "", nil, err
	}
	switch {
	case len(args) == 0:
		return never, nil, nil
	case col.is == textColumn || col.is == userColumn && (c.Is == store.Equal || ofText(c.Is)):
		text, args = d.textCondition(col.name, c, args)
		return text, args, nil
	case col.is == userColumn:
		text, args = userOrderCondition(c.Is, args[0].(string))
		return text, args, nil
	}
	text = col.name + operator(c.Is, len(args))
	if col.is == timeColumn {
		text = col.set() + " AND " + text
	}
	return "(" + text + ")", args, nil
}

func ofText(is store.Comparison) bool {
	return is == store.Contains || is == store.StartsWith || is == store.EndsWith
}

// zeroTime is how a time that is never is stored where NULL is not possible.
var zeroTime = fmt.Sprint(time.Time{}.UnixMicro())

func (c whereColumn) unset() string {
	switch c.is {
	case numberColumn:
		return c.name + " = 0"
	case boolColumn:
		return "NOT " + c.name
	case timeColumn:
		return c.name + " IS NULL OR " + c.name + " = " + zeroTime
	}
	return c.name + " = ''"
}

// set is the condition that a time is not never.
func (c whereColumn) set() string { return c.name + " IS NOT NULL AND " + c.name + " <> " + zeroTime }

// args returns the values as they are stored.
func (c whereColumn) args(of store.Condition) ([]any, error) {
	wrong := func(v any) error {
		return fmt.Errorf("sqlstore: column %d cannot be compared with a %T by %d", of.Column, v, of.Is)
	}
	if of.Is > store.Unset || of.Is != store.Equal && len(of.Values) != 1 {
		return nil, fmt.Errorf("sqlstore: comparison %d does not take %d values", of.Is, len(of.Values))
	}
	args := make([]any, len(of.Values))
	for i, v := range of.Values {
		var fits bool
		args[i] = v
		switch c.is {
		case textColumn, userColumn:
			_, fits = v.(string)
		case numberColumn:
			_, fits = v.(int64)
			fits = fits && !ofText(of.Is)
		case boolColumn:
			_, fits = v.(bool)
			fits = fits && of.Is == store.Equal
		case timeColumn:
			var t time.Time
			t, fits = v.(time.Time)
			fits = fits && !ofText(of.Is)
			args[i] = micros(t)
		}
		if !fits {
			return nil, wrong(v)
		}
	}
	return args, nil
}

func operator(is store.Comparison, values int) string {
	switch is {
	case store.Less:
		return " < ?"
	case store.AtMost:
		return " <= ?"
	case store.Greater:
		return " > ?"
	case store.AtLeast:
		return " >= ?"
	}
	if values == 1 {
		return " = ?"
	}
	return inList(values)
}

// textCondition compares a text. No pattern is involved: LIKE has characters of
// its own, and the databases disagree about case.
func (d Dialect) textCondition(name string, c store.Condition, args []any) (string, []any) {
	value := "?"
	if c.Fold {
		name, value = d.folded(name), d.folded("?")
		for i, v := range args {
			args[i] = asciiLower(v.(string))
		}
	}
	if ofText(c.Is) && args[0] == "" {
		return always, nil
	}
	switch c.Is {
	case store.Contains:
		return "(INSTR(" + name + ", " + value + ") > 0)", args
	case store.StartsWith:
		return "(INSTR(" + name + ", " + value + ") = 1)", args
	case store.EndsWith:
		return d.endsWith(name, value, args[0].(string))
	}
	return "(" + name + strings.ReplaceAll(operator(c.Is, len(args)), "?", value) + ")", args
}

// folded returns the expression without regard to case. SQLite folds ASCII
// alone, and so does PostgreSQL with the collation of our columns, but not with
// that of a parameter, which is folded before. MySQL folds no bytes, and ends
// with bytes again, because its collations ignore blanks at the end.
func (d Dialect) folded(expression string) string {
	switch {
	case d == MySQL:
		return "CAST(LOWER(CONVERT(" + expression + " USING utf8mb4)) AS BINARY)"
	case expression == "?":
		return expression
	}
	return "LOWER(" + expression + ")"
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func (d Dialect) endsWith(name, value, end string) (string, []any) {
	switch d {
	case SQLite:
		return "(SUBSTR(" + name + ", ?) = ?)", []any{-utf8.RuneCountInString(end), end}
	case Postgres:
		return "(RIGHT(" + name + ", ?) = ?)", []any{utf8.RuneCountInString(end), end}
	}
	return "(RIGHT(" + name + ", LENGTH(" + value + ")) = " + value + ")", []any{end, end}
}

// userOrderCondition compares IDs of users as they are ordered in lists.
func userOrderCondition(is store.Comparison, id string) (string, []any) {
	n := number(id)
	strict := " > ?"
	if is == store.Less || is == store.AtMost {
		strict = " < ?"
	}
	return "(u.id_number" + strict + " OR u.id_number = ? AND u.id" + operator(is, 1) + ")", []any{n, n, id}
}
