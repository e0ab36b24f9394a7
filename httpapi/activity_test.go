package httpapi_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/audit"
)

const streamPath = "/api/v2/activity_stream/"

// drain stores the entries that wait.
func (s *system) drain() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.stream.Run(ctx)
}

func streaming(c *options) { c.activity = true }

// acts returns what entries say, such as "create o_auth2_access_token admin".
func (s *system) acts(target string, parts ...with) []string {
	s.t.Helper()
	s.drain()
	list := []string{}
	for _, one := range s.do("GET", target, parts...).wants(200).json()["results"].([]any) {
		e := one.(map[string]any)
		act := fmt.Sprint(e["operation"], " ", e["object1"])
		if e["object2"] != "" {
			act += fmt.Sprint(" ", e["object2"])
		}
		if actor, ok := e["summary_fields"].(map[string]any)["actor"].(map[string]any); ok {
			act += fmt.Sprint(" by ", actor["username"])
		}
		list = append(list, act)
	}
	return list
}

// TestActivityForm holds AWX's representation.
func TestActivityForm(t *testing.T) {
	o := newOAuth(t, streaming)
	tok := o.do("POST", "/api/v2/tokens/", as("alice"), jsonBody(`{"scope":"write","description":"ci"}`)).wants(201).json()
	o.do("PATCH", tok["url"].(string), as("admin"), jsonBody(`{"scope":"read"}`)).wants(200)
	o.drain()
	list := o.do("GET", tok["url"].(string)+"activity_stream/", as("admin")).wants(200).json()["results"].([]any)
	if len(list) != 2 {
		t.Fatalf("%d entries, want 2: %v", len(list), list)
	}
	id, url := tok["id"], tok["url"]
	alice := map[string]any{"id": 3.0, "username": "alice", "first_name": "", "last_name": ""}
	admin := map[string]any{"id": 1.0, "username": "admin", "first_name": "", "last_name": ""}
	object := []any{map[string]any{"id": id, "user_id": 3.0, "description": "ci", "application_id": nil, "scope": "read"}}
	want := func(got map[string]any, actor map[string]any, path, operation string, changes map[string]any) {
		t.Helper()
		self := got["url"].(string)
		diff := cmp.Diff(map[string]any{
			"id": got["id"], "type": "activity_stream", "url": fmt.Sprintf("%s%v/", streamPath, got["id"]),
			"related":        map[string]any{"actor": path, "o_auth2_access_token": []any{url}},
			"summary_fields": map[string]any{"actor": actor, "o_auth2_access_token": object},
			"timestamp":      got["timestamp"], "operation": operation, "changes": changes,
			"object1": "o_auth2_access_token", "object2": "", "object_association": "", "action_node": "", "object_type": "",
		}, got)
		if diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(got, o.do("GET", self, as("admin")).wants(200).json()); diff != "" {
			t.Errorf("%s (-in the list +alone):\n%s", self, diff)
		}
	}
	want(list[0].(map[string]any), alice, "/api/v2/users/3/", "create",
		map[string]any{"id": id, "user": 3.0, "token": mask, "scope": "write", "expires": tok["expires"]})
	want(list[1].(map[string]any), admin, "/api/v2/users/1/", "update", map[string]any{"scope": []any{"write", "read"}})
}

// TestActivityOfEveryAct holds that each act of management is an entry.
func TestActivityOfEveryAct(t *testing.T) {
	o := newOAuth(t, streaming)
	admin := as("admin")
	app := o.register("x", "confidential", "authorization-code", callback)
	u := o.do("POST", "/api/v2/users/", admin, jsonBody(`{"username":"eve","password":"eve-pw-12345678"}`)).wants(201).json()["url"].(string)
	o.do("PATCH", u, admin, jsonBody(`{"is_system_auditor":true}`)).wants(200)
	o.do("PATCH", u, admin, jsonBody(`{"password":"eve-pw-87654321"}`)).wants(200)
	o.do("DELETE", u, admin).wants(204)
	o.do("PATCH", app.path(), admin, jsonBody(`{"name":"renamed"}`)).wants(200)
	o.do("POST", app.path()+"rotate_secret/", admin).wants(200)
	tok := o.do("POST", "/api/v2/tokens/", admin, jsonBody(`{"scope":"read"}`)).wants(201).json()["url"].(string)
	o.do("POST", tok+"rotate/", admin).wants(200)
	o.do("DELETE", tok, admin).wants(204)
	o.pair()
	o.do("DELETE", app.path(), admin).wants(204)
	got := o.acts(streamPath+"?page_size=200&id__gt=5", admin) // behind the applications of the fixture
	want := []string{
		"create user by admin", "update user by admin", "update user", "update user by admin", "delete user by admin",
		"update o_auth2_application by admin", "update o_auth2_application by admin",
		"create o_auth2_access_token by admin", "update o_auth2_access_token by admin", "delete o_auth2_access_token by admin",
	}
	if diff := cmp.Diff(want, got[:min(len(want), len(got))]); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	for _, act := range []string{"create o_auth2_access_token", "delete o_auth2_application by admin"} {
		if !slices.Contains(got[len(want):], act) {
			t.Errorf("no entry %q in %q", act, got[len(want):])
		}
	}
	if changes := o.do("GET", streamPath+"?operation=update&object1=user", admin).wants(200).body; !strings.Contains(changes, `"is_system_auditor":[false,true]`) ||
		!strings.Contains(changes, `"password":["$encrypted$","$encrypted$"]`) {
		t.Errorf("changes of a user: %s", changes)
	}
	if changes := o.do("GET", streamPath+"?object1=o_auth2_application", admin).wants(200).body; !strings.Contains(changes, `"name":["x","renamed"]`) ||
		!strings.Contains(changes, `"client_secret":["`+mask+`","`+mask+`"]`) || !strings.Contains(changes, `"client_type":"confidential"`) {
		t.Errorf("changes of an application: %s", changes)
	}
}

// TestActivityShowsNoSecret looks for every secret that was issued.
func TestActivityShowsNoSecret(t *testing.T) {
	o := newOAuth(t, streaming)
	tok := o.do("POST", "/api/v2/tokens/", as("admin"), jsonBody(`{"scope":"read"}`)).wants(201).json()
	access, refresh := o.pair()
	o.do("POST", "/api/v2/users/", as("admin"), jsonBody(`{"username":"eve","password":"eve-pw-12345678"}`)).wants(201)
	o.drain()
	all := o.do("GET", streamPath+"?page_size=200", as("admin")).wants(200).body
	for _, secret := range []string{tok["token"].(string), access, refresh, o.cc.secret, o.pc.secret, "eve-pw-12345678", "cheap$"} {
		if strings.Contains(all, secret) {
			t.Errorf("the stream shows %q", secret)
		}
	}
}

// TestActivityReaders asks each kind of reader for each kind of stream.
func TestActivityReaders(t *testing.T) {
	o := newOAuth(t, streaming)
	personal := o.do("POST", "/api/v2/tokens/", as("alice"), jsonBody(`{"scope":"read"}`)).wants(201).json()["url"].(string)
	app, _ := o.pair() // alice's
	o.drain()
	first := func(target string) string {
		return o.do("GET", target, as("admin")).wants(200).json()["results"].([]any)[0].(map[string]any)["url"].(string)
	}
	ofApp, ofToken := first(o.pc.path()+"activity_stream/"), first(personal+"activity_stream/")
	adminToken := o.token(o.admin, "read")
	for _, tt := range []struct {
		name                                         string
		as                                           with
		all, alice, token, app, entryApp, entryToken int
	}{
		{"admin", as("admin"), 200, 200, 200, 200, 200, 200},
		{"admin's token", bearer(adminToken), 200, 200, 200, 200, 200, 200},
		{"auditor", as("auditor"), 200, 200, 200, 200, 200, 200},
		{"alice", as("alice"), 200, 200, 200, 404, 404, 200},
		{"bob", as("bob"), 200, 404, 404, 404, 404, 404},
		{"orgadmin", as("orgadmin"), 200, 404, 404, 200, 200, 404},
		{"member", as("member"), 200, 404, 404, 200, 404, 404},
		{"alice's token of an application", bearer(app), 200, 200, 200, 404, 404, 404},
		{"nobody", from("192.0.2.9:1"), 401, 401, 401, 401, 401, 401},
	} {
		for target, want := range map[string]int{
			streamPath: tt.all, "/api/v2/users/alice/activity_stream/": tt.alice, personal + "activity_stream/": tt.token,
			o.pc.path() + "activity_stream/": tt.app, ofApp: tt.entryApp, ofToken: tt.entryToken,
		} {
			if r := o.do("GET", target, tt.as); r.status != want {
				t.Errorf("%s gets %s: %d, want %d: %s", tt.name, target, r.status, want, r.body)
			}
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				if r := o.do(method, target, tt.as); r.status != 405 && r.status != want && r.status != 403 {
					t.Errorf("%s %s by %s: %d", method, target, tt.name, r.status)
				}
			}
		}
	}
	for name, want := range map[string][]string{"bob": {}, "member": {}} {
		if diff := cmp.Diff(want, o.acts(streamPath, as(name))); diff != "" {
			t.Errorf("%s sees (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want, o.acts(streamPath+"?user=3", as(name))); diff != "" {
			t.Errorf("%s sees of alice (-want +got):\n%s", name, diff)
		}
	}
	if got := o.acts(o.pc.path()+"activity_stream/", as("member")); len(got) != 0 {
		t.Errorf("a member of the organization sees %q", got)
	}
	for _, act := range o.acts(streamPath, bearer(app)) {
		if act != "associate user o_auth2_application by alice" && !strings.HasPrefix(act, "create o_auth2_access_token") {
			t.Errorf("a token of an application sees %q", act)
		}
	}
	if got := o.acts(personal+"activity_stream/", bearer(app)); len(got) != 0 {
		t.Errorf("a token of an application sees of another token %q", got)
	}
	for _, act := range o.acts(streamPath+"?page_size=200", as("alice")) {
		if strings.Contains(act, "admin") {
			t.Errorf("alice sees %q", act)
		}
	}
}

// TestActivityFilters holds the filters and orders, and what is refused.
func TestActivityFilters(t *testing.T) {
	o := newOAuth(t, streaming)
	o.do("POST", "/api/v2/tokens/", as("alice"), jsonBody(`{"scope":"read"}`)).wants(201)
	created := "create o_auth2_access_token by alice"
	for query, want := range map[string][]string{
		"object1=o_auth2_access_token":                      {created},
		"object1=token":                                     {},
		"object1__in=o_auth2_access_token,user":             {created},
		"not__object1=o_auth2_application":                  {created},
		"actor=3":                                           {created},
		"actor__id__in=3,4":                                 {created},
		"actor=2":                                           {},
		"user__id=3":                                        {created},
		"o_auth2_access_token__id=1":                        {created},
		"o_auth2_access_token=2":                            {},
		"timestamp__gt=2100-01-01":                          {},
		"order_by=-timestamp&page_size=1":                   {created},
		"order_by=-id&page_size=1&count_disabled=true":      {created},
		"operation=create&object1=o_auth2_application&id=1": {"create o_auth2_application by admin"},
		"or__operation=delete&or__actor=3":                  {created},
	} {
		if diff := cmp.Diff(want, o.acts(streamPath+"?"+query, as("admin"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for query, want := range map[string]int{
		"token=x": 403, "actor__gt=1": 400, "user__icontains=3": 400, "client_secret__startswith=x": 403, "changes__icontains=x": 400, "order_by=actor": 400, "page=9": 404, "object1__contains=t": 400,
		"timestamp=x": 400, "o_auth2_access_token__token=x": 403, "search=x": 400, "id=1&id=2": 400,
	} {
		o.do("GET", streamPath+"?"+query, as("admin")).wants(want)
	}
	for _, id := range []string{"0", "-1", "x", "99999", "99999999999999999999", "01x"} {
		o.do("GET", streamPath+id+"/", as("admin")).wants(404)
	}
}

// TestNoActivity holds that without a stream there is no route (G6).
func TestNoActivity(t *testing.T) {
	o := newOAuth(t)
	o.token(o.alice, "read")
	for _, path := range []string{streamPath, streamPath + "1/", "/api/v2/users/3/activity_stream/", "/api/v2/tokens/1/activity_stream/", o.cc.path() + "activity_stream/"} {
		o.do("GET", path, as("admin")).wants(404)
	}
	if links := o.do("GET", "/api/v2/").wants(200).json(); links["activity_stream"] != nil {
		t.Errorf("links %v", links)
	}
	if strings.Contains(o.logs.String(), audit.StoreFailed) {
		t.Error("something failed")
	}
}
