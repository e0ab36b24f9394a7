package main

import (
	"flag"
	"time"
)

func (c *config) sessionFlags(f *flag.FlagSet) {
	c.session.IdleTimeout = 30 * time.Minute
	f.Var(seconds(&c.session.IdleTimeout), "session-idle", "`time` that a session lives without a request (AWX: SESSION_COOKIE_AGE)")
	f.Var(seconds(&c.session.Lifetime), "session-lifetime", "longest life of a session as a `time`, at least -session-idle (default 12h, or\n-session-idle if that is longer)")
	c.session.PerUser = maxSessions
	f.Var(count{&c.session.PerUser}, "sessions-per-user", "`number` of sessions that a user can have; a login ends the oldest ones (AWX:\nSESSIONS_PER_USER)")
	f.StringVar(&c.session.CookieName, "session-cookie", "", "`name` of the session cookie (default \"__Host-session\", or \"session\" with\n-insecure-cookie; AWX has \"awx_sessionid\")")
	f.BoolVar(&c.insecureCookie, "insecure-cookie", false, "send the session cookie over plain HTTP, too (default true if -addr is a loopback\naddress without TLS and -url is not https)")
	f.Var(list{&c.session.TrustedOrigins}, "trusted-origins", "`list` of other origins whose pages may use the session, such as https://app.example\n(AWX: CSRF_TRUSTED_ORIGINS)")
}
