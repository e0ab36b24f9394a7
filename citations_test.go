package auth_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestCitations checks that each number that code cites stands in doc/cases.md or
// doc/requirements.md: requirements, decisions and cases (case 12, cases 12,
// 14 to 16) anywhere in a Go file, rules (A3) in the comments of tests.
func TestCitations(t *testing.T) {
	known := citable(t)
	var (
		requirement = regexp.MustCompile(`\bR-\d{3}\b`)
		cases       = regexp.MustCompile(`\b[Cc]ases? \d+(?:(?:, and |, | and | to )\d+)*`)
		decision    = regexp.MustCompile(`\b[Dd]ecision \d+`)
		number      = regexp.MustCompile(`\d+`)
		rule        = regexp.MustCompile(`^[^:"]*//.*?\b([A-G][1-9]\d?)\b`)
	)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		line := 0
		for code := range strings.Lines(string(text)) {
			line++
			if !strings.ContainsAny(code, "0123456789") { // most lines: expressions take long
				continue
			}
			cited := requirement.FindAllString(code, -1)
			// A switch has cases, too; the numbers of a sentence stand behind // or in a string.
			if at := strings.IndexAny(code, `/"`); at >= 0 {
				for _, d := range decision.FindAllString(code[at:], -1) {
					cited = append(cited, strings.ToLower(d))
				}
				for _, list := range cases.FindAllString(code[at:], -1) {
					cited = append(cited, number.FindAllString(list, -1)...)
				}
			}
			if m := rule.FindStringSubmatch(code); m != nil && strings.HasSuffix(path, "_test.go") {
				cited = append(cited, m[1])
			}
			for _, id := range cited {
				if !known[id] {
					t.Errorf("%s:%d: %s stands neither in doc/cases.md nor in doc/requirements.md", path, line, id)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// citable returns the numbers of the two documents. Each stands once in a
// document, but for rules, whose tests doc/requirements.md names part by part.
func citable(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	row := regexp.MustCompile(`(?m)^\| (\d+|[A-G]\d+|R-\d{3}|decision \d+) \| `)
	for _, file := range []string{"doc/cases.md", "doc/requirements.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		here := make(map[string]bool)
		for _, m := range row.FindAllStringSubmatch(string(text), -1) {
			if here[m[1]] && !strings.ContainsAny(m[1][:1], "ABCDEFG") { // a rule has a row in each part of the requirements
				t.Errorf("%s: %s stands twice", file, m[1])
			}
			here[m[1]], known[m[1]] = true, true
		}
	}
	for n := range 290 {
		if !known[strconv.Itoa(n+1)] {
			t.Errorf("doc/cases.md: there is no case %d", n+1)
		}
	}
	return known
}
