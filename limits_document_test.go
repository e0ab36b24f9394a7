package auth_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestLimits compares doc/limits.md with the code: each number of its tables with
// the constant, or with the default of the option, that the row names. A limit of
// the code that has no row is an error, too.
func TestLimits(t *testing.T) {
	code := readLimits(t)
	row := regexp.MustCompile("(?m)^\\| [^|]+ \\| ([^|]+) \\| `([^`]+)` \\|")
	listed := make(map[string]bool)
	for _, m := range row.FindAllStringSubmatch(read(t, "doc/limits.md"), -1) {
		text, name := m[1], limitName(m[2])
		listed[name] = true
		if one := code[name]; one != nil {
			if from, ok := one.expr.(*ast.SelectorExpr); ok { // a name for another constant
				listed[fmt.Sprint(from.X, ".", from.Sel)] = true
			}
		}
		want, known := code.value(name)
		got, isNumber := parseLimit(text)
		switch {
		case code[name] == nil && isNumber:
			t.Errorf("doc/limits.md: there is no constant or default %s", name)
		case known && !isNumber:
			t.Errorf("doc/limits.md: %s is %q, and the code has %v", name, text, want)
		case isNumber && got != want:
			t.Errorf("doc/limits.md: %s is %q, that is %v, and the code has %v", name, text, got, want)
		}
	}
	if len(listed) < 90 {
		t.Errorf("doc/limits.md: only %d rows were read", len(listed))
	}
	for name := range code {
		_, isNumber := code.value(name)
		_, last, _ := strings.Cut(name, ".")
		if isNumber && !listed[name] && (code[name].isDefault || regexp.MustCompile(`^[mM]ax[A-Z]`).MatchString(last)) {
			t.Errorf("doc/limits.md: %s has no row", name)
		}
	}
}

// limitName returns the name in limits of a name as the document has it:
// PasswordsOptions.MinLength, oauth.Options.MaxCodes or store.MaxCount.
func limitName(name string) string {
	pkg, last := "auth", name[strings.LastIndex(name, ".")+1:]
	if first, _, _ := strings.Cut(name, "."); first == strings.ToLower(first) {
		pkg = first
	}
	return pkg + "." + last
}

// A limit is the expression of a constant, or of the default of an option.
type limit struct {
	pkg       string
	expr      ast.Expr
	isDefault bool
}

// limits are the constants and the defaults of the module, by the names of the
// package and of the constant or field.
type limits map[string]*limit

// An amount is a number, or a number of attempts in a window.
type amount struct{ n, window int64 }

// readLimits reads the packages that a host imports.
func readLimits(t *testing.T) limits {
	t.Helper()
	found := make(limits)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			nested := err == nil && path != "." && path != "gatewayjwt" && path != "grpcauth" && path != "pgbus"
			if nested || strings.HasPrefix(path, ".") && path != "." || path == "store/storetest" || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := file.Name.Name
		ast.Inspect(file, func(n ast.Node) bool { found.note(pkg, n); return true })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// note adds the constants and defaults of one node.
func (l limits) note(pkg string, n ast.Node) {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) {
				l[pkg+"."+name.Name] = &limit{pkg: pkg, expr: n.Values[i]}
			}
		}
	case *ast.AssignStmt: // o.Field = cmp.Or(o.Field, default)
		if to, ok := n.Lhs[0].(*ast.SelectorExpr); ok {
			l.noteDefault(pkg, to.Sel.Name, n.Rhs[0])
		}
	case *ast.KeyValueExpr: // Field: cmp.Or(o.Field, default)
		if to, ok := n.Key.(*ast.Ident); ok {
			l.noteDefault(pkg, to.Name, n.Value)
		}
	case *ast.CompositeLit: // &Accounts{cmp.Or(o.Field, default)}
		for _, value := range n.Elts {
			if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 2 {
				if from, ok := call.Args[0].(*ast.SelectorExpr); ok {
					l.noteDefault(pkg, from.Sel.Name, call)
				}
			}
		}
	}
}

func (l limits) noteDefault(pkg, field string, value ast.Expr) {
	call, ok := value.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 || !ast.IsExported(field) {
		return
	}
	from, ok := call.Args[0].(*ast.SelectorExpr)
	if f, isOr := call.Fun.(*ast.SelectorExpr); ok && isOr && f.Sel.Name == "Or" && from.Sel.Name == field {
		l[pkg+"."+field] = &limit{pkg, call.Args[1], true}
	}
}

// value returns the amount of a constant or default, if it is a number.
func (l limits) value(name string) (a amount, ok bool) {
	one := l[name]
	if one == nil {
		return a, false
	}
	if literal, ok := one.expr.(*ast.CompositeLit); ok { // store.Limit{Max: 10, Window: time.Minute}
		for _, e := range literal.Elts {
			pair, _ := e.(*ast.KeyValueExpr)
			if pair == nil {
				return a, false
			}
			field, _ := pair.Key.(*ast.Ident)
			switch n, _ := l.eval(one.pkg, pair.Value); {
			case field == nil:
			case field.Name == "Max":
				a.n = n
			case field.Name == "Window":
				a.window = n
			}
		}
		return a, a.n > 0
	}
	a.n, ok = l.eval(one.pkg, one.expr)
	return a, ok
}

// eval computes an expression of constants. Of min and max it computes those
// arguments that are.
func (l limits) eval(pkg string, e ast.Expr) (int64, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v := constant.MakeFromLiteral(e.Value, e.Kind, 0)
		n, exact := constant.Int64Val(constant.ToInt(v))
		return n, e.Kind != token.STRING && exact
	case *ast.ParenExpr:
		return l.eval(pkg, e.X)
	case *ast.Ident:
		return l.named(pkg + "." + e.Name)
	case *ast.SelectorExpr:
		if from, ok := e.X.(*ast.Ident); ok {
			return l.named(from.Name + "." + e.Sel.Name)
		}
	case *ast.BinaryExpr:
		x, okX := l.eval(pkg, e.X)
		y, okY := l.eval(pkg, e.Y)
		if !okX || !okY {
			return 0, false
		}
		switch e.Op {
		case token.ADD:
			return x + y, true
		case token.SUB:
			return x - y, true
		case token.MUL:
			return x * y, true
		case token.SHL:
			return x << y, true
		}
	case *ast.CallExpr:
		switch f, _ := e.Fun.(*ast.Ident); {
		case f == nil:
		case f.Name == "len" && len(e.Args) == 1: // of a literal
			if text, ok := e.Args[0].(*ast.BasicLit); ok {
				return int64(len(constant.StringVal(constant.MakeFromLiteral(text.Value, text.Kind, 0)))), true
			}
		case f.Name == "min" || f.Name == "max":
			return l.eval(pkg, e.Args[0])
		}
	}
	return 0, false
}

func (l limits) named(name string) (int64, bool) {
	if unit, ok := units[strings.ToLower(strings.TrimPrefix(name, "time."))]; ok {
		return unit, true
	}
	if one := l[name]; one != nil && !one.isDefault {
		return l.eval(one.pkg, one.expr)
	}
	return 0, false
}

var units = map[string]int64{
	"kib": 1 << 10, "mib": 1 << 20,
	"nanosecond": 1, "microsecond": int64(time.Microsecond), "millisecond": int64(time.Millisecond),
	"second": int64(time.Second), "minute": int64(time.Minute), "hour": int64(time.Hour), "day": 24 * int64(time.Hour),
}

var limitText = regexp.MustCompile(`^([\d,]+)(?: (?:(an?|in) )?(?:([\d,]+) )?([A-Za-z]+?)s?)?(?: \(.*\))?$`)

// parseLimit reads 4,096 bytes, 30 days, 10 a minute and 20 in 10 minutes.
func parseLimit(text string) (a amount, ok bool) {
	m := limitText.FindStringSubmatch(text)
	if m == nil {
		return a, false
	}
	number := func(s string) int64 {
		n, _ := constant.Int64Val(constant.MakeFromLiteral(strings.ReplaceAll(s, ",", ""), token.INT, 0))
		return n
	}
	a.n = number(m[1])
	unit := units[strings.ToLower(m[4])]
	switch {
	case m[3] != "":
		a.window = number(m[3]) * unit
	case m[2] != "":
		a.window = unit
	case unit > 0:
		a.n *= unit
	}
	return a, true
}
