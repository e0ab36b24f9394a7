package httpapi_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth"
)

// TestRoundTrips sends back by PUT and PATCH what was read, masks and links
// included. Nothing changes but the time of the change.
func TestRoundTrips(t *testing.T) { // G3
	o := newOAuth(t)
	skips := o.do("POST", "/api/v2/applications/", as("admin"), object("name", "skips", "client_type", "confidential", "organization", 1,
		"authorization_grant_type", "authorization-code", "redirect_uris", callback, "skip_authorization", true)).wants(201).json()["url"].(string)
	o.do("POST", "/api/v2/tokens/", as("alice"), jsonBody(`{"description":"ci","scope":"read","addresses":["192.0.2.0/24"]}`)).wants(201)
	o.pair()
	paths := map[string]string{
		o.cc.path(): "admin", o.pp.path(): "orgadmin", skips: "admin",
		"/api/v2/tokens/1/": "alice", "/api/v2/tokens/2/": "admin", "/api/v2/users/alice/personal_tokens/1/": "alice",
	}
	for path, who := range paths {
		for _, method := range []string{"PUT", "PATCH"} {
			before := o.do("GET", path, as(who)).wants(200)
			after := o.do(method, path, as(who), jsonBody(before.body)).wants(200)
			same := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "modified" })
			if diff := cmp.Diff(before.json(), after.json(), same); diff != "" {
				t.Errorf("%s %s (-before +after):\n%s", method, path, diff)
			}
			// What AWX does not know either is a mistake of the client.
			doc := before.json()
			doc["descripton"] = "x"
			o.do(method, path, as(who), mustJSON(doc)).blames("descripton")
			doc = maps.Clone(before.json())
			for _, name := range []string{"id", "url", "created", "user"} {
				doc[name] = "somebody else's"
			}
			o.do(method, path, as(who), mustJSON(doc)).wants(200)
		}
	}
	if !o.alive(o.token(o.alice, auth.ScopeRead)) {
		t.Error("a token is dead")
	}
	if got := o.cc.token(o, "grant_type", "authorization_code", "code", o.code(o.cc, callback), "redirect_uri", callback, "code_verifier", verifier); got.status != 200 {
		t.Errorf("the client secret became its mask: %s", got.body)
	}
}

func mustJSON(doc map[string]any) with {
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return jsonBody(string(b))
}

// A host that looks no organizations up has one, which need not be named.
func TestTheOnlyOrganization(t *testing.T) {
	o := newOAuth(t, func(c *options) { c.tokens.Organizations = auth.Organizations{} })
	for name, organization := range map[string]string{"none": ``, "number": `,"organization":1`, "text": `,"organization":"1"`} {
		doc := o.do("POST", "/api/v2/applications/", as("admin"), jsonBody(`{"name":"`+name+`","client_type":"public",
			"authorization_grant_type":"password"`+organization+`}`)).wants(201).json()
		if doc["organization"] != 1.0 {
			t.Errorf("%s: organization %v", organization, doc["organization"])
		}
	}
	o.do("POST", "/api/v2/applications/", as("admin"), jsonBody(`{"name":"y","client_type":"public","authorization_grant_type":"password","organization":2}`)).blames("organization")
}

func TestFiltersOfTokensAndApplications(t *testing.T) {
	o := newOAuth(t)
	for _, body := range []string{`{"description":"CI job","scope":"read"}`, `{"description":"laptop"}`, `{}`} {
		o.do("POST", "/api/v2/tokens/", as("alice"), jsonBody(body)).wants(201)
	}
	o.pair()
	count := func(path, who string) int {
		t.Helper()
		return int(o.do("GET", path, as(who)).wants(200).json()["count"].(float64))
	}
	for query, want := range map[string]int{
		"": 4, "?description__icontains=ci": 1, "?description__contains=ci": 0, "?search=LAP": 1, "?scope__in=read,write": 4, "?scope=read": 2,
		"?application__isnull=true": 3, "?application=null": 3, "?application__isnull=false": 1, "?application__id=3": 1, "?user=3": 4, "?user__id=4": 0,
		"?last_used__isnull=true": 4, "?expires__gt=2000-01-01": 4, "?created__lt=2000-01-01T00:00:00Z": 0, "?or__description=laptop&or__id=1": 2,
		"?not__description=": 2, "?id__in=1,2&id__gt=1": 1, "?not__scope__startswith=re&description=laptop": 1,
	} {
		if got := count("/api/v2/tokens/"+query, "alice"); got != want {
			t.Errorf("tokens/%s: %d, want %d", query, got, want)
		}
	}
	if got := count("/api/v2/tokens/?user=3&or__id=1&or__id=2", "bob"); got != 0 {
		t.Errorf("bob finds %d tokens of alice", got)
	}
	for query, want := range map[string]int{
		"": 4, "?name__istartswith=C": 2, "?client_type=public": 2, "?client_type__in=public,confidential": 4, "?client_type=x": 0,
		"?authorization_grant_type=password": 2, "?skip_authorization=false": 4, "?organization__id=1": 4, "?not__name=cc": 3,
		"?search=PP": 1, "?created__gte=2000-01-01": 4, "?organization__in=2,3": 0,
	} {
		if got := count("/api/v2/applications/"+query, "admin"); got != want {
			t.Errorf("applications/%s: %d, want %d", query, got, want)
		}
	}
	if got := count("/api/v2/applications/?or__organization=1&or__id=1", "alice"); got != 0 {
		t.Errorf("alice finds %d applications", got)
	}
	for path, status := range map[string]int{
		"tokens/?token__startswith=a": 403, "tokens/?refresh_token__isnull=false": 403, "tokens/?application__client_secret=x": 403, "tokens/?order_by=token": 400,
		"tokens/?user__gt=1": 400, "tokens/?user__id__lte=10": 400, "tokens/?not__user__gte=1": 400, "tokens/?user__startswith=1": 400,
		"tokens/?user__iexact=1": 400, "tokens/?or__user__icontains=1": 400, "tokens/?user__in=3,4": 200, "tokens/?user__id=3": 200, "tokens/?user__isnull=true": 200,
		"tokens/?user__password=x": 403, "tokens/?user__username=x": 400, "tokens/?digest=x": 400, "applications/?client_id__startswith=a": 403,
		"applications/?order_by=client_secret": 400, "applications/?secret=x": 400, "tokens/?expires__icontains=1": 400, "tokens/?application__contains=1": 400,
	} {
		o.do("GET", "/api/v2/"+path, as("admin")).wants(status)
	}
}
