// The program api prints what the packages of modules export, so that a change of
// the surface is seen in review. It prints one line a declaration, sorted:
//
//	go run ./internal/api . gatewayjwt
//
// Its arguments are the folders of modules. Commands and internal packages are left
// out. Methods and fields stand below their types. A type has those of the types
// that it embeds, too.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/ostiary/auth/internal/golist"
)

func main() {
	w := bufio.NewWriter(os.Stdout)
	for _, dir := range os.Args[1:] {
		if err := list(w, dir, "./..."); err != nil {
			fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "api:", err)
	os.Exit(1)
}

// list prints the importable packages that the patterns match in a module.
func list(w io.Writer, dir string, patterns ...string) error {
	packages, imports, err := golist.List(dir, patterns...)
	if err != nil {
		return err
	}
	slices.SortFunc(packages, func(a, b golist.Package) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	for _, p := range packages {
		if p.Name == "main" || slices.Contains(strings.Split(p.ImportPath, "/"), "internal") {
			continue
		}
		checked, err := imports.Import(p.ImportPath)
		if err != nil {
			return err
		}
		for _, line := range declarations(checked) {
			fmt.Fprintf(w, "%s: %s\n", strings.TrimPrefix(p.ImportPath, "github.com/ostiary/"), line)
		}
	}
	return nil
}
