package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestRequestID(t *testing.T) {
	const proxy, other = "192.0.2.1:1", "198.51.100.1:1"
	const good = "0f8fad5b-d9cb-469f-a165-70867728950e"
	for _, tt := range []struct {
		name, peer string
		sent       []string
		kept       bool
	}{
		{"a UUID of a proxy", proxy, []string{good}, true},
		{"of a proxy as IPv6 has it", "[::ffff:192.0.2.1]:1", []string{good}, true},
		{"the longest", proxy, []string{strings.Repeat("x", maxRequestID)}, true},
		{"too long", proxy, []string{strings.Repeat("x", maxRequestID+1)}, false},
		{"of a client", other, []string{good}, false},
		{"of nobody known", "@", []string{good}, false},
		{"two", proxy, []string{good, good}, false},
		{"two in one field", proxy, []string{good + ", " + good}, false},
		{"empty", proxy, []string{""}, false},
		{"none", proxy, nil, false},
		{"a line of the log", proxy, []string{"x\nlevel=ERROR"}, false},
		{"markup", proxy, []string{"<script>"}, false},
		{"not ASCII", proxy, []string{"é"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			logger := newLogger(&log, observeConfig{logFormat: logFormat{json: true}})
			h := withRequestID([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				logger.With("part", "a").InfoContext(r.Context(), "a record")
			}))
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			if tt.sent != nil {
				r.Header[requestIDField] = tt.sent
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			id := w.Header().Get(requestIDField)
			if kept := len(tt.sent) > 0 && id == tt.sent[0]; kept != tt.kept || !goodRequestID(id) || len(id) < 16 {
				t.Errorf("got %q, kept %v, want %v", id, kept, tt.kept)
			}
			var record map[string]any
			if err := json.Unmarshal([]byte(log.String()), &record); err != nil || record["request_id"] != id || record["part"] != "a" {
				t.Errorf("log %s: %v", &log, err)
			}
		})
	}
}

// Records outside of a request have no identifier.
func TestLogWithoutRequest(t *testing.T) {
	var log strings.Builder
	newLogger(&log, observeConfig{logLevel: slog.LevelWarn}).WithGroup("g").Warn("a record", "key", 1)
	if got := log.String(); !strings.Contains(got, `level=WARN msg="a record" g.key=1`) || strings.Contains(got, "request_id") {
		t.Error(got)
	}
}

// The server's log has the version first, and each event the identifier that the
// client was told.
func TestLogFlags(t *testing.T) {
	s := start(t, t.TempDir(), "-log-format", "json", "-log-level", "warn")
	resp, err := http.Get(s.url + "/api/v2/me/?access_token=x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r, err := http.NewRequest("GET", s.url+"/api/v2/me/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	r.Header.Set(requestIDField, "of-the-client")
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	id := resp.Header.Get(requestIDField)
	if err := s.stop(syscall.SIGTERM); err != nil { // now the log is complete
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(s.out.String()) {
		var record struct {
			Level, Msg string
			ID         string `json:"request_id"`
		}
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Level != "WARN" && record.Level != "ERROR" {
			t.Errorf("%s: %v", line, err)
		}
		found = found || record.Msg == "auth: request refused" && record.ID == id
	}
	if !found || id == "of-the-client" || id == "" {
		t.Errorf("no refusal of the request %q in\n%s", id, s.out)
	}
	s = start(t, t.TempDir())
	if !strings.Contains(s.out.String(), "msg=starting version=") {
		t.Errorf("no version in\n%s", s.out)
	}
}
