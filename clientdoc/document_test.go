package clientdoc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/clientdoc"
)

const goodURL = "https://client.example/client.json"

// member returns a document whose member of that name is replaced or added.
func member(name, value string) string {
	o := map[string]json.RawMessage{
		"client_id": json.RawMessage(`"` + goodURL + `"`), "client_name": json.RawMessage(`"Tool"`),
		"redirect_uris":              json.RawMessage(`["https://client.example/cb","http://127.0.0.1/cb","http://localhost:3000"]`),
		"token_endpoint_auth_method": json.RawMessage(`"none"`),
	}
	o[name] = json.RawMessage(value)
	if value == "" {
		delete(o, name)
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// uris returns n redirect URIs as JSON.
func uris(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("https://client.example/%d", i))
	}
	b, _ := json.Marshal(list)
	return string(b)
}

// documents are bodies with a part of their fault, "" for good ones.
var documents = []struct{ name, body, fault string }{
	{"good", member("", "null"), ""},
	{"as clients of MCP have it", `{"client_id":"` + goodURL + `","client_name":"Tool","client_uri":"https://client.example","logo_uri":"https://client.example/l.png",
		"redirect_uris":["http://127.0.0.1:33418/","https://client.example/redirect"],"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],
		"response_types":["code"],"token_endpoint_auth_method":"none","application_type":"native","scope":"read"}`, ""},
	{"least", `{"client_id":"` + goodURL + `","redirect_uris":["http://[::1]:1/"]}`, ""},
	{"blanks around it", " \r\n" + member("", "null") + "\t\n", ""},
	{"members of others", member("jwks", `{"keys":[{"a":1,"a":2}]}`), ""},
	{"a name in another script", member("client_name", `"ツール"`), ""},
	{"an escaped client_id", strings.Replace(member("", "null"), "client.json", `client\u002ejson`, 1), ""},
	{"20 redirect URIs", member("redirect_uris", uris(20)), ""},

	{"another client_id", member("client_id", `"https://client.example/other.json"`), "must be the address"},
	{"the client_id with its port", member("client_id", `"https://client.example:443/client.json"`), "must be the address"},
	{"the client_id in another case", member("client_id", `"https://Client.example/client.json"`), "must be the address"},
	{"the client_id with a blank", member("client_id", `"`+goodURL+` "`), "must be the address"},
	{"no client_id", member("client_id", ""), "must be the address"},
	{"an empty client_id", member("client_id", `""`), "must be the address"},
	{"client_id is null", member("client_id", "null"), "another type"},
	{"client_id is a list", member("client_id", `["`+goodURL+`"]`), "another type"},
	{"client_id in upper case beside it", member("CLIENT_ID", `"https://evil.example/c"`), ""},

	{"no JSON", "<html>", "one JSON object"},
	{"empty", "", "one JSON object"},
	{"a list", "[" + member("", "null") + "]", "one JSON object"},
	{"a string", `"x"`, "one JSON object"},
	{"null", "null", "one JSON object"},
	{"more after it", member("", "null") + "{}", "one JSON object"},
	{"garbage after it", member("", "null") + "x", "one JSON object"},
	{"a null byte after it", member("", "null") + "\x00", "one JSON object"},
	{"cut off", strings.TrimSuffix(member("", "null"), "}"), "one JSON object"},
	{"a comma at the end", strings.TrimSuffix(member("", "null"), "}") + ",}", "one JSON object"},
	{"a comment", "/**/" + member("", "null"), "one JSON object"},
	{"a byte order mark", "\ufeff" + member("", "null"), "one JSON object"},
	{"bytes that are no UTF-8", member("", "null") + "\xff", "one JSON object"},
	{"a member twice", `{"client_id":"` + goodURL + `",` + member("", "null")[1:], "one JSON object"},
	{"a member twice, once escaped", `{"client\u005fid":"` + goodURL + `",` + member("", "null")[1:], "one JSON object"},
	{"deep nesting", member("x", strings.Repeat("[", 2000)+strings.Repeat("]", 2000)), ""},
	{"too long", member("x", `"`+strings.Repeat("x", 5<<10)+`"`), "5,120 bytes"},

	{"a secret", member("client_secret", `"x"`), "client secret"},
	{"a null for a secret", member("client_secret", "null"), "client secret"},
	{"the end of a secret", member("client_secret_expires_at", "0"), "client secret"},
	{"client_secret_basic", member("token_endpoint_auth_method", `"client_secret_basic"`), "public client"},
	{"client_secret_post", member("token_endpoint_auth_method", `"client_secret_post"`), "public client"},
	{"client_secret_jwt", member("token_endpoint_auth_method", `"client_secret_jwt"`), "public client"},
	{"private_key_jwt", member("token_endpoint_auth_method", `"private_key_jwt"`), "public client"},
	{"none in another case", member("token_endpoint_auth_method", `"None"`), "public client"},
	{"a method that is null", member("token_endpoint_auth_method", "null"), "another type"},

	{"implicit", member("grant_types", `["authorization_code","implicit"]`), "grant_types"},
	{"password", member("grant_types", `["authorization_code","password"]`), "grant_types"},
	{"client credentials", member("grant_types", `["authorization_code","client_credentials"]`), "grant_types"},
	{"no code grant", member("grant_types", `["refresh_token"]`), "grant_types"},
	{"no grants", member("grant_types", `[]`), "grant_types"},
	{"grants as a string", member("grant_types", `"authorization_code"`), "another type"},
	{"token", member("response_types", `["token"]`), "response_types"},
	{"code and token", member("response_types", `["code","token"]`), "response_types"},
	{"no response types", member("response_types", `[]`), "response_types"},

	{"no redirect URIs", member("redirect_uris", ""), "1 to 20"},
	{"none of them", member("redirect_uris", "[]"), "1 to 20"},
	{"21 redirect URIs", member("redirect_uris", uris(21)), "1 to 20"},
	{"one twice", member("redirect_uris", `["https://client.example/cb","https://client.example/cb"]`), "1 to 20"},
	{"redirect URIs as a string", member("redirect_uris", `"https://client.example/cb"`), "another type"},
	{"a number among them", member("redirect_uris", `["https://client.example/cb",1]`), "another type"},
	{"null among them", member("redirect_uris", `["https://client.example/cb",null]`), "another type"},

	{"a long name", member("client_name", `"`+strings.Repeat("x", 101)+`"`), "client_name"},
	{"a name with a line break", member("client_name", `"a\nb"`), "client_name"},
	{"a name that turns round", member("client_name", `"a\u202eb"`), "client_name"},
	{"a name with an isolate", member("client_name", `"\u2066a\u2069"`), "client_name"},
	{"a name with nothing to see", member("client_name", `"a\u200bb"`), "client_name"},
	{"a blank name", member("client_name", `" "`), "client_name"},
	{"a name that is a number", member("client_name", "1"), "another type"},
}

// redirectURIs are redirect URIs that a document must not have.
var redirectURIs = []string{
	"", "/cb", "//client.example/cb", "client.example/cb", "https:client.example/cb", "https:///cb",
	"javascript:alert(1)", "javascript://client.example/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "com.example.app:/cb", "myapp://cb",
	"http://client.example/cb", "https://evil.example/cb", "https://client.example.evil.example/cb", "https://evil.example/client.example",
	"https://sub.client.example/cb", "https://example/cb", "https://client.example./cb", "https://client.example:443/cb", "https://client.example:8443/cb",
	"https://CLIENT.example/cb", "HTTPS://client.example/cb", "https://user@client.example/cb", "https://client.example@evil.example/cb",
	`https://client.example\@evil.example/cb`, "https://client.example/cb#x", "https://client.example/cb#", "https://client.example/a/../cb",
	"https://client.example/%2e%2e/cb", "https://client.example/*", "https://client.example/a b", "https://client.example/\u00e9", "https://client.example/\n",
	"https://client.example/" + strings.Repeat("x", 490),
	"https://127.0.0.1/cb", "https://localhost/cb", "http://127.0.0.2/cb", "http://127.1/cb", "http://0.0.0.0/cb", "http://2130706433/cb", "http://0x7f.0.0.1/cb",
	"http://[::]/cb", "http://[::ffff:127.0.0.1]/cb", "http://[0:0:0:0:0:0:0:1]/cb", "http://::1/cb", "http://localhost./cb", "http://LOCALHOST/cb", "http://x.localhost/cb",
	"http://localhost.evil.example/cb", "http://127.0.0.1.evil.example/cb", "http://127.0.0.1@evil.example/cb", "http://evil.example@127.0.0.1/cb",
	"http://127.0.0.1:/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:080/cb", "http://192.168.0.1/cb",
}

func TestParse(t *testing.T) {
	for _, uri := range redirectURIs {
		b, _ := json.Marshal([]string{"https://client.example/good", uri})
		documents = append(documents, struct{ name, body, fault string }{"redirect URI " + uri, member("redirect_uris", string(b)), "redirect_uris"})
	}
	for _, tt := range documents {
		d, err := clientdoc.Parse(goodURL, []byte(tt.body))
		if tt.fault == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		refused, ok := errors.AsType[*clientdoc.Error](err)
		if !ok || !strings.Contains(refused.Detail, tt.fault) || d.ClientID != "" {
			t.Errorf("%s: document %+v, error %v; want one about %q", tt.name, d, err, tt.fault)
		}
	}
	got, err := clientdoc.Parse(goodURL, []byte(member("", "null")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(clientdoc.Document{ClientID: goodURL, Host: "client.example", Name: "Tool",
		RedirectURIs: []string{"https://client.example/cb", "http://127.0.0.1/cb", "http://localhost:3000"}}, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for list, want := range map[string]bool{
		`["http://127.0.0.1/cb"]`: true, `["http://[::1]:1/cb","http://localhost"]`: true,
		`["https://client.example/cb"]`: false, `["http://127.0.0.1/cb","https://client.example/cb"]`: false,
	} {
		d, err := clientdoc.Parse(goodURL, []byte(member("redirect_uris", list)))
		if err != nil || d.LoopbackOnly() != want {
			t.Errorf("%s: %v, %v, want %v", list, d.LoopbackOnly(), err, want)
		}
	}
}

// FuzzParse: what is accepted has the properties that consents and redirects rely on,
// each seen by package json, which is more lenient.
func FuzzParse(f *testing.F) {
	for _, tt := range documents {
		f.Add([]byte(tt.body))
	}
	for _, uri := range redirectURIs {
		b, _ := json.Marshal([]string{uri})
		f.Add([]byte(member("redirect_uris", string(b))))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := clientdoc.Parse(goodURL, body)
		if err != nil {
			if diff := cmp.Diff(clientdoc.Document{}, d); diff != "" {
				t.Errorf("a document beside the error %v:\n%s", err, diff)
			}
			if _, refused := errors.AsType[*clientdoc.Error](err); !refused {
				t.Errorf("error %v is none of this package", err)
			}
			return
		}
		var loose map[string]any
		if err := json.Unmarshal(body, &loose); err != nil || loose["client_id"] != goodURL || d.ClientID != goodURL || len(body) > 5<<10 {
			t.Errorf("%q is accepted", body)
		}
		if _, has := loose["client_secret"]; has || len([]rune(d.Name)) > 100 || strings.ContainsAny(d.Name, "\n\r\x00\u202e\u2066") {
			t.Errorf("%q is accepted as %+v", body, d)
		}
		if n := len(d.RedirectURIs); n == 0 || n > 20 {
			t.Errorf("%q has %d redirect URIs", body, n)
		}
		for _, uri := range d.RedirectURIs {
			good := false
			for _, prefix := range []string{"https://client.example", "http://127.0.0.1", "http://[::1]", "http://localhost"} {
				rest, ok := strings.CutPrefix(uri, prefix)
				good = good || ok && (rest == "" || strings.ContainsAny(rest[:1], "/?") || rest[0] == ':' && prefix[:5] == "http:")
			}
			if !good || strings.ContainsAny(uri, "#\\\"<> ") {
				t.Errorf("%q may be redirected to", uri)
			}
		}
	})
}
