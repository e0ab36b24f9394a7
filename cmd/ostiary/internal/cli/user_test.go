package cli_test

import (
	"strings"
	"testing"
)

type object = map[string]any

func userObject(id, name string, change object) object {
	o := object{"id": id, "name": name, "email": "", "first_name": "", "last_name": "", "superuser": false, "auditor": false, "active": true, "service_account": false, "created": "TIME"}
	for k, v := range change {
		o[k] = v
	}
	return o
}

func TestUsers(t *testing.T) {
	b := newBench(t)
	want(t, "create", userObject("1", "root", object{"superuser": true}),
		b.jsonWith(goodPassword, "user", "create", "root", "--superuser", "--password-stdin"))
	want(t, "generate", userObject("2", "erika", object{"email": "e@example.com", "first_name": "Erika", "last_name": "M", "password": "RANDOM"}),
		b.json("user", "create", "erika", "--email", "e@example.com", "--first-name", "Erika", "--last-name", "M", "--generate"))
	b.user("max", "--auditor", "--disabled")
	want(t, "list", []any{
		userObject("1", "root", object{"superuser": true}),
		userObject("2", "erika", object{"email": "e@example.com", "first_name": "Erika", "last_name": "M"}),
		userObject("3", "max", object{"auditor": true, "active": false}),
	}, b.json("user", "list"))
	for args, names := range map[string]string{
		"--superuser": "root", "--auditor": "max", "--active": "root erika", "--disabled": "max", "--search EXAMPLE": "erika",
		"--limit 1": "root", "--offset 1 --limit 1": "erika", "--search nobody": "",
	} {
		var got []string
		for _, u := range b.json(append([]string{"user", "list"}, strings.Fields(args)...)...).([]any) {
			got = append(got, u.(object)["name"].(string))
		}
		want(t, args, names, strings.Join(got, " "))
	}
	want(t, "show", userObject("3", "max", object{
		"auditor": true, "active": false, "has_password": true, "tokens": 0.0, "sessions": 0.0, "consents": 0.0,
	}), b.json("user", "show", "id:3"))
	want(t, "enable", []any{userObject("3", "max", object{"auditor": true})}, b.json("user", "enable", "max"))
	want(t, "admin", []any{userObject("3", "max", object{"auditor": true, "superuser": true})}, b.json("user", "admin", "max"))
	want(t, "no auditor", []any{userObject("3", "max", object{"superuser": true})}, b.json("user", "admin", "max", "--auditor", "--revoke"))
	want(t, "no admin", []any{userObject("3", "max", nil)}, b.json("user", "admin", "max", "--revoke"))
	want(t, "disable", []any{userObject("2", "erika", object{"email": "e@example.com", "first_name": "Erika", "last_name": "M", "active": false}),
		userObject("3", "max", object{"active": false})}, b.json("user", "disable", "erika", "id:3"))
	want(t, "password", userObject("3", "max", object{"active": false}), b.jsonWith(goodPassword+"2\n", "user", "password", "max", "--password-stdin"))
	want(t, "delete", object{"deleted": "max", "id": "3"}, b.json("user", "delete", "max"))
	want(t, "create a service account", userObject("4", "backup", object{"service_account": true}), b.json("user", "create", "backup", "--service"))
	want(t, "service accounts", []any{userObject("4", "backup", object{"service_account": true})}, b.json("user", "list", "--service"))
	want(t, "a person", userObject("4", "backup", object{"password": "RANDOM"}), b.json("user", "password", "backup", "--person", "--generate"))
	want(t, "a service account", []any{userObject("4", "backup", object{"service_account": true})}, b.json("user", "service", "backup"))
	want(t, "no password", false, b.json("user", "show", "backup").(object)["has_password"])
	if out := b.ok("user", "list"); !strings.Contains(out, "backup  service ") {
		t.Errorf("the table:\n%s", out)
	}
	b.json("user", "delete", "backup")
	if out := b.ok("user", "list"); !strings.HasPrefix(out, "ID  NAME ") || strings.Count(out, "\n") != 3 {
		t.Errorf("the table:\n%s", out)
	}
}

func TestUsersRefused(t *testing.T) {
	b := newBench(t)
	b.user("root", "--superuser")
	b.user("erika")
	b.ok("user", "create", "backup", "--service")
	for _, tt := range []struct {
		in   string
		code int
		says string
		args string
	}{
		{"", 2, "NAME is missing", "user create"},
		{"", 2, "unexpected argument", "user create a b"},
		{"", 2, "no terminal to ask for the password", "user create max"},
		{"", 2, "standard input has no password", "user create max --password-stdin"},
		{"\n", 2, "standard input has no password", "user create max --password-stdin"},
		{"one line of two\nand another", 2, "more than one line", "user create max --password-stdin"},
		{"short", 2, "the password: Must have at least 15 characters.", "user create max --password-stdin"},
		{"shorter8", 2, "PasswordsOptions.MinLength 7", "user create max --password-stdin --min-length 7"},
		{strings.Repeat("x", 1025), 2, "the password: Must be UTF-8", "user create max --password-stdin"},
		{"with\x07 a control character", 2, "the password: Must be UTF-8", "user create max --password-stdin"},
		{goodPassword, 4, "exists already", "user create erika --password-stdin"},
		{goodPassword, 2, "NAME: ", "user create x\ty --password-stdin"},
		{goodPassword, 2, "NAME: ", "user create  --password-stdin"},
		{goodPassword, 2, "--email: ", "user create max --password-stdin --email " + strings.Repeat("x", 300)},
		{"", 2, "either --password-stdin or --generate", "user create max --password-stdin --generate"},
		{"", 2, "--limit: must be between 1 and", "user list --limit 0"},
		{"", 2, "--limit: must be between 1 and", "user list --limit 100001"},
		{"", 2, "--offset: must not be negative", "user list --offset -1"},
		{"", 2, "invalid argument", "user list --limit many"},
		{"", 2, "unknown flag: --colour", "user list --colour"},
		{"", 2, "must be table or json", "user list -o yaml"},
		{"", 2, "either --active or --disabled", "user list --active --disabled"},
		{"", 3, `there is no user "Erika"`, "user show Erika"},
		{"", 3, `there is no user "id:99"`, "user show id:99"},
		{"", 2, "USER is missing", "user disable"},
		{"", 3, `there is no user "nobody"`, "user disable nobody"},
		{"", 4, "last active superuser", "user disable root"},
		{"", 4, "last active superuser", "user delete root"},
		{"", 4, "last active superuser", "user admin root --revoke"},
		{"", 3, `there is no user "nobody"`, "user delete nobody"},
		{goodPassword, 3, `there is no user "nobody"`, "user password nobody --password-stdin"},
		{"", 2, "--service: a service account has no password", "user create robot --service --generate"},
		{goodPassword, 2, "--service: a service account has no password", "user create robot --service --password-stdin"},
		{goodPassword, 4, "backup is a service account and has no password; --person", "user password backup --password-stdin"},
		{goodPassword, 4, "backup is a service account", "update_password --username backup --password-stdin"},
		{"", 4, "last active superuser", "user service root"},
		{"", 2, "--description: A token of a service account needs a name", "token create --user backup"},
		{"short", 2, "at least 15", "user password erika --password-stdin"},
		{"", 2, `no command "lst"; did you mean list?`, "user lst"},
		{"", 2, `no command "x"; see ostiary user --help`, "user x"},
		{"", 2, "", "user"},
		{"", 2, `no command "usr"; did you mean user?`, "usr"},
		{"", 2, "--operator: ", "user list --operator \x1b"},
	} {
		args := strings.Split(tt.args, " ")
		b.refusedWith(tt.in, tt.code, tt.says, args...)
	}
	// What succeeds is done, whatever becomes of the others.
	r := b.run("", "user", "disable", "nobody", "erika")
	if r.code != 3 || !strings.Contains(r.out, "disabled") || !strings.Contains(r.err, `nobody: there is no user`) {
		t.Errorf("one of two: %+v", r)
	}
	if r := b.run("", "user", "disable", "erika"); r.code != 0 || !strings.Contains(r.err, "erika is disabled already.") {
		t.Errorf("twice: %+v", r)
	}
}

// A list beyond its limit says so, whatever the page size inside.
func TestLongList(t *testing.T) {
	b := newBench(t)
	fill(t, b, 1203)
	for _, tt := range []struct {
		limit, offset string
		n             int
		more          bool
	}{{"1203", "0", 1203, false}, {"1202", "0", 1202, true}, {"500", "0", 500, true}, {"501", "700", 501, true}, {"9", "1200", 3, false}, {"5", "5000", 0, false}} {
		r := b.run("", "user", "list", "--limit", tt.limit, "--offset", tt.offset)
		if n := strings.Count(r.out, "\n") - 1; n != tt.n || strings.Contains(r.err, "There are more") != tt.more || r.code != 0 {
			t.Errorf("%+v: %d lines, %s", tt, n, r.err)
		}
	}
}

// A name from elsewhere must not steer the terminal.
func TestOddNamesAreShownAsTheyAre(t *testing.T) {
	b := newBench(t)
	insertUser(t, b, "a\x1b[31m\nb\u202e")
	out := b.ok("user", "list")
	if strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, `a\x1b[31m\nb\u202e`) || strings.Count(out, "\n") != 2 {
		t.Errorf("the table:\n%q", out)
	}
	r := b.run("", "user", "show", "\x1b[2J")
	if strings.Contains(r.err, "\x1b") || r.code != 3 {
		t.Errorf("the error: %q", r.err)
	}
}
