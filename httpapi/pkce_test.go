package httpapi_test

import "testing"

// TestPKCERequired sets pkce_required of applications, as clients of the Ansible
// platform do.
func TestPKCERequired(t *testing.T) {
	o := newOAuth(t)
	admin, alice := basic("admin", "admin-pw"), cookie(o.login("alice", "alice-pw"))
	without := func(c client, uri, method string) string {
		t.Helper()
		_, v := o.do("GET", authorizeURL(c, uri, "code_challenge", "", "code_challenge_method", method), alice).location()
		return v.Get("error")
	}
	shown := func(c client) any { return o.do("GET", c.path(), admin).wants(200).json()["pkce_required"] }
	if got := shown(o.cc); got != false {
		t.Errorf("a confidential client: %v", got)
	}
	if got := shown(o.cp); got != true {
		t.Errorf("a public client: %v", got)
	}
	o.do("GET", authorizeURL(o.cc, callback, "code_challenge", "", "code_challenge_method", ""), alice).wants(200)
	for _, on := range []string{"true", `"true"`} {
		o.do("PATCH", o.cc.path(), admin, jsonBody(`{"pkce_required":`+on+`}`)).wants(200)
		if got := shown(o.cc); got != true {
			t.Errorf("%s: %v", on, got)
		}
		for _, method := range []string{"", "S256", "plain"} {
			if got := without(o.cc, callback, method); got != "invalid_request" {
				t.Errorf("without a challenge, %q: %q", method, got)
			}
		}
		o.code(o.cc, callback)
		// What was read can be sent back.
		o.do("PUT", o.cc.path(), admin, body("application/json", o.do("GET", o.cc.path(), admin).body)).wants(200)
		o.do("PATCH", o.cc.path(), admin, jsonBody(`{"pkce_required":false}`)).wants(200)
	}
	o.do("GET", authorizeURL(o.cc, callback, "code_challenge", "", "code_challenge_method", ""), alice).wants(200)
	o.do("PATCH", o.cp.path(), admin, jsonBody(`{"pkce_required":true}`)).wants(200)
	for _, refused := range []string{`{"pkce_required":false}`, `{"pkce_required":"maybe"}`, `{"pkce_required":[]}`} {
		if r := o.do("PATCH", o.cp.path(), admin, jsonBody(refused)).wants(400); r.json()["pkce_required"] == nil {
			t.Errorf("%s: %s", refused, r.body)
		}
	}
	o.do("PATCH", o.cc.path(), basic("member", "member-pw"), jsonBody(`{"pkce_required":false}`)).wants(403)
}
