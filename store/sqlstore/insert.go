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

	limits store.InsertLimits
	seq    int64        // the number it has, if its shape does not take it from elsewhere
	payer  store.Digest // of the code or device that pays for it, if its shape has one
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

// ownValues and knownBehind are the columns behind the family: those of appendTo, which a
// rotation has, too, and the others.
var (
	ownValues = []string{
		"digest", "user_id", "application_id", "scopes", "audience", "addresses", "epoch", "description",
		"created_at", "modified_at", "expires_at", "last_used_at", "revoked_at", "refresh_digest",
		"refresh_scopes", "refresh_expires_at", "grant_expires_at", "refresh_spent_at",
		"refresh_nonce", "refresh_grant", "ends_at", "purge_at",
	}
	knownBehind = []string{"grant_created_at", "parent_id", "independent", "root_id", "ancestors", "via_id", "seq"}
)

// value returns the value with a name.
func (in *insertion) value(name string) any {
	tok := &in.token
	switch name {
	case "family":
		return tok.Family
	case "digest":
		return tok.Digest[:]
	case "user_id":
		return tok.UserID
	case "application_id":
		return tok.ApplicationID
	case "scopes":
		return tok.Scopes
	case "audience":
		return tok.Audience
	case "addresses":
		return in.addresses
	case "epoch":
		return tok.Epoch
	case "description":
		return tok.Description
	case "created_at":
		return micros(tok.Created)
	case "modified_at":
		return micros(tok.Modified)
	case "expires_at":
		return micros(tok.Expires)
	case "last_used_at":
		return orNever(tok.LastUsed)
	case "revoked_at":
		return orNever(tok.Revoked)
	case "refresh_digest":
		return orNone(tok.Refresh.Digest)
	case "refresh_scopes":
		return tok.Refresh.Scopes
	case "refresh_expires_at":
		return orNever(tok.Refresh.Expires)
	case "grant_expires_at":
		return orNever(tok.Refresh.GrantExpires)
	case "refresh_spent_at":
		return orNever(tok.Refresh.Spent)
	case "refresh_nonce":
		return orNone(tok.Refresh.Nonce)
	case "refresh_grant":
		return orNone(tok.Refresh.Grant)
	case "ends_at":
		return in.ends
	case "purge_at":
		return in.over
	case "grant_created_at":
		return orNever(tok.Refresh.GrantCreated)
	case "parent_id":
		return in.parent
	case "independent":
		return in.independent
	case "root_id":
		return in.root
	case "ancestors":
		return in.ancestors
	case "via_id":
		return in.via
	case "seq":
		return in.seq
	case "payer":
		return in.payer[:]
	case "lasts_until": // with all refreshes
		return max(micros(tok.Expires), micros(tok.Refresh.GrantExpires))
	case "parent_digest":
		return orNone(in.limits.ParentDigest)
	case "parent_scopes":
		if in.limits.ParentDigest == (store.Digest{}) {
			return nil // as they are
		}
		return in.limits.ParentScopes
	case "crowd":
		return in.limits.Live - 1
	case "crowd_of_user":
		return in.limits.Owned - 1
	}
	return errors.New("sqlstore: no value is named " + name) // which no driver takes
}

// append appends values.
func (in *insertion) append(args []any, names []string) []any {
	for _, name := range names {
		args = append(args, in.value(name))
	}
	return args
}

// appendTo appends the values of the columns that do not depend on where it stands.
func (in *insertion) appendTo(args []any) []any { return in.append(args, ownValues) }

// appendKnown appends the values behind the family, up to the number, where everything is
// known.
func (in *insertion) appendKnown(args []any) []any {
	return in.append(in.appendTo(args), knownBehind)
}

// args are those of a statement.
func (in *insertion) args(st insertStatement) []any {
	return in.append(make([]any, 0, len(st.args)), st.args)
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

// insertToken stores a token if the conditions hold, or returns sql.ErrNoRows.
func (t *tx) insertToken(in *insertion, h insertShape) (id int64, err error) {
	st := t.s.inserts[h]
	args := in.args(st)
	if t.s.dialect == Postgres {
		err = t.get(st.query, args, &id)
		return id, err
	}
	id, err = t.insertSome(st.query, args...)
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
	in.limits = limits
	h := insertShape{
		served: t.ApplicationID != 0,
		kind:   in.kindOf(),
		owned:  limits.Owned > 0 && t.UserID != "",
	}
	if t.ParentID != 0 {
		if limits.Depth > 0 && limits.Live > 0 {
			id, err := s.insertBelowRoot(ctx, &in, h, t)
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
		if limits.Live <= 0 {
			return store.Token{}, store.ErrLimit
		}
		in.in(p)
		in.seq, h.under = seq, anyone
	}
	id, err := s.insert(ctx, &in, h)
	if errors.Is(err, store.ErrNotFound) {
		return store.Token{}, s.whyNot(ctx, &in, h)
	}
	if err != nil {
		return store.Token{}, err
	}
	return in.stored(id), nil
}

// insertBelowRoot stores a token that one mints which nobody minted: of such a parent
// the place is known, unless the right comes from its application. The statement sees
// it live together with the number of the newest cut-off. insertBelowRoot returns
// store.ErrNotFound if the parent is another one, or none may be stored. To look first
// would cost a trip for each token whose parent nobody minted, which most are.
func (s *Store) insertBelowRoot(ctx context.Context, in *insertion, h insertShape, t store.Token) (id int64, err error) {
	in.in(place{parent: t.ParentID, independent: t.Independent, root: t.ParentID, ancestors: strconv.FormatInt(t.ParentID, 10)})
	h.under = rooted
	return s.insert(ctx, in, h)
}

// insert stores a token if the conditions hold, or returns store.ErrNotFound. It is one
// statement without a transaction around it. See insertFounder for MySQL.
func (s *Store) insert(ctx context.Context, in *insertion, h insertShape) (id int64, err error) {
	const what = "insert a token"
	if s.dialect == MySQL {
		id, err = s.insertFounder(ctx, what, in, h)
		if h.under == rooted || !errors.Is(err, store.ErrNotFound) {
			return id, err
		}
		// What does not found a family, what is refused, and a session of another
		// isolation than expected.
		err = s.write(ctx, what, func(tx *tx) error {
			id, err = tx.insertToken(in, h)
			return err
		})
		return id, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	st := s.inserts[h]
	args := in.args(st)
	if s.dialect == SQLite {
		id, err = s.insertAlone(ctx, what, st.query, args)
		if err == nil && id == 0 {
			err = store.ErrNotFound
		}
		return id, err
	}
	if err := checkText(args); err != nil {
		return 0, s.fail(what, err)
	}
	err = s.alone(ctx, observe.KindWrite, what, false, st.query, func(on statement) error {
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
func (s *Store) whyNot(ctx context.Context, in *insertion, h insertShape) error {
	full := false
	type limit struct {
		query string
		args  []any
	}
	var limits []limit
	if h.under != nobody {
		limits = append(limits, limit{crowded(s.dialect), in.append(nil, []string{"root_id", "created_at", "crowd"})})
	}
	if h.owned {
		limits = append(limits, limit{owned(s.dialect), append(onlyArgs(s.dialect, in.token.UserID), in.value("crowd_of_user"))})
	}
	if limits == nil {
		return store.ErrConflict
	}
	err := s.write(ctx, "count tokens", func(tx *tx) error {
		full = false
		for _, l := range limits {
			err := tx.get(l.query, l.args, new(int64))
			if err == nil || !errors.Is(err, sql.ErrNoRows) {
				full = err == nil
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case full:
		return store.ErrLimit
	}
	return store.ErrConflict
}
