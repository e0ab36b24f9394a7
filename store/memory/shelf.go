package memory

import "github.com/ostiary/auth/store"

// A shelf has the tokens of somebody that are not marked as revoked, by ID. If they
// are many it has them in the other orders of lists, too, but for that of the last
// use: a use is noted without a lock.
type shelf struct {
	byID sorted[token]
	// personal is how many are of no application.
	personal int
	others   []sorted[token] // of shelfOrders, or nil
	orders   *tokenOrders
}

// bigShelf is how many tokens are many. Fewer are sorted when somebody asks.
const bigShelf = 256

// shelfOrders are those that a big shelf keeps.
var shelfOrders = [...]store.OrderBy{store.OrderCreated, store.OrderModified, store.OrderExpires}

// tokenOrders are the orders of lists, but for that of the last use.
type tokenOrders [store.OrderExpires + 1]ordering[token]

func (ts *tokens) newShelf() shelf { return shelf{byID: ts.sorted(store.OrderID), orders: ts.orders} }

func (x *shelf) add(t *token, personal bool) {
	if personal {
		x.personal++
	}
	x.byID.add(t)
	for i := range x.others {
		x.others[i].add(t)
	}
	if x.others == nil && x.byID.n > bigShelf {
		x.others = make([]sorted[token], len(shelfOrders))
		for i, by := range shelfOrders {
			x.others[i].ordering = &x.orders[by]
			for t := range x.byID.all(false) {
				x.others[i].add(t)
			}
		}
	}
}

func (x *shelf) remove(t *token, personal bool) {
	if personal {
		x.personal--
	}
	x.byID.remove(t)
	for i := range x.others {
		x.others[i].remove(t)
	}
	if x.byID.n < bigShelf/2 {
		x.others = nil
	}
}

// takeOut removes a token from the orders that a change of its state may concern,
// until putBack.
func (x *shelf) takeOut(t *token) {
	for i := range x.others {
		x.others[i].remove(t)
	}
}

func (x *shelf) putBack(t *token) {
	for i := range x.others {
		x.others[i].add(t)
	}
}

// by returns the list that has an order, or the one by ID and false.
func (x *shelf) by(order store.OrderBy) (list *sorted[token], ordered bool) {
	for i, by := range shelfOrders {
		if by == order && x.others != nil {
			return &x.others[i], true
		}
	}
	return &x.byID, order != store.OrderCreated && order != store.OrderModified && order != store.OrderExpires && order != store.OrderLastUsed
}

// count returns how many tokens of a kind there are.
func (x *shelf) count(kind store.TokenKind) int { return ofKind(x.byID.n, x.personal, kind) }

// ofKind returns how many of n tokens are of a kind, if some are personal.
func ofKind(n, personal int, kind store.TokenKind) int {
	switch kind {
	case store.PersonalToken:
		return personal
	case store.ApplicationToken:
		return n - personal
	}
	return n
}

// A shelves has the shelves of keys that have tokens. The zero key has none.
type shelves map[int64]*shelf

func (ts *tokens) addVia(k int64, t *token, personal bool) {
	if k == 0 {
		return
	}
	x := ts.byVia[k]
	if x == nil {
		x = new(ts.newShelf())
		ts.byVia[k] = x
	}
	x.add(t, personal)
}

func (xs shelves) remove(k int64, t *token, personal bool) {
	if x := xs[k]; x != nil {
		if x.remove(t, personal); x.byID.n == 0 {
			delete(xs, k)
		}
	}
}

// takeOut and putBack are those of the key's shelf.
func (xs shelves) takeOut(k int64, t *token) {
	if x := xs[k]; x != nil {
		x.takeOut(t)
	}
}

func (xs shelves) putBack(k int64, t *token) {
	if x := xs[k]; x != nil {
		x.putBack(t)
	}
}
