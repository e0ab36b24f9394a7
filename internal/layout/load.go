package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"

	"github.com/ostiary/auth/internal/golist"
)

// pkg is what layout knows of one package.
type pkg struct {
	path, module   string
	names, members int            // exported
	lines          map[string]int // of each file
	uses           graph
}

// A graph says which file uses which: from, to, the names and how often.
type graph map[string]map[string]map[string]int

func (g graph) add(from, to, name string) {
	if g[from] == nil {
		g[from] = make(map[string]map[string]int)
	}
	if g[from][to] == nil {
		g[from][to] = make(map[string]int)
	}
	g[from][to][name]++
}

// load returns the packages that the patterns of the go command match.
func load(patterns []string) ([]pkg, error) {
	list, imports, err := golist.List(".", patterns...)
	if err != nil {
		return nil, err
	}
	packages := make([]pkg, len(list))
	for i, l := range list {
		if packages[i], err = check(imports, l); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

// check reads and type-checks one package.
func check(imports types.Importer, l golist.Package) (pkg, error) {
	p := pkg{path: l.ImportPath, lines: make(map[string]int), uses: make(graph)}
	if l.Module != nil {
		p.module = l.Module.Path
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range l.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return p, err
		}
		files = append(files, f)
		p.lines[name] = fset.File(f.FileStart).LineCount()
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	checked, err := (&types.Config{Importer: imports}).Check(l.ImportPath, fset, files, info)
	if err != nil {
		return p, err
	}
	p.names, p.members = exported(checked)
	file := func(pos token.Pos) string { return filepath.Base(fset.Position(pos).Filename) }
	for ident, obj := range info.Uses {
		if _, isImport := obj.(*types.PkgName); isImport || obj.Pkg() != checked {
			continue
		}
		if from, to := file(ident.Pos()), file(obj.Pos()); from != to {
			p.uses.add(from, to, obj.Name())
		}
	}
	return p, nil
}

// exported counts the exported names of a package, and the exported methods and
// fields of its exported types.
func exported(p *types.Package) (names, members int) {
	for _, name := range p.Scope().Names() {
		obj := p.Scope().Lookup(name)
		if !obj.Exported() {
			continue
		}
		names++
		typ, isType := obj.(*types.TypeName)
		if !isType {
			continue
		}
		if named, ok := typ.Type().(*types.Named); ok {
			for m := range named.Methods() {
				if m.Exported() {
					members++
				}
			}
		}
		switch u := typ.Type().Underlying().(type) {
		case *types.Struct:
			for f := range u.Fields() {
				if f.Exported() {
					members++
				}
			}
		case *types.Interface:
			for m := range u.ExplicitMethods() {
				if m.Exported() {
					members++
				}
			}
		}
	}
	return names, members
}
