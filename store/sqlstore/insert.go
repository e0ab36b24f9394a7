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
	token     store.Token // as it will come back, but for the ID
	addresses string
	ends      int64
	over      int64 // when its record may go
	place

	seq   int64        // the number it has, if its shape does not take it from elsewhere
	payer store.Digest // of the code or device that pays for it, if its shape has one
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
	return insertion{token: tok, addresses: addresses, ends: ends, over: over}, nil
}

// appendTo appends the values of the columns that do not depend on where it stands.
// Those of a refresh token are among them if there is one.
func (in *insertion) appendTo(args []any, refreshed bool) []any {
	tok := &in.token
	args = append(args,
		bytesOf(tok.Digest), tok.UserID, tok.ApplicationID, tok.Scopes, tok.Audience, in.addresses, tok.Epoch, tok.Description,
		micros(tok.Created), micros(tok.Modified), micros(tok.Expires), orNever(tok.LastUsed), orNever(tok.Revoked))
	if refreshed {
		args = append(args,
			orNone(tok.Refresh.Digest), tok.Refresh.Scopes, orNever(tok.Refresh.Expires), orNever(tok.Refresh.GrantExpires),
			orNever(tok.Refresh.Spent), orNone(tok.Refresh.Nonce), orNone(tok.Refresh.Grant))
	}
	return append(args, in.ends, in.over)
}

// stored returns the token with its ID.
func (in *insertion) stored(id int64) store.Token {
	tok := in.token
	tok.ID, tok.Family = id, cmp.Or(tok.Family, id)
	return tok
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

// args are those of insertToken for a shape.
func (in *insertion) args(d Dialect, h insertShape, limits store.InsertLimits) []any {
	args := in.appendTo(append(make([]any, 0, 42), in.token.Family), h.refreshed)
	if h.refreshed {
		args = append(args, orNever(in.token.Refresh.GrantCreated))
	}
	if h.under != nobody {
		args = append(args, in.parent, in.independent, in.root, in.ancestors)
	}
	switch {
	case h.under == anyone:
		args = append(args, in.via, in.seq)
	case h.paid:
		args = append(args, in.payer[:], in.payer[:])
	}
	return in.appendConditions(args, d, h, limits)
}

// appendConditions appends the arguments of the conditions of a shape.
func (in *insertion) appendConditions(args []any, d Dialect, h insertShape, limits store.InsertLimits) []any {
	if h.served {
		args = append(args, in.token.ApplicationID)
	}
	if h.under != nobody {
		args = in.appendMinted(args, limits)
	}
	if h.owned {
		args = in.appendOwned(args, d, limits)
	}
	return args
}

// appendKnown appends the values behind the family, up to the number, where everything is
// known.
func (in *insertion) appendKnown(args []any) []any {
	return append(in.appendTo(args, true),
		orNever(in.token.Refresh.GrantCreated), in.parent, in.independent, in.root, in.ancestors, in.via, in.seq)
}

// insertToken stores a token if the conditions hold, or returns sql.ErrNoRows.
func (t *tx) insertToken(in *insertion, h insertShape, limits store.InsertLimits) (id int64, err error) {
	args := in.args(t.s.dialect, h, limits)
	query := t.s.inserts[h]
	if t.s.dialect == Postgres {
		err = t.get(query, args, &id)
		return id, err
	}
	id, err = t.insertSome(query, args...)
	if err == nil && id == 0 {
		err = sql.ErrNoRows
	}
	if err == nil && in.token.Family == 0 && t.s.dialect == MySQL {
		_, err = t.exec(foundFamily, id)
	}
	return id, err
}

// insertSuccessor stores a token of a family that there is.
func (t *tx) insertSuccessor(in *insertion) (store.Token, error) {
	args := append(in.appendKnown([]any{in.token.Family}), in.token.Refresh.Number)
	id, err := t.insert(insertSuccessor, args...)
	return in.stored(id), err
}

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	in, err := insertionOf(t)
	if err != nil {
		return store.Token{}, err
	}
	h := insertShape{
		served:    t.ApplicationID != 0,
		refreshed: in.token.Refresh != store.Refresh{},
		owned:     limits.Owned > 0 && t.UserID != "",
	}
	if t.ParentID != 0 {
		if limits.Depth > 0 {
			id, err := s.insertBelowRoot(ctx, &in, h, t, limits)
			if err == nil {
				return in.stored(id), nil
			}
			if !errors.Is(err, store.ErrNotFound) {
				return store.Token{}, err
			}
		}
		p, seq, err := s.placeBelow(ctx, t, limits)
		if err != nil {
			return store.Token{}, err
		}
		in.in(p)
		in.seq, h.under = seq, anyone
	}
	id, err := s.insert(ctx, &in, h, limits)
	if errors.Is(err, store.ErrNotFound) {
		return store.Token{}, s.whyNot(ctx, &in, h, limits)
	}
	if err != nil {
		return store.Token{}, err
	}
	return in.stored(id), nil
}

// appendMinted appends the arguments of minted.
func (in *insertion) appendMinted(args []any, limits store.InsertLimits) []any {
	created := micros(in.token.Created)
	var digest, scopes any // as they must be
	if limits.ParentDigest != (store.Digest{}) {
		digest, scopes = bytesOf(limits.ParentDigest), limits.ParentScopes
	}
	ends := max(micros(in.token.Expires), micros(in.token.Refresh.GrantExpires)) // with all refreshes
	return append(args, in.parent, created, ends, digest, scopes, in.root, created, limits.Live)
}

// appendOwned appends the arguments of owned.
func (in *insertion) appendOwned(args []any, d Dialect, limits store.InsertLimits) []any {
	return append(append(args, onlyArgs(d, in.token.UserID)...), limits.Owned-1)
}

// insertBelowRoot stores a token that one mints which nobody minted: of such a parent
// the place is known, unless the right comes from its application. The statement sees
// it live together with the number of the newest cut-off. insertBelowRoot returns
// store.ErrNotFound if the parent is another one, or none may be stored. To look first
// would cost a trip for each token whose parent nobody minted, which most are.
func (s *Store) insertBelowRoot(ctx context.Context, in *insertion, h insertShape, t store.Token, limits store.InsertLimits) (id int64, err error) {
	in.in(place{parent: t.ParentID, independent: t.Independent, root: t.ParentID, ancestors: strconv.FormatInt(t.ParentID, 10)})
	h.under = rooted
	return s.insert(ctx, in, h, limits)
}

// insert stores a token if the conditions hold, or returns store.ErrNotFound. It is one
// statement without a transaction around it. See insertFounder for MySQL.
func (s *Store) insert(ctx context.Context, in *insertion, h insertShape, limits store.InsertLimits) (id int64, err error) {
	const what = "insert a token"
	if s.dialect == MySQL {
		id, err = s.insertFounder(ctx, what, in, h, limits)
		if h.under == rooted || !errors.Is(err, store.ErrNotFound) {
			return id, err
		}
		// What does not found a family, what is refused, and a session of another
		// isolation than expected.
		err = s.write(ctx, what, func(tx *tx) error {
			id, err = tx.insertToken(in, h, limits)
			return err
		})
		return id, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	args := in.args(s.dialect, h, limits)
	query := s.inserts[h]
	if s.dialect == SQLite {
		id, err = s.insertAlone(ctx, what, query, args)
		if err == nil && id == 0 {
			err = store.ErrNotFound
		}
		return id, err
	}
	if err := checkText(args); err != nil {
		return 0, s.fail(what, err)
	}
	err = s.alone(ctx, observe.KindWrite, what, false, query, func(on statement) error {
		return on.QueryRowContext(ctx, args...).Scan(&id)
	})
	return id, err
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
func (s *Store) whyNot(ctx context.Context, in *insertion, h insertShape, limits store.InsertLimits) error {
	if h.under == nobody && !h.owned {
		return store.ErrConflict
	}
	live, full := 0, false
	err := s.write(ctx, "count tokens", func(tx *tx) (err error) {
		if h.under != nobody {
			err = tx.get(liveBelow, []any{in.root, micros(in.token.Created)}, &live)
		}
		if full = false; err == nil && h.owned {
			err = tx.get(owned(s.dialect), in.appendOwned(nil, s.dialect, limits), new(int64))
			if full = err == nil; errors.Is(err, sql.ErrNoRows) {
				err = nil
			}
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case h.under != nobody && live >= limits.Live, full:
		return store.ErrLimit
	}
	return store.ErrConflict
}
