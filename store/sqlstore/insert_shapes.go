package sqlstore

import (
	"slices"
	"strings"

	"github.com/ostiary/auth/store"
)

// An insertShape is what the statement of an insert has to ask and to store. What does not
// concern the token is not in it: PostgreSQL prepares to run each part, also one that it does
// not run, and each argument costs the driver and the server time, also NULL.
type insertShape struct {
	paid   bool // a code or a device pays for it, and it is of any kind
	served bool // it has an application
	kind   insertKind
	under  minter
	owned  bool // there is a limit for the tokens of its user
}

// An insertKind is what a token has.
type insertKind uint8

const (
	anyKind     insertKind = iota
	accessOnly             // new, of a family of its own, without a refresh token
	withRefresh            // new, of a family of its own, with an unspent refresh token
)

// A minter is what mints a token.
type minter uint8

const (
	nobody minter = iota
	rooted        // a token that nobody minted, see insertBelowRoot
	anyone
)

// insertShapes are those that there are.
func insertShapes() []insertShape {
	all := []insertShape{{paid: true}, {paid: true, served: true}}
	for _, under := range []minter{nobody, rooted, anyone} {
		for _, kind := range []insertKind{anyKind, accessOnly, withRefresh} {
			for n := range 4 {
				all = append(all, insertShape{served: n&1 != 0, kind: kind, under: under, owned: n&2 != 0})
			}
		}
	}
	return all
}

// kindOf returns the narrowest kind of a token that is about to be stored.
func (in *insertion) kindOf() insertKind {
	tok := &in.token
	if tok.Family != 0 || !tok.Modified.Equal(tok.Created) || !tok.LastUsed.IsZero() || !tok.Revoked.IsZero() {
		return anyKind
	}
	switch refresh := tok.Refresh; {
	case refresh == store.Refresh{}:
		return accessOnly
	case refresh.Digest != store.Digest{} && refresh.Spent.IsZero() && refresh.Nonce == store.Digest{}:
		return withRefresh
	}
	return anyKind
}

// An insertStatement is a statement with the names of its arguments.
type insertStatement struct {
	query string
	args  []string
}

// named returns a statement whose values have names, as in "?digest", in the form for a
// dialect. PostgreSQL takes a value once, wherever it stands.
func named(d Dialect, text string) (st insertStatement) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			st.query = b.String()
			return st
		}
		text = strings.TrimLeft(after, "abcdefghijklmnopqrstuvwxyz_")
		name := after[:len(after)-len(text)]
		n := slices.Index(st.args, name)
		if n < 0 || d != Postgres {
			n, st.args = len(st.args), append(st.args, name)
		}
		b.WriteString(d.placeholder(n))
	}
}

// statement returns insertToken for a shape.
func (h insertShape) statement(d Dialect) insertStatement {
	values, conditions := h.values(), h.conditions(d)
	switch d {
	case Postgres:
		return named(d, insertAtOnce+insertWithID+h.family(d)+values+insertedWithID+h.source()+insertedEnd+conditions+returningID)
	case SQLite:
		return named(d, insertAtOnceSQLite+insertWithID+h.family(d)+values+insertedWithIDSQLite+conditions)
	}
	return named(d, insertToken+h.family(d)+values+insertedWith+conditions)
}

// founder returns, for MySQL, insertFounder with its conditions if sessions are READ
// COMMITTED, or else mayInsert with them.
func (h insertShape) founder(readCommitted bool) insertStatement {
	if !readCommitted {
		return named(MySQL, mayInsert+insertedWith+andHidesUncommitted+h.conditions(MySQL))
	}
	return named(MySQL, insertFounder+h.values()+founderTwice+founderCounter+andReadsCommitted+h.conditions(MySQL)+founderFamily)
}

// source is, for PostgreSQL, what gives the ID and the number of the newest cut-off.
func (h insertShape) source() string {
	if h.under == nobody {
		return insertedAlone
	}
	return insertedBelow + h.conditionsOfParent() + belowUncut
}

// conditions are what must hold, but for those of source.
func (h insertShape) conditions(d Dialect) (conditions string) {
	if h.served {
		conditions = andServed
	}
	if h.under != nobody {
		if d != Postgres {
			conditions += andParent + h.conditionsOfParent() + andParentUncut
		}
		root := "?root_id"
		if h.under == rooted {
			root = "?parent_id"
		}
		conditions += andRoom + withNames(crowded(d), root, "?created_at", "?crowd") + andRoomEnd
	}
	if h.owned {
		users := slices.Repeat([]string{"?user_id"}, len(onlyArgs(d, "")))
		conditions += andRoom + withNames(owned(d), append(users, "?crowd_of_user")...) + andRoomEnd
	}
	return conditions
}

// withNames gives the values of a statement names.
func withNames(text string, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		before, after, _ := strings.Cut(text, "?")
		b.WriteString(before + name)
		text = after
	}
	return b.String() + text
}

// conditionsOfParent are that t is a parent that lives, and lives longer than the token
// and all its refreshes.
func (h insertShape) conditionsOfParent() string {
	conditions := livingParent + outlives
	if h.kind == accessOnly {
		conditions += "expires_at"
	} else {
		conditions += "lasts_until"
	}
	switch {
	case h.under == rooted && h.served:
		conditions += byRoot
	case h.under == rooted:
		conditions += byRootAlone
	}
	return conditions
}

// values are those of the columns behind the family.
func (h insertShape) values() string {
	return h.own() + h.place() + h.number() + firstOfGrant + insertEnd
}

// family, own, place and number are values: those of the token, where it stands, and its
// number.
func (h insertShape) family(d Dialect) string {
	switch {
	case h.kind != anyKind && d == MySQL:
		return noFamily
	case h.kind != anyKind:
		return ownFamily
	case d == MySQL:
		return asFamily
	}
	return anyFamily
}

func (h insertShape) own() string {
	values := newValues
	switch h.kind {
	case accessOnly:
		values += plainEnd
	case withRefresh:
		values += refreshedEnd
	default:
		values = anyValues
	}
	if !h.served {
		return strings.Replace(values, "?application_id", "0", 1)
	}
	return values
}

func (h insertShape) place() string {
	switch h.under {
	case nobody:
		return placeAlone
	case rooted:
		return placeRooted
	}
	return placeOfAny
}

func (h insertShape) number() string {
	switch {
	case h.paid:
		return paidNumber
	case h.under == anyone:
		return knownNumber
	}
	return newestCut
}

// crowded finds something if a tree has as many live descendants as there may be. PostgreSQL
// would rather go through the whole table until it has met as many, if it believes that a tree
// has much of it, unless they are asked for in the order of their index.
func crowded(d Dialect) string {
	order := ""
	if d == Postgres {
		order = orderBy(false, "d.revoked_at", "d.expires_at")
	}
	return liveBelow + order + " LIMIT 1 OFFSET ?"
}

// owned finds something if a user has as many live tokens as there may be. The order is
// that of [Store.live].
func owned(d Dialect) string {
	var own filter
	own.only(d, "t.user_id", "")
	order := ""
	if d == Postgres {
		order = d.orderLive("t.user_id", false, "t.id")
	}
	return tokenIDs + d.tokensBy(indexListed) + whereLive + " AND " + own.text() + order + " LIMIT 1 OFFSET ?"
}
