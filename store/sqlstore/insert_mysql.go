package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ostiary/auth/store"
)

// insertFounder is insert for MySQL, without a transaction: by one statement if sessions
// are READ COMMITTED, or else it asks first whether the conditions hold. It returns
// store.ErrNotFound if nothing was inserted, for whatever reason.
//
// What ends the token after the conditions were read is a cut-off with a later number
// than was read with them, or the end of a token above it, which ends what that minted.
// Limits may be exceeded by as many as there are at a time.
func (s *Store) insertFounder(ctx context.Context, what string, in *insertion, h insertShape) (id int64, err error) {
	if in.token.Family != 0 {
		return 0, store.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := checkText(in.appendTo(nil)); err != nil { // also what only the second statement has
		return 0, s.fail(what, err)
	}
	st := s.founders[h]
	query, args := st.query, in.args(st)
	if !s.readCommitted {
		newest, err := list(ctx, s, what, query, args, func(scan func(...any) error) (seq int64, err error) {
			return seq, scan(&seq)
		})
		if err != nil {
			return 0, err
		}
		if len(newest) == 0 {
			return 0, store.ErrNotFound
		}
		if h.under != anyone {
			in.seq = newest[0]
		}
		query, args = insertAllowed, in.appendKnown(nil)
	}
	err = s.run(ctx, what, false, query, args, func(res sql.Result) error {
		n, err := res.RowsAffected()
		switch {
		case err != nil:
		case n == founderChanges:
			id, err = res.LastInsertId()
		case n == 0 || n == 2: // rows that were found and not changed count with clientFoundRows
			err = store.ErrNotFound
		default:
			err = fmt.Errorf("sqlstore: the insert of a token changed %d rows", n)
		}
		return err
	})
	return id, err
}
