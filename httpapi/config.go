package httpapi

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// Config has the parts that [New] serves. The paths of a nil part are 404.
type Config struct {
	Gate  *auth.Gate  // required
	Users store.Users // required

	// Session serves the logout, and with Passwords the login. Gate must
	// authenticate by it.
	Session *auth.Session
	// Passwords serves the login. It needs Session.
	Passwords *auth.Passwords
	// LoginPage is the path of the host's own login page, such as "/sso/login".
	// Browsers without a login are redirected there, with the way back in the
	// parameter next. The default is /api/login/. It is required with a Session
	// without Passwords.
	LoginPage string

	// Tokens serves the token endpoints. Gate must accept them.
	Tokens *auth.Tokens

	// MayReport decides which principals may end leaked tokens at
	// /api/v2/tokens/reported/, such as the account of a secret scanner. A
	// principal also needs the scope write. Administrators need no MayReport. Nil
	// refuses all others.
	MayReport func(*auth.Principal) bool

	// OAuth serves applications and the OAuth endpoints. It needs Tokens, which
	// must be those of the server, and Session for its device grant. Without
	// Session there is no consent page, and without Passwords no password
	// grant.
	OAuth *oauth.Server

	// Resources are protected resources of the host besides the API, such as a tool
	// server, whose metadata are served (RFC 9728). They need OAuth with an Issuer.
	Resources []Resource

	// Accounts serves the list of users and the changes of users. Without it a
	// user is shown and nothing else.
	Accounts *auth.Accounts

	// Activity serves the activity stream. Without it there is neither a route nor
	// a link to one. Its organizations must be those of Tokens.
	Activity *activity.Stream

	// EmptyResources serves an empty list for each resource of AWX that AWX's own
	// client asks for before a command about users, such as projects,
	// inventories and teams. It is for hosts without these resources. A resource
	// in Links is left to the host.
	EmptyResources bool

	// Platform leaves login and logout to the gateway of the Ansible platform,
	// for requests that come from it, see [auth.ProvenProxy]. The login page
	// redirects to the gateway, a login is 401, and a logout redirects to that
	// of the gateway.
	Platform bool

	// GatewayPaths serves the routes of me, users, tokens, applications, login
	// and logout below /api/gateway/v1/, too, where the Ansible platform has
	// them, and an index of links to them. Objects keep the URLs of /api/v2/.
	// Without it these paths are 404, from which AWX's clients learn that there
	// is no gateway. It excludes Platform, whose gateway has the same paths.
	GatewayPaths bool

	// Links are further resources of the host in the list of /api/v2/: a path
	// for each name. AWX's own client makes a subcommand of each.
	Links map[string]string

	// Account serves the pages below /api/account/, where people manage their
	// own access. It needs Session. People who log in without saying where to go
	// find themselves there.
	Account bool

	// PageOptions say how the pages present the host.
	PageOptions PageOptions

	// Pages has files that replace those of the pages, in its root and nothing
	// else. A file that it does not have stays as it is. See doc/pages.md for the
	// files and for what each is given to show.
	Pages fs.FS

	// Logger receives a warning if the handler is mounted where its links lead
	// nowhere. Nil means [slog.Default]. The events are the Gate's.
	Logger *slog.Logger
}

// check refuses contradictory configurations.
func (c *Config) check() error {
	switch {
	case c.Gate == nil:
		return errors.New("httpapi: Config.Gate is nil")
	case options.IsNil(c.Users):
		return errors.New("httpapi: Config.Users is nil")
	case c.Passwords != nil && c.Session == nil:
		return errors.New("httpapi: Config.Passwords needs Config.Session: a login starts a session")
	case c.Session != nil && c.Passwords == nil && c.LoginPage == "":
		return errors.New("httpapi: Config.Session needs Config.Passwords, for /api/login/, or Config.LoginPage, where the host logs people in")
	case c.LoginPage != "" && (c.Session == nil || !isPath(c.LoginPage) || strings.Contains(c.LoginPage, "#")):
		return fmt.Errorf("httpapi: Config.LoginPage %q needs Config.Session, and must be a path on this host", c.LoginPage)
	case c.Account && c.Session == nil:
		return errors.New("httpapi: Config.Account needs Config.Session: people log in to see their account")
	case c.Session != nil && c.Gate.Excludes(c.Session):
		return errors.New("httpapi: Config.Gate does not ask Config.Session: a login would start sessions that let nobody in; give both the same *auth.Session")
	case c.GatewayPaths && c.Platform:
		return errors.New("httpapi: Config.GatewayPaths and Platform exclude each other: a logout would redirect to itself")
	case c.Tokens != nil && c.Gate.ExcludesTokens(c.Tokens):
		return errors.New("httpapi: Config.Gate accepts no token of Config.Tokens: it would issue tokens that let nobody in; give the gate a NewBearer of them")
	case c.OAuth != nil && c.Tokens == nil:
		return errors.New("httpapi: Config.OAuth needs Config.Tokens")
	case c.OAuth != nil && c.OAuth.Tokens() != c.Tokens:
		return errors.New("httpapi: Config.OAuth was made with other tokens than Config.Tokens")
	case c.OAuth != nil && c.OAuth.HasDevices() && c.Session == nil:
		return errors.New("httpapi: the device grant of Config.OAuth needs Config.Session: a person has to agree")
	}
	if err := c.checkResources(); err != nil {
		return err
	}
	return c.PageOptions.check()
}

// api serves the routes. It does not change after New.
type api struct {
	Config
	pages
	visitors *auth.Gate // authenticates by Session alone; nil without one
	log      *slog.Logger

	// links has the paths of an index by name, by the path of the index.
	links   map[string]map[string]string
	indexes map[string][]byte // the answers, by path

	describedAs descriptions
}
