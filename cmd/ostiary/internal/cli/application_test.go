package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

func applicationObject(id float64, name string, change object) object {
	o := object{
		"id": id, "client_id": "RANDOM", "name": name, "description": "", "organization_id": 1.0, "client_type": "confidential", "grant_type": "authorization-code",
		"redirect_uris": []any{}, "skip_consent": false, "require_pkce": false, "disabled": false, "created": "TIME", "modified": "TIME",
	}
	for k, v := range change {
		o[k] = v
	}
	return o
}

func TestApplications(t *testing.T) {
	b := newBench(t)
	uris := object{"redirect_uris": []any{"https://app.example/cb"}}
	created := applicationObject(1, "My Application", uris)
	created["client_secret"] = "RANDOM"
	want(t, "create", created, b.json("application", "create", "My Application", "--redirect-uri", "https://app.example/cb"))
	want(t, "create public", applicationObject(2, "cli", object{"client_type": "public", "organization_id": 7.0, "redirect_uris": []any{"http://127.0.0.1/cb", "myapp:/cb"}}),
		b.json("application", "create", "cli", "--client-type", "public", "--redirect-uri", "http://127.0.0.1/cb", "--redirect-uri", "myapp:/cb", "--private-scheme", "myapp", "--organization", "7"))
	b.ok("application", "create", "tv", "--grant-type", "device-code", "--client-type", "public", "--require-pkce")
	b.ok("application", "create", "cli", "--redirect-uri", "http://old.example/cb", "--insecure-http-redirects", "--skip-consent", "--description", "an old one")
	var names []string
	for _, v := range b.json("application", "list", "--search", "l").([]any) {
		names = append(names, v.(object)["name"].(string))
	}
	want(t, "search", "My Application cli cli", strings.Join(names, " "))
	if list := b.json("application", "list", "--organization", "7").([]any); len(list) != 1 {
		t.Errorf("of an organization: %v", list)
	}
	b.refused(4, "several applications are called", "application", "show", "cli")
	want(t, "show", applicationObject(1, "My Application", uris), b.json("application", "show", "My Application"))
	want(t, "secret", created, b.json("application", "secret", "1", "--overlap", "24h"))
	for _, id := range []string{"1", "2", "4"} { // older than the rules, too
		for _, state := range []string{"disable", "enable"} {
			list := b.json("application", state, id).([]any)
			if got := list[0].(object)["disabled"]; got != (state == "disable") {
				t.Errorf("%s %s: %v", state, id, list)
			}
		}
	}
	if r := b.run("", "application", "enable", "1"); r.code != 0 || !strings.Contains(r.err, "enabled already") {
		t.Errorf("twice: %+v", r)
	}
	want(t, "delete", object{"deleted": "My Application", "id": 1.0}, b.json("application", "delete", "1"))
	for _, tt := range []struct {
		code int
		says string
		args string
	}{
		{3, "there is no application \"1\"", "application show 1"},
		{3, "there is no application \"\"", "application show "},
		{2, "NAME is missing", "application create"},
		{2, "--redirect-uri: The grant type needs", "application create x"},
		{2, "--redirect-uri: ", "application create x --redirect-uri http://app.example/cb"},
		{2, "--redirect-uri: ", "application create x --redirect-uri javascript:alert(1)"},
		{2, "--client-type: Must be one of", "application create x --client-type other --redirect-uri https://a.example/"},
		{2, "--grant-type: Must be one of", "application create x --grant-type implicit"},
		{2, "--client-type: A client that acts for itself", "application create x --grant-type client-credentials --client-type public"},
		{2, "--skip-consent: A public client", "application create x --grant-type device-code --client-type public --skip-consent"},
		{2, "--organization: ", "application create x --grant-type device-code --organization 0"},
		{4, "has this name", "application create tv --grant-type device-code"},
		{2, "PrivateSchemes: \"https\"", "application create x --private-scheme https --redirect-uri https://a.example/"},
		{4, "tv is a public client", "application secret tv"},
		{2, "--overlap: \"x\"", "application secret 4 --overlap x"},
		{2, "--overlap: must be at most 30d", "application secret 4 --overlap 31d"},
		{3, "there is no application", "application delete 99"},
		{3, "there is no application", "application disable 99"},
		{2, "APPLICATION is missing", "application enable"},
	} {
		b.refused(tt.code, tt.says, strings.Split(tt.args, " ")...)
	}
}

func TestConsents(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	b.ok("application", "create", "app", "--redirect-uri", "https://app.example/cb")
	st := open(t, b).Store
	app, err := st.ApplicationByID(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for uri, epoch := range map[string]int64{"https://app.example/cb": app.Epoch, "https://app.example/old": app.Epoch - 1} {
		c := store.Consent{UserID: "1", ApplicationID: 1, ApplicationEpoch: epoch, RedirectURI: uri, Scopes: "read", Created: time.Now()}
		if err := st.SaveConsent(t.Context(), c, store.Consent{}); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := st.InsertToken(t.Context(), store.Token{Digest: store.DigestOf("x"), UserID: "1", ApplicationID: 1, Epoch: 1, Scopes: "read", Created: time.Now(), Expires: time.Now().Add(time.Hour)}, store.InsertLimits{})
	if err != nil {
		t.Fatal(err)
	}
	list := b.json("consent", "list", "--user", "erika").([]any)
	counts := map[string]bool{}
	for _, v := range list {
		counts[v.(object)["redirect_uri"].(string)] = v.(object)["counts"].(bool)
	}
	want(t, "consents", map[string]bool{"https://app.example/cb": true, "https://app.example/old": false}, counts)
	want(t, "withdraw", object{"withdrawn": true, "user": "erika", "application_id": 1.0}, b.json("consent", "withdraw", "--user", "erika", "--application", "app"))
	want(t, "afterwards", []any{}, b.json("consent", "list", "--user", "erika"))
	if tok, err = st.TokenByID(t.Context(), tok.ID); err != nil || tok.Revoked.IsZero() {
		t.Errorf("the token of the application lives on: %v", err)
	}
	for says, args := range map[string]string{
		"--user is missing":                  "consent list",
		"--user or --application is missing": "consent withdraw --user erika",
	} {
		b.refused(2, says, strings.Fields(args)...)
	}
	b.refused(3, "there is no user", "consent", "list", "--user", "nobody")
	b.refused(3, "there is no application", "consent", "withdraw", "--user", "erika", "--application", "9")
	b.refused(3, "there is no user", "consent", "withdraw", "--user", "nobody", "--application", "1")
}
