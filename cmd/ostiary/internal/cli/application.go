package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// An applicationRow is an application in the output, without its secret.
type applicationRow struct {
	ID             int64    `json:"id"`
	ClientID       string   `json:"client_id"`
	Name           string   `json:"name"`
	Description    string   `json:"description"`
	OrganizationID int64    `json:"organization_id"`
	ClientType     string   `json:"client_type"`
	GrantType      string   `json:"grant_type"`
	RedirectURIs   []string `json:"redirect_uris"`
	SkipConsent    bool     `json:"skip_consent"`
	RequirePKCE    bool     `json:"require_pkce"`
	Disabled       bool     `json:"disabled"`
	Created        moment   `json:"created"`
	Modified       moment   `json:"modified"`
}

func newApplicationRow(v store.Application) applicationRow {
	r := applicationRow{
		v.ID, v.ClientID, v.Name, v.Description, v.OrganizationID, oauth.ClientPublic, v.GrantType, append([]string{}, v.RedirectURIs...),
		v.SkipConsent, v.RequirePKCE, v.Disabled, moment(v.Created), moment(v.Modified),
	}
	if v.Confidential {
		r.ClientType = oauth.ClientConfidential
	}
	return r
}

const applicationHeader = "ID NAME CLIENT-ID ORGANIZATION TYPE GRANT STATE"

func (r applicationRow) cells() []string {
	return []string{strconv.FormatInt(r.ID, 10), r.Name, r.ClientID, strconv.FormatInt(r.OrganizationID, 10), r.ClientType, r.GrantType, r.state()}
}

func (r applicationRow) state() string {
	if r.Disabled {
		return "disabled"
	}
	return "enabled"
}

func (r applicationRow) fields() []field {
	return []field{
		{"ID", strconv.FormatInt(r.ID, 10)}, {"Name", r.Name}, {"Description", r.Description}, {"Organization", strconv.FormatInt(r.OrganizationID, 10)},
		{"Client type", r.ClientType}, {"Grant type", r.GrantType}, {"Redirect URIs", strings.Join(r.RedirectURIs, " ")},
		{"Skip consent", yes(r.SkipConsent)}, {"Require PKCE", yes(r.RequirePKCE)}, {"State", r.state()},
		{"Created", r.Created.String()}, {"Modified", r.Modified.String()}, {"Client ID", r.ClientID},
	}
}

func (a *app) applications() *cobra.Command {
	return a.group("application", "Create, list, change and delete OAuth applications", "Creates, lists, changes and deletes OAuth applications.",
		a.applicationCreate(), a.applicationList(), a.applicationShow(), a.applicationSecret(), a.applicationDisable(), a.applicationEnable(), a.applicationDelete())
}

func (a *app) applicationList() *cobra.Command {
	var w window
	var organization int64
	var search string
	c := &cobra.Command{
		Use: "list", Short: "List applications, by ID, those of an organization by name", Args: exactly(),
		Example: examples("ostiary application list", "ostiary application list --organization 2 -o json"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, order := store.ApplicationFilter{Search: search}, store.OrderID
			if organization != 0 { // the order that any number of them has, see store.Page
				f.Organizations, order = []int64{organization}, store.OrderOrganization
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				list, err := collect(a, w, func(p store.Page) ([]store.Application, int, error) {
					p.Order = order
					return s.server.ListApplications(ctx, s.by, f, p)
				})
				if err != nil {
					return err
				}
				rows := make([]row, len(list))
				for i, v := range list {
					rows[i] = newApplicationRow(v)
				}
				return a.list(applicationHeader, rows)
			})
		},
	}
	c.Flags().Int64Var(&organization, "organization", 0, "applications of the organization with this `ID`")
	c.Flags().StringVar(&search, "search", "", "`text` in the name or the description")
	w.flags(c)
	return c
}

func (a *app) applicationShow() *cobra.Command {
	return &cobra.Command{
		Use: "show APPLICATION", Short: "Show an application, without its secret", Args: exactly("APPLICATION"),
		Example: examples("ostiary application show 3", "ostiary application show \"My Application\" -o json"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				v, err := s.application(ctx, args[0])
				if err != nil {
					return err
				}
				r := newApplicationRow(v)
				return a.card(r, r.fields())
			})
		},
	}
}

func (a *app) applicationDisable() *cobra.Command {
	return a.applicationState("disable APPLICATION...", "Disable applications: their tokens end and they get no new ones", true, "ostiary application disable 3")
}

func (a *app) applicationEnable() *cobra.Command {
	return a.applicationState("enable APPLICATION...", "Enable applications again; tokens from before stay ended", false, "ostiary application enable 3")
}

func (a *app) applicationState(use, short string, disabled bool, example string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: some("APPLICATION"), Example: examples(example),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				var rows []row
				err := all(args, func(name string) error {
					v, err := s.application(ctx, name)
					if err != nil {
						return err
					}
					if v.Disabled == disabled {
						a.note("%s is %s already.", v.Name, newApplicationRow(v).state())
					} else if v, err = s.server.ChangeApplication(ctx, s.by, v.ID, oauth.ApplicationChange{Disabled: &disabled}); err != nil {
						return err
					}
					rows = append(rows, newApplicationRow(v))
					return nil
				})
				if len(rows) > 0 {
					if err := a.list(applicationHeader, rows); err != nil {
						return err
					}
				}
				return err
			})
		},
	}
}

func (a *app) applicationDelete() *cobra.Command {
	var sure bool
	c := &cobra.Command{
		Use: "delete APPLICATION...", Short: "Delete applications with all their tokens and consents", Args: some("APPLICATION"),
		Long:    "Deletes applications with all their tokens and consents. This cannot be undone; to\nlock an application out, disable it. On a terminal the command asks for each\napplication.",
		Example: examples("ostiary application delete 3", "ostiary application delete 3 4 --yes"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				return all(args, func(name string) error {
					v, err := s.application(ctx, name)
					if err != nil {
						return err
					}
					what := fmt.Sprintf("This deletes the application %q, %d, with all its tokens and consents", v.Name, v.ID)
					if err := a.confirmNamed(ctx, sure, what); err != nil {
						return err
					}
					if err := s.server.DeleteApplication(ctx, s.by, v.ID); err != nil {
						return err
					}
					return a.done(map[string]any{"deleted": v.Name, "id": v.ID}, "Deleted the application %s.", v.Name)
				})
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "do not ask")
	return c
}
