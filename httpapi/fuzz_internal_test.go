package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/jsonobject"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// FuzzObject compares the strict parser with encoding/json: what it takes, the
// library takes, too, with the same members, and what it refuses is refused by
// the library or is one of the things that the library lets pass.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":{"b":[1,2]},"c":null}`, `[]`, `null`, `{"a":1} x`, `{"a":1}{}`, "\xff", `{"a":"\ud800"}`, ` {"ſcope":1,"scope":2}`, `{"a":`, strings.Repeat(`{"a":`, 100)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body)
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(body, &want)
		if err == nil {
			if wantErr != nil || len(o) != len(want) {
				t.Fatalf("taken as %d members; encoding/json: %d, %v", len(o), len(want), wantErr)
			}
			for name, value := range o {
				if !bytes.Equal(bytes.TrimSpace(value), bytes.TrimSpace(want[name])) {
					t.Fatalf("%q is %s, want %s", name, value, want[name])
				}
			}
			return
		}
		if wantErr == nil && jsonobject.IsText(body) && !duplicateNames(body) && want != nil {
			t.Fatalf("refused (%v), but encoding/json takes it", err)
		}
	})
}

// duplicateNames counts the names of the outermost object.
func duplicateNames(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	seen := make(map[string]bool)
	depth := 0
	for key := false; ; {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			key = depth == 1
		case string:
			if depth == 1 && key {
				if seen[v] {
					return true
				}
				seen[v] = true
				key = false
				continue
			}
			key = depth == 1
		default:
			key = depth == 1
		}
	}
}

// FuzzLocalPath resolves what gets through as a browser does, in a few lines of
// the URL standard, and sees that the origin stays.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "/api/v2/", "//evil.example", `/\evil.example`, "/\t/evil.example", "https:evil", "/%2f/evil", "/a?b#c", "\x00/", "/../..//x", "/ok\r\nX: y", "/\u2028", "/api/logout/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := localPath(next)
		if got != home && got != next {
			t.Fatalf("%q became %q", next, got)
		}
		// The parser strips C0 controls and blanks at the ends, and tabs and
		// line breaks everywhere; for http a backslash is a slash.
		s := strings.Trim(got, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
		s = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(s)
		if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
			t.Fatalf("%q leaves the origin as %q", next, s)
		}
		w := httptest.NewRecorder()
		http.Redirect(w, httptest.NewRequest("POST", "/api/login/", nil), got, http.StatusFound)
		location := w.Header().Get("Location")
		base, _ := url.Parse("http://app.example/api/login/")
		if u, err := base.Parse(location); err != nil || u.Host != "app.example" || u.Scheme != "http" {
			t.Fatalf("%q leads to %q (%v)", next, location, err)
		}
	})
}

// FuzzList reads queries: a verdict for every text, and pages within bounds.
func FuzzList(f *testing.F) {
	for _, s := range []string{"", "page=2", "page=last", "page_size=1000", "page=9223372036854775807", "order_by=-id,created", "id=1&id=2", "token__x=1", "%zz", "page=%2B1", "search=%00",
		"or__not__description__icontains=a&or__id__in=1,2", "last_used__isnull=true", "application=null", "user__id=1", "expires__gt=2027-01-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: "/api/v2/tokens/", RawQuery: query}}
		q, err := parseList(r, tokenFilters, tokenOrders, store.ColumnDescription)
		if err != nil {
			return
		}
		if q.size < 1 || q.size > maxPageSize || q.page < 0 || q.page > maxPage {
			t.Fatalf("page %d of %d", q.page, q.size)
		}
		n := 0
		for _, group := range q.conditionsOf() {
			for _, c := range group {
				n++
				if !slices.ContainsFunc(slices.Collect(maps.Values(tokenFilters)), func(f filter) bool { return f.column == c.Column }) || len(c.Values) > maxValues {
					t.Fatalf("condition %+v gets through", c)
				}
			}
		}
		if n > maxConditions+1 { // and the search
			t.Fatalf("%d conditions", n)
		}
		if _, _, err := memory.New().ListTokens(t.Context(), store.TokenFilter{All: true, Where: q.conditionsOf()}, store.Page{Limit: 1}); err != nil {
			t.Fatalf("the store refuses %+v: %v", q.conditionsOf(), err)
		}
		e, err := fetch(q, func(p store.Page) ([]int, int, error) {
			if p.Offset < 0 || p.Limit < 0 || p.Limit > maxPageSize {
				t.Fatalf("asks for %+v", p)
			}
			return nil, 60, nil
		}, func(list []int) ([]int, error) { return list, nil })
		if err != nil {
			return
		}
		for _, link := range []*string{e.Next, e.Previous} {
			if link != nil && !strings.HasPrefix(*link, "/api/v2/tokens/?") {
				t.Fatalf("link %q", *link)
			}
		}
	})
}

// FuzzForm reads forms: every parameter once, as net/url has it.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "a=1&a=2", "a;b", "%zz", "username=x&password=%00", strings.Repeat("a=&", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Body: io.NopCloser(strings.NewReader(body))}
		form, err := readForm(httptest.NewRecorder(), r)
		if err != nil {
			return
		}
		want, err := url.ParseQuery(body)
		if err != nil || len(form) != len(want) || len(form) > maxParameters {
			t.Fatalf("taken as %v; net/url: %v, %v", form, want, err)
		}
		for name, values := range form {
			if len(values) != 1 || values[0] != want.Get(name) {
				t.Fatalf("%q is %q", name, values)
			}
		}
	})
}

// FuzzAccept reads media ranges: a verdict for every text, and what is named with
// a quality above zero is accepted.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"", "*/*", "application/json;q=0", "text/html, application/json", ";;;,,,", "a/b;q=1e999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		if wants(r, "application/json") && !acceptsJSON(r) {
			t.Fatal("wanted, but not accepted")
		}
		r.Header["Accept"] = append(r.Header["Accept"], "application/json")
		if !acceptsJSON(r) {
			t.Fatal("another line takes it back")
		}
	})
}

// FuzzPathID reads IDs: only the canonical spelling of a number names something.
func FuzzPathID(f *testing.F) {
	for _, s := range []string{"1", "0", "01", "+1", "-1", "99999999999999999999", "١", "1\x00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var vars pathValues
		vars.add("{id}", s)
		id, err := tokenID(newRouted(&http.Request{}, &vars))
		if err == nil && (id < 0 || userID(s) == "" || !isDecimal(s)) {
			t.Fatalf("%q names %d", s, id)
		}
		b, err := userID(s).MarshalJSON()
		if err != nil || !json.Valid(b) {
			t.Fatalf("%q is written as %s (%v)", s, b, err)
		}
		// A number that clients cannot read stays text.
		if _, err := strconv.ParseInt(string(b), 10, 64); err != nil && b[0] != '"' && string(b) != "null" {
			t.Fatalf("%q is written as the number %s", s, b)
		}
	})
}

// FuzzLastDay holds that the end of a day is the last second of the day that is
// named, in the one spelling there is.
func FuzzLastDay(f *testing.F) {
	for _, s := range []string{"2027-01-31", "2028-02-29", "2027-02-29", "0000-01-01", "9999-12-31", "2027-1-31", "2027-01-31T00:00:00Z", " 2027-01-31", "10000-01-01", ""} {
		f.Add(s)
	}
	a := &api{}
	f.Fuzz(func(t *testing.T, s string) {
		end, err := a.lastDay(s)
		if err != nil {
			return
		}
		if got := end.Format(dateLayout); got != s || end.Format(time.TimeOnly) != "23:59:59" || end.Location() != time.UTC {
			t.Errorf("%q ends at %v", s, end)
		}
	})
}

// FuzzBrowses holds that nothing but a plain request for HTML is answered by a
// page.
func FuzzBrowses(f *testing.F) {
	f.Add("text/html,*/*;q=0.8", "navigate", "")
	f.Add("text/html", "cors", "")
	f.Add("application/json, text/html", "", "")
	f.Add("*/*", "", "Bearer x")
	f.Fuzz(func(t *testing.T, accept, mode, authorization string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Accept"] = []string{accept}
		if mode != "" {
			r.Header["Sec-Fetch-Mode"] = []string{mode}
		}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		if browses(r) && (!strings.Contains(strings.ToLower(accept), "text/html") || mode != "" && mode != "navigate" || authorization != "") {
			t.Errorf("%q, %q, %q", accept, mode, authorization)
		}
	})
}
