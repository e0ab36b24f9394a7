package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// TestSchema holds who gets the document, in which form, and that it says nothing
// about what the store has.
func TestSchema(t *testing.T) { // G9
	o := newOAuth(t)
	token := o.token(o.alice, auth.ScopeWrite)
	first := o.do("GET", "/api/v2/schema/").wants(200)
	for name, parts := range map[string][]with{
		"with a dead token":      {bearer("dead")},
		"with a token":           {bearer(token)},
		"with a wrong password":  {basic("alice", "wrong")},
		"with two credentials":   {header("Authorization", "Bearer a", "Bearer b")},
		"with a session":         {cookie(o.login("alice", "alice-pw"))},
		"that accepts all":       {header("Accept", "*/*")},
		"that accepts OpenAPI":   {header("Accept", "application/vnd.oai.openapi+json")},
		"that accepts JSON, too": {header("Accept", "text/html, application/json;q=0.5")},
	} {
		r := o.do("GET", "/api/v2/schema/", parts...).wants(200)
		if r.body != first.body {
			t.Errorf("a request %s gets another document", name)
		}
		for field, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "public, max-age=3600", "Vary": "Accept", "Set-Cookie": "",
			"X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "",
		} {
			if got := strings.Join(r.header.Values(field), ","); got != want && field != "Vary" || !strings.Contains(got, want) {
				t.Errorf("a request %s: %s is %q, want %q", name, field, got, want)
			}
		}
	}
	o.do("GET", "/api/v2/schema/", header("Accept", "image/png")).wants(406)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		o.do(method, "/api/v2/schema/", bearer(token)).wants(405)
	}
	for _, known := range []string{"admin@example.com", "orgadmin", "dora", o.pc.name, o.pc.secret, token, `"cp"`, "app.example/cb", "cheap"} {
		if strings.Contains(first.body, known) {
			t.Errorf("the document has %q", known)
		}
	}
	if again := newOAuth(t).do("GET", "/api/v2/schema/").wants(200); again.body != first.body {
		t.Error("the same configuration has another document")
	}
	for index := range o.do("GET", "/api/v2/").wants(200).json() {
		if index == "schema" { // of each key AWX's client makes a subcommand
			t.Error("the index has the document")
		}
	}
}

// TestSchemaFollowsTheConfiguration holds that the document has what is served and
// nothing else.
func TestSchemaFollowsTheConfiguration(t *testing.T) { // G9
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Scopes: []string{"deploy"}}))
	session := auth.Must(auth.NewSession(db, db, nil))
	on := true
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, &auth.BasicOptions{Enabled: func() bool { return on }})), nil)
	document := func(c httpapi.Config) described {
		t.Helper()
		c.Gate, c.Users = gate, db
		s := &system{t: t, db: db, handler: auth.Must(httpapi.New(c))}
		doc := parse(t, s.do("GET", "/api/v2/schema/").wants(200).body)
		return doc
	}
	paths := func(d described, prefix string) (n int) {
		for path := range d.at("paths") {
			if strings.HasPrefix(path, prefix) {
				n++
			}
		}
		return n
	}
	least := document(httpapi.Config{})
	if n := paths(least, "/"); n != 5 || least.at("components", "securitySchemes")["bearer"] != nil || least.at("components", "schemas")["Token"] != nil {
		t.Errorf("a configuration without parts has %d paths, %v", n, least.at("components", "securitySchemes"))
	}
	if least.at("components", "securitySchemes", "basic") == nil {
		t.Error("Basic is on and missing")
	}
	on = false
	if d := document(httpapi.Config{}); d.at("components", "securitySchemes", "basic") != nil {
		t.Error("Basic is off, and in the document")
	}
	if n := paths(document(httpapi.Config{Tokens: tokens, GatewayPaths: true}), "/api/gateway/v1/"); n != 11 {
		t.Errorf("%d paths of the gateway", n)
	}
	links := map[string]string{"jobs": "/api/v2/jobs/"}
	if d := document(httpapi.Config{EmptyResources: true, Links: links}); d.at("paths", "/api/v2/jobs/") != nil || d.at("paths", "/api/v2/teams/") == nil {
		t.Error("the resources of the host and the empty ones are mixed up")
	}
	bare := document(httpapi.Config{Session: session, Passwords: passwords, Tokens: tokens, OAuth: auth.Must(oauth.NewServer(tokens, db, db, nil))})
	flow := bare.at("components", "securitySchemes", "oauth2", "flows", "authorizationCode")
	if flow["authorizationUrl"] != "/api/o/authorize/" || flow.at("scopes")["deploy"] != nil { // nobody is told elsewhere
		t.Errorf("without an issuer: %v", flow)
	}
	public := document(httpapi.Config{Tokens: tokens, OAuth: auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://id.example/base"}))})
	flows := public.at("components", "securitySchemes", "oauth2", "flows")
	if flows.at("clientCredentials")["tokenUrl"] != "https://id.example/api/o/token/" || flows.at("clientCredentials", "scopes")["deploy"] == nil ||
		flows["authorizationCode"] != nil || flows["password"] != nil {
		t.Errorf("with an issuer: %v", flows)
	}
}

// TestSchemaIsHeld holds that the comparison of the fixture finds what it is for.
func TestSchemaIsHeld(t *testing.T) { // G9
	s := newSystem(t)
	doc := parse(t, s.do("GET", "/api/v2/schema/").wants(200).body)
	alice := header("Authorization", "Bearer "+s.token(s.alice, auth.ScopeWrite))
	me := s.do("GET", "/api/v2/me/", alice).wants(200)
	answer := func(change func(*reply)) reply {
		r := me
		r.header = r.header.Clone()
		change(&r)
		return r
	}
	request := func(method, target string) *http.Request {
		r, err := http.NewRequest(method, "http://app.example"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	made := func(r *reply) {
		*r = s.do("POST", "/api/v2/tokens/", alice, jsonBody(`{"scope":"read"}`)).wants(201)
	}
	for name, tt := range map[string]struct {
		request *http.Request
		sent    string
		change  func(*reply)
		says    string
	}{
		"nothing":         {request("GET", "/api/v2/me/"), "", func(*reply) {}, ""},
		"a status":        {request("GET", "/api/v2/me/"), "", func(r *reply) { r.status = 418 }, "status"},
		"a path":          {request("GET", "/api/v2/secrets/"), "", func(*reply) {}, "path"},
		"a method":        {request("DELETE", "/api/v2/me/"), "", func(*reply) {}, "method"},
		"a media type":    {request("GET", "/api/v2/me/"), "", func(r *reply) { r.header.Set("Content-Type", "text/csv") }, "text/csv"},
		"a member":        {request("GET", "/api/v2/me/"), "", func(r *reply) { r.body = strings.Replace(r.body, `"email"`, `"mail"`, 1) }, "mail is not described"},
		"a missing one":   {request("GET", "/api/v2/me/"), "", func(r *reply) { r.body = strings.Replace(r.body, `"count":1,`, ``, 1) }, "no count"},
		"a type":          {request("GET", "/api/v2/me/"), "", func(r *reply) { r.body = strings.Replace(r.body, `"is_active":true`, `"is_active":"yes"`, 1) }, "is_active is string"},
		"a member within": {request("GET", "/api/v2/me/"), "", func(r *reply) { r.body = strings.Replace(r.body, `"edit":`, `"adit":`, 1) }, "adit is not described"},
		"no time":         {request("GET", "/api/v2/me/"), "", func(r *reply) { r.body = strings.Replace(r.body, `"created":"2`, `"created":"x`, 1) }, "created is no time"},
		"no JSON":         {request("GET", "/api/v2/me/"), "", func(r *reply) { r.body = "<html>" }, "no JSON"},
		"a parameter":     {request("GET", "/api/v2/me/?color=red"), "", func(*reply) {}, "color"},
		"a field":         {request("POST", "/api/v2/tokens/"), `{"scope":"read","color":"red"}`, made, "color"},
		"a form":          {request("POST", "/api/v2/tokens/"), `scope=read`, made, ""},
		"a known field":   {request("POST", "/api/v2/tokens/"), `{"scope":"read","id":7}`, made, ""},
	} {
		wrong := strings.Join(doc.disagreements(tt.request, []byte(tt.sent), answer(tt.change)), "; ")
		if tt.says == "" && wrong != "" || !strings.Contains(wrong, tt.says) {
			t.Errorf("%s: %q, want %q", name, wrong, tt.says)
		}
	}
}

// TestSchemaPage reads the page as a person does.
func TestSchemaPage(t *testing.T) { // G9
	o := newOAuth(t)
	page := o.do("GET", "/api/v2/schema/", header("Accept", "text/html")).wants(200)
	text := strings.Join(strings.Fields(page.text()), " ")
	for _, want := range []string{
		"GET /api/v2/tokens/ List tokens Needs a login, or a token with the scope read.", "POST /api/v2/tokens/ Create a token",
		"page_size Page size: Objects of a page, at most 200.", "Tokens", "OAuth", "Is for applications, which authenticate themselves.",
		`curl -H "Authorization: Bearer $TOKEN" 'http://app.example/api/v2/tokens/'`,
		`-X POST -H 'Content-Type: application/json' -d '{"description":"nightly report","scope":"read"}' 'http://app.example/api/v2/tokens/'`,
		`curl -u "$CLIENT_ID:$CLIENT_SECRET" -d 'grant_type=client_credentials&scope=read' 'http://app.example/api/o/token/'`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q\n%s", want, text)
		}
	}
	doc := parse(t, o.do("GET", "/api/v2/schema/").wants(200).body)
	shown := regexp.MustCompile(`<summary><span class="badge">([A-Z]+)</span> <code>([^<]+)</code>`).FindAllStringSubmatch(page.body, -1)
	operations := 0
	for path := range doc.at("paths") {
		for method := range doc.at("paths", path) {
			if method == "parameters" {
				continue
			}
			operations++
			if !slices.ContainsFunc(shown, func(m []string) bool { return strings.ToLower(m[1]) == method && m[2] == path }) {
				t.Errorf("the page does not have %s %s", method, path)
			}
		}
	}
	if operations != len(shown) || operations < 60 {
		t.Errorf("%d operations, %d on the page", operations, len(shown))
	}
	for _, external := range []string{"src=", "href=\"http", "@import", "url("} {
		if strings.Contains(page.body, external) {
			t.Errorf("the page loads something: %s", external)
		}
	}
	// A visitor of another host cannot have the page say where it is.
	evil := o.do("GET", "/api/v2/schema/", header("Accept", "text/html"), header("X-Forwarded-Host", "evil.example"), func(r *http.Request) { r.Host = `a"><script>.example` }).wants(200)
	if strings.Contains(evil.body, "evil.example") || strings.Contains(evil.body, "<script") {
		t.Error("the page repeats what was sent")
	}
	u := authtest.AddUser(t, o.db, store.User{Name: "eve"}, "")
	if r := o.do("GET", "/api/v2/schema/", header("Accept", "text/html"), bearer(o.token(u, auth.ScopeRead))).wants(200); r.body != page.body {
		t.Error("the page depends on who asks")
	}
}
