package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store"
)

// user returns the user with that name, or the one that id:NUMBER names.
func (s *service) user(ctx context.Context, name string) (store.User, error) {
	u, err := s.UserByName(ctx, name)
	if id, ok := strings.CutPrefix(name, "id:"); ok && errors.Is(err, store.ErrNotFound) {
		u, err = s.UserByID(ctx, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return u, missingf("there is no user %q; names count letter for letter, see ostiary user list", name)
	}
	return u, err
}

// userNames returns the names of users by their ID, as far as they exist. A user who
// does not exist any more has the ID for a name.
type userNames map[string]string

func (n userNames) of(ctx context.Context, s *service, id string) (string, error) {
	if name, ok := n[id]; ok || id == "" {
		return name, nil
	}
	u, err := s.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		u.Name, err = "id:"+id, nil
	}
	if err == nil {
		n[id] = u.Name
	}
	return u.Name, err
}

// application returns the application with that ID, client ID or name.
func (s *service) application(ctx context.Context, name string) (store.Application, error) {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		if app, err := s.ApplicationByID(ctx, id); !errors.Is(err, store.ErrNotFound) {
			return app, err
		}
	}
	if app, err := s.ApplicationByClientID(ctx, name); !errors.Is(err, store.ErrNotFound) {
		return app, err
	}
	list, _, err := s.ListApplications(ctx, store.ApplicationFilter{All: true, Name: name}, store.Page{Limit: 2, CountTo: -1})
	switch {
	case err != nil:
		return store.Application{}, err
	case len(list) == 0 || name == "":
		return store.Application{}, missingf("there is no application %q; give its ID, its client ID or its name, see ostiary application list", name)
	case len(list) > 1:
		return store.Application{}, refusedf("several applications are called %q; give the ID of one: %d, %d …", name, list[0].ID, list[1].ID)
	}
	return list[0], nil
}

// number reads the ID of a token or a session.
func number(what, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef("%q is not the ID of a %s, which is a number; see ostiary %s list", text, what, what)
	}
	return id, nil
}

const (
	// pageSize is how many records are read at a time.
	pageSize = 500
	maxLimit = 100_000
)

// A window is the part of a list that is shown.
type window struct{ limit, offset int }

func (w *window) flags(c *cobra.Command) {
	c.Flags().IntVar(&w.limit, "limit", 100, "at most so many `lines`")
	c.Flags().IntVar(&w.offset, "offset", 0, "leave out so many `lines` at the beginning")
}

func (w *window) check() error {
	if w.limit < 1 || w.limit > maxLimit {
		return usagef("--limit: must be between 1 and %d", maxLimit)
	}
	if w.offset < 0 {
		return usagef("--offset: must not be negative")
	}
	return nil
}

// collect reads the window of a list, page by page, and tells if there is more.
func collect[T any](a *app, w window, read func(store.Page) ([]T, int, error)) ([]T, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	var all []T
	for next := w.offset; len(all) < w.limit; {
		p := store.Page{Offset: next, Limit: min(pageSize, w.limit-len(all)), CountTo: -1}
		next += p.Limit // though a page may be shorter
		list, total, err := read(p)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if total <= p.Offset+p.Limit {
			return all, nil
		}
	}
	a.note("There are more than these %d; --limit and --offset show others.", len(all))
	return all, nil
}

// each calls do for every record of a list. Do must not change what is listed.
func each[T any](read func(store.Page) ([]T, int, error), do func(T) error) error {
	for offset := 0; ; offset += pageSize {
		list, total, err := read(store.Page{Offset: offset, Limit: pageSize, CountTo: -1})
		if err != nil {
			return err
		}
		for _, v := range list {
			if err := do(v); err != nil {
				return err
			}
		}
		if total <= offset+pageSize {
			return nil
		}
	}
}

// all calls do for each name, and goes on after a name that fails.
func all(names []string, do func(string) error) error {
	var errs []error
	for _, name := range names {
		if err := do(name); err != nil {
			if len(names) > 1 {
				err = named{name, err}
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// named is an error about one of several.
type named struct {
	name string
	err  error
}

func (e named) Error() string {
	return fmt.Sprintf("%s: %s", e.name, strings.Join(sentences(e.err), " "))
}
func (e named) Unwrap() error { return e.err }

// unfinished adds to an error what was done before it. The command goes on from there
// when it is run again.
func unfinished(err error, form string, args ...any) error {
	return errors.Join(err, fmt.Errorf(form+"; run the same command again to go on", args...))
}
