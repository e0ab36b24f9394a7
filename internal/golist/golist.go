// Package golist reads packages of Go for the tools of this repository, with the
// standard library and the go command alone.
package golist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// A Package is what the go command says of a package.
type Package struct {
	ImportPath, Name, Dir, Export string
	DepOnly                       bool
	GoFiles                       []string
	Module                        *struct{ Path string }
}

// List returns the packages that the patterns match for the go command in the folder
// dir, without those that consist of tests, and an importer of them and of all that
// they import. The importer reads what the go command compiled. A folder with a go.work
// is read in that workspace.
func List(dir string, patterns ...string) ([]Package, types.Importer, error) {
	args := append([]string{"list", "-export", "-deps",
		"-json=ImportPath,Name,Dir,Export,DepOnly,GoFiles,Module", "--"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
		cmd.Env = append(cmd.Environ(), "GOWORK=")
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list: %w", err)
	}
	var list []Package
	exports := make(map[string]string)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, fmt.Errorf("go list: %w", err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly && len(p.GoFiles) > 0 {
			list = append(list, p)
		}
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	return list, imports, nil
}
