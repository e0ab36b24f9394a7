package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store"
)

// A tokenRow is a token in the output, without its text.
type tokenRow struct {
	ID            int64    `json:"id"`
	User          string   `json:"user"`
	Kind          string   `json:"kind"`
	ApplicationID int64    `json:"application_id,omitempty"`
	Scope         string   `json:"scope"`
	Description   string   `json:"description"`
	Addresses     []string `json:"addresses,omitempty"`
	ParentID      int64    `json:"parent_id,omitempty"`
	RootID        int64    `json:"root_id,omitempty"`
	Depth         int      `json:"depth,omitempty"`
	Created       moment   `json:"created"`
	Expires       moment   `json:"expires"`
	LastUsed      moment   `json:"last_used"`
	RefreshUntil  moment   `json:"refresh_until"`
}

func newTokenRow(t store.Token, user string) tokenRow {
	r := tokenRow{
		ID: t.ID, User: user, Kind: "personal", ApplicationID: t.ApplicationID, Scope: t.Scopes, Description: t.Description,
		ParentID: t.ParentID, RootID: t.RootID, Depth: t.Depth,
		Created: moment(t.Created), Expires: moment(t.Expires), LastUsed: moment(t.LastUsed), RefreshUntil: moment(t.Refresh.Expires),
	}
	if t.ApplicationID != 0 {
		r.Kind = "application"
	}
	for _, p := range t.Addresses {
		r.Addresses = append(r.Addresses, p.String())
	}
	return r
}

const tokenHeader = "ID USER KIND APPLICATION SCOPE EXPIRES LAST-USED DESCRIPTION"

func (t tokenRow) cells() []string {
	application := ""
	if t.ApplicationID != 0 {
		application = strconv.FormatInt(t.ApplicationID, 10)
	}
	expires := t.Expires.String()
	if !time.Time(t.Expires).After(time.Now()) {
		expires += " (over)"
	}
	return []string{strconv.FormatInt(t.ID, 10), t.User, t.Kind, application, t.Scope, expires, t.LastUsed.String(), t.Description}
}

func (a *app) tokens() *cobra.Command {
	return a.group("token", "Create, list and revoke access tokens", "Creates, lists and revokes access tokens.",
		a.tokenCreate(), a.tokenList(), a.tokenShow(), a.tokenRevoke())
}

func (a *app) tokenList() *cobra.Command {
	var w window
	var user, application, kind string
	var live bool
	c := &cobra.Command{
		Use: "list", Short: "List the tokens that are not revoked, by ID", Args: exactly(),
		Example: examples("ostiary token list --user erika", "ostiary token list --application 3 --live", "ostiary token list --kind personal -o json"),
		RunE: func(c *cobra.Command, _ []string) error {
			f := store.TokenFilter{}
			switch kind {
			case "":
			case "personal":
				f.Kind = store.PersonalToken
			case "application":
				f.Kind = store.ApplicationToken
			default:
				return usagef("--kind: must be personal or application")
			}
			if live {
				f.Where = append(f.Where, []store.Condition{{Column: store.ColumnExpires, Is: store.Greater, Values: []any{time.Now()}}})
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				if err := s.narrow(ctx, &f, user, application); err != nil {
					return err
				}
				list, err := collect(a, w, func(p store.Page) ([]store.Token, int, error) { return s.tokens.List(ctx, s.by, f, p) })
				if err != nil {
					return err
				}
				rows, names := make([]row, len(list)), make(userNames)
				for i, t := range list {
					name, err := names.of(ctx, s, t.UserID)
					if err != nil {
						return err
					}
					rows[i] = newTokenRow(t, name)
				}
				return a.list(tokenHeader, rows)
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "tokens of this `user`")
	c.Flags().StringVar(&application, "application", "", "tokens of this `application`")
	c.Flags().StringVar(&kind, "kind", "", "tokens of this `kind`: personal or application")
	c.Flags().BoolVar(&live, "live", false, "leave out tokens that have expired")
	complete(c, "kind", "personal", "application")
	w.flags(c)
	return c
}

// narrow sets the owner and the application of a filter.
func (s *service) narrow(ctx context.Context, f *store.TokenFilter, user, application string) error {
	if user != "" {
		u, err := s.user(ctx, user)
		if err != nil {
			return err
		}
		f.OwnerID = u.ID
	}
	if application != "" {
		app, err := s.application(ctx, application)
		if err != nil {
			return err
		}
		f.ApplicationID = app.ID
	}
	return nil
}

func (a *app) tokenShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a token, without its text", Args: exactly("ID"),
		Example: examples("ostiary token show 7"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := number("token", args[0])
			if err != nil {
				return err
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				t, err := s.tokens.Token(ctx, s.by, id)
				if err != nil {
					return noToken(id, err)
				}
				name, err := make(userNames).of(ctx, s, t.UserID)
				if err != nil {
					return err
				}
				r := newTokenRow(t, name)
				return a.card(r, tokenFields(r))
			})
		},
	}
}

func tokenFields(r tokenRow) []field {
	application, parent := "none", "none"
	if r.ApplicationID != 0 {
		application = strconv.FormatInt(r.ApplicationID, 10)
	}
	if r.ParentID != 0 {
		parent = strconv.FormatInt(r.ParentID, 10) + ", " + strconv.Itoa(r.Depth) + " below " + strconv.FormatInt(r.RootID, 10)
	}
	addresses := strings.Join(r.Addresses, " ")
	if addresses == "" {
		addresses = "any"
	}
	return []field{
		{"ID", strconv.FormatInt(r.ID, 10)}, {"User", r.User}, {"Kind", r.Kind}, {"Application", application}, {"Issued by", parent},
		{"Scope", r.Scope}, {"Addresses", addresses}, {"Description", r.Description},
		{"Created", r.Created.String()}, {"Expires", r.Expires.String()}, {"Refresh token", r.refresh()}, {"Last used", r.LastUsed.String()},
	}
}

func (r tokenRow) refresh() string {
	if time.Time(r.RefreshUntil).IsZero() {
		return "none"
	}
	return "until " + r.RefreshUntil.String()
}

// noToken says which token does not exist.
func noToken(id int64, err error) error {
	if is404(err) {
		return missingf("there is no token %d, or it is revoked", id)
	}
	return err
}

func (a *app) tokenRevoke() *cobra.Command {
	var user, application string
	var everything, tree, sure bool
	c := &cobra.Command{
		Use: "revoke [ID...]", Short: "Revoke tokens: by ID, of a user, of an application, or all",
		Long: "Revokes tokens with their refresh tokens. When the command ends they are refused\neverywhere, however many they are. Tokens that a revoked token has issued end with it,\nunless the service lets them live on; --tree ends those, too.",
		Args: cobra.ArbitraryArgs,
		Example: examples("ostiary token revoke 7 9", "ostiary token revoke 7 --tree", "ostiary token revoke --user erika",
			"ostiary token revoke --application 3", "ostiary token revoke --user erika --application 3", "ostiary token revoke --all --yes"),
		RunE: func(c *cobra.Command, args []string) error {
			selected := user != "" || application != ""
			switch {
			case len(args) == 0 && !selected && !everything:
				return usagef("name what to revoke: IDs of tokens, --user, --application or --all")
			case len(args) > 0 && (selected || everything), selected && everything:
				return usagef("give either IDs, or --user and --application, or --all")
			case tree && len(args) == 0:
				return usagef("--tree needs the IDs of tokens")
			}
			ids := make([]int64, len(args))
			for i, arg := range args {
				var err error
				if ids[i], err = number("token", arg); err != nil {
					return err
				}
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				switch {
				case everything:
					return a.revokeAll(ctx, s, sure)
				case selected:
					return a.revokeSelected(ctx, s, user, application)
				}
				return all(args, func(arg string) error {
					id, _ := number("token", arg) // read above
					end := s.tokens.End
					if tree {
						end = s.tokens.EndTree
					}
					if err := end(ctx, s.by, id); err != nil {
						return noToken(id, err)
					}
					return a.done(map[string]any{"revoked": "token", "id": id, "tree": tree}, "Revoked the token %d.", id)
				})
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "all tokens of this `user`")
	c.Flags().StringVar(&application, "application", "", "all tokens of this `application`; with --user those of the user")
	c.Flags().BoolVar(&everything, "all", false, "all tokens of all users and applications")
	c.Flags().BoolVar(&tree, "tree", false, "end all tokens that these have issued, too")
	c.Flags().BoolVar(&sure, "yes", false, "do not ask, with --all")
	return c
}

func (a *app) revokeAll(ctx context.Context, s *service, sure bool) error {
	_, n, err := s.tokens.List(ctx, s.by, store.TokenFilter{}, store.Page{})
	if err != nil {
		return err
	}
	if err := a.confirm(ctx, sure, "This revokes all tokens of all users and applications, "+count(n)+" of them"); err != nil {
		return err
	}
	if err := s.tokens.EndSelected(ctx, s.by, store.Selection{All: true}); err != nil {
		return err
	}
	return a.done(map[string]any{"revoked": "all"}, "Revoked all tokens.")
}

func (a *app) revokeSelected(ctx context.Context, s *service, user, application string) error {
	var f store.TokenFilter
	if err := s.narrow(ctx, &f, user, application); err != nil {
		return err
	}
	if err := s.tokens.EndSelected(ctx, s.by, store.Selection{UserID: f.OwnerID, ApplicationID: f.ApplicationID}); err != nil {
		return err
	}
	of := map[string]any{"revoked": "selected"}
	var words []string
	if user != "" {
		of["user"], words = user, append(words, "of the user "+user)
	}
	if application != "" {
		of["application_id"], words = f.ApplicationID, append(words, "of the application "+application)
	}
	return a.done(of, "Revoked all tokens %s.", strings.Join(words, " "))
}
