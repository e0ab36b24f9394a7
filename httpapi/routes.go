package httpapi

// The conditions of routes.
var (
	always        = condition{"", func(*Config) bool { return true }}
	withGateway   = condition{"With Config.GatewayPaths:", func(c *Config) bool { return c.GatewayPaths }}
	withAccounts  = condition{"With Config.Accounts:", func(c *Config) bool { return c.Accounts != nil }}
	withSession   = condition{"With Config.Session:", func(c *Config) bool { return c.Session != nil }}
	withPasswords = condition{"With Config.Session and Passwords:", func(c *Config) bool { return c.Session != nil && c.Passwords != nil }}
	withAccount   = condition{"With Config.Account:", func(c *Config) bool { return c.Account }}
	withPassword  = condition{"With Config.Account and Accounts:", func(c *Config) bool { return c.Account && c.Accounts != nil }}
	withOwnTokens = condition{"With Config.Account and Tokens:", func(c *Config) bool { return c.Account && c.Tokens != nil }}
	withOwnApps   = condition{"With Config.Account and OAuth:", func(c *Config) bool { return c.Account && c.OAuth != nil }}
	withTokens    = condition{"With Config.Tokens:", func(c *Config) bool { return c.Tokens != nil }}
	withActivity  = condition{"With Config.Activity:", func(c *Config) bool { return c.Activity != nil }}
	withTokenActs = condition{"With Config.Activity and Tokens:", func(c *Config) bool { return c.Activity != nil && c.Tokens != nil }}
	withAppActs   = condition{"With Config.Activity and OAuth:", func(c *Config) bool { return c.Activity != nil && c.OAuth != nil }}
	withOAuth     = condition{"With Config.OAuth:", func(c *Config) bool { return c.OAuth != nil }}
	withConsent   = condition{"With Config.OAuth and Session:", func(c *Config) bool { return c.OAuth != nil && c.Session != nil }}
	withDevices   = condition{"With Config.OAuth that has Devices:", func(c *Config) bool { return c.OAuth != nil && c.OAuth.HasDevices() }}
	withIssuer    = condition{"With Config.OAuth that has an Issuer, outside /api/:", func(c *Config) bool {
		return c.OAuth != nil && c.OAuth.Issuer() != ""
	}}
	withResource = condition{"With that and TokensOptions.Resource, and for each of Config.Resources, outside /api/:", func(c *Config) bool {
		return c.OAuth != nil && c.OAuth.Issuer() != "" && len(c.resources()) > 0
	}}
)

// Methods that several routes share.
var (
	oneToken = methods{
		"GET": (*api).getToken, "PUT": (*api).changeToken, "PATCH": (*api).changeToken, "DELETE": (*api).deleteToken,
	}
	allApplications = methods{"GET": (*api).listApplications, "POST": (*api).createApplication}
)

// routes has every route. Routes of one pattern are served as one, with the methods
// of all of them. The package documentation, the answers to OPTIONS, the links
// of the indexes and the tests of all routes are derived from it.
var routes = []route{
	{
		pattern: "/api/", access: public, when: always,
		methods: methods{"GET": (*api).getRoot},
		speaks:  read(rootIndex{}),
		about:   "links; public",
	}, {
		pattern: "/api/v2/", access: public, when: always, link: "v2",
		methods: methods{"GET": (*api).getLinks},
		speaks:  read(map[string]string{}),
		about:   "links; public",
	}, {
		pattern: "/api/v2/schema/", access: open, when: always,
		methods: methods{"GET": (*api).getSchema},
		speaks:  read(either{map[string]any{}, pageBody{}}),
		about:   "this API in the form of OpenAPI 3.1; a page for browsers",
	}, {
		pattern: "/api/v2/me/", access: protected, when: always, link: "me",
		methods: methods{"GET": (*api).getMe}, fields: userFields,
		speaks: meExchanges,
		about:  "the user of the request",
	}, {
		pattern: "/api/v2/users/{user}/", access: protected, when: always,
		methods: methods{"GET": (*api).getUser}, fields: userFields,
		speaks: userResource.single(),
		about:  "a user",
	},

	{
		pattern: gatewayPrefix, access: public, when: withGateway,
		methods: methods{"GET": (*api).getLinks},
		speaks:  read(map[string]string{}),
		about:   "links to these below it; public",
	},

	{
		pattern: "/api/v2/users/", access: protected, when: withAccounts, link: "users",
		methods: methods{"GET": (*api).listUsers, "POST": (*api).createUser}, fields: userFields,
		speaks: userResource.collection(),
		about:  "users",
	}, {
		pattern: "/api/v2/users/{user}/", access: protected, when: withAccounts,
		methods: methods{"PUT": (*api).changeUser, "PATCH": (*api).changeUser, "DELETE": (*api).deleteUser}, fields: userFields,
		speaks: userResource.single(),
		about:  "changes of one of them",
	},

	{
		pattern: "/api/login/", access: session, when: withPasswords,
		methods: methods{"GET": (*api).getLogin, "POST": (*api).postLogin},
		speaks:  loginExchanges,
		about:   "page, and start of a session",
	}, {
		pattern: "/api/logout/", access: session, when: withSession,
		methods: methods{"GET": (*api).logout, "POST": (*api).logout},
		speaks:  logoutExchanges,
		about:   "end of a session",
	}, {
		pattern: "/api/v2/users/{user}/sessions/", access: protected, when: withSession,
		methods: methods{"GET": (*api).listSessions, "DELETE": (*api).endSessions}, fields: sessionFields,
		speaks: sessionResource.collection().with("DELETE", endSessionsExchange),
		about:  "sessions of a user; DELETE ends all others",
	}, {
		pattern: "/api/v2/users/{user}/sessions/{id}/", access: protected, when: withSession,
		methods: methods{"GET": (*api).getSession, "DELETE": (*api).endSession}, fields: sessionFields,
		speaks: sessionResource.single(),
		about:  "one of them",
	},

	{
		pattern: "/api/v2/tokens/", access: protected, when: withTokens, link: "tokens",
		methods: methods{"GET": (*api).listTokens, "POST": (*api).createToken}, fields: tokenFields,
		speaks: tokenResource.collection(),
		about:  "all tokens the caller may see",
	}, {
		pattern: "/api/v2/tokens/self/", access: anyScope, when: withTokens,
		methods: methods{"GET": (*api).getSelf, "PATCH": (*api).changeSelf, "DELETE": (*api).deleteSelf}, fields: tokenFields,
		speaks: selfExchanges,
		about:  "the token that asks",
	}, {
		pattern: "/api/v2/tokens/self/rotate/", access: protected, when: withTokens,
		methods: methods{"POST": (*api).rotateSelf},
		speaks:  tokenResource.renewal(input{}),
		about:   "a new secret for it",
	}, {
		pattern: "/api/v2/tokens/reported/", access: protected, when: withTokens,
		methods: methods{"POST": (*api).reportTokens}, fields: reportFields,
		speaks: reportExchanges,
		about:  "end of tokens that leaked, for scanners",
	}, {
		pattern: "/api/v2/tokens/{id}/", access: protected, when: withTokens,
		methods: oneToken, fields: tokenFields,
		speaks: tokenExchanges,
		about:  "one of them",
	}, {
		pattern: "/api/v2/tokens/{id}/rotate/", access: protected, when: withTokens,
		methods: methods{"POST": (*api).rotateToken},
		speaks:  tokenResource.renewal(input{}),
		about:   "a new secret for it",
	}, {
		pattern: "/api/v2/users/{user}/personal_tokens/", access: protected, when: withTokens,
		methods: methods{"GET": (*api).listPersonal, "POST": (*api).createPersonal}, fields: tokenFields.readOnly("application"),
		speaks: tokenResource.collection(),
		about:  "personal access tokens of a user",
	}, {
		pattern: "/api/v2/users/{user}/personal_tokens/{id}/", access: protected, when: withTokens,
		methods: oneToken, fields: tokenFields.readOnly("application"),
		speaks: tokenExchanges,
		about:  "one of them",
	},

	{
		pattern: "/api/v2/applications/", access: protected, when: withOAuth, link: "applications",
		methods: allApplications, fields: applicationFields,
		speaks: applicationResource.collection(),
		about:  "OAuth clients",
	}, {
		pattern: "/api/v2/applications/{app}/", access: protected, when: withOAuth,
		methods: methods{
			"GET": (*api).getApplication, "PUT": (*api).changeApplication, "PATCH": (*api).changeApplication, "DELETE": (*api).deleteApplication,
		}, fields: applicationFields,
		speaks: applicationResource.single(),
		about:  "one of them",
	}, {
		pattern: "/api/v2/applications/{app}/rotate_secret/", access: protected, when: withOAuth,
		methods: methods{"POST": (*api).rotateSecret}, fields: rotateSecretFields,
		speaks: applicationResource.renewal(input{writable: rotateSecretWritable}),
		about:  "a new client secret",
	}, {
		pattern: "/api/v2/applications/{app}/tokens/", access: protected, when: withOAuth,
		methods: methods{"GET": (*api).listApplicationTokens, "POST": (*api).createApplicationToken}, fields: tokenFields,
		speaks: tokenResource.collection(),
		about:  "tokens of an application",
	}, {
		pattern: "/api/v2/organizations/{organization}/applications/", access: protected, when: withOAuth,
		methods: allApplications, fields: applicationFields.readOnly("organization"),
		speaks: applicationResource.collection(),
		about:  "applications of an organization",
	}, {
		pattern: "/api/v2/users/{user}/applications/", access: protected, when: withOAuth,
		methods: allApplications, fields: applicationFields,
		speaks: applicationResource.collection(),
		about:  "the same as all applications, as in AWX",
	}, {
		pattern: "/api/v2/users/{user}/tokens/", access: protected, when: withOAuth,
		methods: methods{"GET": (*api).listUserTokens, "POST": (*api).createUserToken}, fields: tokenFields,
		speaks: tokenResource.collection(),
		about:  "all tokens of a user",
	}, {
		pattern: "/api/v2/users/{user}/authorized_tokens/", access: protected, when: withOAuth,
		methods: methods{"GET": (*api).listAuthorized, "POST": (*api).createAuthorized}, fields: tokenFields.required("application"),
		speaks: tokenResource.collection(),
		about:  "those of applications",
	}, {
		pattern: "/api/o/", access: public, when: withOAuth, link: "oauth2",
		methods: methods{"GET": (*api).getLinks},
		speaks:  read(map[string]string{}),
		about:   "links; public",
	}, {
		pattern: "/api/o/token/", access: open, anyOrigin: true, when: withOAuth, link: "token",
		methods: methods{"POST": client((*api).postToken)},
		speaks:  tokenEndpoint,
		about:   "tokens for grants (RFC 6749 section 3.2)",
	}, {
		pattern: "/api/o/revoke_token/", access: open, anyOrigin: true, when: withOAuth, link: "revoke_token",
		methods: methods{"POST": oauthErrors((*api).postRevoke)},
		speaks:  revocationEndpoint,
		about:   "RFC 7009",
	}, {
		pattern: "/api/o/introspect/", access: open, when: withOAuth,
		methods: methods{"POST": client((*api).postIntrospect)},
		speaks:  introspectionEndpoint,
		about:   "RFC 7662",
	}, {
		pattern: "/api/o/authorize/", access: session, when: withConsent, link: "authorize",
		methods: methods{"GET": (*api).getAuthorize, "POST": (*api).postAuthorize},
		speaks:  people(authorizationParameters),
		about:   "consent page (RFC 6749 section 3.1)",
	}, {
		pattern: "/api/o/device_authorization/", access: open, anyOrigin: true, when: withDevices,
		methods: methods{"POST": client((*api).postDevice)},
		speaks:  deviceEndpoint,
		about:   "RFC 8628",
	}, {
		pattern: "/api/o/device/", access: session, when: withDevices,
		methods: methods{"GET": (*api).getDevicePage, "POST": (*api).postDevicePage},
		speaks:  people(deviceLink),
		about:   "page where users enter the code",
	},

	{
		pattern: "/api/account/", access: session, when: withAccount,
		methods: methods{"GET": account((*api).profilePage), "POST": account((*api).profilePage)},
		speaks:  people(nil),
		about:   "page: name and e-mail address",
	}, {
		pattern: "/api/account/logged_out/", access: session, when: withAccount,
		methods: methods{"GET": (*api).getLoggedOut},
		speaks:  people(nil),
		about:   "page behind the logout",
	}, {
		pattern: "/api/account/sessions/", access: session, when: withAccount,
		methods: methods{"GET": account((*api).sessionsPage), "POST": account((*api).sessionsPage)},
		speaks:  people(nil),
		about:   "page: where the visitor is logged in",
	}, {
		pattern: "/api/account/password/", access: session, when: withPassword,
		methods: methods{"GET": account((*api).passwordPage), "POST": account((*api).passwordPage)},
		speaks:  people(nil),
		about:   "page: a new password",
	}, {
		pattern: "/api/account/tokens/", access: session, when: withOwnTokens,
		methods: methods{"GET": account((*api).listTokensPage)},
		speaks:  people(nil),
		about:   "page: personal access tokens",
	}, {
		pattern: "/api/account/tokens/new/", access: session, when: withOwnTokens,
		methods: methods{"GET": account((*api).createTokenPage, "scope"), "POST": account((*api).createTokenPage, "scope")},
		speaks:  people(nil),
		about:   "page: a new one",
	}, {
		pattern: "/api/account/tokens/{id}/", access: session, when: withOwnTokens,
		methods: methods{"GET": account((*api).oneTokenPage, "scope"), "POST": account((*api).oneTokenPage, "scope")},
		speaks:  people(nil),
		about:   "page: change it, a new secret",
	}, {
		pattern: "/api/account/tokens/{id}/revoke/", access: session, when: withOwnTokens,
		methods: methods{"GET": account((*api).revokeTokenPage), "POST": account((*api).revokeTokenPage)},
		speaks:  people(nil),
		about:   "page: its end",
	}, {
		pattern: "/api/account/connections/", access: session, when: withOwnApps,
		methods: methods{"GET": account((*api).listConnectionsPage)},
		speaks:  people(nil),
		about:   "page: applications that act for the visitor",
	}, {
		pattern: "/api/account/connections/{id}/", access: session, when: withOwnApps,
		methods: methods{"GET": account((*api).withdrawPage), "POST": account((*api).withdrawPage)},
		speaks:  people(nil),
		about:   "page: the end of its access",
	}, {
		pattern: "/api/account/applications/", access: session, when: withOwnApps,
		methods: methods{"GET": account((*api).listApplicationsPage)},
		speaks:  people(nil),
		about:   "page: applications that the visitor manages",
	}, {
		pattern: "/api/account/applications/new/", access: session, when: withOwnApps,
		methods: methods{"GET": account((*api).createApplicationPage), "POST": account((*api).createApplicationPage)},
		speaks:  people(nil),
		about:   "page: a new one",
	}, {
		pattern: "/api/account/applications/{id}/", access: session, when: withOwnApps,
		methods: methods{"GET": account((*api).oneApplicationPage), "POST": account((*api).oneApplicationPage)},
		speaks:  people(nil),
		about:   "page: change it, a new secret",
	}, {
		pattern: "/api/account/applications/{id}/delete/", access: session, when: withOwnApps,
		methods: methods{"GET": account((*api).deleteApplicationPage), "POST": account((*api).deleteApplicationPage)},
		speaks:  people(nil),
		about:   "page: its end",
	},

	{
		pattern: "/.well-known/oauth-authorization-server", below: serverMetadataPath, access: open, anyOrigin: true, when: withIssuer,
		methods: methods{"GET": (*api).getServerMetadata},
		speaks:  read((*api).serverMetadata),
		about:   "RFC 8414",
	}, {
		pattern: resourceMetadataPath, below: resourceMetadataPaths, access: open, anyOrigin: true, when: withResource,
		methods: methods{"GET": (*api).getResourceMetadata},
		speaks:  read(resourceMetadata{}),
		about:   "RFC 9728",
	},

	{
		pattern: "/api/v2/activity_stream/", access: protected, when: withActivity, link: "activity_stream",
		methods: methods{"GET": (*api).listActivities}, fields: activityFields,
		speaks: activityResource.collection(),
		about:  "who did what to users, tokens and applications",
	}, {
		pattern: "/api/v2/activity_stream/{id}/", access: protected, when: withActivity,
		methods: methods{"GET": (*api).getActivity}, fields: activityFields,
		speaks: activityResource.single(),
		about:  "one entry",
	}, {
		pattern: "/api/v2/users/{user}/activity_stream/", access: protected, when: withActivity,
		methods: methods{"GET": (*api).listUserActivities}, fields: activityFields,
		speaks: activityResource.collection(),
		about:  "entries that concern a user or the user's tokens",
	}, {
		pattern: "/api/v2/tokens/{id}/activity_stream/", access: protected, when: withTokenActs,
		methods: methods{"GET": (*api).listTokenActivities}, fields: activityFields,
		speaks: activityResource.collection(),
		about:  "entries about a token",
	}, {
		pattern: "/api/v2/applications/{app}/activity_stream/", access: protected, when: withAppActs,
		methods: methods{"GET": (*api).listApplicationActivities}, fields: activityFields,
		speaks: activityResource.collection(),
		about:  "entries about an application and its tokens",
	},

	emptyResource("credentials"),
	emptyResource("instance_groups"),
	emptyResource("inventories"),
	emptyResource("job_templates"),
	emptyResource("jobs"),
	emptyResource("organizations"),
	emptyResource("projects"),
	emptyResource("teams"),
	emptyResource("workflow_job_templates"),
}
