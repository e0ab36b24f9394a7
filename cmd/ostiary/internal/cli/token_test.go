package cli_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/cmd/ostiary/internal/cli"
	"github.com/ostiary/auth/store"
)

// bearer returns the status that the service would answer a token with: 0 for success.
func bearer(t testing.TB, b *bench, token string) int {
	t.Helper()
	st := open(t, b).Store
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Scopes: []string{"deploy"}}))
	_, err := tokens.Verify(t.Context(), token)
	if e, ok := err.(*auth.Error); ok {
		return e.Status
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func (b *bench) token(args ...string) string {
	b.t.Helper()
	return strings.TrimSpace(b.ok(append([]string{"token", "create", "--quiet"}, args...)...))
}

func tokenObject(id float64, user, scope string, change object) object {
	o := object{"id": id, "user": user, "kind": "personal", "scope": scope, "description": "", "created": "TIME", "expires": "TIME", "last_used": nil, "refresh_until": nil}
	for k, v := range change {
		o[k] = v
	}
	return o
}

func TestTokens(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	b.user("max")
	want(t, "create", tokenObject(1, "erika", "read deploy", object{"token": "TOKEN", "description": "for a job", "addresses": []any{"192.0.2.0/24", "2001:db8::1/128"}}),
		b.json("token", "create", "--user", "erika", "--scope", "read deploy", "--service-scope", "deploy", "--description", "for a job", "--address", "192.0.2.7/24,2001:db8::1", "--expires-in", "90d"))
	if token := b.token("--user", "max", "--expires", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)); bearer(t, b, token) != 0 {
		t.Errorf("%s does not work", token)
	}
	used := object{"last_used": "TIME"}
	want(t, "list", []any{
		tokenObject(1, "erika", "read deploy", object{"description": "for a job", "addresses": []any{"192.0.2.0/24", "2001:db8::1/128"}}),
		tokenObject(2, "max", "write", used),
	}, b.json("token", "list"))
	want(t, "list of a user", []any{tokenObject(2, "max", "write", used)}, b.json("token", "list", "--user", "max", "--kind", "personal", "--live"))
	want(t, "list of applications", []any{}, b.json("token", "list", "--kind", "application"))
	want(t, "show", tokenObject(2, "max", "write", used), b.json("token", "show", "2"))
	want(t, "revoke", object{"revoked": "token", "id": 2.0, "tree": false}, b.json("token", "revoke", "2"))
	b.refused(3, "there is no token 2, or it is revoked", "token", "show", "2")
	b.refused(3, "there is no token 2, or it is revoked", "token", "revoke", "2")
}

func TestRevocations(t *testing.T) {
	for _, tt := range []struct {
		args string
		want []int // of erika's, of max's
	}{
		{"token revoke 1", []int{401, 0}},
		{"token revoke 2 1", []int{401, 401}},
		{"token revoke 2 --tree", []int{0, 401}},
		{"token revoke --user erika", []int{401, 0}},
		{"token revoke --all --yes", []int{401, 401}},
		{"revoke_oauth2_tokens --user max", []int{0, 401}},
		{"revoke_oauth2_tokens --revoke_refresh --yes", []int{401, 401}},
		{"user disable max", []int{0, 401}},
		{"user delete erika", []int{401, 0}},
	} {
		b := newBench(t)
		b.user("root", "--superuser")
		b.user("erika")
		b.user("max")
		tokens := []string{b.token("--user", "erika"), b.token("--user", "max")}
		b.ok(strings.Fields(tt.args)...)
		var got []int
		for _, token := range tokens {
			got = append(got, bearer(t, b, token))
		}
		want(t, tt.args, tt.want, got)
	}
}

// A tree ends as a whole, also where the service lets what a token issued live on.
func TestTreeEnds(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	root := b.token("--user", "erika")
	st := open(t, b).Store
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Minting: auth.InsecureMintIndependent, Logger: quiet}))
	p, err := tokens.Verify(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	child, err := tokens.Issue(t.Context(), p, auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	shown := b.json("token", "show", strconv.FormatInt(child.ID, 10)).(object)
	want(t, "the child", []any{1.0, 1.0, 1.0}, []any{shown["parent_id"], shown["root_id"], shown["depth"]})
	b.ok("token", "revoke", "1")
	if _, err := tokens.Verify(t.Context(), child.AccessToken.Reveal()); err != nil {
		t.Errorf("the child ended: %v", err)
	}
	b.ok("token", "revoke", "1", "--tree")
	if _, err := tokens.Verify(t.Context(), child.AccessToken.Reveal()); err == nil {
		t.Error("the child lives on")
	}
}

func TestTokensRefused(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	b.user("dora", "--disabled")
	for _, tt := range []struct {
		code int
		says string
		args string
	}{
		{2, "--user is missing", "token create"},
		{3, `there is no user "nobody"`, "token create --user nobody"},
		{4, "dora is disabled", "token create --user dora"},
		{2, "--expires-in: \"soon\" is not a time such as", "token create --user erika --expires-in soon"},
		{2, "--expires-in: \"-1h\"", "token create --user erika --expires-in -1h"},
		{2, "--expires-in: \"0d\"", "token create --user erika --expires-in 0d"},
		{2, "--expires-in: \"999999999999d\"", "token create --user erika --expires-in 999999999999d"},
		{2, "--expires-in: Must not be later than", "token create --user erika --expires-in 366d"},
		{2, "--expires: \"tomorrow\" is not an instant", "token create --user erika --expires tomorrow"},
		{2, "in the past", "token create --user erika --expires 2001-01-01T00:00:00Z"},
		{2, "either --expires or --expires-in", "token create --user erika --expires 2001-01-01T00:00:00Z --expires-in 1h"},
		{2, "--address: \"example.com\"", "token create --user erika --address example.com"},
		{2, "--address: \"fe80::1%eth0\"", "token create --user erika --address fe80::1%eth0"},
		{2, "Prefix \"toolong\"", "token create --user erika --token-prefix toolong"},
		{2, "--scope: Must be a list of read, write, separated by single spaces. Name further", "token create --user erika --scope raed"},
		{2, "--scope: Must be a list of read, write", "token create --user erika --scope read,write"},
		{2, "Scopes: \"ä\" is not a scope-token", "token create --user erika --service-scope ä"},
		{2, "unexpected argument", "token create erika"},
		{2, "--kind: must be personal or application", "token list --kind other"},
		{3, `there is no application "x"`, "token list --application x"},
		{2, `"x" is not the ID of a token`, "token show x"},
		{2, `"-1" is not the ID of a token`, "token show -- -1"},
		{3, "there is no token 99", "token show 99"},
		{2, "name what to revoke", "token revoke"},
		{2, "give either IDs", "token revoke 1 --user erika"},
		{2, "give either IDs", "token revoke --user erika --all"},
		{2, "--tree needs", "token revoke --user erika --tree"},
		{2, `"x" is not the ID`, "token revoke 1 x"},
		{3, "there is no token 99", "token revoke 99"},
		{3, `there is no user "nobody"`, "token revoke --user nobody"},
		{3, `there is no application "9"`, "token revoke --application 9"},
		{4, "no terminal to confirm it on; add --yes", "token revoke --all"},
		{4, "no terminal to confirm it on; add --yes", "revoke_oauth2_tokens"},
		{4, "no terminal to confirm it on; add --yes", "expire_sessions"},
		{4, "no terminal to confirm it on; add --yes", "session end --all"},
		{2, "--user is missing", "create_oauth2_token"},
		{2, "--username is missing", "update_password"},
		{2, "--password is refused", "update_password --username erika --password hunter2hunter2hunter2"},
		{2, "--password is refused", "update_password --username erika --password="},
		{2, "--older-than: must be at least 1h", "purge --older-than 1m"},
		{2, "--older-than: \"x\"", "purge --older-than x"},
		{2, "--activity-older-than: \"\"", "purge --activity-older-than="},
	} {
		b.refused(tt.code, tt.says, strings.Split(tt.args, " ")...)
	}
	want(t, "nothing was issued", []any{}, b.json("token", "list"))
}

// full is a file on a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A token that nobody could read does not stay.
func TestTokenThatIsNotShown(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	for _, args := range []string{"token create --user erika", "token create --user erika -q", "token create --user erika -o json", "create_oauth2_token --user erika"} {
		var said bytes.Buffer
		w := cli.World{In: strings.NewReader(""), Out: full{}, Err: &said, Env: func(name string) string { return b.env[name] }}
		if code := cli.Main(t.Context(), w, strings.Fields(args)); code != 1 || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%s: status %d: %s", args, code, said.String())
		}
	}
	want(t, "tokens", []any{}, b.json("token", "list"))
}

// AWX's administrators type what they know.
func TestAWXNames(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	token := strings.TrimSpace(b.ok("create_oauth2_token", "--user", "erika"))
	if !tokenText.MatchString(token) || bearer(t, b, token) != 0 {
		t.Errorf("the token %q", token)
	}
	b.okWith("another good password", "update_password", "--username", "erika", "--password-stdin")
	st := open(t, b).Store
	hash, err := st.PasswordHash(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := (auth.Argon2id{}).Verify(hash, "another good password"); !ok || err != nil {
		t.Errorf("the password is another: %v", err)
	}
	want(t, "cleanup", object{"tokens": 0.0, "sessions": 0.0, "attempts": 0.0, "activities": 0.0}, b.json("cleanup_tokens"))
	want(t, "expire one", object{"ended": 0.0, "user": "erika"}, b.json("expire_sessions", "--user", "erika"))
	want(t, "expire all", object{"ended": 0.0, "users": 1.0}, b.json("expire_sessions", "--yes"))
}

func TestPurge(t *testing.T) {
	b := newBench(t)
	st := open(t, b).Store
	const many = 1100 // more than two steps
	old := time.Now().Add(-48 * time.Hour)
	for i := range many {
		tok := store.Token{Digest: store.DigestOf(strconv.Itoa(i)), UserID: "1", Scopes: "read", Created: old.Add(-time.Hour), Expires: old}
		if i == 0 {
			tok.Expires = time.Now().Add(-time.Hour) // not long ago
		}
		if _, err := st.InsertToken(t.Context(), tok, store.InsertLimits{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []time.Time{time.Now(), time.Now().AddDate(0, 0, -91), time.Now().AddDate(0, 0, -40)} {
		if _, err := st.InsertActivity(t.Context(), store.Activity{At: at, Operation: store.OperationCreate, Object: store.ObjectUser, UserID: "1"}, 100); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "purge", object{"tokens": many - 1.0, "sessions": 0.0, "attempts": 0.0, "activities": 1.0}, b.json("purge"))
	want(t, "again", object{"tokens": 1.0, "sessions": 0.0, "attempts": 0.0, "activities": 1.0}, b.json("purge", "--older-than", "60m", "--activity-older-than", "30d"))
}
