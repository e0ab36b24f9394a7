package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
)

// observeConfig is what the settings say about metrics and logs.
type observeConfig struct {
	adminAddr string // "" for -addr itself if it is private, otherwise none
	logFormat logFormat
	logLevel  slog.Level

	// What run makes of it.
	metrics   *metrics // of the process
	adminHere bool     // the metrics are served on -addr
}

// noAddress is the -admin-addr that serves no metrics.
const noAddress = "none"

func (c *config) observeFlags(f *flag.FlagSet) {
	f.StringVar(&c.adminAddr, "admin-addr", "", "`address` for /metrics, /healthz and /readyz, apart from clients, such as\n127.0.0.1:9464; none serves no metrics (default -addr itself if that is a loopback\naddress and neither -url nor -trusted-proxies is given, otherwise none)")
	f.Var(&c.logFormat, "log-format", "`format` of the log on standard error: text or json (default text)")
	f.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "least `level` of what is logged: debug, info, warn or error")
}

// adminOnMain reports whether the metrics are served on -addr, where only this
// machine reaches them.
func (c *config) adminOnMain() bool {
	return c.adminAddr == "" && loopback(c.addr) && c.url == "" && len(c.proxies) == 0
}

// listenAdmin listens on the address for the operator. It returns nil if there is
// none.
func (c *config) listenAdmin() (net.Listener, error) {
	if c.adminAddr == "" || c.adminAddr == noAddress {
		return nil, nil
	}
	l, err := net.Listen("tcp", c.adminAddr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; %s", c.settings.at("admin-addr"), err, listenRemedy(err))
	}
	return l, nil
}

// logFormat is the flag for the format of the log.
type logFormat struct{ json bool }

func (l *logFormat) String() string {
	if l.json {
		return "json"
	}
	return "text"
}

func (l *logFormat) Set(s string) error {
	if s != "text" && s != "json" {
		return errors.New("must be text or json")
	}
	l.json = s == "json"
	return nil
}
