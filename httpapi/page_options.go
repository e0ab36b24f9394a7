package httpapi

import (
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

// PageOptions say how the pages present the host.
// A zero PageOptions consists entirely of default values.
type PageOptions struct {
	// Product is the name of the host's product, in at most 60 characters. Every
	// page shows it. The default is none.
	Product string

	// Logo is the path on this host of a picture of the product, such as
	// "/static/logo.svg". It needs Product, which is its text for people who do
	// not see it. The default is none.
	Logo string

	// Language is the language that the pages are in, as a language tag (RFC
	// 5646). The default is "en". It translates nothing: Texts does.
	Language string

	// Texts replaces texts of the pages, which [PageTexts] lists. A text with
	// "%s" needs as many of them, or "%[1]s" and so on, in its replacement.
	Texts map[string]string
}

const maxProduct = 60

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)

// check returns an error that names the option which does not fit.
func (o *PageOptions) check() error {
	switch {
	case utf8.RuneCountInString(o.Product) > maxProduct || !storable(o.Product):
		return fmt.Errorf("httpapi: PageOptions.Product has more than %d characters, or is not UTF-8", maxProduct)
	case o.Logo != "" && !isPath(o.Logo):
		return fmt.Errorf("httpapi: PageOptions.Logo %q is not a path on this host", o.Logo)
	case o.Logo != "" && o.Product == "":
		return fmt.Errorf("httpapi: PageOptions.Logo %q needs Product, for people who do not see it", o.Logo)
	case o.Language != "" && !languageTag.MatchString(o.Language):
		return fmt.Errorf("httpapi: PageOptions.Language %q is not a language tag (RFC 5646)", o.Language)
	}
	if len(o.Texts) == 0 {
		return nil
	}
	known := PageTexts()
	for _, text := range slices.Sorted(maps.Keys(o.Texts)) {
		if _, found := slices.BinarySearch(known, text); !found {
			return fmt.Errorf("httpapi: PageOptions.Texts: no page has the text %q, see PageTexts", text)
		}
		if !fits(text, o.Texts[text]) {
			return fmt.Errorf("httpapi: PageOptions.Texts: %q does not have the arguments of %q", o.Texts[text], text)
		}
	}
	return nil
}

// fits reports whether a replacement takes the arguments of a text.
func fits(text, replacement string) bool {
	args := make([]any, strings.Count(text, "%s"))
	for i := range args {
		args[i] = "x"
	}
	return len(args) == 0 || !strings.Contains(fmt.Sprintf(replacement, args...), "%!")
}

// say returns a text in the language of the pages.
func (o *PageOptions) say(text string, args ...any) string {
	if own, ok := o.Texts[text]; ok {
		text = own
	}
	if len(args) == 0 {
		return text // which may have a percent sign
	}
	return fmt.Sprintf(text, args...)
}

// sayRefusal is say for the detail of an error, whose variable parts are the
// arguments of its text.
func (o *PageOptions) sayRefusal(detail string) string {
	text, args := refusalOf(detail)
	return o.say(text, args...)
}

// html is say for templates. Everything is escaped but arguments that are HTML.
func (o *PageOptions) html(text string, args ...any) template.HTML {
	if own, ok := o.Texts[text]; ok {
		text = own
	}
	text = template.HTMLEscapeString(text)
	if len(args) == 0 {
		return template.HTML(text)
	}
	escaped := make([]any, len(args))
	for i, arg := range args {
		if h, ok := arg.(template.HTML); ok {
			escaped[i] = h
		} else {
			escaped[i] = template.HTMLEscaper(arg)
		}
	}
	return template.HTML(fmt.Sprintf(text, escaped...))
}

// functions are what the templates can call beside Go's own functions.
func (o *PageOptions) functions(css string) template.FuncMap {
	return template.FuncMap{
		"style":    func() template.CSS { return template.CSS(css) },
		"product":  func() string { return o.Product },
		"logo":     func() string { return o.Logo },
		"language": func() string { return o.Language },
		"t":        o.html,
		"strong": func(s string) template.HTML {
			return "<strong>" + template.HTML(template.HTMLEscapeString(s)) + "</strong>"
		},
	}
}

// PageTexts returns the texts of the pages that [PageOptions].Texts can replace,
// in order. Each is its own key. It has the sentences with which this module refuses
// what a form sends. Those of a host, as from TokensOptions.MayIssue, are shown as
// they are.
func PageTexts() []string {
	found := spoken()
	functions := (&PageOptions{}).functions("")
	add := func(s string) { found = append(found, s) }
	entries, err := fs.Glob(pageFiles, "*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, name := range entries {
		for _, part := range template.Must(template.New(name).Funcs(functions).ParseFS(pageFiles, name)).Templates() {
			if part.Tree != nil && part.Tree.Root != nil {
				textsIn(part.Tree.Root, add)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// textsIn finds the texts that a template calls t with.
func textsIn(node parse.Node, add func(string)) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				textsIn(child, add)
			}
		}
	case *parse.ActionNode:
		textsIn(n.Pipe, add)
	case *parse.IfNode:
		textsInBranch(&n.BranchNode, add)
	case *parse.RangeNode:
		textsInBranch(&n.BranchNode, add)
	case *parse.WithNode:
		textsInBranch(&n.BranchNode, add)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			textsIn(n.Pipe, add)
		}
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			textsIn(command, add)
		}
	case *parse.CommandNode:
		for i, arg := range n.Args {
			if s, ok := arg.(*parse.StringNode); ok && i == 1 && n.Args[0].String() == "t" {
				add(s.Text)
			}
			textsIn(arg, add)
		}
	}
}

func textsInBranch(n *parse.BranchNode, add func(string)) {
	textsIn(n.Pipe, add)
	textsIn(n.List, add)
	textsIn(n.ElseList, add)
}
