package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFlagRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-nope"}, "flag provided but not defined: -nope"},
		{"argument", []string{"extra"}, `unexpected argument "extra": every setting is a flag, see -help`},
		{"lifetime without a unit", []string{"-session-idle", "30"}, `invalid value "30" for flag -session-idle`},
		{"negative lifetime", []string{"-session-idle", "-1m"}, "-session-idle: -1m0s is below a second"},
		{"zero lifetime", []string{"-access-lifetime", "0"}, "-access-lifetime: 0s is below a second"},
		{"code lifetime above the RFC's", []string{"-code-lifetime", "11m"}, "CodeLifetime 11m0s is not between a second and ten minutes"},
		{"port in use", []string{"-addr", taken.Addr().String()}, "is another server running there?"},
		{"address without a port", []string{"-addr", "localhost"}, "-addr: listen tcp: address localhost: missing port in address; write an address of this machine and a port"},
		{"port without an address", []string{"-addr", "8095"}, "missing port in address; write an address of this machine and a port"},
		{"address of another machine", []string{"-addr", "192.0.2.1:0"}, "write an address of this machine and a port"},
		{"folder that is not there", []string{"-db", "no/such/file.db"}, "-db: open no/such/file.db: no such file or directory; choose a file that can be written"},
		{"unknown database", []string{"-db", "oracle://x"}, "-db: oracle:// is no database I know"},
		{"cookie name", []string{"-session-cookie", "a b"}, `CookieName "a b" is not a cookie name`},
		{"address that is no URL", []string{"-url", "api.example"}, `-url: "api.example" does not begin with https://; write the whole address`},
		{"address of another scheme", []string{"-url", "ftp://api.example"}, "-url: \"ftp://api.example\" does not begin with https://"},
		{"plain http for everybody", []string{"-url", "http://api.example"}, "is not an https URL"},
		{"all proxies", []string{"-trusted-proxies", "0.0.0.0/0"}, "-trusted-proxies: auth: ProxyOptions.Peers: 0.0.0.0/0 is too wide"},
		{"minting that is none", []string{"-minting", "both"}, `invalid value "both" for flag -minting: must be children or independent`},
		{"minting without a value", []string{"-minting="}, `invalid value "" for flag -minting`},
		{"log format", []string{"-log-format", "xml"}, `invalid value "xml" for flag -log-format: must be text or json`},
		{"log level", []string{"-log-level", "loud"}, `invalid value "loud" for flag -log-level`},
		{"operator's port in use", []string{"-admin-addr", taken.Addr().String()}, "-admin-addr: listen tcp"},
		{"headers of nobody", []string{"-remote-host-headers", "X-Forwarded-For"}, "-remote-host-headers: nobody is believed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(binary, append([]string{"-addr", "127.0.0.1:0"}, tt.args...)...)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v, printed\n%s\nwant %q in it", err, out, tt.want)
			}
			// E8: nothing is made and told before everything was looked at.
			if files, err := os.ReadDir(cmd.Dir); err != nil || len(files) > 0 || strings.Contains(string(out), "short password") || strings.Contains(string(out), "Created") {
				t.Errorf("%v, made %v, printed\n%s", err, files, out)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	out, err := exec.Command(binary, "-help").CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{adminPassword, "-addr", "-db", "-users", "-basic", "-session-cookie", "-session-idle", "-access-lifetime", "-refresh-lifetime", "-code-lifetime", "-insecure-cookie", "-minting", "(default independent)", "-activity"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not explained in\n%s", want, out)
		}
	}
}

func TestInsecureCookieIsForLoopbackOnly(t *testing.T) {
	for _, tt := range []struct {
		args string
		want bool
	}{
		{"", true},
		{"-addr 127.0.0.1:0", true},
		{"-addr [::1]:0", true},
		{"-addr localhost:8080", true},
		{"-addr :8080", false},
		{"-addr 0.0.0.0:8080", false},
		{"-addr 192.0.2.1:8080", false},
		{"-addr localhost.example:8080", false},
		{"-url https://api.example", false},
		{"-insecure-cookie=false", false},
		{"-addr 192.0.2.1:8080 -insecure-cookie", true},
	} {
		if c, err := parseFlags(strings.Fields(tt.args)); err != nil || c.insecureCookie != tt.want {
			t.Errorf("%s: %t (%v), want %t", tt.args, c.insecureCookie, err, tt.want)
		}
	}
}

func TestDatabaseIsPrivate(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "test.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v (%v), want mode 0600", info.Mode(), err)
		}
	}
}

func TestLifetimes(t *testing.T) {
	s := start(t, t.TempDir(), "-access-lifetime", "90s", "-session-cookie", "awx_sessionid", "-session-idle", "5m")
	body, _ := s.shell(`date -u +%Y-%m-%dT%H:%M:%S -d '+91 seconds'; curl -X POST ` + s.url + `/api/v2/tokens/ -u admin:` + testPassword + ` | jq -r .expires; date -u +%Y-%m-%dT%H:%M:%S -d '+89 seconds'`)
	if lines := strings.Fields(body); len(lines) != 3 || lines[1] > lines[0]+"Z" && lines[1] < lines[2] {
		t.Errorf("a token of 90 s expires at %q", lines)
	}
	head, statuses := s.shell(`curl -i ` + s.url + `/api/login/ -d 'username=admin&password=` + testPassword + `'`)
	if statuses[0] != "302" || !strings.Contains(head, "Set-Cookie: awx_sessionid=") || !strings.Contains(head, "X-Api-Session-Cookie-Name: awx_sessionid") {
		t.Errorf("login: %s", head)
	}
}

func TestBasicOff(t *testing.T) {
	s := start(t, t.TempDir(), "-basic=false")
	right := s.get("401", "/api/v2/me/", "-u admin:"+testPassword)
	wrong := s.get("401", "/api/v2/me/", "-u admin:wrong")
	if right["detail"] != wrong["detail"] {
		t.Errorf("right password: %v, wrong: %v", right, wrong)
	}
	s.get("302", "/api/login/", "-d 'username=admin&password="+testPassword+"'")
}
