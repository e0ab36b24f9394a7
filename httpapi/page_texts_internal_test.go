package httpapi

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSaid holds that the host can replace every text that a handler says.
func TestSaid(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	known, found := PageTexts(), 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			at := map[string]int{"say": 0, "namesOf": 1}
			var callee string
			switch f := call.Fun.(type) {
			case *ast.Ident:
				callee = f.Name
			case *ast.SelectorExpr:
				callee = f.Sel.Name
			}
			i, ok := at[callee]
			if !ok || len(call.Args) <= i {
				return true
			}
			if lit, ok := call.Args[i].(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				if found++; err != nil || !slices.Contains(known, text) {
					t.Errorf("%s: %s is not among PageTexts", name, lit.Value)
				}
			}
			return true
		})
	}
	for _, s := range accountSections {
		if !slices.Contains(known, s.title) {
			t.Errorf("%q is not among PageTexts", s.title)
		}
	}
	if found < 50 {
		t.Errorf("only %d texts", found)
	}
}
