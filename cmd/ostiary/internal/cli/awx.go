package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// awx returns the commands that AWX's administrators know from awx-manage.
func (a *app) awx() []*cobra.Command {
	return []*cobra.Command{a.awxCreateToken(), a.awxRevokeTokens(), a.awxCleanup(), a.awxExpireSessions(), a.awxUpdatePassword()}
}

func (a *app) awxCreateToken() *cobra.Command {
	n := newToken{scope: "write", quiet: true}
	c := &cobra.Command{
		Use: "create_oauth2_token", Short: "Create a token for a user and print it alone", Args: exactly(),
		Example: examples("ostiary create_oauth2_token --user erika"),
		RunE:    func(c *cobra.Command, _ []string) error { return a.createToken(c, n) },
	}
	c.Flags().StringVar(&n.user, "user", "", "`user` that the token belongs to (required)")
	return c
}

func (a *app) awxRevokeTokens() *cobra.Command {
	var user string
	var refresh, sure bool
	c := &cobra.Command{
		Use: "revoke_oauth2_tokens", Short: "Revoke the tokens of a user, or all tokens", Args: exactly(),
		Long:    "Revokes the tokens of a user, or all tokens. Refresh tokens always end with their\naccess tokens, so --revoke_refresh changes nothing.",
		Example: examples("ostiary revoke_oauth2_tokens --user erika", "ostiary revoke_oauth2_tokens --revoke_refresh --yes"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				if user == "" {
					return a.revokeAll(ctx, s, sure)
				}
				return a.revokeSelected(ctx, s, user, "")
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "`user` whose tokens are revoked (default everybody)")
	c.Flags().BoolVar(&refresh, "revoke_refresh", false, "end refresh tokens, too, which happens anyway")
	c.Flags().BoolVar(&sure, "yes", false, "do not ask where no user is named")
	return c
}

func (a *app) awxCleanup() *cobra.Command {
	return &cobra.Command{
		Use: "cleanup_tokens", Short: "Remove what ended, as purge does", Args: exactly(),
		Example: examples("ostiary cleanup_tokens"),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runPurge(c, "24h", "90d") },
	}
}

func (a *app) awxExpireSessions() *cobra.Command {
	var user string
	var sure bool
	c := &cobra.Command{
		Use: "expire_sessions", Short: "End the sessions of a user, or all sessions", Args: exactly(),
		Example: examples("ostiary expire_sessions --user erika", "ostiary expire_sessions --yes"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c, settings{}, func(ctx context.Context, s *service) error {
				if user == "" {
					return a.endEverybody(ctx, s, sure)
				}
				return a.endSessions(ctx, s, user, nil)
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", "`user` whose sessions end (default everybody)")
	c.Flags().BoolVar(&sure, "yes", false, "do not ask where no user is named")
	return c
}

func (a *app) awxUpdatePassword() *cobra.Command {
	var user, refused string
	var p newPassword
	c := &cobra.Command{
		Use: "update_password", Short: "Give a user a new password, from a prompt or standard input", Args: exactly(),
		Long:    "Gives a user a new password. The flag --password of AWX is refused, because every user\nof the system can read the arguments of a command.",
		Example: examples("ostiary update_password --username erika", "ostiary update_password --username erika --password-stdin <password-file"),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("password") {
				return usagef("--password is refused, because every user of the system can read the arguments of a command: leave it out and type the password, or give it on standard input with --password-stdin; choose another password than this one")
			}
			if user == "" {
				return usagef("--username is missing: %s --username USER", c.CommandPath())
			}
			return a.setPassword(c, user, p, false, false)
		},
	}
	c.Flags().StringVar(&user, "username", "", "`user` whose password is changed (required)")
	c.Flags().StringVar(&refused, "password", "", "`refused`: use the prompt or --password-stdin")
	p.flags(c)
	return c
}
