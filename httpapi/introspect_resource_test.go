package httpapi_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIntrospectForAResource sets the resource of an application over the wire and
// introspects as that resource.
func TestIntrospectForAResource(t *testing.T) {
	const resource = "https://sister.example/"
	o := newOAuth(t, func(c *options) { c.oauth.Resources = []string{resource} })
	admin := basic("admin", "admin-pw")
	o.do("PATCH", o.pc.path(), basic("orgadmin", "orgadmin-pw"), jsonBody(`{"resource":"`+resource+`"}`)).wants(400)
	o.do("PATCH", o.pc.path(), bearer(o.token(o.admin, "write")), jsonBody(`{"resource":"`+resource+`"}`)).wants(400)
	for _, refused := range []string{`"https://nobody.example/"`, `7`, `["` + resource + `"]`} {
		if r := o.do("PATCH", o.pc.path(), admin, jsonBody(`{"resource":`+refused+`}`)).wants(400); r.json()["resource"] == nil {
			t.Errorf("%s: %s", refused, r.body)
		}
	}
	o.do("PATCH", o.pp.path(), admin, jsonBody(`{"resource":"`+resource+`"}`)).wants(400)
	o.do("PATCH", o.pc.path(), admin, jsonBody(`{"resource":"`+resource+`"}`)).wants(200)
	shown := o.do("GET", o.pc.path(), admin).wants(200)
	if got := shown.json()["resource"]; got != resource {
		t.Errorf("resource is shown as %v", got)
	}
	o.do("PUT", o.pc.path(), admin, body("application/json", shown.body)).wants(200) // what was read can be sent back

	access, refresh := o.pair("resource", resource)
	doc := o.pc.post(o, "/api/o/introspect/", "token", access).wants(200).json()
	id, err := strconv.ParseInt(doc["jti"].(string), 10, 64)
	if err != nil || id <= 0 {
		t.Errorf("jti is %v", doc["jti"])
	}
	want := map[string]any{"active": true, "scope": "read", "client_id": o.cc.name, "username": "alice", "token_type": "Bearer",
		"exp": doc["exp"], "iat": doc["iat"], "sub": o.alice.ID, "aud": []any{resource}, "iss": issuer,
		"jti": doc["jti"], "application": float64(o.cc.id), "via_application": float64(o.cc.id)}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("a token for the resource (-want +got):\n%s", diff)
	}
	negatives := map[string]string{
		"refresh token": refresh, "unknown": "unknown", "personal": o.token(o.alice, "read"), "long": string(make([]byte, 5000)),
	}
	negatives["for another resource"], _ = o.pair("resource", issuer+"/api")
	negatives["unbound"], _ = o.pair()
	first := o.pc.post(o, "/api/o/introspect/", "token", "x").wants(200)
	for name, token := range negatives {
		r := o.pc.post(o, "/api/o/introspect/", "token", token).wants(200)
		for _, field := range []string{"Date", "Content-Length"} {
			r.header.Del(field)
			first.header.Del(field)
		}
		if diff := cmp.Diff(first.header, r.header); diff != "" || r.body != `{"active":false}` {
			t.Errorf("%s: %s %s", name, r.body, diff)
		}
	}
	// Without its own secret nobody learns anything, good token or not.
	for _, token := range []string{access, "unknown"} {
		o.do("POST", "/api/o/introspect/", form("token", token, "client_id", o.pc.name)).fails(401, "invalid_client")
		o.do("POST", "/api/o/introspect/", form("token", token), basic(o.pc.name, "wrong")).fails(401, "invalid_client")
		o.do("POST", "/api/o/introspect/", form("token", token), bearer(access)).fails(401, "invalid_client")
		o.cp.post(o, "/api/o/introspect/", "token", token).fails(400, "unauthorized_client")
	}
	o.do("PATCH", o.pc.path(), admin, jsonBody(`{"resource":null}`)).wants(200)
	if r := o.pc.post(o, "/api/o/introspect/", "token", access).wants(200); r.body != `{"active":false}` {
		t.Errorf("an application that stands for nothing any more: %s", r.body)
	}
}
