package main

import "flag"

func (c *config) passwordFlags(f *flag.FlagSet) {
	f.BoolVar(&c.basic, "basic", true, "accept HTTP Basic (AWX: AUTH_BASIC_ENABLED)")
	f.BoolVar(&c.basics.RequireTLS, "basic-requires-tls", false, "refuse HTTP Basic over plain HTTP; the scheme that -trusted-proxies report counts")
	c.passwords.MinLength = 8 // AWX asks for nothing; people are better served by 15
	f.Var(count{&c.passwords.MinLength}, "password-min-length", "`number` of characters of the shortest password that users can choose, at least 8")
	f.Var(count{&c.passwords.MaxHashes}, "password-hashes", "`number` of passwords that are hashed at the same time, each in 19 MiB (default the\nnumber of processors)")
	f.Var(seconds(&c.passwords.RefusalTime), "password-refusal-time", "least `time` of a refused password, at most 1m, while users have hashes from elsewhere\nthat take longer (default that of the slowest kind that was compared)")
	f.Var(seconds(&c.accounts.FreshLogin), "password-fresh-login", "`time` after a login in which users change their password without the old one\n(default 10m)")
	f.Var(limit{&c.passwords.PerClient}, "throttle-client", "`limit` of wrong passwords for one account from one network or browser (default 10/1m)")
	f.Var(limit{&c.passwords.PerAccount}, "throttle-account", "`limit` of wrong passwords for one account from all networks that it is not known from\n(default 100/1h)")
	f.Var(limit{&c.passwords.PerNetwork}, "throttle-network", "`limit` of wrong passwords from one network for all accounts (default 300/1h)")
	f.Var(limit{&c.oauth.ClientFailures}, "throttle-applications", "`limit` of wrong client secrets from one network (default 30/1m)")
	f.Var(limit{&c.documents.PerNetwork}, "throttle-client-documents", "`limit` of client ID metadata documents that are fetched for one network (default 10/1m)")
	f.Var(limit{&c.devices.Requests}, "throttle-devices", "`limit` of device codes for one network (default 60/1m)")
	f.Var(limit{&c.devices.Guesses}, "throttle-device-codes", "`limit` of wrong device codes that one user enters (default 20/10m)")
}
