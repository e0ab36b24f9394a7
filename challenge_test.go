package auth_test

import (
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
)

// D4: the challenges that a gate sends.
func TestChallenge(t *testing.T) {
	bad := &auth.Error{Status: 401, Code: "invalid_token", Detail: "x"}
	narrow := &auth.Error{Status: 403, Code: "insufficient_scope", Detail: "x", Scope: "write"}
	const metadata = "https://api.example/.well-known/oauth-protected-resource"
	for _, tt := range []struct {
		name string
		opts auth.GateOptions
		err  error
		want []string
	}{
		{"default", auth.GateOptions{}, auth.ErrNoCredentials, []string{`Bearer realm="api"`}},
		{"realm", auth.GateOptions{Realm: "my jobs"}, auth.ErrNoCredentials, []string{`Bearer realm="my jobs"`}},
		{"basic is advertised on request", auth.GateOptions{Basic: true}, auth.ErrNoCredentials,
			[]string{`Bearer realm="api"`, `Basic realm="api", charset="UTF-8"`}},
		{"parameters go to Bearer", auth.GateOptions{Basic: true, Realm: "jobs"}, bad,
			[]string{`Bearer realm="jobs", error="invalid_token", error_description="x"`, `Basic realm="jobs", charset="UTF-8"`}},
		{"scope of a 401", auth.GateOptions{Scope: "read jobs"}, auth.ErrNoCredentials, []string{`Bearer realm="api", scope="read jobs"`}},
		{"scope of a bad token", auth.GateOptions{Scope: "read"}, bad, []string{`Bearer realm="api", error="invalid_token", error_description="x", scope="read"`}},
		{"the missing scope instead", auth.GateOptions{Scope: "read"}, narrow, []string{`Bearer realm="api", error="insufficient_scope", scope="write"`}},
		{"the missing scope is the one", auth.GateOptions{Scope: "write"}, narrow, []string{`Bearer realm="api", error="insufficient_scope", scope="write"`}},
		{"metadata", auth.GateOptions{ResourceMetadata: metadata}, auth.ErrNoCredentials, []string{`Bearer realm="api", resource_metadata="` + metadata + `"`}},
		{"all", auth.GateOptions{Realm: "r", Scope: "read", ResourceMetadata: metadata, Basic: true}, narrow,
			[]string{`Bearer realm="r", resource_metadata="` + metadata + `", error="insufficient_scope", scope="write"`, `Basic realm="r", charset="UTF-8"`}},
		{"a 401 that names a scope", auth.GateOptions{Scope: "read"}, &auth.Error{Status: 401, Detail: "x", Scope: "jobs"}, []string{`Bearer realm="api", scope="jobs"`}},
		{"a 403 without a scope has none", auth.GateOptions{Scope: "read"}, &auth.Error{Status: 403, Detail: "x"}, nil},
		{"an outage has none", auth.GateOptions{Scope: "read"}, errors.New("x"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Logger = quiet
			g := auth.NewGate(says(nil, auth.ErrNoCredentials), &tt.opts)
			for range 2 { // the second refusal does not change the first
				w := httptest.NewRecorder()
				g.Deny(w, httptest.NewRequest("GET", "/", nil), tt.err)
				if diff := cmp.Diff(tt.want, w.Header()["Www-Authenticate"]); diff != "" {
					t.Errorf("challenge (-want +got):\n%s", diff)
				}
				for _, line := range w.Header()["Www-Authenticate"] {
					seen := map[string]bool{}
					for _, m := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(line, -1) {
						if seen[m[1]] {
							t.Errorf("%s has %s twice", line, m[1])
						}
						seen[m[1]] = true
					}
				}
				w.Header().Add("Www-Authenticate", "Other")
			}
		})
	}
}

// An option that cannot stand in a challenge does not construct, and the panic
// names the option.
func TestChallengeOptions(t *testing.T) {
	for _, tt := range []struct {
		field string
		opts  auth.GateOptions
	}{
		{"Realm", auth.GateOptions{Realm: `a"b`}},
		{"Realm", auth.GateOptions{Realm: "a\r\nSet-Cookie: x"}},
		{"Realm", auth.GateOptions{Realm: `a\`}},
		{"Realm", auth.GateOptions{Realm: "é"}},
		{"Scope", auth.GateOptions{Scope: "read  write"}},
		{"Scope", auth.GateOptions{Scope: " "}},
		{"Scope", auth.GateOptions{Scope: `read", error="x`}},
		{"Scope", auth.GateOptions{Scope: "read\twrite"}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: "/.well-known/x"}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: "ftp://api.example/x"}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: "https://"}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: "https://u@api.example/"}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: "https://api.example/#x"}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: `https://api.example/", scope="x`}},
		{"ResourceMetadata", auth.GateOptions{ResourceMetadata: "https://api.example/é"}},
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.HasPrefix(v, "auth: GateOptions."+tt.field+" ") {
					t.Errorf("%+v: %v", tt.opts, v)
				}
			}()
			auth.NewGate(says(nil, auth.ErrNoCredentials), &tt.opts)
			t.Errorf("%+v constructs", tt.opts)
		}()
	}
}
