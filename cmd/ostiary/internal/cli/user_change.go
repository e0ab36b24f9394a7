package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// A newPassword says where a password comes from.
type newPassword struct {
	stdin, generate bool
	minLength       int
}

func (p *newPassword) flags(c *cobra.Command) {
	c.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input, in place of a prompt")
	c.Flags().BoolVar(&p.generate, "generate", false, "make a password and show it once")
	c.Flags().IntVar(&p.minLength, "min-length", 0, "length of the shortest `password` that is accepted, in characters, at least 8 (default 15)")
	either(c, "password-stdin", "generate")
}

// get returns the password.
func (p *newPassword) get(ctx context.Context, a *app, s *service) (string, error) {
	if p.generate {
		return rand.Text(), nil // 26 letters and digits with 128 bits
	}
	return a.password(ctx, p.stdin, s.accounts.MinPasswordLength())
}

// shown returns a password that was made here, for the one output that shows it.
func (p *newPassword) shown(password string) string {
	if p.generate {
		return password
	}
	return ""
}

// A userAndPassword is a user with a password that is shown once.
type userAndPassword struct {
	userRow
	Password string `json:"password,omitempty"`
}

func (a *app) showUser(u store.User, password string) error {
	d := userAndPassword{newUserRow(u), password}
	fields := userFields(d.userRow)
	if password != "" {
		fields = append(fields, field{"Password", password + "   (shown only now)"})
	}
	return a.card(d, fields)
}

func (a *app) userCreate() *cobra.Command {
	var u store.User
	var p newPassword
	var disabled bool
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a user", Args: exactly("NAME"),
		Long: "Creates a user. The password is asked for, without an echo, or read from standard\ninput, or made. No flag takes it, because other users of the system see flags.\n\nA service account is a program: it has no password, never logs in, and acts by the\ntokens of ostiary token create.",
		Example: examples("ostiary user create erika --email erika@example.com", "ostiary user create root --superuser --generate",
			"ostiary user create erika --password-stdin <password-file", "ostiary user create backup --service"),
		RunE: func(c *cobra.Command, args []string) error {
			if u.Service && (p.stdin || p.generate) {
				return usagef("--service: a service account has no password")
			}
			u.Name, u.Active = args[0], !disabled
			return a.with(c, settings{minLength: p.minLength}, func(ctx context.Context, s *service) error {
				if _, err := s.UserByName(ctx, u.Name); err == nil { // before anybody types a password
					return refusedf("a user with the name %s exists already", u.Name)
				}
				password := ""
				if !u.Service {
					var err error
					if password, err = p.get(ctx, a, s); err != nil {
						return err
					}
				}
				created, err := s.accounts.Create(ctx, s.by, u, password)
				if err != nil {
					return err
				}
				return a.showUser(created, p.shown(password))
			})
		},
	}
	c.Flags().StringVar(&u.Email, "email", "", "`address` for mail")
	c.Flags().StringVar(&u.FirstName, "first-name", "", "first `name`")
	c.Flags().StringVar(&u.LastName, "last-name", "", "last `name`")
	c.Flags().BoolVar(&u.Admin, "superuser", false, "let the user do everything")
	c.Flags().BoolVar(&u.Auditor, "auditor", false, "let the user read everything")
	c.Flags().BoolVar(&disabled, "disabled", false, "let the user not log in yet")
	c.Flags().BoolVar(&u.Service, "service", false, "make a service account, which has no password and never logs in")
	p.flags(c)
	return c
}

func (a *app) userDisable() *cobra.Command {
	return a.userState("disable USER...", "Disable users: no login, and all their tokens and sessions are refused", false,
		"ostiary user disable erika", "ostiary user disable erika id:7")
}

func (a *app) userEnable() *cobra.Command {
	return a.userState("enable USER...", "Enable users again; their sessions stay ended, their tokens count again", true,
		"ostiary user enable erika")
}

func (a *app) userState(use, short string, active bool, example ...string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: some("USER"), Example: examples(example...),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeUsers(c, args, func(u store.User) (store.UserChange, string) {
				if u.Active == active {
					return store.UserChange{}, newUserRow(u).state() + " already"
				}
				return store.UserChange{Active: &active}, ""
			})
		},
	}
}

func (a *app) userService() *cobra.Command {
	return &cobra.Command{
		Use: "service USER...", Short: "Make users service accounts, which have no password and never log in", Args: some("USER"),
		Long:    "Makes users service accounts. Their password is removed, and their sessions and the\naccess of applications end; their personal tokens go on. The way back is\nostiary user password --person. The last active superuser stays a person.",
		Example: examples("ostiary user service backup"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeUsers(c, args, func(u store.User) (store.UserChange, string) {
				if u.Service {
					return store.UserChange{}, "a service account already"
				}
				return store.UserChange{Service: new(true)}, ""
			})
		},
	}
}

func (a *app) userAdmin() *cobra.Command {
	var revoke, auditor bool
	c := &cobra.Command{
		Use: "admin USER...", Short: "Make users superusers, or take that right back", Args: some("USER"),
		Long:    "Makes users superusers, who may do everything. With --auditor it makes them system\nauditors, who may read everything. The last active superuser stays one.",
		Example: examples("ostiary user admin erika", "ostiary user admin erika --revoke", "ostiary user admin max --auditor"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeUsers(c, args, func(u store.User) (store.UserChange, string) {
				grant, have, change := !revoke, u.Admin, store.UserChange{}
				if auditor {
					have, change.Auditor = u.Auditor, &grant
				} else {
					change.Admin = &grant
				}
				if have == grant {
					return store.UserChange{}, "so already"
				}
				return change, ""
			})
		},
	}
	c.Flags().BoolVar(&revoke, "revoke", false, "take the right back")
	c.Flags().BoolVar(&auditor, "auditor", false, "the right to read everything, in place of that to do everything")
	return c
}

// changeUsers changes users and lists them. Change says what to change about one, or
// why there is nothing to change.
func (a *app) changeUsers(c *cobra.Command, names []string, change func(store.User) (store.UserChange, string)) error {
	return a.with(c, settings{}, func(ctx context.Context, s *service) error {
		var rows []row
		err := all(names, func(name string) error {
			u, err := s.user(ctx, name)
			if err != nil {
				return err
			}
			if what, why := change(u); why != "" {
				a.note("%s is %s.", u.Name, why)
			} else if u, err = s.accounts.Change(ctx, s.by, u.ID, auth.AccountChange{UserChange: what}); err != nil {
				return err
			}
			rows = append(rows, newUserRow(u))
			return nil
		})
		if len(rows) > 0 {
			if err := a.list(userHeader, rows); err != nil {
				return err
			}
		}
		return err
	})
}

func (a *app) userDelete() *cobra.Command {
	var sure bool
	c := &cobra.Command{
		Use: "delete USER...", Short: "Delete users with all their sessions, tokens and consents", Args: some("USER"),
		Long:    "Deletes users with all their sessions, tokens and consents. This cannot be undone; to\nlock users out, disable them. The last active superuser stays. On a terminal the\ncommand asks for each user.",
		Example: examples("ostiary user delete erika", "ostiary user delete erika id:7 --yes"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				return all(args, func(name string) error {
					u, err := s.user(ctx, name)
					if err != nil {
						return err
					}
					what := fmt.Sprintf("This deletes the user %q with all sessions, tokens and consents", u.Name)
					if err := a.confirmNamed(ctx, sure, what); err != nil {
						return err
					}
					if err := s.accounts.Delete(ctx, s.by, u.ID); is[*auth.Error](err) {
						return err
					} else if err != nil {
						return unfinished(err, "%s may be disabled by now, and some sessions and tokens ended", u.Name)
					}
					return a.done(map[string]string{"deleted": u.Name, "id": u.ID}, "Deleted the user %s.", u.Name)
				})
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "do not ask")
	return c
}

func (a *app) userPassword() *cobra.Command {
	var p newPassword
	var endTokens, person bool
	c := &cobra.Command{
		Use: "password USER", Short: "Give a user a new password, which ends all sessions of the user", Args: exactly("USER"),
		Long: "Gives a user a new password and ends all sessions of the user. This is also the way\nback in for a superuser who is locked out. Tokens go on, unless --end-tokens is given\nor the service ends them with the password. A service account gets a password only\ntogether with --person, which makes it a person.",
		Example: examples("ostiary user password admin", "ostiary user password erika --generate --end-tokens",
			"ostiary user password erika --password-stdin <password-file", "ostiary user password backup --person --generate"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.setPassword(c, args[0], p, endTokens, person)
		},
	}
	c.Flags().BoolVar(&endTokens, "end-tokens", false, "end the tokens of the user, too")
	c.Flags().BoolVar(&person, "person", false, "make a service account a person, who logs in with the password")
	p.flags(c)
	return c
}

func (a *app) setPassword(c *cobra.Command, name string, p newPassword, endTokens, person bool) error {
	return a.with(c, settings{minLength: p.minLength}, func(ctx context.Context, s *service) error {
		u, err := s.user(ctx, name)
		if err != nil {
			return err
		}
		change := auth.AccountChange{}
		switch {
		case person:
			change.Service = new(false)
		case u.Service: // before anybody types a password
			return refusedf("%s is a service account and has no password; --person makes it a person", u.Name)
		}
		password, err := p.get(ctx, a, s)
		if err != nil {
			return err
		}
		change.Password = &password
		if u, err = s.accounts.Change(ctx, s.by, u.ID, change); err != nil {
			return err
		}
		if endTokens { // what comes before an error is done, and a password that was made is shown once
			if err = s.tokens.EndSelected(ctx, s.by, store.Selection{UserID: u.ID}); err != nil {
				err = errors.Join(err, fmt.Errorf("the password is changed, but the tokens may go on; to end them: ostiary token revoke --user %s", u.Name))
			}
		}
		if !u.Active {
			a.note("%s is disabled and cannot log in; ostiary user enable %s changes that.", u.Name, u.Name)
		}
		if p.generate {
			return errors.Join(err, a.showUser(u, password))
		}
		return errors.Join(err, a.done(newUserRow(u), "Changed the password of %s and ended all sessions.", u.Name))
	})
}
