package check

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// checkSource looks at the data source name and where it is kept.
func (r *report) checkSource() {
	if r.DSNFile != "" {
		r.checkMode(r.DSNFile, "the file with the data source name")
	}
	if r.Env("OSTIARY_ADMIN_PASSWORD") != "" {
		r.add(Warning, "settings", "unset it", "OSTIARY_ADMIN_PASSWORD is still set: it counts on the first start only, and is a password in clear")
	}
	u, err := url.Parse(r.DSN)
	if !strings.Contains(r.DSN, "://") {
		r.checkFile(r.DSN)
		return
	}
	known := err == nil && (u.Scheme == "mysql" || strings.HasPrefix(u.Scheme, "postgres"))
	if !known || u.Query().Get("socket") != "" || u.Host == "" || onThisMachine(u.Hostname()) {
		return // not over the network, or not known, which Connect says
	}
	if password, ok := u.User.Password(); !ok || password == "" {
		if u.Query().Get("passfile") == "" && u.Query().Get("sslcert") == "" {
			r.add(Warning, "settings", "give the user of the database a password", "the data source name has no password for a server on the network")
		}
	}
	r.checkTLS(u)
}

// checkTLS looks at how the connection to a server on the network is protected.
func (r *report) checkTLS(u *url.URL) {
	const subject = "settings"
	if u.Scheme == "mysql" {
		switch mode := u.Query().Get("tls"); mode {
		case "", "false", "preferred":
			r.add(Error, subject, "add tls=true", "the connection to the database may be in clear (tls=%s)", mode)
		case "skip-verify":
			r.add(Warning, subject, "add tls=true", "the certificate of the database is not verified (tls=%s)", mode)
		}
		return
	}
	switch mode := u.Query().Get("sslmode"); mode {
	case "", "disable", "allow", "prefer":
		r.add(Error, subject, "add sslmode=verify-full", "the connection to the database may be in clear (sslmode=%s)", mode)
	case "require", "verify-ca":
		r.add(Warning, subject, "add sslmode=verify-full", "the host of the database is not verified (sslmode=%s)", mode)
	}
}

// onThisMachine reports whether a host is reached without a network.
func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || err == nil && ip.IsLoopback()
}

// checkFile looks at the files of SQLite.
func (r *report) checkFile(name string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if _, err := os.Stat(name + suffix); err == nil {
			r.checkMode(name+suffix, "the database")
		}
	}
	folder := filepath.Dir(name)
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		r.add(Error, "settings", "chmod o-w "+folder, "everybody may put another file in the place of the database: %s is writable by all", folder)
	}
}

// checkMode looks at who may read a file.
func (r *report) checkMode(name, what string) {
	info, err := os.Stat(name)
	if err != nil {
		r.add(Error, "settings", "see who owns it", "%s: %v", what, err)
		return
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && ownersOnly {
		r.add(Error, "settings", "chmod 600 "+name, "others than its owner may use %s: %s has the mode %04o", what, name, mode)
	}
}

// isLoopbackURL reports whether only this machine reaches a URL.
func isLoopbackURL(u *url.URL) bool {
	host := u.Hostname()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return onThisMachine(host)
}
