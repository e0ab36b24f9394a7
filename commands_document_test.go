package auth_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommandsInDocuments checks that the commands and flags which the documents show
// exist: those of ostiary, with two dashes, and those of the example server, with one.
func TestCommandsInDocuments(t *testing.T) {
	command := sources(t, "cmd/ostiary/internal/*/*.go")
	commands := names(command, `Use: +"([a-z_]+)`, `applicationState\("([a-z]+)`, `userState\("([a-z]+)`, `\.group\("([a-z]+)`)
	flags := names(command, `\.\w*Var\w*\(&[\w.]+, "([a-z][\w-]*)"`)
	settings := names(sources(t, "examples/server/*.go"), `f\.\w*(?:Var)?\([^"\n]*"([a-z][a-z-]*)"`)
	for what, found := range map[string]map[string]bool{"commands": commands, "flags of ostiary": flags, "settings": settings} {
		if len(found) < 15 {
			t.Fatalf("only %d %s were found in the code", len(found), what)
		}
	}
	commands["completion"], commands["help"] = true, true // these are cobra's own
	flags["help"], flags["version"] = true, true
	settings["help"], settings["h"] = true, true // of package flag

	code := regexp.MustCompile("(?s)```sh\n.*?```|`[^`\n]+(?:\n[^`\n]+)?`")
	ostiary := regexp.MustCompile(`\bostiary (?:--?[\w-]+[ =]\S+ )*([a-z_]{2,})(?: ([a-z]{2,})\b)?((?:[^|;&\n]|\\\n)*)`)
	long := regexp.MustCompile(`(?:^|\s)--([a-z][\w-]*)`)
	setting := regexp.MustCompile("^`-([a-z][a-z-]+)[ =`]")
	documents, err := filepath.Glob("doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(documents, "README.md") {
		for _, text := range code.FindAllString(read(t, file), -1) {
			for _, m := range ostiary.FindAllStringSubmatch(text, -1) {
				group := regexp.MustCompile(`\.group\("` + m[1] + `"`).MatchString(command)
				if !commands[m[1]] || group && m[2] != "" && !commands[m[2]] {
					t.Errorf("%s: there is no %q", file, strings.TrimSpace("ostiary "+m[1]+" "+m[2]))
				}
				for _, flag := range long.FindAllStringSubmatch(m[3], -1) {
					if !flags[flag[1]] {
						t.Errorf("%s: ostiary has no --%s", file, flag[1])
					}
				}
			}
			if m := setting.FindStringSubmatch(text); m != nil && !settings[m[1]] {
				t.Errorf("%s: the example server has no -%s", file, m[1])
			}
		}
	}
}

// sources returns the text of files that are no tests.
func sources(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// names returns what the patterns capture.
func names(text string, patterns ...string) map[string]bool {
	found := make(map[string]bool)
	for _, p := range patterns {
		for _, m := range regexp.MustCompile(p).FindAllStringSubmatch(text, -1) {
			found[m[1]] = true
		}
	}
	return found
}

// TestProxyLines checks that the lines which doc/running.md shows for proxies are those
// that internal/proxytest runs, but for addresses, names and files.
func TestProxyLines(t *testing.T) {
	tested := make(map[string]bool)
	for line := range strings.Lines(read(t, "internal/proxytest/proxytest_test.go")) {
		tested[strings.TrimSpace(line)] = true
	}
	template := strings.NewReplacer("127.0.0.1:8080", "{{.Upstream}}", "/etc/ssl/api.example.pem", "{{.Cert}}",
		"listen 443", "listen {{.TLS}}", "0.0.0.0:443", "{{.TLS}}")
	blocks := regexp.MustCompile("(?s)```(nginx|haproxy|caddy)\n(.*?)```").FindAllStringSubmatch(read(t, "doc/running.md"), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d proxies", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[2]) {
			line = template.Replace(strings.TrimSpace(line))
			if line != "}" && !strings.HasPrefix(line, "https://api.example ") && !tested[line] {
				t.Errorf("doc/running.md, %s: no test runs %q", block[1], line)
			}
		}
	}
}

// TestServiceInGuide checks that doc/running.md has the function that an example runs.
func TestServiceInGuide(t *testing.T) {
	_, function, _ := strings.Cut(read(t, "service_example_test.go"), "\nfunc serveUntil(")
	if !strings.Contains(read(t, "doc/running.md"), "\nfunc serveUntil("+strings.TrimSpace(function)+"\n```") {
		t.Error("doc/running.md does not have serveUntil of service_example_test.go")
	}
}

// TestSnippetsInDocuments checks that the Go code in the documents is compiled: it
// stands in a Go file, in a function or outside.
func TestSnippetsInDocuments(t *testing.T) {
	var all strings.Builder
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(file) == ".go" {
			all.WriteString(indents.ReplaceAllString("\n"+read(t, file), "\n"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob("doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	code, snippets := all.String(), 0
	for _, file := range append(documents, "README.md", "SECURITY.md", "CONTRIBUTING.md") {
		for _, m := range regexp.MustCompile("(?ms)^ *```go\n(.*?)^ *```$").FindAllStringSubmatch(read(t, file), -1) {
			snippets++
			if !strings.Contains(code, indents.ReplaceAllString("\n"+m[1], "\n")) {
				t.Errorf("%s: no Go file has\n%s", file, m[1])
			}
		}
	}
	if snippets < 10 {
		t.Errorf("only %d snippets were found", snippets)
	}
}

// indents are the beginnings of lines. A snippet has fewer than its function.
var indents = regexp.MustCompile(`\n[\t ]*`)

// TestLinksInDocuments checks that each link from a document to a file or a heading of
// the repository leads somewhere.
func TestLinksInDocuments(t *testing.T) {
	documents, err := filepath.Glob("doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	odd := regexp.MustCompile(`[^\w\- ]`)
	code := regexp.MustCompile("(?ms)^ *```.*?^ *```$") // where # begins a comment, and links are none
	links := 0
	for _, file := range append(documents, "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md") {
		for _, m := range regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`).FindAllStringSubmatch(code.ReplaceAllString(read(t, file), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			to := file
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(file), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if m[2] == "" {
				continue
			}
			found := false
			for _, h := range heading.FindAllStringSubmatch(code.ReplaceAllString(read(t, to), ""), -1) {
				found = found || strings.ReplaceAll(strings.ToLower(odd.ReplaceAllString(h[1], "")), " ", "-") == m[2]
			}
			if !found {
				t.Errorf("%s: %s has no heading #%s", file, to, m[2])
			}
		}
	}
	if links < 80 {
		t.Errorf("only %d links were found", links)
	}
}
