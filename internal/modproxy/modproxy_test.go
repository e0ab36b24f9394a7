package main

import (
	"archive/zip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	out := t.TempDir()
	for _, tt := range []struct {
		dir, path  string
		has, hasNo []string
	}{
		{".", "github.com/ostiary/auth", []string{"go.mod", "LICENSE", "auth.go", "store/store.go"}, []string{"gatewayjwt/go.mod", "internal/modproxy/main.go"}},
		{"gatewayjwt", "github.com/ostiary/auth/gatewayjwt", []string{"go.mod", "LICENSE", "gatewayjwt.go"}, []string{"auth.go"}},
	} {
		if err := write(out, tt.dir, "v0.7.1"); err != nil {
			t.Fatal(err)
		}
		z, err := zip.OpenReader(filepath.Join(out, filepath.FromSlash(tt.path), "@v", "v0.7.1.zip"))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		var names []string
		for _, f := range z.File {
			names = append(names, strings.TrimPrefix(f.Name, tt.path+"@v0.7.1/"))
		}
		for _, name := range tt.has {
			if !slices.Contains(names, name) {
				t.Errorf("%s: no %s", tt.path, name)
			}
		}
		for _, name := range tt.hasNo {
			if slices.Contains(names, name) {
				t.Errorf("%s: has %s, which is not of the module", tt.path, name)
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for name, tt := range map[string]struct{ dir, version string }{
		"no version":             {".", ""},
		"a version that is none": {".", "latest"},
		"the path says v0 or v1": {".", "v2.0.0"},
		"no module":              {"store", "v0.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := write(t.TempDir(), tt.dir, tt.version); err == nil {
				t.Error("no error")
			}
		})
	}
}
