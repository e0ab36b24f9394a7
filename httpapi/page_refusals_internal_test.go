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

	"github.com/google/go-cmp/cmp"
)

// elsewhere are beginnings of sentences that no form of a page leads to: they are
// about credentials, tokens that ask, clients of OAuth and other programs.
var elsewhere = []string{
	"A service account ", "A token ", "Authentication credentials", "Basic authentication needs", "CSRF Failed", "Client authentication failed", "Introspection is",
	"Must not have more than %s tokens", "No application acts for a service account", "The Basic credentials", "The access token", "The application is deleted", "The application is not registered",
	"The grant was refreshed", "The request carries more than", "The request has more than one", "The request has too many", "The scheme of", "The service is", "The session ", "The token has issued", "The user denied",
	"The user has too many authorization codes", "The user of the gateway", "This method is never", "Use the refresh token", "You cannot delete yourself", "You cannot turn yourself",
}

// TestRefusalsAreKnown looks at the details of all errors that packages auth and
// oauth make: a host can say each in its language, or no page says it.
func TestRefusalsAreKnown(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../*.go", "../oauth/*.go", "../internal/text/text.go", "../internal/text/description.go"} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		check := func(e ast.Expr) {
			text, ok := sentenceOf(e)
			if !ok {
				return
			}
			found++
			switch {
			case text == "The name %s.":
				return // with a reason of package text, below
			case strings.HasPrefix(text, "must "):
				text = "The name " + text + "."
			}
			key, args := refusalOf(text)
			known := slices.Contains(refusals, key) || slices.ContainsFunc(args, func(any) bool { return true })
			if !known && !slices.ContainsFunc(elsewhere, func(s string) bool { return strings.HasPrefix(text, s) }) {
				t.Errorf("%s: %q is not among the refusals of pages", name, text)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Detail" {
					check(n.Value)
				}
			case *ast.CallExpr:
				if k, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (k.Name == "badField" || k.Name == "wrong") {
					check(n.Args[len(n.Args)-1])
				}
			case *ast.FuncDecl:
				if f.Name.Name == "text" || strings.HasPrefix(n.Name.Name, "checkRedirectURI") || n.Name.Name == "checkPrivateURI" || n.Name.Name == "checkShortened" {
					ast.Inspect(n, func(n ast.Node) bool {
						switch n := n.(type) {
						case *ast.ReturnStmt:
							for _, e := range n.Results {
								check(e)
							}
						case *ast.AssignStmt:
							check(n.Rhs[0])
						}
						return true
					})
				}
			}
			return true
		})
	}
	if found < 60 {
		t.Errorf("only %d sentences", found)
	}
}

// sentenceOf returns the text of an expression, with %s for its variable parts. It
// reports false for one without a sentence.
func sentenceOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return strings.NewReplacer("%d", "%s", "%q", "%s", "%U", "%s").Replace(s), err == nil && e.Kind == gotoken.STRING && strings.Contains(s, " ")
	case *ast.BinaryExpr:
		x, okX := sentenceOf(e.X)
		y, okY := sentenceOf(e.Y)
		if !okX {
			x = part(e.X)
		}
		if !okY {
			y = part(e.Y)
		}
		return x + y, okX || okY
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
			return sentenceOf(e.Args[0])
		}
	}
	return "", false
}

// part is a part of a sentence without a blank: a literal, or something variable.
func part(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return "%s"
}

// The variable parts of a refusal are found.
func TestRefusalOf(t *testing.T) {
	for detail, want := range map[string][]any{
		"Must have at least 12 characters.":                                             {"Must have at least %s characters.", "12"},
		"Must be a list of read, write, separated by single spaces.":                    {"Must be a list of %s, separated by single spaces.", "read, write"},
		"This date is in the past.":                                                     {"This date is in the past."},
		"This date is in the past: delete the token.":                                   {"This date is in the past: delete the token."},
		"Unauthorized redirect scheme: foo":                                             {"Unauthorized redirect scheme: %s", "foo"},
		"Unauthorized redirect scheme: http is only for 127.0.0.1, [::1] and localhost": {"Unauthorized redirect scheme: http is only for 127.0.0.1, [::1] and localhost"},
		"Redirect URIs of a private-use scheme must have the form a.b:/path or a.b://host/path": {
			"Redirect URIs of a private-use scheme must have the form %s:/path or %s://host/path", "a.b", "a.b",
		},
		"10.0.0.0/8 is not among the addresses of the token that asks.": {"%s is not among the addresses of the token that asks.", "10.0.0.0/8"},
		"The host says no.":                 {"The host says no."},
		"Must have at least  characters":    {"Must have at least  characters"},
		"Must have at least characters.":    {"Must have at least characters."},
		"100 % of %s":                       {"100 % of %s"},
		"":                                  {""},
		"Must have at least %s characters.": {"Must have at least %s characters."},
	} {
		text, args := refusalOf(detail)
		if diff := cmp.Diff(want, append([]any{text}, args...)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", detail, diff)
		}
	}
}

// FuzzRefusal holds that a text with its arguments is the detail.
func FuzzRefusal(f *testing.F) {
	for _, text := range refusals {
		f.Add(strings.ReplaceAll(text, "%s", "x y"))
	}
	f.Fuzz(func(t *testing.T, detail string) {
		if got := new(PageOptions).sayRefusal(detail); got != detail {
			t.Errorf("%q is said as %q", detail, got)
		}
	})
}
