package sqlstore

// An insertShape is what the statement of an insert has to ask and to store. What does not
// concern the token is not in it: PostgreSQL prepares to run each part, also one that it does
// not run, and each argument costs the driver and the server time, also NULL.
type insertShape struct {
	paid      bool // a code or a device pays for it, and it may be refreshed
	served    bool // it has an application
	refreshed bool // it has a refresh token, or something else of one
	under     minter
	owned     bool // there is a limit for the tokens of its user
}

// A minter is what mints a token.
type minter uint8

const (
	nobody minter = iota
	rooted        // a token that nobody minted, see insertBelowRoot
	anyone
)

// insertShapes are those that there are.
func insertShapes() []insertShape {
	all := []insertShape{{paid: true, refreshed: true}, {paid: true, refreshed: true, served: true}}
	for _, under := range []minter{nobody, rooted, anyone} {
		for n := range 8 {
			all = append(all, insertShape{served: n&1 != 0, refreshed: n&2 != 0, under: under, owned: n&4 != 0})
		}
	}
	return all
}

// query returns insertToken for a shape, in the form for the dialect.
func (h insertShape) query(d Dialect) string {
	values, conditions := h.values(), h.conditions(d)
	switch d {
	case Postgres:
		return insertAtOnce + insertWithID + values + insertedWithID + conditions + returningID
	case SQLite:
		return insertAtOnceSQLite + insertWithID + values + insertedWithIDSQLite + conditions
	}
	return insertToken + values + insertedWith + conditions
}

// founder returns, for MySQL, insertFounder with its conditions if sessions are READ
// COMMITTED, or else mayInsert with them.
func (h insertShape) founder(readCommitted bool) string {
	if !readCommitted {
		return mayInsert + insertedWith + andHidesUncommitted + h.conditions(MySQL)
	}
	return insertFounder + h.values() + founderTwice + founderCounter + andReadsCommitted + h.conditions(MySQL) + founderFamily
}

// conditions are what must hold.
func (h insertShape) conditions(d Dialect) (conditions string) {
	if h.served {
		conditions = andServed
	}
	switch {
	case h.under == anyone:
		conditions += minted(d, "")
	case h.under == rooted && h.served:
		conditions += minted(d, byRoot)
	case h.under == rooted:
		conditions += minted(d, byRootAlone)
	}
	if h.owned {
		conditions += andRoom + owned(d) + andRoomEnd
	}
	return conditions
}

// values are those of the columns behind the family.
func (h insertShape) values() string {
	return h.own() + h.place() + h.number() + firstOfGrant + insertEnd
}

// own, place and number are values: those of the token, where it stands, and its number.
func (h insertShape) own() string {
	if h.refreshed {
		return refreshedValues
	}
	return plainValues
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

// minted is the condition that the parent lives, and has fewer descendants than a limit.
func minted(d Dialect, parent string) string {
	cut := cutToken
	if d == Postgres {
		cut = cutTokenAtOnce
	}
	return andMinted + parent + " AND " + cut + andMintedEnd
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
