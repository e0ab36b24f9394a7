package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store"
)

// A sessionRow is a login session in the output.
type sessionRow struct {
	ID      int64  `json:"id"`
	User    string `json:"user"`
	Address string `json:"address"`
	Agent   string `json:"agent"`
	Created moment `json:"created"`
	Seen    moment `json:"seen"`
	Expires moment `json:"expires"`
}

const sessionHeader = "ID USER ADDRESS LOGIN SEEN EXPIRES BROWSER"

func (r sessionRow) cells() []string {
	return []string{strconv.FormatInt(r.ID, 10), r.User, r.Address, r.Created.String(), r.Seen.String(), r.Expires.String(), r.Agent}
}

func newSessionRow(v store.Session, user string) sessionRow {
	r := sessionRow{v.ID, user, "", v.Agent, moment(v.Created), moment(v.Seen), moment(v.Expires)}
	if v.Address.IsValid() {
		r.Address = v.Address.String()
	}
	return r
}

func (a *app) sessions() *cobra.Command {
	return a.group("session", "List and end login sessions", "Lists and ends login sessions.", a.sessionList(), a.sessionEnd())
}

func (a *app) sessionList() *cobra.Command {
	var w window
	var user, age string
	c := &cobra.Command{
		Use: "list", Short: "List live sessions, by login", Args: exactly(),
		Example: examples("ostiary session list", "ostiary session list --user erika", "ostiary session list --older-than 30d"),
		RunE: func(c *cobra.Command, _ []string) error {
			f := store.SessionFilter{All: true}
			if age != "" {
				d, err := duration("--older-than", age)
				if err != nil {
					return err
				}
				f.Before = time.Now().Add(-d)
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				names := userNames{}
				if c.Flags().Changed("user") {
					u, err := s.user(ctx, user)
					if err != nil {
						return err
					}
					f.UserID, names[u.ID] = u.ID, u.Name
				}
				list, err := collect(a, w, func(p store.Page) ([]store.Session, int, error) { return s.session.Search(ctx, s.by, f, p) })
				if err != nil {
					return err
				}
				rows := make([]row, len(list))
				for i, v := range list {
					name, err := names.of(ctx, s, v.UserID)
					if err != nil {
						return err
					}
					rows[i] = newSessionRow(v, name)
				}
				return a.list(sessionHeader, rows)
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "sessions of this `user`")
	c.Flags().StringVar(&age, "older-than", "", "sessions whose login is longer ago than this `time`")
	w.flags(c)
	return c
}

func (a *app) sessionEnd() *cobra.Command {
	var user string
	var everybody, sure bool
	c := &cobra.Command{
		Use: "end [ID...]", Short: "End sessions of a user, or all sessions of everybody", Args: cobra.ArbitraryArgs,
		Long:    "Ends sessions of a user: those with these IDs, or all of them. With --all it ends the\nsessions of all users, one user after the other; an interrupted command can be\nrepeated. An ended session is refused at its next request.",
		Example: examples("ostiary session end --user erika", "ostiary session end --user erika 12 13", "ostiary session end --all --yes"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case everybody && (user != "" || len(args) > 0):
				return usagef("give either --user, or --all")
			case !everybody && user == "":
				return usagef("name whose sessions to end: --user USER, with IDs for some of them, or --all")
			}
			for _, arg := range args {
				if _, err := number("session", arg); err != nil {
					return err
				}
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				if everybody {
					return a.endEverybody(ctx, s, sure)
				}
				return a.endSessions(ctx, s, user, args)
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "sessions of this `user`")
	c.Flags().BoolVar(&everybody, "all", false, "all sessions of all users")
	c.Flags().BoolVar(&sure, "yes", false, "do not ask, with --all")
	return c
}

// endSessions ends the sessions of a user with these IDs, or all of them.
func (a *app) endSessions(ctx context.Context, s *service, user string, ids []string) error {
	u, err := s.user(ctx, user)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		n, err := s.session.EndOthers(ctx, s.by, u.ID)
		if err != nil {
			return unfinished(err, "ended %s of %s before that", several(n, "session"), u.Name)
		}
		return a.done(map[string]any{"ended": n, "user": u.Name}, "Ended %s of %s.", several(n, "session"), u.Name)
	}
	return all(ids, func(arg string) error {
		id, err := number("session", arg)
		if err != nil {
			return err
		}
		if err := s.session.EndOne(ctx, s.by, u.ID, id); is404(err) {
			return missingf("%s has no session %d, or it has ended", u.Name, id)
		} else if err != nil {
			return err
		}
		return a.done(map[string]any{"ended": 1, "user": u.Name, "id": id}, "Ended the session %d of %s.", id, u.Name)
	})
}

// endEverybody ends all sessions, user by user, so that no step is large.
func (a *app) endEverybody(ctx context.Context, s *service, sure bool) error {
	if err := a.confirm(ctx, sure, "This logs all users out"); err != nil {
		return err
	}
	ended, users := 0, 0
	progress := a.counter("users")
	defer progress.clear()
	err := each(
		func(p store.Page) ([]store.User, int, error) {
			return s.accounts.List(ctx, s.by, store.UserFilter{}, p)
		},
		func(u store.User) error {
			n, err := s.session.EndOthers(ctx, s.by, u.ID)
			ended += n
			if n > 0 || err == nil {
				users++
			}
			progress.show(users)
			return err
		})
	progress.clear()
	if err != nil {
		return unfinished(err, "ended %s of %s before that", several(ended, "session"), several(users, "user"))
	}
	return a.done(map[string]any{"ended": ended, "users": users}, "Ended %s of %s.", several(ended, "session"), several(users, "user"))
}
