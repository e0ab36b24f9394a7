package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
)

// adminURL returns where the operator asks.
func (s *server) adminURL() string {
	s.t.Helper()
	m := regexp.MustCompile(`(?m)^Metrics on (http://\S+)/metrics$`).FindStringSubmatch(s.out.String())
	if m == nil {
		s.t.Fatalf("no address of the metrics in\n%s", s.out)
	}
	return m[1]
}

// page returns the status and the body of a URL.
func page(t testing.TB, from string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(from)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// samples returns the values of all series.
func samples(t testing.TB, metrics string) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[line[:i]] = v
	}
	return all
}

// promtool runs the tool of Prometheus and fails the test if it finds anything.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil && os.Getenv("CI") == "" {
		t.Skip("promtool is not installed")
	}
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// canary is in everything that a hostile client sends, followed by a number.
const canary = "kanarienvogel"

// hostile sends requests with a canary in each place that a client decides about.
func (s *server) hostile(n int) {
	s.t.Helper()
	word := canary + strconv.Itoa(n)
	send := func(method, path, body string, fields ...string) {
		r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Host = word + ".example"
		for i, name := range []string{
			"X-Request-Id", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "Referer", "Accept", "Cookie", "X-" + word, "Traceparent",
		} {
			r.Header.Set(name, strings.Repeat(word, i%2+1))
		}
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(r) // follows nothing
		if err != nil {
			s.t.Fatalf("%s %s: %v", method, path, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	send("GET", "/api/v2/"+word+"/", "", "Authorization", "Bearer "+word)
	send("GET", "/"+word, "", "Authorization", word+" "+word)
	send(strings.ToUpper(word), "/api/v2/me/?"+word+"="+word, "")
	send("POST", "/api/v2/me/", word, "Authorization", "Bearer osta_"+word, "Content-Type", word+"/"+word)
	send("GET", "/api/v2/me/", "", "Cookie", "session="+word)
	send("POST", "/api/v2/me/", "", "Origin", "https://"+word+".example")
	send("POST", "/api/o/token/", url.Values{
		"client_id": {word}, "client_secret": {word}, "grant_type": {word}, "code": {word}, "refresh_token": {word}, "scope": {word},
	}.Encode(), form...)
	send("GET", "/api/o/authorize/?client_id="+word+"&redirect_uri=https://"+word+".example&response_type="+word+"&state="+word, "")
	send("POST", "/api/o/device_authorization/", "client_id="+word+"&scope="+word, form...)
	if n%50 == 0 { // a password takes a while
		basic := base64.StdEncoding.EncodeToString([]byte(word + ":" + word))
		send("GET", "/api/v2/me/", "", "Authorization", "Basic "+basic)
		send("POST", "/api/login/", "username="+word+"&password="+word+"&next=/"+word, form...)
	}
}

// The metrics after real traffic count it, are as Prometheus wants them, and have
// nothing in them that a client sent, however many inputs come.
func TestMetrics(t *testing.T) {
	s := start(t, t.TempDir(), "-admin-addr", "127.0.0.1:0", "-trusted-proxies", "192.0.2.1", "-log-level", "error")
	admin := s.adminURL()
	scrape := func() string {
		status, body := page(t, admin+"/metrics")
		if status != http.StatusOK {
			t.Fatalf("metrics: %d\n%s", status, body)
		}
		return body
	}
	first := samples(t, scrape())

	token, ok := issue(s.url)
	if !ok {
		t.Fatalf("no token:\n%s", s.out)
	}
	for range 10 {
		if code := status(s.url, token); code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
	}
	s.shell(`curl ` + s.url + `/api/login/ -d "username=admin&password=` + testPassword + `" -c cookies.txt &&
		curl ` + s.url + `/api/v2/me/ -b cookies.txt && curl -X POST ` + s.url + `/api/logout/ -b cookies.txt &&
		curl ` + s.url + `/api/v2/me/ -u admin:wrong && curl ` + s.url + `/api/v2/me/`)
	s.hostile(0)
	text := scrape()
	before := samples(t, text)
	for series, want := range map[string]float64{
		`ostiary_request_allowed_total{credential="bearer"}`:                                          10,
		`ostiary_request_allowed_total{credential="session"}`:                                         1,
		`ostiary_request_duration_seconds_count{credential="bearer"}`:                                 10,
		`ostiary_password_checked_total{outcome="success",reason="none"}`:                             2,
		`ostiary_password_checked_total{outcome="refused",reason="wrong_password"}`:                   3,
		`ostiary_request_refused_total{credential="basic",outcome="refused",reason="wrong_password"}`: 2,
		`ostiary_session_started_total`:                                                               1,
		`ostiary_session_ended_total{cause="logout"}`:                                                 1,
		`ostiary_token_issued_total{grant="personal"}`:                                                1,
		`ostiary_request_refused_total{credential="bearer",outcome="refused",reason="invalid_token"}`: 1,
		`ostiary_client_refused_total{outcome="refused",reason="invalid_credential"}`:                 2,
		`ostiary_request_refused_total{credential="none",outcome="refused",reason="cross_site"}`:      0,
		`ostiary_store_called_total{operation="read",outcome="failed",reason="outage"}`:               0,
		`ostiary_record_purged_total{outcome="success",reason="none",record="tokens"}`:                0,
	} {
		if got, ok := before[series]; !ok || got-first[series] != want {
			t.Errorf("%s grew by %v, want %v", series, got-first[series], want)
		}
	}
	if n := before[`ostiary_store_called_total{operation="read",outcome="success",reason="none"}`]; n < 20 {
		t.Errorf("%v reads of the database", n)
	}
	if before[`http_request_duration_seconds_count{code="401",method="unknown"}`] != 1 || before[`go_sql_open_connections{db_name="ostiary"}`] == 0 {
		t.Error("no requests by method, or no connections")
	}

	for n := range 250 {
		s.hostile(n + 1)
	}
	text = scrape()
	if strings.Contains(strings.ToLower(text), canary) || strings.Contains(text, token) || strings.Contains(text, "admin") {
		t.Errorf("the metrics have an input in them:\n%s", text)
	}
	after := samples(t, text)
	var more []string
	for series := range after {
		if _, ok := before[series]; !ok {
			more = append(more, series)
		}
	}
	slices.Sort(more)
	for _, series := range more {
		if !strings.HasPrefix(series, `http_request_duration_seconds`) || !strings.Contains(series, `code="429"`) {
			t.Errorf("2,250 inputs made the series %s", series)
		}
	}
	t.Logf("%d series at the start, %d after the first requests, %d after 2,250 inputs more", len(first), len(before), len(after))
	promtool(t, text, "check", "metrics")
	documented(t, text)
}

// documented fails the test unless the alerts of doc/observability.md are good rules
// over metrics that there are.
func documented(t *testing.T, metrics string) {
	t.Helper()
	text, err := os.ReadFile("../../doc/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(string(text), "```yaml\n")
	rules, _, ok := strings.Cut(rules, "```")
	if !ok {
		t.Fatal("doc/observability.md has no rules")
	}
	file := filepath.Join(t.TempDir(), "alerts.yaml")
	write(t, file, rules)
	promtool(t, "", "check", "rules", file)
	names := regexp.MustCompile(`ostiary_[a-z_]+`).FindAllString(rules, -1)
	if len(names) < 8 {
		t.Errorf("the rules name %q", names)
	}
	for _, name := range names {
		if !strings.Contains(metrics, "\n"+name+"{") && !strings.Contains(metrics, "\n"+name+" ") {
			t.Errorf("a rule names %s, which there is not", name)
		}
	}
	for selector := range strings.SplitSeq(rules, "{") {
		for label := range strings.SplitSeq(selector, ",") {
			if name, value, ok := strings.Cut(label, `="`); ok && regexp.MustCompile(`^ ?[a-z]+$`).MatchString(name) {
				value, _, _ = strings.Cut(value, `"`)
				if !strings.Contains(metrics, fmt.Sprintf("%s=%q", strings.TrimSpace(name), value)) {
					t.Errorf("a rule has %s=%q, which no series has", name, value)
				}
			}
		}
	}
}

// Metrics and the version are for the operator: where clients come, they are not.
func TestAdminAddress(t *testing.T) {
	for _, tt := range []struct {
		name    string
		args    []string
		metrics int  // status of /metrics on -addr
		version bool // of /healthz on -addr
	}{
		{"a private address", nil, 200, true},
		{"behind a proxy", []string{"-trusted-proxies", "192.0.2.1"}, 404, false},
		{"behind TLS", []string{"-url", "https://api.example"}, 404, false},
		{"for everybody", []string{"-addr", "0.0.0.0:0"}, 404, false},
		{"none", []string{"-admin-addr", "none"}, 404, false},
		{"of its own", []string{"-admin-addr", "127.0.0.1:0"}, 404, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, t.TempDir(), tt.args...)
			if status, _ := page(t, s.url+"/metrics"); status != tt.metrics {
				t.Errorf("metrics: %d, want %d", status, tt.metrics)
			}
			if status, body := page(t, s.url+"/healthz"); status != 200 || strings.Contains(body, `"version":"`) != tt.version {
				t.Errorf("healthz: %d %s", status, body)
			}
			if status, body := page(t, s.url+"/readyz"); status != 200 || body != `{"status":"ok"}`+"\n" {
				t.Errorf("readyz: %d %s", status, body)
			}
			if tt.name != "of its own" {
				return
			}
			for path, want := range map[string]string{
				"/metrics": "ostiary_build_info{", "/healthz": `{"status":"ok","version":"` + thisBuild().Version, "/readyz": `{"status":"ok"}`,
			} {
				if status, body := page(t, s.adminURL()+path); status != 200 || !strings.Contains(body, want) {
					t.Errorf("%s: %d %s", path, status, body)
				}
			}
			if status, _ := page(t, s.adminURL()+"/api/v2/me/"); status != 404 {
				t.Errorf("the API is at the operator's address: %d", status)
			}
		})
	}
}

// A schema that is another version's is no outage, and the reason says so.
func TestReadyzTellsTheSchema(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	pool, _, err := connect(filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	auth.Must(pool.Exec("INSERT INTO auth_schema (version, compatible) VALUES (1000, 999)"))
	if status, body := page(t, s.url+"/readyz"); status != 503 || body != `{"status":"unavailable","reason":"`+reasonSchema+"\"}\n" {
		t.Errorf("readyz: %d %s", status, body)
	}
	auth.Must(pool.Exec("DELETE FROM auth_schema WHERE version = 1000"))
	auth.Must(pool.Exec("ALTER TABLE auth_tokens RENAME TO gone"))
	time.Sleep(shareAnswer)
	if status, body := page(t, s.url+"/readyz"); status != 503 || body != `{"status":"unavailable","reason":"`+reasonDatabase+"\"}\n" {
		t.Errorf("readyz: %d %s", status, body)
	}
}
