package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/oauth"
)

// config is what the settings say.
type config struct {
	settings *settings

	file                     string // the configuration file
	printConfig, healthcheck bool

	addr, db, users, url string
	tlsCert, tlsKey      string
	adminPassword        string

	basic, gateway, activity bool
	forwardedHost            bool
	product                  string
	insecureCookie           bool

	// What stands for itself in the options of the library is set there.
	passwords auth.PasswordsOptions
	accounts  auth.AccountsOptions
	tokens    auth.TokensOptions
	oauth     oauth.Options
	devices   oauth.DeviceOptions
	documents oauth.DocumentOptions
	fetcher   clientdoc.Options // of documents
	session   auth.SessionOptions
	gate      auth.GateOptions
	basics    auth.BasicOptions

	access, drain time.Duration
	minting       minting

	proxies, addressFields []string

	dbConns                           int
	dbTimeout, cache                  time.Duration
	purgeInterval, keep, keepActivity time.Duration
	activityEntries                   int

	observeConfig
}

// topics have all settings. Each one adds its own, and names them for the errors and
// doc/configuration.md.
var topics = []struct {
	title string
	add   func(*config, *flag.FlagSet)
}{
	{"Address, TLS and proxies", (*config).addressFlags},
	{"Database, users and cleaning up", (*config).databaseFlags},
	{"Passwords and the throttle", (*config).passwordFlags},
	{"Sessions", (*config).sessionFlags},
	{"Tokens", (*config).tokenFlags},
	{"Applications and devices", (*config).applicationFlags},
	{"Metrics and logs", (*config).observeFlags},
}

const usage = `Usage: server [flags]

Serves AWX's authentication API and a protected resource,
/api/v2/job_templates/. The first start creates the user admin with the password
in OSTIARY_ADMIN_PASSWORD, or with one that it prints.

Every setting is a flag, a variable (-session-idle is OSTIARY_SESSION_IDLE) and a
key of the file that -config names (session-idle: 30m). A flag comes before a
variable, a variable before the file, the file before the default.

`

// parseFlags reads the settings from the arguments, the environment and the
// configuration file, and checks what can be checked without a database.
func parseFlags(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.StringVar(&c.file, "config", "", "configuration `file` in YAML with the name of a setting and its value on each line")
	f.BoolVar(&c.printConfig, "print-config", false, "print every setting with its value and where it comes from, as a configuration file,\nand end; secrets are not shown")
	f.BoolVar(&c.healthcheck, "healthcheck", false, "ask the server that runs with these settings on this machine whether it is alive,\nand end with status 0 or 1")
	for _, topic := range topics {
		topic.add(&c, f)
	}
	f.SetOutput(io.Discard) // main prints the error, and the usage would hide it
	f.Usage = func() {}
	c.settings = newSettings(f)
	if err := c.settings.read(args, os.Environ()); err != nil {
		return c, err
	}
	return c, c.check()
}

// printUsage writes what -help shows.
func (c *config) printUsage(w io.Writer) {
	fmt.Fprint(w, usage)
	c.settings.flags.SetOutput(w)
	c.settings.flags.PrintDefaults()
}

// check refuses what a setting cannot have, or what two cannot have together, and
// fills in the defaults that depend on others.
func (c *config) check() error {
	s := c.settings
	if err := s.checkDurations(); err != nil {
		return err
	}
	if c.addressFields != nil && c.proxies == nil {
		return fmt.Errorf("%s: nobody is believed about them; name the proxies with -trusted-proxies", s.at("remote-host-headers"))
	}
	c.url = strings.TrimSuffix(c.url, "/")
	if c.url != "" && !strings.HasPrefix(c.url, "https://") && !strings.HasPrefix(c.url, "http://") {
		return fmt.Errorf("%s: %q does not begin with https://; write the whole address, such as https://api.example", s.at("url"), c.url)
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	if !s.given("insecure-cookie") {
		c.insecureCookie = loopback(c.addr) && !c.tls() && !strings.HasPrefix(c.url, "https:")
	}
	return nil
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

// scheme is what the server itself speaks.
func (c *config) scheme() string {
	if c.tls() {
		return "https"
	}
	return "http"
}

// completeURL fills in the address that this machine reaches the server by, if no
// other one can.
func (c *config) completeURL(listening string) {
	if c.url != "" || !loopback(c.addr) {
		return
	}
	host, _, _ := net.SplitHostPort(c.addr) // loopback has looked at it
	if _, port, err := net.SplitHostPort(listening); err == nil {
		c.url = c.scheme() + "://" + net.JoinHostPort(host, port)
	}
}
