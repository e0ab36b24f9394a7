package main

import (
	"log/slog"
	"strings"
)

// warn logs what is allowed and dangerous, and what has no effect.
func (c *config) warn() {
	s := c.settings
	if !loopback(c.addr) && !c.tls() && c.proxies == nil {
		slog.Warn("passwords and tokens cross the network in clear: set -tls-cert and -tls-key, or put a proxy with TLS in front and name it in -trusted-proxies", "addr", c.addr)
	}
	if strings.HasPrefix(c.url, "https://") && !c.tls() && c.proxies == nil {
		slog.Warn("-url is https, and the server knows of no proxy that speaks TLS for it: all clients seem to have the address of the proxy; name it in -trusted-proxies", "url", c.url)
	}
	if !loopback(c.addr) && c.insecureCookie {
		slog.Warn("browsers send the session cookie in clear; leave -insecure-cookie out where the service has TLS")
	}
	if s.origin["db"].rank == fromFlag && s.origin["db"].path == "" && hasPassword(c.db) {
		slog.Warn("-db shows its password to every user of the machine; use " + variable("db") + " or -db-file")
	}
	if s.readable != "" {
		slog.Warn("other users can read the configuration file, which has a secret; give it mode 0600, or use db-file and admin-password-file", "file", s.readable)
	}
	for _, name := range secretFiles {
		if path := s.flags.Lookup(name).Value.String(); readable(path) {
			slog.Warn("others than its owner can read a file with a secret; give it mode 0600", "setting", s.at(name), "file", path)
		}
	}
	for _, name := range s.unknown {
		slog.Warn("a variable is no setting and has no effect", "variable", name)
	}
	for name, why := range map[string]string{
		"activity-keep":    "the activity stream is off",
		"activity-entries": "the activity stream is off",
	} {
		if !c.activity && s.given(name) {
			slog.Warn("a setting has no effect: "+why, "setting", s.at(name))
		}
	}
	c.warnOfProxies()
	c.warnOfDevices()
	for _, name := range []string{"client-documents-blocked", "insecure-client-documents", "throttle-client-documents"} {
		if c.fetcher.AllowHosts == nil && s.given(name) {
			slog.Warn("a setting has no effect: no document is accepted; name hosts in -client-documents", "setting", s.at(name))
		}
	}
}

func (c *config) warnOfProxies() {
	if c.forwardedHost && c.proxies == nil {
		slog.Warn("a setting has no effect: nobody is believed; name the proxies in -trusted-proxies", "setting", c.settings.at("forwarded-host"))
	}
	if c.settings.given("basic-requires-tls") && !c.basic {
		slog.Warn("a setting has no effect: HTTP Basic is off", "setting", c.settings.at("basic-requires-tls"))
	}
}

func (c *config) warnOfDevices() {
	if c.url != "" || loopback(c.addr) {
		return
	}
	for _, name := range []string{"device-lifetime", "throttle-devices", "throttle-device-codes"} {
		if c.settings.given(name) {
			slog.Warn("a setting has no effect: devices need -url", "setting", c.settings.at(name))
		}
	}
}
