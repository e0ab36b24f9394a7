package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store"
)

// A userRow is a user in the output.
type userRow struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Superuser bool   `json:"superuser"`
	Auditor   bool   `json:"auditor"`
	Active    bool   `json:"active"`
	Service   bool   `json:"service_account"`
	Created   moment `json:"created"`
}

func newUserRow(u store.User) userRow {
	return userRow{u.ID, u.Name, u.Email, u.FirstName, u.LastName, u.Admin, u.Auditor, u.Active, u.Service, moment(u.Created)}
}

const userHeader = "ID NAME KIND EMAIL RIGHTS STATE CREATED"

func (u userRow) cells() []string {
	return []string{u.ID, u.Name, u.kind(), u.Email, u.rights(), u.state(), u.Created.String()}
}

func (u userRow) kind() string {
	if u.Service {
		return "service"
	}
	return "person"
}

func (u userRow) rights() string {
	return flagsOf(map[string]bool{"superuser": u.Superuser, "auditor": u.Auditor}, "superuser", "auditor")
}

func (u userRow) state() string {
	if u.Active {
		return "active"
	}
	return "disabled"
}

func (a *app) users() *cobra.Command {
	return a.group("user", "Create, list, change and delete users", "Creates, lists, changes and deletes users.",
		a.userCreate(), a.userList(), a.userShow(), a.userDisable(), a.userEnable(), a.userDelete(), a.userPassword(), a.userAdmin(), a.userService())
}

func (a *app) userList() *cobra.Command {
	var w window
	var superuser, auditor, active, disabled, services bool
	var search string
	c := &cobra.Command{
		Use: "list", Short: "List users, by ID", Args: exactly(),
		Example: examples("ostiary user list", "ostiary user list --superuser", "ostiary user list --service", "ostiary user list --search example.com -o json"),
		RunE: func(c *cobra.Command, _ []string) error {
			var f store.UserFilter
			is := func(flag bool, column store.Column, value bool) {
				if flag {
					f.Where = append(f.Where, []store.Condition{{Column: column, Values: []any{value}}})
				}
			}
			is(superuser, store.ColumnAdmin, true)
			is(auditor, store.ColumnAuditor, true)
			is(active, store.ColumnActive, true)
			is(disabled, store.ColumnActive, false)
			is(services, store.ColumnService, true)
			if search != "" {
				var parts []store.Condition
				for _, column := range []store.Column{store.ColumnName, store.ColumnEmail, store.ColumnFirstName, store.ColumnLastName} {
					parts = append(parts, store.Condition{Column: column, Is: store.Contains, Values: []any{search}, Fold: true})
				}
				f.Where = append(f.Where, parts)
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				list, err := collect(a, w, func(p store.Page) ([]store.User, int, error) { return s.accounts.List(ctx, s.by, f, p) })
				if err != nil {
					return err
				}
				rows := make([]row, len(list))
				for i, u := range list {
					rows[i] = newUserRow(u)
				}
				return a.list(userHeader, rows)
			})
		},
	}
	c.Flags().BoolVar(&superuser, "superuser", false, "superusers only")
	c.Flags().BoolVar(&auditor, "auditor", false, "system auditors only")
	c.Flags().BoolVar(&active, "active", false, "active users only")
	c.Flags().BoolVar(&disabled, "disabled", false, "disabled users only")
	c.Flags().BoolVar(&services, "service", false, "service accounts only")
	either(c, "active", "disabled")
	c.Flags().StringVar(&search, "search", "", "`text` in the name, the address, the first or the last name")
	w.flags(c)
	return c
}

// userDetail is a user with what the user has.
type userDetail struct {
	userRow
	HasPassword bool `json:"has_password"`
	Tokens      int  `json:"tokens"`
	Sessions    int  `json:"sessions"`
	Consents    int  `json:"consents"`
}

func (a *app) userShow() *cobra.Command {
	return &cobra.Command{
		Use: "show USER", Short: "Show a user, and how many tokens, sessions and consents the user has", Args: exactly("USER"),
		Example: examples("ostiary user show erika", "ostiary user show id:1 -o json"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				u, err := s.user(ctx, args[0])
				if err != nil {
					return err
				}
				d := userDetail{userRow: newUserRow(u)}
				hash, err := s.PasswordHash(ctx, u.ID)
				if err != nil {
					return err
				}
				d.HasPassword = hash != ""
				if _, d.Tokens, err = s.tokens.List(ctx, s.by, store.TokenFilter{OwnerID: u.ID}, store.Page{}); err != nil {
					return err
				}
				if _, d.Sessions, err = s.session.List(ctx, s.by, u.ID, store.Page{}); err != nil {
					return err
				}
				if _, d.Consents, err = s.server.ListConsentsOf(ctx, s.by, u.ID, store.Page{}); err != nil {
					return err
				}
				return a.card(d, append(userFields(d.userRow),
					field{"Password", yes(d.HasPassword)}, field{"Tokens", count(d.Tokens)},
					field{"Sessions", count(d.Sessions)}, field{"Consents", count(d.Consents)}))
			})
		},
	}
}

func userFields(u userRow) []field {
	return []field{
		{"ID", u.ID}, {"Name", u.Name}, {"Kind", u.kind()}, {"Email", u.Email}, {"First name", u.FirstName}, {"Last name", u.LastName},
		{"Superuser", yes(u.Superuser)}, {"Auditor", yes(u.Auditor)}, {"State", u.state()}, {"Created", u.Created.String()},
	}
}
