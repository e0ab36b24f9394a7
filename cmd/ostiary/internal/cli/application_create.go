package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// An issuedApplication is an application with its secret.
type issuedApplication struct {
	ClientSecret string `json:"client_secret,omitempty"`
	applicationRow
}

func (a *app) showIssued(v oauth.IssuedApplication, quiet bool) error {
	secret := v.ClientSecret.Reveal()
	if quiet {
		_, err := fmt.Fprintln(a.Out, secret)
		return err
	}
	r := newApplicationRow(v.Application)
	fields := r.fields()
	if secret != "" {
		fields = append(fields, field{"Client secret", secret + "   (shown only now)"})
	}
	return a.card(issuedApplication{secret, r}, fields)
}

const deviceCode = "device-code"

func (a *app) applicationCreate() *cobra.Command {
	var req oauth.ApplicationRequest
	var where redirects
	var pkce bool
	c := &cobra.Command{
		Use: "create NAME", Short: "Register an application, and show its secret once", Args: exactly("NAME"),
		Long: "Registers an application. The secret of a confidential one is shown once: it is stored\nnowhere. The service decides which organizations there are; the command takes any ID.",
		Example: examples("ostiary application create \"My Application\" --redirect-uri https://app.example/callback",
			"ostiary application create cli --client-type public --redirect-uri http://127.0.0.1/callback",
			"ostiary application create batch --grant-type client-credentials -o json"),
		RunE: func(c *cobra.Command, args []string) error {
			req.Name = args[0]
			if pkce {
				req.RequirePKCE = &pkce
			}
			if req.GrantType == deviceCode {
				req.GrantType = oauth.GrantDeviceCode
			}
			return a.with(c, settings{redirects: where}, func(ctx context.Context, s *service) error {
				v, err := s.server.CreateApplication(ctx, s.by, req)
				if err != nil {
					return err
				}
				return a.showIssued(v, false)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&req.ClientType, "client-type", oauth.ClientConfidential, "`type`: confidential, or public for a client that keeps no secret")
	f.StringVar(&req.GrantType, "grant-type", oauth.GrantAuthorizationCode, "`type`: authorization-code, password, client-credentials or device-code")
	f.StringArrayVar(&req.RedirectURIs, "redirect-uri", nil, "`URI` that codes are sent to; may be repeated")
	f.Int64Var(&req.OrganizationID, "organization", 1, "`ID` of the organization")
	f.StringVar(&req.Description, "description", "", "`text` about it")
	f.BoolVar(&req.SkipConsent, "skip-consent", false, "do not ask users; for applications of your own alone")
	f.BoolVar(&pkce, "require-pkce", false, "require PKCE of a confidential client, too")
	f.BoolVar(&where.insecureHTTP, "insecure-http-redirects", false, "allow http:// to any host, as AWX does: codes can then be read on the way")
	f.StringSliceVar(&where.schemes, "private-scheme", nil, "`scheme` without a dot that redirect URIs may have; may be repeated")
	complete(c, "client-type", oauth.ClientConfidential, oauth.ClientPublic)
	complete(c, "grant-type", oauth.GrantAuthorizationCode, oauth.GrantPassword, oauth.GrantClientCredentials, deviceCode)
	return c
}

func (a *app) applicationSecret() *cobra.Command {
	var overlap string
	var quiet bool
	c := &cobra.Command{
		Use: "secret APPLICATION", Short: "Give an application a new secret, and show it once", Args: exactly("APPLICATION"),
		Long:    "Gives a confidential application a new secret. The former one is refused at once, or\nafter --overlap. Tokens go on; consents are asked for again.",
		Example: examples("ostiary application secret 3", "ostiary application secret 3 --overlap 24h"),
		RunE: func(c *cobra.Command, args []string) error {
			var d time.Duration
			if overlap != "" {
				var err error
				if d, err = duration("--overlap", overlap); err != nil {
					return err
				}
				if d > oauth.MaxSecretOverlap {
					return usagef("--overlap: must be at most %dd", oauth.MaxSecretOverlap/(24*time.Hour))
				}
			}
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				v, err := s.application(ctx, args[0])
				if err != nil {
					return err
				}
				issued, err := s.server.RotateSecret(ctx, s.by, v.ID, d)
				if e, ok := err.(*auth.Error); ok && e.Field == "ClientType" {
					return refusedf("%s is a public client, which has no secret", v.Name)
				}
				if err != nil {
					return err
				}
				return a.showIssued(issued, quiet)
			})
		},
	}
	c.Flags().StringVar(&overlap, "overlap", "", "`time` for which the former secret stays good, such as 24h, at most 30d (default none)")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the secret alone")
	return c
}
