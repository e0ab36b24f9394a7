package main

import (
	"flag"
	"time"
)

func (c *config) databaseFlags(f *flag.FlagSet) {
	f.StringVar(&c.db, "db", "ostiary.db", "`database`: an SQLite file, created if missing, or postgres://… or mysql://…; one with\na password belongs into OSTIARY_DB or -db-file")
	f.String("db-file", "", "`file` with what -db would have, for a password that nobody else may read")
	c.dbConns = maxConns
	f.Var(count{&c.dbConns}, "db-connections", "`number` of connections to the database that may be open, and stay open")
	f.Var(seconds(&c.dbTimeout), "db-timeout", "`time` that one call of the database may take (default 10s)")
	f.Var(orNone(&c.cache), "cache", "`time`, at most a minute, for which an access token and its user need no query (default\nnone). A change takes effect at once on the server that makes it, on the others that\nshare a PostgreSQL as soon as they hear of it, and everywhere after this time")
	f.StringVar(&c.users, "users", "", "JSON `file` with a list of users to create if they are missing: username, password,\nemail, first_name, last_name, is_superuser, is_system_auditor, is_active (true\nif it is missing), organizations and admin_of (lists of IDs)")
	f.StringVar(&c.adminPassword, "admin-password", "", "`password` of admin on the first start (default one that is printed). It is no flag:\nuse OSTIARY_ADMIN_PASSWORD or -admin-password-file")
	f.String("admin-password-file", "", "`file` with the password of admin on the first start")
	f.BoolVar(&c.activity, "activity", true, "keep the activity stream, /api/v2/activity_stream/")
	c.keepActivity = 90 * 24 * time.Hour
	f.Var(seconds(&c.keepActivity), "activity-keep", "`time` that entries of the activity stream stay")
	f.Var(count{&c.activityEntries}, "activity-entries", "`number` of entries of the activity stream that stay of each user (default 1000)")
	c.purgeInterval = time.Hour
	f.Var(seconds(&c.purgeInterval), "purge-interval", "`time` between two removals of what ended. Of several servers on one database one\nremoves at a time")
	c.keep = 24 * time.Hour
	f.Var(seconds(&c.keep), "purge-keep", "`time` that tokens, sessions and counters stay after their end. Below a day a replayed\nrefresh token may not be recognised")
}
