package importer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A person is what tells a user of the source from others.
type person struct {
	id     int64
	name   words
	joined when
}

// A sourceUser is a row of the table of users.
type sourceUser struct {
	person
	password, first, last, email words
	admin, active, auditor       flag
}

// A destination is where a record of the source is in the target.
type destination struct {
	state state
	user  store.User // for users
	id    int64      // for applications
	why   string     // it is nowhere
}

type state uint8

const (
	absent state = iota
	same         // an earlier run brought it
	linked
	conflict
	unfit // it cannot be stored
)

// reachable reports whether the tokens of the record can be brought.
func (d destination) reachable() bool { return d.state == same || d.state == linked }

// maxName is the length of the longest user name that is stored, in bytes.
const maxName = 1024

// unfitName returns why no user of that name is stored.
func unfitName(name words) string {
	switch {
	case name == "":
		return "the user name is empty"
	case !name.fits():
		return "the user name has NUL or is not UTF-8"
	case len(name) > maxName:
		return fmt.Sprintf("the user name is longer than %d bytes", maxName)
	}
	return ""
}

// destinations looks up where users are in the target.
func (r *run) destinations(ctx context.Context, people []person) (map[int64]destination, error) {
	var names, ids []any
	for _, p := range people {
		if unfitName(p.name) == "" {
			names = append(names, string(p.name))
			ids = append(ids, strconv.FormatInt(p.id, 10))
		}
	}
	byName, err := r.dst.usersBy(ctx, store.ColumnName, names, func(u store.User) string { return u.Name })
	if err != nil {
		return nil, err
	}
	byID := map[string]store.User{}
	if !r.NewIDs {
		if byID, err = r.dst.usersBy(ctx, store.ColumnID, ids, func(u store.User) string { return u.ID }); err != nil {
			return nil, err
		}
	}
	out := make(map[int64]destination, len(people))
	for _, p := range people {
		out[p.id] = r.destination(p, byName, byID)
	}
	return out, nil
}

// maxKnownUsers is how many users are remembered at a time while tokens are brought.
const maxKnownUsers = 200_000

// knownUsers remember where users are. A user who changes meanwhile has another epoch
// than the tokens that are stored then, as if they had been stored before.
type knownUsers struct {
	mu    sync.Mutex
	where map[int64]destination
}

// get returns what is known of the people, and whom to look up.
func (k *knownUsers) get(people []person) (known map[int64]destination, rest []person) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known = make(map[int64]destination, len(people))
	for _, p := range people {
		if d, ok := k.where[p.id]; ok {
			known[p.id] = d
		} else {
			rest = append(rest, p)
		}
	}
	return known, rest
}

func (k *knownUsers) put(found map[int64]destination) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.where == nil || len(k.where)+len(found) > maxKnownUsers {
		k.where = map[int64]destination{}
	}
	maps.Copy(k.where, found)
}

// owners is destinations for the owners of tokens, who come again and again.
func (r *run) owners(ctx context.Context, people []person) (map[int64]destination, error) {
	known, rest := r.known.get(people)
	if len(rest) == 0 {
		return known, nil
	}
	found, err := r.destinations(ctx, rest)
	if err != nil {
		return nil, err
	}
	for id, d := range found {
		d.user = store.User{ID: d.user.ID, Epoch: d.user.Epoch}
		known[id], found[id] = d, d
	}
	r.known.put(found)
	return known, nil
}

// destination decides for one user. A user of the target is the one of the source if
// the ID and the instant of creation are the same: name, password and rights change.
func (r *run) destination(p person, byName, byID map[string]store.User) destination {
	if why := unfitName(p.name); why != "" {
		return destination{state: unfit, why: why}
	}
	if r.twins.users.other(p.name, p.id) {
		return destination{state: conflict, why: "another user of the source, with a smaller ID, has the name: rename one there"}
	}
	named, nameTaken := byName[string(p.name)]
	numbered, idTaken := byID[strconv.FormatInt(p.id, 10)]
	switch {
	case idTaken && numbered.Created.Equal(p.joined.Time):
		return destination{state: same, user: numbered}
	case r.NewIDs && nameTaken && named.Created.Equal(p.joined.Time):
		return destination{state: same, user: named}
	case nameTaken && r.Link:
		return destination{state: linked, user: named}
	case nameTaken:
		return destination{state: conflict, why: "another user of the target has the name; with --existing link that user stands for this one"}
	case idTaken:
		return destination{state: conflict, why: "another user of the target has the ID; with --new-ids users get new ones"}
	}
	return destination{state: absent}
}

// importUsers brings the users.
func (r *run) importUsers(ctx context.Context) error {
	total, err := r.src.count(ctx, r.src.tables.Users)
	if err != nil {
		return err
	}
	if r.twins.users, err = r.src.twins(ctx, r.src.tables.Users, "username", maxName+1); err != nil {
		return err
	}
	query, err := r.usersQuery(ctx)
	if err != nil {
		return err
	}
	var batch []sourceUser
	return pages(ctx, r.src, query, r.Batch, func(rows *sql.Rows) (int64, error) {
		var u sourceUser
		var id number
		err := rows.Scan(&id, &u.name, &u.password, &u.first, &u.last, &u.email, &u.admin, &u.active, &u.joined, &u.auditor)
		u.id = int64(id)
		batch = append(batch, u)
		return u.id, err
	}, func() error {
		err := r.storeUsers(ctx, batch)
		batch = batch[:0]
		r.Progress(stepUsers, r.report.count(stepUsers).Read, total)
		return err
	})
}

func (r *run) usersQuery(ctx context.Context) (string, error) {
	table := r.src.tables.Users
	auditor, err := r.auditorColumn(ctx)
	if err != nil {
		return "", err
	}
	text := func(name string, most int) string { return r.src.clipped(r.src.column(table, "t", name, "NULL"), most) }
	return `SELECT t.id, ` + text("username", maxName+1) + `, ` + text("password", maxName+1) + `,
		` + text("first_name", maxName+1) + `, ` + text("last_name", maxName+1) + `, ` + text("email", maxName+1) + `,
		t.is_superuser, t.is_active, t.date_joined, ` + auditor + `
	FROM ` + table + ` t WHERE t.id > CAST($1 AS BIGINT) ORDER BY t.id`, nil
}

// auditorColumn returns an expression for the flag of system auditors, which is in
// another place in each version.
func (r *run) auditorColumn(ctx context.Context) (string, error) {
	var any []string
	for _, name := range []string{"is_system_auditor", "is_platform_auditor"} {
		if r.src.columns[r.src.tables.Users][name] {
			any = append(any, "t."+name)
		}
	}
	for _, place := range []struct {
		tables []string
		exists string
	}{
		{[]string{"main_rbac_roles", "main_rbac_roles_members"}, `SELECT 1 FROM main_rbac_roles_members m
			JOIN main_rbac_roles o ON o.id = m.role_id WHERE m.user_id = t.id AND o.singleton_name = 'system_auditor'`},
		{[]string{"dab_rbac_roleuserassignment", "dab_rbac_roledefinition"}, `SELECT 1 FROM dab_rbac_roleuserassignment m
			JOIN dab_rbac_roledefinition o ON o.id = m.role_definition_id
			WHERE m.user_id = t.id AND o.name IN ('System Auditor', 'Controller System Auditor', 'Platform Auditor')`},
	} {
		ok, err := r.src.hasAll(ctx, place.tables...)
		if err != nil {
			return "", err
		}
		if ok {
			any = append(any, "EXISTS ("+place.exists+")")
		}
	}
	if ok, err := r.src.has(ctx, "main_profile"); err != nil {
		return "", err
	} else if ok && r.src.columns["main_profile"]["is_system_auditor"] {
		any = append(any, "EXISTS (SELECT 1 FROM main_profile p WHERE p.user_id = t.id AND p.is_system_auditor)")
	}
	if len(any) == 0 {
		return "NULL", nil
	}
	return "(" + strings.Join(any, " OR ") + ")", nil
}

// storeUsers brings a batch.
func (r *run) storeUsers(ctx context.Context, batch []sourceUser) error {
	people := make([]person, len(batch))
	for i, u := range batch {
		people[i] = u.person
	}
	where, err := r.destinations(ctx, people)
	if err != nil {
		return err
	}
	c := r.report.count(stepUsers)
	var missing []sqlstore.ImportedUser
	for _, u := range batch {
		c.Read++
		to := where[u.id]
		remark := func(act Act, what, more string) {
			r.report.add(stepUsers, remark{act, what, Item{u.id, shown(u.name), more}})
		}
		switch to.state {
		case same:
			c.Before++
		case linked:
			c.Linked++
			remark(Note, "a user of the target stands for the one of the source; nothing of it changed", "user "+to.user.ID)
		case conflict:
			c.LeftOut++
			remark(Conflict, to.why, "")
		case unfit:
			c.LeftOut++
			remark(LeftOut, to.why, "")
		case absent:
			if r.dst.passed(stepUsers, u.id) {
				c.Gone++
				remark(Note, "stored by an earlier run, and deleted or renamed in the target since", "")
				continue
			}
			c.Stored++
		}
		if to.state == same || to.state == absent {
			out := r.converted(u, remark)
			if to.state == absent {
				missing = append(missing, out)
			} else if err := r.finishUser(ctx, to.user, out.PasswordHash, u.id); err != nil {
				return err
			}
		}
	}
	if r.DryRun {
		return nil
	}
	if err := r.insertUsers(ctx, missing); err != nil {
		return err
	}
	return r.dst.mark(ctx, stepUsers, batch[len(batch)-1].id)
}

// insertUsers stores users of whom the target has none of the names.
func (r *run) insertUsers(ctx context.Context, users []sqlstore.ImportedUser) error {
	if !r.NewIDs {
		return r.dst.ImportUsers(ctx, users)
	}
	for _, u := range users {
		u.ID = ""
		made, err := r.dst.InsertUser(ctx, u.User)
		if errors.Is(err, store.ErrExists) {
			continue // somebody took the name just now; a later run says so
		}
		if err == nil {
			err = r.dst.SwapPasswordHash(ctx, made.ID, "", u.PasswordHash)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finishUser gives a user the hash if a run was killed before it could.
func (r *run) finishUser(ctx context.Context, u store.User, hash string, id int64) error {
	if !r.NewIDs || r.DryRun || hash == "" || r.dst.passed(stepUsers, id) {
		return nil
	}
	err := r.dst.SwapPasswordHash(ctx, u.ID, "", hash)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// converted returns a user as it is stored, and remarks what changed.
func (r *run) converted(u sourceUser, remark func(act Act, what, more string)) sqlstore.ImportedUser {
	out := sqlstore.ImportedUser{User: store.User{
		ID: strconv.FormatInt(u.id, 10), Name: string(u.name), Admin: bool(u.admin), Auditor: bool(u.auditor), Active: bool(u.active), Created: u.joined.Time,
	}}
	if why := text.Name(out.Name, auth.MaxUserName); why != "" {
		remark(Note, "nobody logs in with a name like this, which "+why+": an administrator must change it", "")
	}
	for what, field := range map[string]struct {
		from words
		to   *string
	}{"first name": {u.first, &out.FirstName}, "last name": {u.last, &out.LastName}, "address": {u.email, &out.Email}} {
		switch {
		case !field.from.fits():
			remark(Changed, "the "+what+" has NUL or is not UTF-8, and was left out", "")
		case len(field.from) > maxName:
			remark(Changed, "the "+what+" is longer than 1024 bytes, and was left out", "")
		default:
			*field.to = string(field.from)
		}
	}
	out.PasswordHash = usable(u.password, remark)
	return out
}

// usable returns a hash that can be verified, or "".
func usable(hash words, remark func(act Act, what, more string)) string {
	kind, _, _ := strings.Cut(string(hash), "$")
	switch {
	case (auth.Argon2id{}).Reads(string(hash)):
		return string(hash)
	case hash == "" || strings.HasPrefix(string(hash), "!"):
		remark(Note, "the user has no password in the source; the login was by LDAP, SAML or another service", "")
	case !goodTable.MatchString(kind) || len(kind) > 32:
		remark(Changed, "the password hash cannot be read: the user needs a new password", "")
	default:
		remark(Changed, "password hashes of the kind "+kind+" are not verified here, or this one is malformed or excessive: the user needs a new password", "")
	}
	return ""
}

// shown returns a name for the report.
func shown(name words) string {
	s := strings.ToValidUTF8(string(name), "\uFFFD")
	if utf8.RuneCountInString(s) > auth.MaxUserName {
		s = string([]rune(s)[:auth.MaxUserName]) + "…"
	}
	return s
}
