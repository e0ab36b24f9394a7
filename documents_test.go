package auth_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamesInDocuments checks that each Go name which the documents put between
// backquotes exists: `TokensOptions.MaxDepth` and `oauth.Server` in doc/api.txt,
// other names as a function of the repository.
func TestNamesInDocuments(t *testing.T) {
	declared := make(map[string]bool)
	line := regexp.MustCompile(`^(\S+): \w+ (\w+)(?:\[.*?\])?(?:, \w+ \*?(\w+))?`)
	for s := range strings.Lines(read(t, "doc/api.txt")) {
		if m := line.FindStringSubmatch(s); m != nil {
			pkg, name, member := path.Base(m[1]), m[2], m[3]
			declared[pkg+"."+name], declared[name] = true, true
			declared[pkg+"."+name+"."+member], declared[name+"."+member], declared[member] = true, true, true
		}
	}
	function := regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?([A-Z]\w*)`)
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" {
			return err
		}
		text, err := os.ReadFile(file)
		for _, m := range function.FindAllSubmatch(text, -1) {
			declared[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	for name := range readLimits(t) { // those of internal packages are in doc/limits.md
		declared[name] = true
	}

	// These are names of other languages, protocols and libraries.
	for _, name := range strings.Fields("cmp.Or http.Handler Insecure MaxHeaderBytes Origin ReadHeaderTimeout Ostiary RedirectSlashes r.Mount Shutdown SetMaxIdleConns SetMaxOpenConns httputil.ReverseProxy ReverseProxy.ModifyResponse") {
		declared[name] = true
	}
	quoted := regexp.MustCompile("`((?:[a-z]\\w*\\.)?[A-Z]\\w*[a-z]\\w*(?:\\.[A-Z]\\w*)?)(?:\\([^`]*\\))?`")
	documents, err := filepath.Glob("doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(documents, "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		for _, m := range quoted.FindAllStringSubmatch(read(t, file), -1) {
			_, test, _ := strings.Cut(m[1], ".") // of another package
			if isTest := strings.HasPrefix(test, "Test") || strings.HasPrefix(test, "Fuzz"); !declared[m[1]] && !(isTest && declared[test]) {
				t.Errorf("%s: there is no %s", file, m[1])
			}
		}
	}
}

// TestPackagesInDocument checks that the package documentation names each package
// and module that exports something.
func TestPackagesInDocument(t *testing.T) {
	text, _, _ := strings.Cut(read(t, "auth.go"), "\npackage auth")
	packages := make(map[string]bool)
	for s := range strings.Lines(read(t, "doc/api.txt")) {
		name, _, _ := strings.Cut(s, ":")
		packages[strings.TrimPrefix(name, "auth/")] = true
	}
	if len(packages) < 2 {
		t.Fatal("doc/api.txt names no package")
	}
	for name := range packages {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
			t.Errorf("auth.go: the package documentation does not name %s", name)
		}
	}
}
