package auth_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRequirements checks that every test that doc/requirements.md names exists,
// and that each requirement has one or says why it has none.
func TestRequirements(t *testing.T) {
	const file, musts = "doc/requirements.md", 177
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var (
		row    = regexp.MustCompile(`^\| (R-\d{3}|[A-G]\d+(?:-\d+)?|\d+, decision) \| ([^|]+) \| ([^|]+) \|$`)
		quoted = regexp.MustCompile("`([^`]+)`")
		aTest  = regexp.MustCompile(`^(?:([a-z/]+)\.)?((?:Test|Fuzz)[A-Z]\w*)$`)
	)
	sources := make(map[string]string) // the test files of a folder
	last, rows := "", 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| id ") || strings.HasPrefix(line, "| --") {
			continue
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: malformed: %s", file, line)
			continue
		}
		id, proof := m[1], m[3]
		if strings.HasPrefix(id, "R-") { // the others are faults and decisions, beside what they belong to
			if id <= last {
				t.Errorf("%s: %s after %s", file, id, last)
			}
			last = id
			rows++
		}
		for _, name := range quoted.FindAllStringSubmatch(proof, -1) {
			m := aTest.FindStringSubmatch(name[1])
			if m == nil { // a program, or something of the text behind
				if strings.HasPrefix(name[1], ".ci/") {
					if _, err := os.Stat(name[1]); err != nil {
						t.Errorf("%s: %s: %v", file, id, err)
					}
				}
				continue
			}
			folder := filepath.Join(".", filepath.FromSlash(m[1]))
			if _, read := sources[folder]; !read {
				sources[folder] = testSources(t, folder)
			}
			if !strings.Contains(sources[folder], "\nfunc "+m[2]+"(") {
				t.Errorf("%s: %s: there is no %s", file, id, name[1])
			}
		}
	}
	if rows != musts {
		t.Errorf("%s: %d requirements, want %d", file, rows, musts)
	}
}

// testSources returns all test files of a folder.
func testSources(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
