package check

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ostiary/auth/cmd/ostiary/internal/private"
)

// checkSource looks at the data source name and where it is kept.
func (r *report) checkSource() {
	if r.DSNFile != "" {
		r.checkMode(r.DSNFile, "the file with the data source name")
	}
	if r.Env("OSTIARY_ADMIN_PASSWORD") != "" {
		r.add(Warning, "settings", "unset it", "OSTIARY_ADMIN_PASSWORD is still set: it counts on the first start only, and is a password in clear")
	}
	for _, of := range secretFiles {
		r.checkSecret(r.Env(of.variable), of.what)
	}
	u, err := url.Parse(r.DSN)
	if !strings.Contains(r.DSN, "://") {
		r.checkFile(r.DSN)
		return
	}
	if err == nil {
		r.checkSecret(u.Query().Get("passfile"), "the file with passwords of databases")
		r.checkSecret(u.Query().Get("sslkey"), "the key for the database")
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

// secretFiles are the variables, of the example server too, that name a file with a
// secret. That of the data source name is [Target].DSNFile.
var secretFiles = []struct{ variable, what string }{
	{"OSTIARY_SOURCE_DSN_FILE", "the file with the data source name of the source"},
	{"OSTIARY_AWX_SECRET_KEY_FILE", "the file with SECRET_KEY of AWX"},
	{"OSTIARY_DB_FILE", "the file with the server's data source name"},
	{"OSTIARY_ADMIN_PASSWORD_FILE", "the file with the password of admin"},
	{"OSTIARY_USERS", "the file of users, which has passwords"},
	{"OSTIARY_TLS_KEY", "the private key of the server"},
}

// checkSecret looks at who can read a file with a secret, "" for none. One that this
// account may not look at is somebody else's to check.
func (r *report) checkSecret(name, what string) {
	if info, err := os.Stat(name); err == nil && private.Readable(info) {
		r.add(Warning, "settings", "chmod 600 "+name, "others than its owner can read %s: %s has the mode %04o", what, name, info.Mode().Perm())
	}
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
