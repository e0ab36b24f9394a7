package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth/store"
)

// A consentRow is the consent of a user to an application in the output.
type consentRow struct {
	User          string `json:"user"`
	ApplicationID int64  `json:"application_id"`
	Application   string `json:"application"`
	Scope         string `json:"scope"`
	Audience      string `json:"audience"`
	RedirectURI   string `json:"redirect_uri"`
	Created       moment `json:"created"`
	Counts        bool   `json:"counts"`
}

const consentHeader = "USER ID APPLICATION SCOPE CREATED COUNTS REDIRECT-URI"

func (r consentRow) cells() []string {
	return []string{r.User, strconv.FormatInt(r.ApplicationID, 10), r.Application, r.Scope, r.Created.String(), yes(r.Counts), r.RedirectURI}
}

func (a *app) consents() *cobra.Command {
	return a.group("consent", "List and withdraw the consents of users to applications", "Lists and withdraws the consents of users to applications.",
		a.consentList(), a.consentWithdraw())
}

func (a *app) consentList() *cobra.Command {
	var w window
	var user string
	c := &cobra.Command{
		Use: "list", Short: "List what a user has consented to, by application", Args: exactly(),
		Long:    "Lists what a user has consented to. A consent no longer counts once the application\nhas changed in what the user agreed to.",
		Example: examples("ostiary consent list --user erika"),
		RunE: func(c *cobra.Command, _ []string) error {
			if user == "" {
				return usagef("--user is missing: %s --user USER", c.CommandPath())
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				u, err := s.user(ctx, user)
				if err != nil {
					return err
				}
				list, err := collect(a, w, func(p store.Page) ([]store.Consent, int, error) { return s.server.ListConsentsOf(ctx, s.by, u.ID, p) })
				if err != nil {
					return err
				}
				rows := make([]row, len(list))
				for i, v := range list {
					app, err := s.server.Application(ctx, s.by, v.ApplicationID)
					if err != nil && !is404(err) {
						return err
					}
					rows[i] = consentRow{u.Name, v.ApplicationID, app.Name, v.Scopes, v.Audience, v.RedirectURI, moment(v.Created), v.ApplicationEpoch == app.Epoch}
				}
				return a.list(consentHeader, rows)
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "`user` whose consents are listed (required)")
	w.flags(c)
	return c
}

func (a *app) consentWithdraw() *cobra.Command {
	var user, application string
	c := &cobra.Command{
		Use: "withdraw", Short: "Withdraw the consent of a user to an application, and end its tokens of the user", Args: exactly(),
		Example: examples("ostiary consent withdraw --user erika --application 3"),
		RunE: func(c *cobra.Command, _ []string) error {
			if user == "" || application == "" {
				return usagef("--user or --application is missing: %s --user USER --application APPLICATION", c.CommandPath())
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				u, err := s.user(ctx, user)
				if err != nil {
					return err
				}
				app, err := s.application(ctx, application)
				if err != nil {
					return err
				}
				if err := s.server.WithdrawConsentOf(ctx, s.by, u.ID, app.ID); err != nil {
					return err
				}
				return a.done(map[string]any{"withdrawn": true, "user": u.Name, "application_id": app.ID},
					"Withdrew the consent of %s to %s and ended its tokens of %s.", u.Name, app.Name, u.Name)
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "`user` who consented (required)")
	c.Flags().StringVar(&application, "application", "", "`application` that was consented to (required)")
	return c
}
