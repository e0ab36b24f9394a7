package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var userMutants = []mutant{
	{"trims names", "Users/names and IDs are compared byte for byte", func(r right) storetest.Store { return trimsNames{r} }},
	{"keeps nanoseconds", "Users/every field is kept", func(r right) storetest.Store { return keepsNanoseconds{r} }},
	{"reuses IDs", "Users/assigned IDs are decimal and never reused", func(r right) storetest.Store { return reusesIDs{r} }},
	{"forgives taken names", "Users/a taken ID or name is ErrExists", func(r right) storetest.Store { return forgivesTakenNames{r} }},
	{"hides the inactive", "Users/inactive users are found", func(r right) storetest.Store { return hidesInactive{r} }},
	{"absence without an error", "Users/an absent user is ErrNotFound", func(r right) storetest.Store { return absentHash{r} }},
	{"updates half", "Users/UpdateUser to a taken name is ErrExists and changes nothing", func(r right) storetest.Store { return updatesHalf{r} }},
	{"swaps any hash", "Users/SwapPasswordHash needs the stored hash", func(r right) storetest.Store { return swapsAnyHash{r} }},
	{"reads, then swaps", "Users/of 64 swaps of one hash one succeeds", func(r right) storetest.Store { return readsThenSwaps{r} }},
	{"swap changes the epoch", "Users/SwapPasswordHash needs the stored hash", func(r right) storetest.Store { return swapChangesEpoch{r} }},
	{"password without an epoch", "Epochs/a new password changes the epoch", func(r right) storetest.Store { return passwordWithoutEpoch{r} }},
	{"replaces the password of any epoch", "Epochs/a password in place of that of an epoch", func(r right) storetest.Store { return replacesAny{r} }},
	{"reads the epoch, then replaces", "Epochs/of 64 passwords in place of one, one succeeds", func(r right) storetest.Store { return readsEpoch{r} }},
	{"every update is an epoch", "Epochs/deactivation changes the epoch, nothing else does", func(r right) storetest.Store { return updateIsEpoch{r} }},
	{"IDs ordered as text", "ListUsers/IDs are ordered by number", func(r right) storetest.Store { return textOrder{r} }},
	{"names found in any case", "ListUsers/a name is exact", func(r right) storetest.Store { return anyCase{r} }},
	{"reads, then changes", "ChangeUser/changes at the same time all hold", func(r right) storetest.Store { return readsThenChanges{r} }},
	{"lets the last administrator go", "ChangeUser/the last active administrator stays", func(r right) storetest.Store { return readsThenChanges{r} }},
	{"minds the case", "Where/Fold ignores the case of ASCII letters", func(r right) storetest.Store { return altersWhere{r, func(c *store.Condition) { c.Fold = false }} }},
	{"minds no case", "Where/text is compared byte for byte", func(r right) storetest.Store { return altersWhere{r, func(c *store.Condition) { c.Fold = true }} }},
	{"takes not for yes", "Where/groups are combined with and, conditions with or", func(r right) storetest.Store { return altersWhere{r, func(c *store.Condition) { c.Not = false }} }},
	{"deletes in two steps", "DeleteUser/no reader sees half of it", func(r right) storetest.Store { return deletesInSteps{r} }},
	{"deletes the user alone", "DeleteUser/everything of the user ends and nothing else", func(r right) storetest.Store { return deletesAlone{r, map[string]bool{}} }},
	{"deletion rewrites history", "DeleteUser/what ended before stays as it was", func(r right) storetest.Store { return rewritesReasons{r} }},
}

type replacesAny struct{ right }

func (m replacesAny) ReplacePassword(ctx context.Context, id string, _ int64, hash string) (store.User, error) {
	if err := m.SetPasswordHash(ctx, id, hash); err != nil {
		return store.User{}, err
	}
	return m.UserByID(ctx, id)
}

type readsEpoch struct{ right }

func (m readsEpoch) ReplacePassword(ctx context.Context, id string, epoch int64, hash string) (store.User, error) {
	u, err := m.UserByID(ctx, id)
	if err == nil && u.Epoch != epoch {
		err = store.ErrConflict
	}
	if err != nil {
		return store.User{}, err
	}
	gap()
	return replacesAny(m).ReplacePassword(ctx, id, epoch, hash)
}

type trimsNames struct{ right }

func (m trimsNames) UserByName(ctx context.Context, name string) (store.User, error) {
	return m.Store.UserByName(ctx, strings.TrimRight(name, " "))
}

type keepsNanoseconds struct{ right }

func (m keepsNanoseconds) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	stored, err := m.Store.InsertUser(ctx, u)
	stored.Created = u.Created
	return stored, err
}

type reusesIDs struct{ right }

func (m reusesIDs) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	for n := 1; u.ID == ""; n++ {
		if _, err := m.UserByID(ctx, strconv.Itoa(n)); err != nil {
			u.ID = strconv.Itoa(n)
		}
	}
	return m.Store.InsertUser(ctx, u)
}

type forgivesTakenNames struct{ right }

func (m forgivesTakenNames) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	stored, err := m.Store.InsertUser(ctx, u)
	if errors.Is(err, store.ErrExists) {
		return m.UserByName(ctx, u.Name)
	}
	return stored, err
}

type hidesInactive struct{ right }

func (m hidesInactive) UserByName(ctx context.Context, name string) (store.User, error) {
	u, err := m.Store.UserByName(ctx, name)
	if err == nil && !u.Active {
		return store.User{}, store.ErrNotFound
	}
	return u, err
}

type absentHash struct{ right }

func (m absentHash) PasswordHash(ctx context.Context, id string) (string, error) {
	hash, err := m.Store.PasswordHash(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return hash, err
}

type updatesHalf struct{ right }

func (m updatesHalf) UpdateUser(ctx context.Context, u store.User) error {
	err := m.Store.UpdateUser(ctx, u)
	if errors.Is(err, store.ErrExists) {
		old, _ := m.UserByID(ctx, u.ID)
		u.Name = old.Name
		_ = m.Store.UpdateUser(ctx, u)
	}
	return err
}

type swapsAnyHash struct{ right }

func (m swapsAnyHash) SwapPasswordHash(ctx context.Context, id, prev, next string) error {
	hash, err := m.PasswordHash(ctx, id)
	if err != nil {
		return err
	}
	if !strings.EqualFold(hash, prev) {
		return store.ErrConflict
	}
	return m.Store.SwapPasswordHash(ctx, id, hash, next)
}

type readsThenSwaps struct{ right }

func (m readsThenSwaps) SwapPasswordHash(ctx context.Context, id, prev, next string) error {
	hash, err := m.PasswordHash(ctx, id)
	if err != nil {
		return err
	}
	if hash != prev {
		return store.ErrConflict
	}
	gap()
	for {
		if hash, err = m.PasswordHash(ctx, id); err != nil {
			return err
		}
		if err := m.Store.SwapPasswordHash(ctx, id, hash, next); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

type swapChangesEpoch struct{ right }

func (m swapChangesEpoch) SwapPasswordHash(ctx context.Context, id, prev, next string) error {
	if err := m.Store.SwapPasswordHash(ctx, id, prev, next); err != nil {
		return err
	}
	return m.SetPasswordHash(ctx, id, next)
}

type passwordWithoutEpoch struct{ right }

func (m passwordWithoutEpoch) SetPasswordHash(ctx context.Context, id, hash string) error {
	old, err := m.PasswordHash(ctx, id)
	if err != nil {
		return err
	}
	return m.Store.SwapPasswordHash(ctx, id, old, hash)
}

type updateIsEpoch struct{ right }

func (m updateIsEpoch) UpdateUser(ctx context.Context, u store.User) error {
	if err := m.Store.UpdateUser(ctx, u); err != nil {
		return err
	}
	hash, err := m.PasswordHash(ctx, u.ID)
	if err != nil {
		return err
	}
	return m.SetPasswordHash(ctx, u.ID, hash)
}

type readsThenChanges struct{ right }

func (m readsThenChanges) ChangeUser(ctx context.Context, id string, c store.UserChange) (store.User, error) {
	u, err := m.UserByID(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	gap()
	for _, text := range []struct{ to, from *string }{{&u.Name, c.Name}, {&u.Email, c.Email}, {&u.FirstName, c.FirstName}, {&u.LastName, c.LastName}} {
		if text.from != nil {
			*text.to = *text.from
		}
	}
	for _, flag := range []struct{ to, from *bool }{{&u.Admin, c.Admin}, {&u.Auditor, c.Auditor}, {&u.Active, c.Active}, {&u.Service, c.Service}} {
		if flag.from != nil {
			*flag.to = *flag.from
		}
	}
	if err := m.UpdateUser(ctx, u); err != nil {
		return store.User{}, err
	}
	return m.UserByID(ctx, id)
}

type altersWhere struct {
	right
	alter func(*store.Condition)
}

func (m altersWhere) ListUsers(ctx context.Context, f store.UserFilter, p store.Page) ([]store.User, int, error) {
	var w store.Where
	for _, group := range f.Where {
		group = slices.Clone(group)
		for i := range group {
			m.alter(&group[i])
		}
		w = append(w, group)
	}
	f.Where = w
	return m.Store.ListUsers(ctx, f, p)
}

type textOrder struct{ right }

func (m textOrder) ListUsers(ctx context.Context, f store.UserFilter, p store.Page) ([]store.User, int, error) {
	all, total, err := m.Store.ListUsers(ctx, f, store.Page{Limit: 1000})
	slices.SortFunc(all, func(a, b store.User) int { return strings.Compare(a.ID, b.ID) })
	return all[:min(len(all), max(p.Limit, 0))], total, err
}

type anyCase struct{ right }

func (m anyCase) ListUsers(ctx context.Context, f store.UserFilter, p store.Page) (list []store.User, total int, err error) {
	all, _, err := m.Store.ListUsers(ctx, store.UserFilter{}, store.Page{Limit: 1000})
	for _, u := range all {
		if strings.EqualFold(u.Name, f.Name) {
			list = append(list, u)
		}
	}
	return list, len(list), err
}

type deletesInSteps struct{ right }

func (m deletesInSteps) DeleteUser(ctx context.Context, id string, at time.Time) error {
	if _, err := m.RevokeTokens(ctx, store.Selection{UserID: id}, at); err != nil {
		return err
	}
	gap()
	return m.Store.DeleteUser(ctx, id, at)
}

// deletesAlone leaves tokens, codes and sessions to themselves.
type deletesAlone struct {
	right
	gone map[string]bool
}

func (m deletesAlone) DeleteUser(ctx context.Context, id string, at time.Time) error {
	if _, err := m.UserByID(ctx, id); err != nil {
		return err
	}
	m.gone[id] = true
	return nil
}

func (m deletesAlone) UserByID(ctx context.Context, id string) (store.User, error) {
	if m.gone[id] {
		return store.User{}, store.ErrNotFound
	}
	return m.Store.UserByID(ctx, id)
}

type rewritesReasons struct{ right }

func (m rewritesReasons) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	s, u, err := m.right.SessionByDigest(ctx, d)
	if u.ID == "" && !s.Ended.IsZero() {
		s.Reason = store.EndedAdmin
	}
	return s, u, err
}
