package store

// A Where narrows a list. A record is listed if it meets at least one condition
// of each group. A Where without groups lists every record, and one with an empty
// group lists none. A store may return an error for a column that the records
// of the list do not have, and for a value of another type than the column's.
//
// A list with a Where may read every record that the rest of its filter names,
// once. The caller bounds the number of conditions and of values.
type Where [][]Condition

// A Condition compares a column with values.
type Condition struct {
	Column Column
	Is     Comparison
	// Values are of the type of the column. Equal is met by any of them, and by
	// no record if there are none. The other comparisons take one value, and
	// Unset takes none.
	Values []any
	// Fold ignores the case of the ASCII letters of a text. A store may ignore
	// the case of other letters, too.
	Fold bool
	// Not is met by the records that do not meet the rest of the condition.
	Not bool
}

// Comparison says how a [Condition] compares.
type Comparison uint8

// The comparisons. Text is compared byte for byte. A time that is never meets
// Unset alone.
const (
	Equal Comparison = iota
	Less
	AtMost
	Greater
	AtLeast
	Contains   // text only
	StartsWith // text only
	EndsWith   // text only
	Unset      // the empty text, the number 0, false, or a time that is never
)

// Column is a column of a record. None of them is secret.
type Column uint8

// The columns, with the types of their values. Numbers are int64, and times
// are [time.Time].
const (
	ColumnID       Column = iota + 1 // of a user: text, ordered by number; of others: number
	ColumnName                       // text; users and applications
	ColumnCreated                    // time; all; of activities their At
	ColumnModified                   // time; tokens and applications

	ColumnEmail     // text; users
	ColumnFirstName // text; users
	ColumnLastName  // text; users
	ColumnAdmin     // bool; users
	ColumnAuditor   // bool; users
	ColumnActive    // bool; users

	ColumnDescription // text; tokens and applications
	ColumnUser        // text, the ID; tokens and activities
	ColumnApplication // number; tokens and activities
	ColumnScopes      // text; tokens
	ColumnExpires     // time; tokens
	ColumnLastUsed    // time; tokens

	ColumnOrganization // number; applications
	ColumnConfidential // bool; applications
	ColumnGrantType    // text; applications
	ColumnSkipConsent  // bool; applications

	ColumnOperation // text; activities
	ColumnObject    // text; activities
	ColumnActor     // text, the ID; activities
	ColumnToken     // number; activities

	ColumnService // bool; users
)
