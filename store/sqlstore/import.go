package sqlstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ostiary/auth/store"
)

// MaxImport is the greatest number of records of one call of [Store.ImportUsers],
// [Store.ImportTokens] and [Store.CompareTokens].
const MaxImport = 1000

// An ImportedUser is a user with the hash that another program stored, "" for a
// user without a password.
type ImportedUser struct {
	store.User
	PasswordHash string
}

// ImportUsers stores users that another program has made, in one step. A user
// whose ID or name is taken is left out and changes nothing, so that repeating a
// call is harmless. All users must have an ID. A decimal ID is never given to
// another user.
func (s *Store) ImportUsers(ctx context.Context, users []ImportedUser) error {
	if len(users) > MaxImport {
		return fmt.Errorf("sqlstore: more than %d users in one call", MaxImport)
	}
	if len(users) == 0 {
		return nil
	}
	var args []any
	var last int64
	for _, u := range users {
		n := number(u.ID)
		if u.ID == "" {
			return errors.New("sqlstore: an imported user without an ID")
		}
		if u.Service && u.PasswordHash != "" {
			return errors.New("sqlstore: an imported service account with a password")
		}
		if n != noNumber {
			last = max(last, n)
		}
		args = append(args, u.ID, n, u.Name, u.Email, u.FirstName, u.LastName, u.Admin, u.Auditor,
			u.Active, u.Service, u.Epoch, u.PasswordHash, micros(u.Created))
	}
	return s.write(ctx, "import users", func(tx *tx) error {
		if _, err := tx.exec(skipUserIDs, last, last); err != nil {
			return err
		}
		_, err := tx.exec(importUsers+manyRows(len(users), importedUser)+s.dialect.unlessTaken(), args...)
		return err
	})
}

// ImportTokens stores tokens that another program has issued, in one step, and
// returns how many it stored. A token is left out and changes nothing if its
// digest, or that of its refresh token, is stored already. Repeating a call is
// therefore harmless. ImportTokens returns [store.ErrConflict], and stores
// nothing, if an application of the tokens does not exist or is disabled. The
// tokens must have no parent and no family. The store sets the same fields as in
// [Store.InsertToken].
func (s *Store) ImportTokens(ctx context.Context, tokens []store.Token) (stored int, err error) {
	if len(tokens) > MaxImport {
		return 0, fmt.Errorf("sqlstore: more than %d tokens in one call", MaxImport)
	}
	if len(tokens) == 0 {
		return 0, nil
	}
	applications := map[int64]bool{}
	rows := make([][]any, len(tokens))
	for i, t := range tokens {
		if t.ParentID != 0 || t.Family != 0 {
			return 0, errors.New("sqlstore: an imported token with a parent or a family")
		}
		in, err := insertionOf(t)
		if err != nil {
			return 0, err
		}
		rows[i] = append(in.appendTo(nil), orNever(in.token.Refresh.GrantCreated))
		if err := checkText(rows[i]); err != nil {
			return 0, s.fail("import tokens", err)
		}
		if t.ApplicationID != 0 {
			applications[t.ApplicationID] = true
		}
	}
	unless := s.dialect.unlessTaken()
	if s.dialect == Postgres {
		// It looks for each digest twice with that end. Few batches need it.
		unless = ""
	}
	step := func(tx *tx) error {
		// The number comes first: what is cut off after it was read ends the
		// tokens, too.
		var seq int64
		if err := tx.get(newestNumber, nil, &seq); err != nil {
			return err
		}
		if err := tx.served(applications); err != nil {
			return err
		}
		stored, err = tx.importTokens(rows, seq, unless)
		return err
	}
	err = s.write(ctx, "import tokens", step)
	if unless == "" && errors.Is(err, store.ErrExists) {
		unless = s.dialect.unlessTaken()
		err = s.write(ctx, "import tokens", step)
	}
	if err != nil {
		return 0, err
	}
	return stored, nil
}

// served returns store.ErrConflict unless all of the applications exist and none
// is disabled.
func (t *tx) served(applications map[int64]bool) error {
	var ids []int64
	for id := range applications {
		ids = append(ids, id)
	}
	found := 0
	err := inBatches(ids, func(in string, args []any) error {
		some, err := column[int64](t, servedApplications+in, args...)
		found += len(some)
		return err
	})
	if err == nil && found < len(ids) {
		return store.ErrConflict
	}
	return err
}

// importTokens stores the rows and returns how many were not there. Unless ends the
// statement.
func (t *tx) importTokens(rows [][]any, seq int64, unless string) (int, error) {
	if t.s.dialect == Postgres {
		n, err := t.exec(importTokensAtOnce+unless, append([]any{seq}, arrays(rows)...)...)
		return int(n), err
	}
	args := make([]any, 0, len(rows)*(len(rows[0])+1))
	digests := make([]any, len(rows))
	for i, row := range rows {
		args = append(append(args, row...), seq)
		digests[i] = row[0]
	}
	if _, err := t.exec(importTokens+manyRows(len(rows), importedToken)+unless, args...); err != nil {
		return 0, err
	}
	n, err := t.exec(foundFamilies+inList(len(rows)), digests...)
	return int(n), err
}

// unlessTaken ends an INSERT that leaves out rows with a value that is taken.
func (d Dialect) unlessTaken() string {
	if d == MySQL {
		return " ON DUPLICATE KEY UPDATE id = id" // IGNORE would ignore other faults, too
	}
	return " ON CONFLICT DO NOTHING"
}

// manyRows returns a row n times.
func manyRows(n int, row string) string { return row + strings.Repeat(","+row, n-1) }

// arrays returns the columns of the rows as texts of PostgreSQL's arrays: one
// statement for any number of rows, whatever the driver is.
func arrays(rows [][]any) []any {
	columns := make([]any, len(rows[0]))
	for c := range columns {
		var b strings.Builder
		b.Grow(arrayCell * len(rows))
		b.WriteByte('{')
		for i, row := range rows {
			if i > 0 {
				b.WriteByte(',')
			}
			switch v := row[c].(type) {
			case nil:
				b.WriteString("NULL")
			case int64:
				b.WriteString(strconv.FormatInt(v, 10))
			case []byte:
				b.WriteString(`"\\x`)
				b.Write(hex.AppendEncode(nil, v))
				b.WriteByte('"')
			case string:
				b.WriteByte('"')
				_, _ = inArray.WriteString(&b, v) // a Builder takes everything
				b.WriteByte('"')
			}
		}
		b.WriteByte('}')
		columns[c] = b.String()
	}
	return columns
}

// arrayCell is the room of a value, in bytes, before more is needed.
const arrayCell = 24

var inArray = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Presence tells what a store has of a token.
type Presence uint8

// The presences of a token.
const (
	Absent Presence = iota // neither of its digests is stored
	Same                   // stored for the same user and application, in any state
	Taken                  // a digest is stored for another token, user or application
)

// CompareTokens returns the presence of each token, in the given order.
func (s *Store) CompareTokens(ctx context.Context, tokens []store.Token) ([]Presence, error) {
	if len(tokens) > MaxImport {
		return nil, fmt.Errorf("sqlstore: more than %d tokens in one call", MaxImport)
	}
	access, refresh := map[store.Digest]owner{}, map[store.Digest]owner{}
	var digests, refreshes []any
	for _, t := range tokens {
		digests = append(digests, bytesOf(t.Digest))
		if t.Refresh.Digest != (store.Digest{}) {
			refreshes = append(refreshes, bytesOf(t.Refresh.Digest))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.owners(ctx, ownersByDigest, digests, access); err != nil {
		return nil, err
	}
	if err := s.owners(ctx, ownersByRefresh, refreshes, refresh); err != nil {
		return nil, err
	}
	out := make([]Presence, len(tokens))
	for i, t := range tokens {
		own := owner{t.UserID, t.ApplicationID}
		byAccess, found := access[t.Digest]
		byRefresh, taken := refresh[t.Refresh.Digest]
		switch {
		case found && byAccess == own && (!taken || byRefresh == own):
			out[i] = Same
		case found || taken:
			out[i] = Taken
		}
	}
	return out, nil
}

// An owner is whom a token belongs to.
type owner struct {
	user        string
	application int64
}

// owners reads the owners of the tokens with these digests.
func (s *Store) owners(ctx context.Context, query string, digests []any, into map[store.Digest]owner) error {
	if len(digests) == 0 {
		return nil
	}
	_, err := list(ctx, s, "compare tokens", query+inList(len(digests)), digests, func(scan func(...any) error) (none struct{}, err error) {
		var d digestVar
		var o owner
		err = scan(&d, &o.user, &o.application)
		into[store.Digest(d)] = o
		return none, err
	})
	return err
}
