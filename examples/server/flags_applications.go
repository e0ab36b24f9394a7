package main

import "flag"

func (c *config) applicationFlags(f *flag.FlagSet) {
	f.Var(seconds(&c.oauth.RefreshLifetime), "refresh-lifetime", "`time` that refresh tokens wait to be used (default 30d; AWX:\nREFRESH_TOKEN_EXPIRE_SECONDS)")
	f.Var(seconds(&c.oauth.GrantLifetime), "grant-lifetime", "`time` that a grant lives with all its refreshes (default 365d)")
	f.Var(orNone(&c.oauth.RefreshGrace), "refresh-grace", "`time` after a refresh in which the same refresh token gets the same answer, for\nclients that lost it, at most 1m (default 0s)")
	f.Var(seconds(&c.oauth.RefreshInterval), "refresh-interval", "least average `time` between two refreshes of one grant (default 1m, or a quarter of\n-access-lifetime if that is shorter)")
	f.Var(seconds(&c.oauth.CodeLifetime), "code-lifetime", "`time` that authorization codes are good for, at most 10m (default 1m; AWX:\nAUTHORIZATION_CODE_EXPIRE_SECONDS)")
	f.Var(seconds(&c.devices.Lifetime), "device-lifetime", "`time` that device codes are good for, at most 1h (default 10m)")
	f.BoolVar(&c.oauth.RequirePKCE, "require-pkce", false, "refuse authorization requests without a code challenge from confidential\napplications, too")
	f.Var(list{&c.oauth.Resources}, "resources", "`list` of URIs of further APIs that tokens may be requested for (RFC 8707)")
	f.BoolVar(&c.oauth.IntrospectUnbound, "introspect-unbound", false, "let applications that stand for one of the -resources introspect tokens without an\naudience, too, such as personal ones")
	f.Var(list{&c.fetcher.AllowHosts}, "client-documents", "`list` of hosts whose client ID metadata documents are accepted, so that their clients\nneed no registration: app.example, .app.example for all below it, or * for every host\n(default none)")
	f.Var(list{&c.fetcher.BlockHosts}, "client-documents-blocked", "`list` of hosts that -client-documents does not mean")
	f.BoolVar(&c.fetcher.InsecureLoopback, "insecure-client-documents", false, "fetch client ID metadata documents from loopback addresses, too, to develop clients;\nneeds a -url on one")
	f.Var(list{&c.oauth.PrivateSchemes}, "private-schemes", "`list` of schemes without a dot that redirect URIs may have, such as myapp")
	f.BoolVar(&c.oauth.InsecureHTTPRedirects, "insecure-http-redirects", false, "allow redirect URIs with http to any host, as AWX does; codes can be read on the way")
}
