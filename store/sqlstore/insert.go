package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// An insertion is a token that is about to be stored.
type insertion struct {
	token  store.Token // as it will come back
	values []any       // of the columns that do not depend on where it stands
	place

	seq   any // the number it has, nil for that of payer or of the newest cut-off
	payer any // the digest of the code or device that pays for it, nil for none
}

// A place is where a token stands in a tree.
type place struct {
	parent      int64
	independent bool
	root        int64
	ancestors   string
	via         int64
}

// insertionOf returns a token without a parent.
func insertionOf(tok store.Token) (insertion, error) {
	addresses, err := prefixesText(tok.Addresses)
	if err != nil {
		return insertion{}, err
	}
	tok.Addresses = slices.Clone(tok.Addresses)
	for _, at := range []*time.Time{
		&tok.Created, &tok.Modified, &tok.Expires, &tok.LastUsed, &tok.Revoked,
		&tok.Refresh.Expires, &tok.Refresh.GrantExpires, &tok.Refresh.Spent,
	} {
		*at = stored(*at)
	}
	tok.ParentID, tok.Independent, tok.RootID, tok.Depth, tok.ViaApplicationID = 0, false, 0, 0, tok.ApplicationID
	tok.Refresh.Number, tok.Refresh.GrantCreated = 0, time.Time{}
	refresh := tok.Refresh.Digest != store.Digest{}
	if refresh {
		tok.Refresh.GrantCreated = tok.Created
	}
	tok.Revision = 1
	ends := tokenOver(tok.Expires, time.Time{}, refresh, tok.Refresh.Expires)
	if !tok.Revoked.IsZero() {
		ends = micros(tok.Revoked)
	}
	over := ends
	if !tok.Refresh.Spent.IsZero() {
		over = grantOver(tok.Refresh.GrantExpires)
	}
	return insertion{token: tok, values: []any{
		bytesOf(tok.Digest), tok.UserID, tok.ApplicationID, tok.Scopes, tok.Audience, addresses, tok.Epoch, tok.Description,
		micros(tok.Created), micros(tok.Modified), micros(tok.Expires), orNever(tok.LastUsed), orNever(tok.Revoked),
		orNone(tok.Refresh.Digest), tok.Refresh.Scopes, orNever(tok.Refresh.Expires), orNever(tok.Refresh.GrantExpires),
		orNever(tok.Refresh.Spent), orNone(tok.Refresh.Nonce), orNone(tok.Refresh.Grant), ends, over,
	}}, nil
}

// in places the token below its parent.
func (in *insertion) in(p place) {
	in.place = p
	in.token.ParentID, in.token.Independent, in.token.RootID = p.parent, p.independent, p.root
	in.token.Depth = len(lineageOf(p.ancestors, p.parent, p.independent).above)
	if in.token.ApplicationID == 0 {
		in.token.ViaApplicationID = p.via
	}
}

// after makes the token the successor of another.
func (in *insertion) after(old *tokenRecord) {
	via := old.ViaApplicationID
	if old.ApplicationID != 0 {
		via = 0 // its own is enough
	}
	in.in(place{old.ParentID, old.Independent, old.RootID, old.ancestors, via})
	in.token.Family, in.seq = old.Family, old.seq
	in.token.Refresh.Number, in.token.Refresh.GrantCreated = old.Refresh.Number+1, old.Refresh.GrantCreated
	if in.token.Refresh.GrantCreated.IsZero() {
		in.token.Refresh.GrantCreated = old.Created
	}
}

// args are those of insertToken, with room for those of its conditions.
func (in *insertion) args(paid bool) []any {
	args := make([]any, 0, 48)
	args = append(append(args, in.token.Family), in.values...)
	args = append(args, in.parent, in.independent, in.root, in.ancestors, in.via,
		in.token.Refresh.Number, orNever(in.token.Refresh.GrantCreated), in.seq)
	if paid {
		args = append(args, in.payer, in.payer)
	}
	return args
}

// An insertShape is what the statement of an insert has to ask. What does not concern the token
// is not in it: PostgreSQL prepares to run each part, also one that it does not run.
type insertShape struct {
	paid   bool // a code or a device pays for it
	served bool // it has an application
	under  minter
	owned  bool // there is a limit for the tokens of its user
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
	all := []insertShape{{paid: true}, {paid: true, served: true}}
	for _, under := range []minter{nobody, rooted, anyone} {
		for n := range 4 {
			all = append(all, insertShape{served: n&1 != 0, under: under, owned: n&2 != 0})
		}
	}
	return all
}

// query returns insertToken for a shape, in the form for the dialect.
func (h insertShape) query(d Dialect) string {
	values := unpaidValues
	if h.paid {
		values = paidValues
	}
	conditions := h.conditions(d)
	switch d {
	case Postgres:
		return insertAtOnce + insertWithID + values + insertedWithID + conditions + insertedAtOnce
	case SQLite:
		return insertAtOnceSQLite + insertWithID + values + insertedWithIDSQLite + conditions
	}
	return insertToken + values + insertedWith + conditions
}

// founder returns, for MySQL, insertFounder with its conditions if sessions are READ
// COMMITTED, or else mayInsert with them.
func (h insertShape) founder(readCommitted bool) string {
	conditions := h.conditions(MySQL)
	if !readCommitted {
		return mayInsert + insertedWith + andHidesUncommitted + conditions
	}
	return insertFounder + `
		COALESCE(?, n.last_id),` + founderTwice + `, auth_counters n
	WHERE n.name = 'cutoffs'` + andReadsCommitted + conditions + founderFamily
}

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

// insertToken stores a token if the conditions hold, or returns sql.ErrNoRows.
func (t *tx) insertToken(in insertion, h insertShape, args ...any) (store.Token, error) {
	args = append(in.args(h.paid), args...)
	query := t.s.inserts[h]
	tok := in.token
	if t.s.dialect == Postgres {
		err := t.get(query, args, &tok.ID, &tok.Family)
		return tok, err
	}
	id, err := t.insertSome(query, args...)
	if err == nil && id == 0 {
		err = sql.ErrNoRows
	}
	tok.ID, tok.Family = id, cmp.Or(tok.Family, id)
	if err == nil && in.token.Family == 0 && t.s.dialect == MySQL {
		_, err = t.exec(foundFamily, id)
	}
	return tok, err
}

// insertSuccessor stores a token of a family that there is.
func (t *tx) insertSuccessor(in insertion) (tok store.Token, err error) {
	if t.s.dialect == Postgres {
		return t.insertToken(in, insertShape{})
	}
	tok = in.token
	tok.ID, err = t.insert(insertSuccessor, in.args(false)...)
	return tok, err
}

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (out store.Token, err error) {
	in, err := insertionOf(t)
	if err != nil {
		return store.Token{}, err
	}
	h := insertShape{served: t.ApplicationID != 0, owned: limits.Owned > 0 && t.UserID != ""}
	if t.ParentID != 0 {
		if limits.Depth > 0 {
			out, err := s.insertBelowRoot(ctx, in, h, t, limits)
			if !errors.Is(err, store.ErrNotFound) {
				return out, err
			}
		}
		p, seq, err := s.placeBelow(ctx, t, limits)
		if err != nil {
			return store.Token{}, err
		}
		in.in(p)
		in.seq, h.under = seq, anyone
	}
	out, err = s.insert(ctx, in, h, limits)
	if errors.Is(err, store.ErrNotFound) {
		return store.Token{}, s.whyNot(ctx, in, limits)
	}
	if err != nil {
		return store.Token{}, err
	}
	return out, nil
}

// minted is the condition that the parent lives, and has fewer descendants than a limit.
func minted(d Dialect, parent string) string {
	cut := cutToken
	if d == Postgres {
		cut = cutTokenAtOnce
	}
	return andMinted + parent + " AND " + cut + andMintedEnd
}

// mintedArgs are those of minted.
func mintedArgs(p place, t store.Token, limits store.InsertLimits) []any {
	created := micros(t.Created)
	var digest, scopes any // as they must be
	if limits.ParentDigest != (store.Digest{}) {
		digest, scopes = bytesOf(limits.ParentDigest), limits.ParentScopes
	}
	ends := max(micros(t.Expires), micros(t.Refresh.GrantExpires)) // with all refreshes
	return []any{p.parent, created, ends, digest, scopes, p.root, created, limits.Live}
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

// ownedArgs are those of owned.
func ownedArgs(d Dialect, t store.Token, limits store.InsertLimits) []any {
	var own filter
	own.only(d, "t.user_id", t.UserID)
	return append(own.args, limits.Owned-1)
}

// insertBelowRoot stores a token that one mints which nobody minted: of such a parent
// the place is known, unless the right comes from its application. The statement sees
// it live together with the number of the newest cut-off. insertBelowRoot returns
// store.ErrNotFound if the parent is another one, or none may be stored. To look first
// would cost a trip for each token whose parent nobody minted, which most are.
func (s *Store) insertBelowRoot(ctx context.Context, in insertion, h insertShape, t store.Token, limits store.InsertLimits) (store.Token, error) {
	in.in(place{parent: t.ParentID, independent: t.Independent, root: t.ParentID, ancestors: strconv.FormatInt(t.ParentID, 10)})
	h.under = rooted
	return s.insert(ctx, in, h, limits)
}

// insert stores a token if the conditions hold, or returns store.ErrNotFound. It is one
// statement without a transaction around it. See insertFounder for MySQL.
func (s *Store) insert(ctx context.Context, in insertion, h insertShape, limits store.InsertLimits) (tok store.Token, err error) {
	const what = "insert a token"
	var args []any
	if h.served {
		args = append(args, in.token.ApplicationID)
	}
	if h.under != nobody {
		args = append(args, mintedArgs(in.place, in.token, limits)...)
	}
	if h.owned {
		args = append(args, ownedArgs(s.dialect, in.token, limits)...)
	}
	if s.dialect == MySQL {
		tok, err = s.insertFounder(ctx, what, in, h, args)
		if h.under == rooted || !errors.Is(err, store.ErrNotFound) {
			return tok, err
		}
		// What does not found a family, what is refused, and a session of another
		// isolation than expected.
		err = s.write(ctx, what, func(tx *tx) error {
			tok, err = tx.insertToken(in, h, args...)
			return err
		})
		return tok, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	args = append(in.args(false), args...)
	query := s.inserts[h]
	tok = in.token
	if s.dialect == SQLite {
		tok.ID, err = s.insertAlone(ctx, what, query, args)
		if err == nil && tok.ID == 0 {
			err = store.ErrNotFound
		}
		tok.Family = cmp.Or(tok.Family, tok.ID)
		return tok, err
	}
	if err := checkText(args); err != nil {
		return store.Token{}, err
	}
	err = s.alone(ctx, observe.KindWrite, what, false, query, func(on statement) error {
		return on.QueryRowContext(ctx, args...).Scan(&tok.ID, &tok.Family)
	})
	return tok, err
}

// insertFounder is insert for MySQL, without a transaction: by one statement if sessions
// are READ COMMITTED, or else it asks first whether the conditions hold. It returns
// store.ErrNotFound if nothing was inserted, for whatever reason.
//
// What ends the token after the conditions were read is a cut-off with a later number
// than was read with them, or the end of a token above it, which ends what that minted.
// Limits may be exceeded by as many as there are at a time.
func (s *Store) insertFounder(ctx context.Context, what string, in insertion, h insertShape, conditions []any) (store.Token, error) {
	tok := in.token
	if tok.Family != 0 {
		return store.Token{}, store.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	query, args := s.founders[h], append(in.args(false)[1:], conditions...)
	if err := checkText(args); err != nil {
		return store.Token{}, s.fail(what, err)
	}
	if !s.readCommitted {
		allowed, err := list(ctx, s, what, query, append([]any{in.seq}, conditions...), func(scan func(...any) error) (seq int64, err error) {
			return seq, scan(&seq)
		})
		if err != nil {
			return store.Token{}, err
		}
		if len(allowed) == 0 {
			return store.Token{}, store.ErrNotFound
		}
		in.seq = allowed[0]
		query, args = insertAllowed, in.args(false)[1:]
	}
	err := s.run(ctx, what, false, query, args, func(res sql.Result) error {
		n, err := res.RowsAffected()
		if err == nil && n != founderChanges {
			err = store.ErrNotFound
		}
		if err == nil {
			tok.ID, err = res.LastInsertId()
		}
		return err
	})
	tok.Family = tok.ID
	return tok, err
}

// placeBelow returns where a token goes that t.ParentID mints, and its number:
// that of the newest cut-off before the minter was found to live. A later cut-off
// ends the token, too.
func (s *Store) placeBelow(ctx context.Context, t store.Token, limits store.InsertLimits) (p place, seq int64, err error) {
	parent, seq, err := s.minter(ctx, t.ParentID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return place{}, 0, store.ErrConflict
	case err != nil:
		return place{}, 0, err
	case !parent.Revoked.IsZero():
		return place{}, 0, store.ErrConflict
	case parent.Depth >= min(limits.Depth, store.MaxDepth):
		return place{}, 0, store.ErrLimit
	}
	p = place{parent: parent.Family, independent: t.Independent, root: parent.RootID, ancestors: parent.below()}
	if p.root == 0 {
		p.root = parent.Family
	}
	if t.ApplicationID == 0 {
		p.via = parent.ViaApplicationID
	}
	return p, seq, nil
}

// minter returns a live token of a family, and the number of the newest cut-off
// when it was found. Unlike a look-up it honours the context.
func (s *Store) minter(ctx context.Context, family int64) (parent tokenRecord, seq int64, err error) {
	const what = "look up the parent of a token"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := list(ctx, s, what, tokenByFamily, []any{family}, func(scan func(...any) error) (r tokenRecord, err error) {
		return r, scan(append(r.dest(), &seq)...)
	})
	if err != nil {
		return tokenRecord{}, 0, err
	}
	if len(found) == 0 {
		return tokenRecord{}, 0, store.ErrNotFound
	}
	err = found[0].settle(func(args []any, dest ...any) error {
		_, err := list(ctx, s, what, lineageState, args, func(scan func(...any) error) (none struct{}, err error) {
			return none, scan(dest...)
		})
		return err
	})
	return found[0], seq, err
}

// whyNot returns why a token was not stored: it is store.ErrLimit where there are
// as many as there may be, and store.ErrConflict otherwise.
func (s *Store) whyNot(ctx context.Context, in insertion, limits store.InsertLimits) error {
	limited := limits.Owned > 0 && in.token.UserID != ""
	if in.root == 0 && !limited {
		return store.ErrConflict
	}
	live, full := 0, false
	err := s.write(ctx, "count tokens", func(tx *tx) (err error) {
		if in.root != 0 {
			err = tx.get(liveBelow, []any{in.root, micros(in.token.Created)}, &live)
		}
		if full = false; err == nil && limited {
			err = tx.get(owned(s.dialect), ownedArgs(s.dialect, in.token, limits), new(int64))
			if full = err == nil; errors.Is(err, sql.ErrNoRows) {
				err = nil
			}
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case in.root != 0 && live >= limits.Live, full:
		return store.ErrLimit
	}
	return store.ErrConflict
}
