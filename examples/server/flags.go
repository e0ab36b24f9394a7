package main

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// config is what the flags say.
type config struct {
	addr, db, users, url string

	basic          bool
	cookie         string
	insecureCookie bool

	idle, access, refresh, code time.Duration

	proxies, addressFields []string
}

const usage = `Usage: server [flags]

Serves AWX's authentication API and a protected resource,
/api/v2/job_templates/. The first start creates the user admin with the password
in OSTIARY_ADMIN_PASSWORD, or with one that it prints.

`

func parseFlags(args []string) (config, error) {
	var c config
	var proxies, fields string
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	f.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	f.StringVar(&c.db, "db", "ostiary.db", "`database`: an SQLite file, created if missing, or postgres://… or mysql://…")
	f.StringVar(&c.users, "users", "", "JSON `file` with a list of users to create if they are missing: username, password,\nemail, first_name, last_name, is_superuser, is_system_auditor, is_active (default\ntrue), organizations and admin_of (lists of IDs)")
	f.StringVar(&c.url, "url", "", "public `address` of the server, for OAuth metadata, the device grant and browsers\nbehind a TLS proxy, such as https://api.example (default http:// and -addr if that\nis a loopback address, otherwise none)")
	f.BoolVar(&c.basic, "basic", true, "accept HTTP Basic")
	f.StringVar(&c.cookie, "session-cookie", "", "`name` of the session cookie (default \"__Host-session\", or \"session\" with\n-insecure-cookie; AWX has \"awx_sessionid\")")
	f.DurationVar(&c.idle, "session-idle", 30*time.Minute, "how long a session lives without a request")
	f.DurationVar(&c.access, "access-lifetime", 0, "how long access tokens live (default 1h for those of applications, 720h for personal\nones)")
	f.DurationVar(&c.refresh, "refresh-lifetime", 0, "how long refresh tokens wait to be used (default 720h)")
	f.DurationVar(&c.code, "code-lifetime", 0, "how long authorization codes are good for, at most 10m (default 1m)")
	f.BoolVar(&c.insecureCookie, "insecure-cookie", false, "send the session cookie over plain HTTP, too (default true if -addr is a loopback\naddress and -url is not https)")
	f.StringVar(&proxies, "trusted-proxies", "", "`list` of addresses and CIDR prefixes of proxies that are believed about the client,\nwith commas in between (AWX: PROXY_IP_ALLOWED_LIST)")
	f.StringVar(&fields, "remote-host-headers", "", "`list` of header fields with the client's address that -trusted-proxies set, best\nfirst (AWX: REMOTE_HOST_HEADERS; default X-Forwarded-For)")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q: every setting is a flag, see -help", f.Arg(0))
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"session-idle", c.idle},
		{"access-lifetime", c.access},
		{"refresh-lifetime", c.refresh},
		{"code-lifetime", c.code},
	} {
		if given[d.name] && d.value < time.Second {
			return c, fmt.Errorf("-%s: %v is below a second; write a time such as 30m or 1h", d.name, d.value)
		}
	}
	c.proxies, c.addressFields = list(proxies), list(fields)
	if c.addressFields != nil && c.proxies == nil {
		return c, fmt.Errorf("-remote-host-headers: nobody is believed about them; name the proxies with -trusted-proxies")
	}
	c.url = strings.TrimSuffix(c.url, "/")
	if !given["insecure-cookie"] {
		c.insecureCookie = loopback(c.addr) && !strings.HasPrefix(c.url, "https:")
	}
	return c, nil
}

// list splits at commas; nothing is no list.
func list(s string) []string {
	var parts []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// loopback reports whether only this machine can reach the address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// completeURL fills in the address that this machine reaches the server by, if no
// other one can.
func (c *config) completeURL(listening net.Addr) {
	if c.url != "" || !loopback(c.addr) {
		return
	}
	host, _, _ := net.SplitHostPort(c.addr) // loopback has looked at it
	_, port, err := net.SplitHostPort(listening.String())
	if err == nil {
		c.url = "http://" + net.JoinHostPort(host, port)
	}
}
