package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/auth"
)

// A newToken is what is asked for.
type newToken struct {
	user, scope, description, expires, expiresIn, prefix string
	addresses, own                                       []string
	quiet                                                bool
}

// An issuedToken is a new token with its text.
type issuedToken struct {
	Token string `json:"token"`
	tokenRow
}

func (a *app) tokenCreate() *cobra.Command {
	var n newToken
	c := &cobra.Command{
		Use: "create", Short: "Create a personal access token for a user, and show it once", Args: exactly(),
		Long: "Creates a personal access token for a user and shows its text, once: it is stored\nnowhere. A service whose tokens begin with another prefix needs --token-prefix. A token of\na service account must have a --description, which is its name.",
		Example: examples("ostiary token create --user erika --scope read --description backup", "ostiary token create --user erika --expires-in 90d --address 192.0.2.0/24",
			"ostiary token create --user erika --scope \"read deploy\" --service-scope deploy", "TOKEN=$(ostiary token create --user erika --quiet)"),
		RunE: func(c *cobra.Command, _ []string) error { return a.createToken(c, n) },
	}
	f := c.Flags()
	f.StringVar(&n.user, "user", "", "`user` that the token belongs to (required)")
	f.StringVar(&n.scope, "scope", "write", "`scopes` of the token, separated by spaces: read, write, and those of --service-scope")
	f.StringSliceVar(&n.own, "service-scope", nil, "`name` of a scope of the service's own; may be repeated (the command does not know them)")
	f.StringVar(&n.description, "description", "", "`text` for the owner")
	f.StringVar(&n.expiresIn, "expires-in", "", "`time` until the token expires, such as 12h or 90d, at most 365d (default 30d)")
	f.StringVar(&n.expires, "expires", "", "`instant` at which it expires, such as 2030-12-31T00:00:00Z")
	f.StringSliceVar(&n.addresses, "address", nil, "`prefix` of client addresses that may use the token; may be repeated (default any)")
	f.StringVar(&n.prefix, "token-prefix", "", "`text` that begins the tokens of this service (default \"ost\")")
	f.BoolVarP(&n.quiet, "quiet", "q", false, "print the token alone")
	either(c, "expires", "expires-in")
	return c
}

func (a *app) createToken(c *cobra.Command, n newToken) error {
	if n.user == "" {
		return usagef("--user is missing: %s --user USER", c.CommandPath())
	}
	req := auth.TokenRequest{Scopes: auth.Scopes(n.scope), Description: n.description}
	var err error
	if req.Expires, err = n.end(time.Now()); err != nil {
		return err
	}
	for _, text := range n.addresses {
		p, err := prefix(text)
		if err != nil {
			return err
		}
		req.Addresses = append(req.Addresses, p)
	}
	return a.with(c, settings{tokenPrefix: n.prefix, scopes: n.own}, func(ctx context.Context, s *service) error {
		u, err := s.user(ctx, n.user)
		if err != nil {
			return err
		}
		if !u.Active {
			return refusedf("%s is disabled, so that no token would work; ostiary user enable %s changes that", u.Name, u.Name)
		}
		issued, err := s.tokens.IssueTo(ctx, s.by, u.ID, req)
		if e, ok := err.(*auth.Error); ok && e.Code == "invalid_scope" {
			return usagef("--scope: %s Name further scopes of the service with --service-scope.", e.Detail)
		}
		if err != nil {
			return err
		}
		if err := a.showToken(issued, u.Name, n.quiet); err != nil {
			// Nobody has read the token, and nobody could end it by its text.
			return errors.Join(err, s.tokens.End(context.WithoutCancel(ctx), s.by, issued.ID))
		}
		return nil
	})
}

func (a *app) showToken(issued auth.IssuedToken, user string, quiet bool) error {
	text := issued.AccessToken.Reveal()
	if quiet {
		_, err := fmt.Fprintln(a.Out, text)
		return err
	}
	r := newTokenRow(issued.Token, user)
	return a.card(issuedToken{text, r}, append(tokenFields(r), field{"Token", text + "   (shown only now)"}))
}

// end returns when the token expires, the zero time for the usual one.
func (n newToken) end(now time.Time) (time.Time, error) {
	switch {
	case n.expires != "":
		t, err := time.Parse(time.RFC3339, n.expires)
		if err != nil {
			return t, usagef("--expires: %q is not an instant such as 2030-12-31T00:00:00Z", n.expires)
		}
		return t, nil
	case n.expiresIn != "":
		d, err := duration("--expires-in", n.expiresIn)
		return now.Add(d), err
	}
	return time.Time{}, nil
}

// duration reads a time such as 90m, 12h or 30d.
func duration(flag, text string) (time.Duration, error) {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok && err != nil {
		n, errDays := strconv.ParseUint(days, 10, 32)
		if errDays == nil && n <= uint64(math.MaxInt64/day) {
			d, err = time.Duration(n)*day, nil
		}
	}
	if err != nil || d <= 0 {
		return 0, usagef("%s: %q is not a time such as 90m, 12h or 30d", flag, text)
	}
	return d, nil
}

// prefix reads an address, or a prefix of addresses.
func prefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, usagef("--address: %q is not an address or a prefix such as 192.0.2.0/24", text)
	}
	return p.Masked(), nil
}
