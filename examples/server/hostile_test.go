package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestHostileRequests(t *testing.T) {
	s := start(t, t.TempDir())
	token, ok := issue(s.url)
	if !ok {
		t.Fatalf("no token:\n%s", s.out)
	}
	bearer := "Authorization: Bearer " + token + "\r\n"
	large := "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat(" ", 100_000)
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"two Authorization fields", "GET /api/v2/me/ HTTP/1.1\r\nHost: x\r\n" + bearer + bearer + "\r\n", 400},
		{"the same at the host's resource", "GET /api/v2/job_templates/ HTTP/1.1\r\nHost: x\r\n" + bearer + bearer + "\r\n", 400},
		{"token in the URL, too", "GET /api/v2/me/?access_token=" + token + " HTTP/1.1\r\nHost: x\r\n" + bearer + "\r\n", 400},
		{"token only in the URL", "GET /api/v2/me/?access_token=" + token + " HTTP/1.1\r\nHost: x\r\n\r\n", 401},
		{"body over the limit", "POST /api/v2/tokens/ HTTP/1.1\r\nHost: x\r\n" + bearer + large, 413},
		{"the same at the host's resource", "POST /api/v2/job_templates/ HTTP/1.1\r\nHost: x\r\n" + bearer + large, 413},
		{"the same without a credential", "POST /api/v2/job_templates/ HTTP/1.1\r\nHost: x\r\n" + large, 401},
		{"header over the limit", "GET /api/v2/me/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431},
		{"unknown method", "PROPFIND /api/v2/me/ HTTP/1.1\r\nHost: x\r\n\r\n", 401},
		{"unknown path", "GET /api/v2/nothing/ HTTP/1.1\r\nHost: x\r\n\r\n", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// The server may refuse before it has read everything.
			go func() { _, _ = io.WriteString(conn, tt.request) }()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.status {
				body, _ := io.ReadAll(resp.Body)
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
		})
	}
}

func TestJobTemplates(t *testing.T) {
	s := start(t, t.TempDir())
	const jobs = "/api/v2/job_templates/"
	admin := "-u admin:" + testPassword
	s.get("401", jobs, "")
	s.get("201", jobs, admin+` -d '{"name": "one"}'`)
	second := s.get("201", jobs, admin+` -d '{"name": "two"}'`)
	if second["url"] != jobs+"2/" || second["created_by"] != "admin" {
		t.Errorf("created %v", second)
	}
	if page := s.get("200", jobs+"?page_size=1", admin); page["count"] != 2.0 || page["next"] != jobs+"?page=2&page_size=1" || page["previous"] != nil {
		t.Errorf("first page: %v", page)
	}
	if page := s.get("200", jobs+"?page_size=1\\&page=2", admin); page["next"] != nil || page["previous"] != jobs+"?page=1&page_size=1" {
		t.Errorf("second page: %v", page)
	}
	if named := s.get("200", jobs+"?name=two", admin); named["count"] != 1.0 {
		t.Errorf("by name: %v", named)
	}
	if one := s.get("200", jobs+"2/", admin); one["name"] != "two" {
		t.Errorf("item: %v", one)
	}
	for _, path := range []string{jobs + "?or__id=2\\&or__name=2", jobs + "?or__id=9\\&or__name=two", "/api/v2/organizations/?or__id=1\\&or__name=1"} {
		// The Ansible collection asks like this where a name could be an ID.
		if found := s.get("200", path, admin); found["count"] != 1.0 {
			t.Errorf("%s: %v", path, found)
		}
	}
	for _, tt := range []struct{ status, path, args string }{
		{"404", jobs + "3/", ""},
		{"404", jobs + "x/", ""},
		{"404", jobs + "?page=0", ""},
		{"400", jobs + "?color=red", ""},
		{"400", jobs + "?name=%00", ""}, // which PostgreSQL would fail at
		{"400", jobs + "?name=%ff", ""},
		{"400", jobs, `-d '{"name": ""}'`},
		{"400", jobs, `-d '{"name": "x"} {}'`},
		{"400", jobs, `-d '{"nome": "x"}'`},
		{"400", jobs, `-d 'name=x'`},
		{"405", jobs, `-X DELETE`},
		{"405", jobs + "2/", `-d '{"name": "x"}'`},
		{"200", jobs, `-X OPTIONS`},
		{"307", strings.TrimSuffix(jobs, "/"), ``},
		{"200", "/healthz", ""},
		{"200", "/readyz", ""},
	} {
		s.get(tt.status, tt.path, admin+" "+tt.args)
	}
}
