package httpapi

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestGatewayRoutes asks each route for its path below /api/gateway/v1/: it is
// the same route or none.
func TestGatewayRoutes(t *testing.T) {
	on, _, _ := everything(t)
	on.routes = slices.DeleteFunc(on.routes, func(s served) bool { return s.pattern == gatewayPrefix }) // the index of these paths
	off := &router{api: &api{}, routes: on.routes}
	on = &router{api: &api{Config: Config{GatewayPaths: true}}, routes: on.routes}
	served := map[string]bool{"me": true, "users": true, "tokens": true, "applications": true, "login": true, "logout": true}
	there := 0
	for i := range on.routes {
		rt := &on.routes[i]
		path := strings.Join(rt.segments, "/")
		rest := strings.TrimPrefix(strings.TrimPrefix(path, "/api/"), "v2/")
		first, _, _ := strings.Cut(rest, "/")
		below := strings.Split("/api/gateway/v1/"+rest, "/")
		got := on.find(on.api.fromGateway(below))
		switch want := served[first] && strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/api/o/"); {
		case want && got != rt:
			t.Errorf("%s is not at %s", path, strings.Join(below, "/"))
		case !want && got != nil:
			t.Errorf("%s leads to %s", strings.Join(below, "/"), got.pattern)
		case want:
			there++
		}
		if got := off.find(off.api.fromGateway(below)); got != nil {
			t.Errorf("without the option %s leads to %s", strings.Join(below, "/"), got.pattern)
		}
		if got := on.find(on.api.fromGateway(rt.segments)); got != rt {
			t.Errorf("%s is not at its own path", path)
		}
	}
	if there < 10 {
		t.Errorf("%d routes are there", there)
	}
}

// FuzzFromGateway holds that only paths below /api/gateway/v1/ change, to paths
// that are shorter and end alike.
func FuzzFromGateway(f *testing.F) {
	for _, path := range []string{
		"/api/gateway/v1/tokens/", "/api/gateway/v1/tokens/1/", "/api/gateway/v1/login/", "/api/gateway/v1/", "/api/gateway/v1",
		"/api/gateway/v1//", "/api/gateway/v1/api/v2/tokens/", "/api/gateway/v1/o/token/", "/api/gateway/v2/tokens/", "/api/v2/tokens/",
		"/x/api/gateway/v1/tokens/", "", "/", "//api/gateway/v1/me/",
	} {
		f.Add(path)
	}
	a := &api{Config: Config{GatewayPaths: true}}
	f.Fuzz(func(t *testing.T, path string) {
		before := strings.Split(path, "/")
		after := strings.Join(a.fromGateway(before), "/")
		if strings.Join(before, "/") != path {
			t.Fatalf("%q has become %q", path, before)
		}
		if after == path {
			return
		}
		rest, ok := strings.CutPrefix(path, "/api/gateway/v1/")
		if !ok || after != "/api/"+rest && after != "/api/v2/"+rest {
			t.Errorf("%q has become %q", path, after)
		}
	})
}

// TestGatewayIndex has paths that the option must not serve.
func TestGatewayIndex(t *testing.T) {
	rt, _, secrets := everything(t)
	for _, path := range []string{
		"/api/gateway/", "/api/gateway/v1//", "/api/gateway/v1/gateway/v1/", "/api/gateway/v1/o/token/", "/api/gateway/v1/v2/me/", "/api/gateway/v1/organizations/1/applications/",
		"/api/gateway/v2/me/", "/gateway/v1/me/", "/api/gateway/v1/me//", "/api/gateway/v1/account/", "/API/gateway/v1/me/",
	} {
		r := httptest.NewRequest("GET", "http://app.example"+path, nil)
		r.Header.Set("Authorization", "Bearer "+secrets["write"])
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != 404 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
