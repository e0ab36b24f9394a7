package auth_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// the form of a list of scopes.
func TestParseScopes(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		further  []string
		want     bool
	}{
		{"read", "read", nil, true},
		{"write", "write", nil, true},
		{"both", "read write", nil, true},
		{"both, other order", "write read", nil, true},
		{"nothing", "", nil, false},
		{"a blank", " ", nil, false},
		{"blank before", " read", nil, false},
		{"blank after", "read ", nil, false},
		{"two blanks", "read  write", nil, false},
		{"tab", "read\twrite", nil, false},
		{"newline", "read\nwrite", nil, false},
		{"comma", "read,write", nil, false},
		{"twice the same", "read read", nil, false},
		{"twice the same, not adjacent", "read write read", nil, false},
		{"case counts", "Write", nil, false},
		{"unknown", "rainbow", nil, false},
		{"unknown among known", "read rainbow", nil, false},
		{"part of a word", "readwrite", nil, false},
		{"everything is not for sale", "*", nil, false},
		{"everything is not for sale under a name either", "*", []string{"*"}, false},
		{"the host's own", "jobs read", []string{"jobs"}, true},
		{"not the host's own", "jobs read", []string{"job"}, false},
		{"an empty name adds nothing", "read ", []string{""}, false},
		{"a name with a blank adds nothing", "a b", []string{"a b"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := auth.ParseScopes(tt.in, tt.further...)
			want := auth.Scopes("")
			if tt.want {
				want = auth.Scopes(tt.in)
			}
			if got != want || (err == nil) != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

// which methods scopes permit. Whatever is not known to be safe is
// a write.
func TestPermit(t *testing.T) {
	safe := []string{"GET", "HEAD", "OPTIONS"}
	unsafe := []string{"POST", "PUT", "PATCH", "DELETE", "PROPFIND", "QUERY", "TRACE", "CONNECT", "get", "Head", "", "GET ", "G|T"}
	for scopes, want := range map[auth.Scopes][2]bool{
		"":                {false, false},
		"read":            {true, false},
		"write":           {true, true},
		"read write":      {true, true},
		"jobs":            {false, false},
		"jobs read":       {true, false},
		"READ":            {false, false},
		"readwrite":       {false, false},
		"* ":              {false, false},
		"** read":         {true, false},
		auth.Unrestricted: {true, true},
	} {
		for _, m := range safe {
			if got := scopes.Permit(m); got != want[0] {
				t.Errorf("%q permits %q: %v", scopes, m, got)
			}
		}
		for _, m := range unsafe {
			if got := scopes.Permit(m); got != want[1] {
				t.Errorf("%q permits %q: %v", scopes, m, got)
			}
		}
	}
}

func TestScopesWithin(t *testing.T) {
	for _, tt := range []struct {
		s, of auth.Scopes
		want  bool
	}{
		{"", "", true},
		{"", "read", true},
		{"read", "", false},
		{"read", "read", true},
		{"read", "write", true}, // write includes read
		{"write", "read", false},
		{"write", "read write", true},
		{"read write", "write", true},
		{"jobs", "write", false},
		{"jobs", "jobs write", true},
		{"write", auth.Unrestricted, true},
		{"anything", auth.Unrestricted, true},
		{auth.Unrestricted, "read write", false},
		{auth.Unrestricted, auth.Unrestricted, true},
		{"* read", "read", false},
	} {
		if got := tt.s.Within(tt.of); got != tt.want {
			t.Errorf("%q within %q: %v", tt.s, tt.of, got)
		}
	}
}

// Cases 109 to 123: scopes behind the gate, whatever the handler.
func TestScopesOfARequest(t *testing.T) {
	s := newSystem(t, nil)
	insufficient := func(scope string) refused {
		return refused{403, []string{`Bearer realm="api", error="insufficient_scope", scope="` + scope + `"`}, "", body403}
	}
	read, write, jobs := bearer(s.issue(s.alice, "read")), bearer(s.issue(s.alice, "write")), bearer(s.issue(s.alice, "jobs"))
	jobsRead := bearer(s.issue(s.alice, "read jobs"))
	for _, tt := range []struct {
		method, target, line string
		want                 any
	}{
		{"GET", "/probe/", read, "alice by bearer"},
		{"HEAD", "/probe/", read, nil},
		{"OPTIONS", "/probe/", read, "alice by bearer"},
		{"POST", "/probe/", read, insufficient("write")},
		{"PUT", "/probe/", read, insufficient("write")},
		{"PATCH", "/probe/", read, insufficient("write")},
		{"DELETE", "/probe/", read, insufficient("write")},
		{"PROPFIND", "/probe/", read, insufficient("write")},
		{"QUERY", "/probe/", read, insufficient("write")},
		{"get", "/probe/", read, insufficient("write")},
		{"GET", "/probe/", write, "alice by bearer"},
		{"POST", "/probe/", write, "alice by bearer"},
		{"GET", "/probe/", jobs, insufficient("read")},
		{"POST", "/public/", read, insufficient("write")},
		{"GET", "/scoped/", read, insufficient("jobs")},
		{"GET", "/scoped/", write, insufficient("jobs")},
		{"GET", "/scoped/", jobs, "alice by bearer"},
		{"GET", "/scoped/", jobsRead, "alice by bearer"},
		{"POST", "/scoped/", jobs, "alice by bearer"},
		{"DELETE", "/scoped/", jobsRead, "alice by bearer"},
		{"POST", "/scoped/", basicLine("alice", goodPassword), "alice by basic"},
		{"POST", "/scoped/", s.login(s.alice), "alice by session"},
	} {
		w := s.send(tt.method, tt.target, tt.line)
		var got any = refusalOf(w)
		switch {
		case tt.want == nil && w.Code == 200:
			got = nil
		case w.Code == 200:
			got = who(t, w)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s %.50s (-want +got):\n%s", tt.method, tt.target, tt.line, diff)
		}
	}
	for _, override := range []string{"X-Http-Method-Override: GET", "X-Method-Override: GET"} {
		if w := s.send("POST", "/probe/?_method=GET", read, override); w.Code != 403 {
			t.Errorf("%s: status %d", override, w.Code)
		}
	}
}

// A route with several scopes names all of them at once, or clients would go round once
// for each.
func TestSeveralScopesOfARoute(t *testing.T) {
	s := newSystem(t, nil)
	both := s.gate.RequireScope("jobs", "read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, tt := range []struct {
		scopes auth.Scopes
		want   int
	}{
		{"jobs", 403},
		{"read", 403},
		{"write", 403},
		{"read jobs", 200},
		{"jobs write", 200}, // which includes read
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Authorization", "Bearer "+s.issue(s.alice, tt.scopes).AccessToken.Reveal())
		w := httptest.NewRecorder()
		both.ServeHTTP(w, r)
		var challenge []string
		if tt.want == 403 {
			challenge = []string{`Bearer realm="api", error="insufficient_scope", scope="jobs read"`}
		}
		if diff := cmp.Diff(challenge, w.Result().Header["Www-Authenticate"]); diff != "" || w.Code != tt.want {
			t.Errorf("%s: %d (-want +got):\n%s", tt.scopes, w.Code, diff)
		}
	}
}

// scopes that are stored and not ours grant nothing, "*" least of all.
func TestStoredScopesGrantNothing(t *testing.T) {
	s := newSystem(t, nil)
	for _, stored := range []string{"", "x", "*", "* ", "ALL", "read\nwrite", "admin superuser"} {
		issued := s.issue(s.admin, "read")
		issued.Token.Scopes = stored
		if err := s.db.Store.UpdateToken(t.Context(), issued.Token, store.KeepMinted); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "POST"} {
			if w := s.send(method, "/probe/", bearer(issued)); w.Code != 403 {
				t.Errorf("stored scopes %q, %s: status %d", stored, method, w.Code)
			}
		}
	}
}

// FuzzScopes holds ParseScopes against the rules of RFC 6749 section 3.3 written
// with package strings, and Has, Within and Permit against sets.
func FuzzScopes(f *testing.F) {
	for _, in := range hostileInputs(f, "scope") {
		f.Add(in.text(), "read")
	}
	for _, s := range []string{"", "*", "read write", "jobs read write", "read  write", "jobs"} {
		f.Add(s, "read jobs")
		f.Add(s, auth.ScopeWrite)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		known := []string{"read", "write", "jobs"}
		words := strings.Split(a, " ")
		want := true
		for i, w := range words {
			want = want && slices.Contains(known, w) && !slices.Contains(words[:i], w)
		}
		got, err := auth.ParseScopes(a, "jobs")
		if (err == nil) != want || want && string(got) != a || !want && got != "" {
			t.Fatalf("ParseScopes(%q) = %q, %v; want accepted: %v", a, got, err, want)
		}

		// From here on a and b are any text, as a store may have it.
		x, y := auth.Scopes(a), auth.Scopes(b)
		if x == auth.Unrestricted || y == auth.Unrestricted {
			return
		}
		set := func(s string) map[string]bool {
			m := make(map[string]bool)
			for w := range strings.SplitSeq(s, " ") {
				if w != "" {
					m[w] = true
				}
			}
			if m["write"] {
				m["read"] = true
			}
			return m
		}
		sx, sy := set(a), set(b)
		within := true
		for w := range sx {
			if !x.Has(w) {
				t.Fatalf("%q does not have %q", a, w)
			}
			within = within && sy[w]
		}
		if got := x.Within(y); got != within {
			t.Fatalf("%q within %q: %v", a, b, got)
		}
		if x.Permit("POST") != sx["write"] || x.Permit("GET") != sx["read"] {
			t.Fatalf("%q permits POST: %v, GET: %v", a, x.Permit("POST"), x.Permit("GET"))
		}
		// A token has the scopes that it may mint.
		if x.Within(y) && (x.Permit("POST") && !y.Permit("POST") || x.Permit("GET") && !y.Permit("GET")) {
			t.Fatalf("%q lies within %q and permits more", a, b)
		}
	})
}
