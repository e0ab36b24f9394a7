package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inFile writes a configuration file and returns its name.
func inFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ostiary.yaml")
	write(t, file, text)
	return file
}

// TestPrecedence has each setting that can differ in every combination of places.
func TestPrecedence(t *testing.T) {
	for n := range 8 {
		t.Run(fmt.Sprintf("%03b", n), func(t *testing.T) {
			want, origin := "30m", ""
			var args []string
			if n&1 != 0 {
				file := inFile(t, "# a comment\nsession-idle: 1m\n")
				args = append(args, "-config", file)
				want, origin = "1m", file+":2: session-idle"
			}
			if n&2 != 0 {
				t.Setenv("OSTIARY_SESSION_IDLE", "2m")
				want, origin = "2m", "OSTIARY_SESSION_IDLE"
			}
			if n&4 != 0 {
				args = append(args, "-session-idle", "3m")
				want, origin = "3m", "-session-idle"
			}
			c, err := parseFlags(args)
			if err != nil {
				t.Fatal(err)
			}
			if got := (&duration{to: &c.session.IdleTimeout}).String(); got != want || c.settings.origin["session-idle"].String() != origin {
				t.Errorf("%s from %q, want %s from %q", got, c.settings.origin["session-idle"], want, origin)
			}
		})
	}
}

// TestEveryPlace has one value of each setting, which must be the same from a flag, a
// variable and the file.
func TestEveryPlace(t *testing.T) {
	t.Setenv(adminPassword, "")
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	write(t, secret, "postgres://h/d\n")
	pair := newPair(t, dir, "one", 1)
	values := map[string]string{
		"addr": "127.0.0.1:1", "url": "https://a.example", "tls-cert": pair.cert, "tls-key": pair.key,
		"users": "u.json", "db": "x.db", "db-file": secret, "admin-password": "x", "admin-password-file": secret,
		"product": "Acme", "session-cookie": "awx_sessionid", "token-prefix": "abc", "minting": "children",
		"admin-addr": "127.0.0.1:2", "log-format": "json", "log-level": "debug",
	}
	c, err := parseFlags(nil)
	if err != nil {
		t.Fatal(err)
	}
	with := map[string][]string{"tls-cert": {"-tls-key", pair.key}, "tls-key": {"-tls-cert", pair.cert}, "remote-host-headers": {"-trusted-proxies", "10.0.0.1"}}
	for _, name := range c.settings.known() {
		value := values[name]
		switch c.settings.flags.Lookup(name).Value.(type) {
		case *duration:
			value = "61s"
		case count:
			value = "9"
		case limit:
			value = "3/2m"
		case list:
			value = "10.0.0.1"
		case interface{ IsBoolFlag() bool }:
			value = map[string]string{"true": "false", "false": "true"}[c.settings.flags.Lookup(name).Value.String()]
		}
		t.Run(name, func(t *testing.T) {
			if value == "" {
				t.Fatal("the test has no value of it")
			}
			shown := func(args ...string) string {
				c, err := parseFlags(append(args, with[name]...))
				if err != nil || !c.settings.given(name) {
					t.Error(err)
				}
				return c.settings.flags.Lookup(strings.TrimSuffix(name, "-file")).Value.String()
			}
			got := map[string]bool{shown("-config", inFile(t, name+": "+value+"\n")): true}
			if name != "admin-password" {
				got[shown("-"+name+"="+value)] = true
			}
			t.Setenv(variable(name), value)
			got[shown()] = true
			if len(got) != 1 {
				t.Errorf("%q from a flag, a variable and the file", slices.Collect(maps.Keys(got)))
			}
		})
	}
}

func TestFileRefusals(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "addr: x:1\nsesion-idle: 3m\n", `F:2: "sesion-idle" is no setting; did you mean session-idle?`},
		{"key with underscores", "session_idle: 3m", `did you mean session-idle?`},
		{"two letters changed over", "sessoin-idle: 3m", `did you mean session-idle?`},
		{"key like no other", "colour: red", `F:1: "colour" is no setting`},
		{"key that is a command", "healthcheck: true", `F:1: "healthcheck" is no setting`},
		{"file in the file", "config: x", `F:1: "config" is no setting`},
		{"key that is no text", "[a]: x", `F:1: "" is no setting`},
		{"key twice", "basic: true\nurl:\nbasic: false", "F:3: basic: line 1 has it, too"},
		{"not YAML", "addr: [", "F: line 1: did not find expected node content"},
		{"tabs", "addr: x:1\n\tbasic: true", "F: line 2: found a tab character"},
		{"a list of settings", "- addr: x", "F:1: write settings, such as session-idle: 30m"},
		{"text", "addr", "F:1: write settings, such as"},
		{"two documents", "addr: x:1\n---\naddr: y:1\n", "F:2: there is a second document"},
		{"deeper", "session:\n  idle: 3m", `F:1: "session" is no setting`},
		{"deeper below a setting", "session-idle:\n  minutes: 3", "F:1: session-idle: write one value, or a list"},
		{"alias", "url: &u https://a\nproduct: *u", "F:2: product: aliases are not taken"},
		{"list with a comma", "scopes: ['a,b']", "F:1: scopes: line 1: an element"},
		{"list in a list", "scopes: [[a]]", "F:1: scopes: write one value"},
		{"time without a unit", "\n\nsession-idle: 30", `F:3: session-idle: "30": write a time with its unit`},
		{"time below a second", "session-idle: 1ms", "F:1: session-idle: 1ms is below a second"},
		{"no truth value", "basic: no", `F:1: basic: "no": write true or false`},
		{"what the library refuses", "password-min-length: 3", "F:1: password-min-length: auth: PasswordsOptions.MinLength 3 is below 8"},
		{"two that do not go together", "session-idle: 2h\nsession-lifetime: 1h", "F:2: session-lifetime: auth: SessionOptions.Lifetime 1h0m0s is shorter"},
		{"not UTF-8", "product: \xff", "F: not UTF-8"},
		{"address", "addr: here", "F:1: addr: listen tcp: address here: missing port in address; write an address of this machine"},
		{"database", "db: oracle://x", "F:1: db: oracle:// is no database I know"},
		{"users", "users: nobody.json", "F:1: users nobody.json: open nobody.json: no such file"},
		{"password", "admin-password: \"a\\u0007b\"", "F:1: admin-password: must have 1 to"},
		{"secret twice", "db: x.db\ndb-file: y", "F:2: db-file: there is F:1: db, too"},
		{"secret that is not there", "db-file: none", "F:1: db-file: open none: no such file"},
		{"certificate without its key", "tls-cert: x", "F:1: tls-cert: a certificate needs its private key"},
		{"http with TLS", "tls-cert: x\ntls-key: y\nurl: http://a.example", "F:3: url: the server speaks TLS (F:1: tls-cert)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(adminPassword, "")
			file := inFile(t, tt.text)
			c, err := parseFlags([]string{"-config", file})
			if err == nil {
				_, err = c.checkAll()
			}
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), file, "F"), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
	if c, err := parseFlags([]string{"-config", inFile(t, "# nothing\n")}); err != nil || c.settings.given("addr") {
		t.Errorf("an empty file: %v", err)
	}
}

// TestSecrets holds that a secret is neither an argument nor printed.
func TestSecrets(t *testing.T) {
	const password = "s3cr3t-of-the-database"
	dir := t.TempDir()
	file := filepath.Join(dir, "db")
	for name, tt := range map[string]struct {
		content, want string
	}{
		"a line":            {"postgres://u:" + password + "@h/d\n", ""},
		"a line of Windows": {"postgres://u@h/d?password=" + password + "\r\n", ""},
		"empty":             {"\n", "is empty"},
		"two lines":         {"postgres://h/d\n" + password, "must have one line"},
		"NUL":               {password + "\x00", "must have one line"},
		"too long":          {strings.Repeat(password, 1000), "must have one line"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, file, tt.content)
			t.Setenv("OSTIARY_DB_FILE", file)
			c, err := parseFlags(nil)
			var out strings.Builder
			if printErr := c.settings.print(&out); printErr != nil {
				t.Error(printErr)
			}
			text := out.String() + fmt.Sprint(err)
			if strings.Contains(text, password) {
				t.Errorf("printed is %s", text)
			}
			if tt.want == "" && (err != nil || !strings.Contains(c.db, password) || !strings.Contains(text, "# OSTIARY_DB_FILE, "+file)) || !strings.Contains(text, tt.want) {
				t.Errorf("%v, %s", err, text)
			}
		})
	}
	if _, err := parseFlags([]string{"-admin-password", "x"}); err == nil || !strings.Contains(err.Error(), "every user of the machine sees") {
		t.Errorf("a password as an argument: %v", err)
	}
	t.Setenv("OSTIARY_DB_FILE", file)
	if c, err := parseFlags([]string{"-db", "x.db"}); err != nil || c.db != "x.db" { // it is not even read
		t.Errorf("a flag before the file of a variable: %q, %v", c.db, err)
	}
}

// TestPrintConfig holds that what is printed says the same again.
func TestPrintConfig(t *testing.T) {
	t.Setenv(adminPassword, "")
	first := shownConfig(t, "-scopes", "deploy, run", "-minting", "children", "-product", "#1: \"Café\"", "-throttle-client", "5/90m", "-refresh-lifetime", "36h", "-trusted-proxies", "10.0.0.0/8")
	second := shownConfig(t, "-config", inFile(t, first))
	strip := func(s string) (lines []string) {
		for line := range strings.Lines(s) {
			setting, _, _ := strings.Cut(line, "  # ")
			lines = append(lines, strings.TrimSpace(setting))
		}
		return lines
	}
	if a, b := strip(first), strip(second); !slices.Equal(a, b) {
		t.Errorf("first\n%s\nsecond\n%s", first, second)
	}
	for _, want := range []string{"session-idle: 30m ", "scopes: deploy,run ", "# -scopes\n", "throttle-client: 5/1h30m ", "access-lifetime: ", "# default: 1h for those"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
}

func shownConfig(t *testing.T, args ...string) string {
	t.Helper()
	c, err := parseFlags(args)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.settings.print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Whoever names a file with a secret is told that others can read it, by whichever
// setting.
func TestSecretFileThatOthersRead(t *testing.T) {
	noSecret := map[string]bool{"config": true /* TestWarnings */, "tls-cert": true}
	file := inFile(t, "postgres://u:p@h/d")
	c, err := parseFlags(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.settings.flags.VisitAll(func(f *flag.Flag) {
		if !strings.Contains(f.Usage, "`file`") || noSecret[f.Name] {
			return
		}
		for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: true, 0o604: true} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			args := []string{"-" + f.Name, file}
			if f.Name == "tls-key" {
				args = append(args, "-tls-cert", file)
			}
			c, err := parseFlags(args)
			if err != nil {
				t.Fatal(err)
			}
			if log := logged(t, c.warn); strings.Contains(log, "a file with a secret") != want {
				t.Errorf("-%s with the mode %v: %s", f.Name, mode, log)
			}
		}
	})
}

func TestWarnings(t *testing.T) {
	open := inFile(t, "db: postgres://u:p@h/d\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		env  string
		want string // none
	}{
		{args: ""},
		{args: "-addr 0.0.0.0:1", want: "passwords and tokens cross the network in clear"},
		{args: "-addr 0.0.0.0:1 -trusted-proxies 10.0.0.1"},
		{args: "-addr 0.0.0.0:1 -trusted-proxies 10.0.0.1 -insecure-cookie", want: "send the session cookie in clear"},
		{args: "-url https://a.example", want: "name it in -trusted-proxies"},
		{args: "-db postgres://u:p@h/d", want: "-db shows its password to every user"},
		{args: "-db postgres://u@h/d"},
		{args: "-db postgres://u@h/d?password=p", want: "-db shows its password to every user"},
		{env: "OSTIARY_DB=postgres://u:p@h/d"},
		{args: "-config " + open, want: "other users can read the configuration file"},
		{env: "OSTIARY_SESION_IDLE=3m", want: "OSTIARY_SESION_IDLE; did you mean OSTIARY_SESSION_IDLE?"},
		{args: "-activity=false -activity-keep 1d", want: "the activity stream is off"},
		{args: "-forwarded-host", want: "nobody is believed"},
		{args: "-basic=false -basic-requires-tls", want: "HTTP Basic is off"},
		{args: "-addr 0.0.0.0:1 -trusted-proxies 10.0.0.1 -device-lifetime 5m", want: "devices need -url"},
		{args: "-client-documents-blocked evil.example", want: "name hosts in -client-documents"},
		{args: "-client-documents * -client-documents-blocked evil.example"},
	} {
		t.Run(tt.args+tt.env, func(t *testing.T) {
			for _, pair := range os.Environ() { // of whoever runs the tests
				if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
					t.Setenv(name, value)
					os.Unsetenv(name)
				}
			}
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(name, value)
			}
			c, err := parseFlags(strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			log := logged(t, c.warn)
			if tt.want == "" && log != "" || !strings.Contains(log, tt.want) {
				t.Errorf("%s\nwant %q", log, tt.want)
			}
		})
	}
}

func FuzzFile(f *testing.F) {
	c, err := parseFlags(nil)
	if err != nil {
		f.Fatal(err)
	}
	known := c.settings.known()
	for _, seed := range []string{"", "addr: x:1\n", "scopes: [a, b]\n# c\nbasic: true", "a: &a [*a]", "? a\n: b", "--- !!map {addr: !!binary eA==}", "addr: |\n  x\n", "%YAML 1.1\n---\n", "{addr: x, addr: y}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := parseFile("f", []byte(text), known)
		seen := make(map[string]bool)
		for _, e := range entries {
			if err != nil || !slices.Contains(known, e.name) || seen[e.name] || e.line < 1 {
				t.Errorf("%v with %v", e, err)
			}
			seen[e.name] = true
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{"30m", "30d", "1/1m", "5/90m", "a,b", "0", "-1s", "99999999999d", "1h0m0s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c, again config
		for _, pair := range [][2]interface {
			Set(string) error
			String() string
		}{
			{seconds(&c.access), seconds(&again.access)},
			{count{&c.dbConns}, count{&again.dbConns}},
			{limit{&c.passwords.PerClient}, limit{&again.passwords.PerClient}},
			{list{&c.proxies}, list{&again.proxies}},
		} {
			if pair[0].Set(text) != nil || pair[0].String() == "" {
				continue
			}
			if err := pair[1].Set(pair[0].String()); err != nil || pair[1].String() != pair[0].String() {
				t.Errorf("%q is %q and then %q (%v)", text, pair[0], pair[1], err)
			}
		}
	})
}
