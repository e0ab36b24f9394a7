// The program modproxy writes modules of this repository as they are in the checkout
// in the form that a module proxy serves, so that GOPROXY=file://OUT gives them to an
// importer that knows nothing of the checkout:
//
//	modproxy -version v0.1.0 -out OUT . gatewayjwt
//
// Its arguments are the folders of the modules, seen from the repository's root, in
// which it has to be started.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	version := flag.String("version", "", "version under which the modules are served")
	out := flag.String("out", "", "folder that is written")
	flag.Parse()
	for _, dir := range flag.Args() {
		if err := write(*out, path.Clean(filepath.ToSlash(dir)), *version); err != nil {
			fmt.Fprintf(os.Stderr, "modproxy: %s: %v\n", dir, err)
			os.Exit(1)
		}
	}
}

// write writes the four files of a module's version.
func write(out, dir, version string) (err error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	m := module.Version{Path: modfile.ModulePath(mod), Version: version}
	if err := module.Check(m.Path, m.Version); err != nil {
		return err
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Now().UTC()})
	if err != nil {
		return err
	}
	folder := filepath.Join(out, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"list": []byte(version + "\n"), version + ".mod": mod, version + ".info": info} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	files, err := tracked(dir)
	if err != nil {
		return err
	}
	w, err := os.Create(filepath.Join(folder, version+".zip"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return zip.Create(w, m, files) // leaves out the modules below
}

// A file is a file of a module.
type file struct {
	path string // in the module
	disk string
}

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (fs.FileInfo, error)  { return os.Lstat(f.disk) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.disk) }

// tracked returns the files below dir that git does not ignore. As the go command
// does, it gives a module the repository's license.
func tracked(dir string) ([]zip.File, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var files []zip.File
	licensed := false
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		f := file{name, filepath.Join(dir, filepath.FromSlash(name))}
		if _, err := f.Lstat(); errors.Is(err, fs.ErrNotExist) {
			continue // deleted and not yet committed
		}
		licensed = licensed || name == "LICENSE"
		files = append(files, f)
	}
	if !licensed {
		files = append(files, file{"LICENSE", "LICENSE"})
	}
	return files, nil
}
