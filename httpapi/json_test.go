package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestJSONThatAWXTakes has the spellings of Django REST framework: null is an
// empty value, text is a number, and booleans have many names.
func TestJSONThatAWXTakes(t *testing.T) { // G3
	o := newOAuth(t)
	n := 0
	post := func(members string) reply {
		n++
		return o.do("POST", "/api/v2/applications/", as("admin"), jsonBody(fmt.Sprintf(
			`{"name":"x%d","client_type":"confidential","authorization_grant_type":"password",%s}`, n, members)))
	}
	for _, tt := range []struct {
		members, field string
		want           any
	}{
		{`"organization":"1"`, "organization", 1.0},
		{`"organization":" 2 "`, "organization", 2.0},
		{`"organization":1.0`, "organization", 1.0},
		{`"organization":1,"description":null`, "description", ""},
		{`"organization":1,"redirect_uris":null`, "redirect_uris", ""},
		{`"organization":1,"skip_authorization":null`, "skip_authorization", false},
	} {
		if got := post(tt.members).wants(201).json()[tt.field]; got != tt.want {
			t.Errorf("%s: %s is %v", tt.members, tt.field, got)
		}
	}
	for spelling, want := range map[string]bool{
		`"false"`: false, `"False"`: false, `"FALSE"`: false, `"no"`: false, `"off"`: false, `"0"`: false, `"f"`: false, `0`: false, `0.0`: false, `false`: false,
		`"true"`: true, `"True"`: true, `"TRUE"`: true, `"yes"`: true, `"On"`: true, `"1"`: true, `"t"`: true, `1`: true, `1.0`: true, `true`: true,
	} {
		if got := post(`"organization":1,"skip_authorization":` + spelling).wants(201).json()["skip_authorization"]; got != want {
			t.Errorf("%s is %v", spelling, got)
		}
	}
	for members, field := range map[string]string{
		`"organization":"01"`: "organization", `"organization":"1.0"`: "organization", `"organization":1.5`: "organization", `"organization":true`: "organization",
		`"organization":[1]`: "organization", `"organization":""`: "organization", `"organization":1e400`: "organization", `"organization":"+1"`: "organization",
		`"organization":1,"skip_authorization":""`: "skip_authorization", `"organization":1,"skip_authorization":2`: "skip_authorization",
		`"organization":1,"skip_authorization":"maybe"`: "skip_authorization", `"organization":1,"skip_authorization":[true]`: "skip_authorization",
		`"organization":1,"description":7`: "description", `"organization":1,"redirect_uris":[]`: "redirect_uris",
	} {
		post(members).blames(field)
	}
	o.do("PATCH", o.cc.path(), as("admin"), jsonBody(`{"description":"d"}`)).wants(200)
	if got := o.do("PATCH", o.cc.path(), as("admin"), jsonBody(`{"description":null,"name":"cc","skip_authorization":"False"}`)).wants(200).json()["description"]; got != "" {
		t.Errorf("description %q", got)
	}
	o.do("PATCH", o.cc.path(), as("admin"), jsonBody(`{"name":null}`)).blames("name")
	o.do("POST", o.cc.path()+"rotate_secret/", as("admin"), jsonBody(`{"overlap":"60"}`)).wants(200)
	o.do("POST", o.cc.path()+"rotate_secret/", as("admin"), jsonBody(`{"overlap":null}`)).wants(200)
	o.do("POST", o.cc.path()+"rotate_secret/", as("admin"), jsonBody(`{"overlap":"-1"}`)).blames("overlap")

	token := func(members string) reply {
		return o.do("POST", "/api/v2/tokens/", as("member"), jsonBody("{"+members+"}"))
	}
	for members, want := range map[string]any{
		fmt.Sprintf(`"application":"%d"`, o.pc.id): float64(o.pc.id), fmt.Sprintf(`"application":%d.0`, o.pc.id): float64(o.pc.id),
		`"application":null`: nil, `"application":""`: nil, `"description":null`: nil, `"application":null,"expires":null`: nil,
	} {
		if got := token(members).wants(201).json()["application"]; got != want {
			t.Errorf("%s: application %v", members, got)
		}
	}
	// An unknown ID and a text that is no number have different answers.
	for sent, detail := range map[string]string{`"99"`: "object does not exist", `99`: "object does not exist", `"x"`: "Incorrect type", `true`: "Incorrect type", `"0"`: "object does not exist"} {
		if r := token(`"application":` + sent).blames("application"); !strings.Contains(r.body, detail) {
			t.Errorf("%s: %s", sent, r.body)
		}
	}
	personal := "/api/v2/users/member/personal_tokens/"
	o.do("POST", personal, as("member"), jsonBody(`{"application":""}`)).wants(201)
	o.do("POST", personal, as("member"), jsonBody(`{"application":"1"}`)).blames("application")
	o.do("POST", personal, as("member"), jsonBody(`{"application":false}`)).blames("application")
	o.do("POST", "/api/v2/users/member/authorized_tokens/", as("member"), jsonBody(`{"application":""}`)).blames("application")
}

// TestHiddenApplications holds that an application that somebody may not see is
// like one that does not exist, for everybody and to the letter.
func TestHiddenApplications(t *testing.T) { // G4
	o := newOAuth(t)
	for _, who := range []string{"alice", "bob"} {
		hidden := o.do("POST", "/api/v2/tokens/", as(who), jsonBody(fmt.Sprintf(`{"application":%d}`, o.pc.id))).blames("application")
		absent := o.do("POST", "/api/v2/tokens/", as(who), jsonBody(`{"application":99999}`)).blames("application")
		if a, b := strings.ReplaceAll(hidden.body, fmt.Sprint(o.pc.id), "N"), strings.ReplaceAll(absent.body, "99999", "N"); a != b {
			t.Errorf("%s: %s and %s", who, a, b)
		}
		o.do("POST", "/api/v2/users/"+who+"/tokens/", as(who), jsonBody(`{"application":99999}`)).blames("application")
		o.do("POST", "/api/v2/users/"+who+"/authorized_tokens/", as(who), jsonBody(fmt.Sprintf(`{"application":%d}`, o.pc.id))).blames("application")
	}
	o.do("POST", "/api/v2/tokens/", as("admin"), jsonBody(`{"application":99999}`)).blames("application")
	o.do("POST", "/api/v2/tokens/", as("auditor"), jsonBody(fmt.Sprintf(`{"application":%d,"scope":"read"}`, o.pc.id))).wants(201)
}

// TestAddressesOfTokens binds tokens to networks over HTTP.
func TestAddressesOfTokens(t *testing.T) { // E10
	s := newSystem(t)
	alice := basic("alice", "alice-pw")
	create := func(addresses string, who ...with) reply {
		return s.do("POST", "/api/v2/tokens/", append(who, jsonBody(`{"addresses":`+addresses+`}`))...)
	}
	for sent, want := range map[string]string{
		`["192.0.2.0/24"]`:                `["192.0.2.0/24"]`,
		`["192.0.2.77/24","2001:db8::1"]`: `["192.0.2.0/24","2001:db8::1/128"]`,
		`"192.0.2.1 198.51.100.0/24"`:     `["192.0.2.1/32","198.51.100.0/24"]`,
		`"192.0.2.1,198.51.100.0/24"`:     `["192.0.2.1/32","198.51.100.0/24"]`,
		`["::ffff:192.0.2.1"]`:            `["192.0.2.1/32"]`,
		`["::ffff:192.0.2.0/120"]`:        `["192.0.2.0/24"]`,
		`["0.0.0.0/0","::/0"]`:            `["0.0.0.0/0","::/0"]`,
		`[]`:                              `[]`, `null`: `[]`, `""`: `[]`,
	} {
		r := create(sent, alice).wants(201)
		path := r.header.Get("Location")
		for _, r := range []reply{r, s.do("GET", path, alice).wants(200), s.do("PATCH", path, alice, jsonBody(`{"description":"d","addresses":`+want+`}`)).wants(200)} {
			if !strings.Contains(r.body, `"addresses":`+want) {
				t.Errorf("%s: %s, want %s", sent, r.body, want)
			}
		}
		s.do("PATCH", path, alice, jsonBody(`{"addresses":["203.0.113.0/24"]}`)).blames("addresses")
	}
	for _, odd := range []string{`["x"]`, `["192.0.2.0/33"]`, `["fe80::1%eth0"]`, `[1]`, `{}`, `7`, `true`, `["192.0.2.1:80"]`, `["192.0.2"]`, `["192.0.2.0/-1"]`, `["192.0.2.0/24",null]`,
		`["` + strings.Repeat(`192.0.2.1","`, 64) + `192.0.2.1"]`} {
		create(odd, alice).blames("addresses")
	}
	doc := create(`["192.0.2.0/24"]`, alice).wants(201).json()
	token := bearer(doc["token"].(string))
	inside, outside := from("192.0.2.200:1234"), from("198.51.100.1:1234")
	if s.whoami(token, inside) != "alice" || s.whoami(token, outside) != "" {
		t.Error("the token is not bound to its network")
	}
	// Its children are not freer.
	create(`["198.51.100.0/24"]`, token, inside).blames("addresses")
	child := create(`null`, token, inside).wants(201)
	if !strings.Contains(child.body, `"addresses":["192.0.2.0/24"]`) {
		t.Errorf("a child: %s", child.body)
	}
}

// TestLinksLeadSomewhere follows what this package links to.
func TestLinksLeadSomewhere(t *testing.T) { // G6
	for name, streaming := range map[string]bool{"with an activity stream": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			o := newOAuth(t, func(c *options) { c.activity = streaming })
			o.token(o.alice, "write")
			_, _ = o.pair()
			targets := []string{"/api/v2/tokens/", "/api/v2/applications/", "/api/v2/users/3/", "/api/v2/me/"}
			if streaming {
				gone := o.do("POST", "/api/v2/tokens/", as("alice"), jsonBody(`{"scope":"read"}`)).wants(201).json()
				o.do("DELETE", gone["url"].(string), as("alice")).wants(204)
				o.do("DELETE", o.pp.path(), as("admin")).wants(204)
				o.drain()
				targets = append(targets, "/api/v2/activity_stream/", "/api/v2/activity_stream/1/")
			}
			for _, target := range targets {
				doc := o.do("GET", target, as("admin")).wants(200).json()
				results, _ := doc["results"].([]any)
				for _, one := range append(results, doc) {
					related, _ := one.(map[string]any)["related"].(map[string]any)
					if _, linked := related["activity_stream"]; related != nil && linked != (streaming && !strings.Contains(target, "stream")) {
						t.Errorf("%s links to %v", target, related)
					}
					o.follow(target, related)
				}
			}
		})
	}
}

// follow gets what a representation links to: a path or a list of paths.
func (o *oauthSystem) follow(target string, related map[string]any) {
	o.t.Helper()
	for name, link := range related {
		paths, isList := link.([]any)
		if !isList {
			paths = []any{link}
		}
		for _, path := range paths {
			if name == "organization" { // the host's
				continue
			}
			if r := o.do("GET", path.(string), as("admin")); r.status != 200 {
				o.t.Errorf("%s: %s leads to %s, which is %d", target, name, path, r.status)
			}
		}
	}
}
