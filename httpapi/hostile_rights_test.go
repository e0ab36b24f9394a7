package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// TestNobodyReachesOthers sends every change that there is, by every kind of
// credential of people without rights, at the accounts, tokens and applications of
// others. Afterwards nothing of those is different, and everybody's tokens are
// their own.
func TestNobodyReachesOthers(t *testing.T) { // A1, A6, A7
	o := newOAuth(t)
	admin := basic("admin", "admin-pw")
	other := o.do("POST", "/api/v2/applications/", admin, jsonBody(`{"name":"other","client_type":"confidential","authorization_grant_type":"authorization-code","redirect_uris":"https://o.example/cb","organization":2}`)).wants(201).json()
	skip := o.do("POST", "/api/v2/applications/", admin, jsonBody(`{"name":"skip","client_type":"confidential","authorization_grant_type":"authorization-code","redirect_uris":"https://s.example/cb","organization":1,"skip_authorization":true}`)).wants(201).json()
	personal := o.do("POST", "/api/v2/tokens/", admin, jsonBody(`{"scope":"write"}`)).wants(201).json()
	issued := o.do("POST", "/api/v2/tokens/", admin, jsonBody(fmt.Sprintf(`{"scope":"write","application":%v}`, other["id"]))).wants(201).json()
	auditor := authtest.AddUser(t, o.db, store.User{Name: "watcher", Auditor: true}, "")
	if err := o.db.SetPasswordHash(t.Context(), auditor.ID, "cheap$watcher-pw"); err != nil {
		t.Fatal(err)
	}

	credentials := map[string]with{}
	for _, name := range []string{"orgadmin", "member", "alice", "watcher"} {
		credentials[name+" by Basic"] = as(name)
		credentials[name+" by session"] = cookie(o.login(name, name+"-pw"))
		for _, scope := range []string{"read", "write"} {
			doc := o.do("POST", "/api/v2/tokens/", as(name), jsonBody(`{"scope":"`+scope+`"}`)).wants(201).json()
			credentials[name+" by a token to "+scope] = bearer(doc["token"].(string))
			if name == "alice" {
				continue // who sees no application
			}
			doc = o.do("POST", "/api/v2/tokens/", as(name), jsonBody(fmt.Sprintf(`{"scope":%q,"application":%d}`, scope, o.cc.id))).wants(201).json()
			credentials[name+" by a token of an application to "+scope] = bearer(doc["token"].(string))
		}
	}
	machine := o.register("machine", "confidential", oauth.GrantClientCredentials, "")
	credentials["an application alone"] = bearer(machine.token(o, "grant_type", "client_credentials", "scope", "write").wants(200).json()["access_token"].(string))

	state := func() (all []any) {
		for _, id := range []any{other["id"], skip["id"]} {
			app, err := o.db.ApplicationByID(t.Context(), int64(id.(float64)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, app)
		}
		for _, doc := range []map[string]any{personal, issued} {
			tok, err := o.db.TokenByID(t.Context(), int64(doc["id"].(float64)))
			if err != nil {
				t.Fatal(err)
			}
			tok.LastUsed = tok.Created
			all = append(all, tok)
		}
		u, err := o.db.UserByID(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		return append(all, u)
	}
	before := state()
	bodies := []string{
		`{"redirect_uris":"https://evil.example/"}`, `{"client_type":"public"}`, `{"skip_authorization":true}`, `{"organization":1}`, `{"organization":2}`,
		`{"name":"x","organization":2,"client_type":"confidential","authorization_grant_type":"authorization-code","redirect_uris":"https://evil.example/"}`,
		`{"name":"x","organization":1,"client_type":"confidential","authorization_grant_type":"authorization-code","redirect_uris":"https://evil.example/","skip_authorization":true}`,
		`{"scope":"write","user":1}`, `{"scope":"read"}`, `{"description":"x"}`, `{}`,
		fmt.Sprintf(`{"scope":"write","application":%v}`, other["id"]), `{"scope":"*"}`, `{"scope":"write admin"}`,
		`{"is_superuser":true}`, `{"password":"another password"}`,
	}
	for who, credential := range credentials {
		for _, target := range []string{
			fmt.Sprintf("/api/v2/tokens/%v/", personal["id"]), fmt.Sprintf("/api/v2/tokens/%v/rotate/", personal["id"]), fmt.Sprintf("/api/v2/tokens/%v/?minted=true", personal["id"]),
			fmt.Sprintf("/api/v2/tokens/%v/", issued["id"]), fmt.Sprintf("/api/v2/tokens/%v/rotate/", issued["id"]),
			fmt.Sprintf("/api/v2/users/1/personal_tokens/%v/", personal["id"]), fmt.Sprintf("/api/v2/users/admin/personal_tokens/%v/", personal["id"]),
			fmt.Sprintf("/api/v2/users/3/personal_tokens/%v/", personal["id"]),
			"/api/v2/users/1/personal_tokens/", "/api/v2/users/1/tokens/", "/api/v2/users/admin/authorized_tokens/", "/api/v2/users/1/",
			fmt.Sprintf("/api/v2/applications/%v/", other["id"]), fmt.Sprintf("/api/v2/applications/%v/rotate_secret/", other["id"]), fmt.Sprintf("/api/v2/applications/%v/tokens/", other["id"]),
			fmt.Sprintf("/api/v2/applications/%v/", skip["id"]), fmt.Sprintf("/api/v2/applications/%v/rotate_secret/", skip["id"]),
			"/api/v2/organizations/2/applications/", "/api/v2/users/1/applications/",
		} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				if strings.HasSuffix(target, fmt.Sprintf("applications/%v/", skip["id"])) && method == "DELETE" && strings.HasPrefix(who, "orgadmin") {
					continue // an administrator may
				}
				for _, body := range bodies {
					r := o.send(method, target, credential, jsonBody(body))
					made := r.status == 201 && (strings.HasSuffix(target, "/tokens/") || strings.HasSuffix(target, "/applications/"))
					switch {
					case r.status >= 500:
						t.Errorf("%s: %s %s %s: %d %s", who, method, target, body, r.status, r.body)
					case r.status < 300 && !made:
						t.Errorf("%s: %s %s %s: %d %s", who, method, target, body, r.status, r.body)
					case made && r.json()["organization"] == 2.0 || made && r.json()["skip_authorization"] == true:
						t.Errorf("%s: %s %s %s made %s", who, method, target, body, r.body)
					}
					if method == "DELETE" {
						break
					}
				}
			}
		}
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	tokens, _, err := o.db.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range tokens {
		if tok.UserID == "1" && tok.ID != int64(personal["id"].(float64)) && tok.ID != int64(issued["id"].(float64)) {
			t.Errorf("a token of admin: %+v", tok)
		}
		if parent, err := o.db.TokenByID(t.Context(), tok.ParentID); tok.ParentID != 0 && (err != nil || !auth.Scopes(tok.Scopes).Within(auth.Scopes(parent.Scopes))) {
			t.Errorf("%+v is more than %+v, %v", tok, parent, err)
		}
	}
}
