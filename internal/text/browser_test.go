package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ostiary/auth/internal/text"
)

func TestBrowser(t *testing.T) {
	for _, tt := range []struct{ userAgent, want string }{
		{"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128 on Linux"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome 131 on Windows"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.51", "Edge 131 on Windows"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15", "Safari 18 on macOS"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1", "Safari 18 on iPhone"},
		{"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1", "Chrome 131 on iPad"},
		{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36", "Chrome 131 on Android"},
		{"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36", "Samsung Internet 26 on Android"},
		{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome 131 on ChromeOS"},
		{"Mozilla/5.0 (compatible; bot)", "Browser"},
		{"Mozilla/5.0", "Browser"},
		{"curl/8.5.0", "curl 8.5.0"},
		{"HTTPie/3.2.4", "HTTPie 3.2.4"},
		{"python-requests/2.31.0", "python-requests 2.31.0"},
		{"Go-http-client/1.1", "Go-http-client 1.1"},
		{"Wget", "Wget"},
		{"awx cli", "awx"},
		{"tool (by somebody) x/1", "tool"},
		{"tool/v2", "tool"},
		{"tool/" + strings.Repeat("1", 17), "tool"},
		{"Mozilla/5.0 Firefox/123456", "Firefox"},
		{"", ""},
		{"/", ""},
		{"/1.0", ""},
		{" curl/8", ""},
		{"<script>alert(1)</script>", "<script>alert"}, // text is text: who shows it escapes it
		{"cu\x00rl/8", ""},
		{"cu\u202erl/8", ""},
		{"cu\xffrl/8", ""},
		{"\u200b/8", ""},
		{"ц", "ц"},
		{strings.Repeat("x", 33) + "/1", ""},
		{strings.Repeat("x", 10_000), ""},
	} {
		if got := text.Browser(tt.userAgent); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.userAgent, got, tt.want)
		}
	}
}

// Whatever a client sends, the description is a name, and short.
func FuzzBrowser(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	f.Add("curl/8.5.0")
	f.Add("cu\x00rl/8")
	f.Fuzz(func(t *testing.T, s string) {
		got := text.Browser(s)
		if got != "" && text.Name(got, 64) != "" || utf8.RuneCountInString(got) > 64 || len(got) > 255 {
			t.Errorf("%q: %q", s, got)
		}
	})
}
