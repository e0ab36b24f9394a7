package cli

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write doc/command.md")

const (
	document = "../../../../doc/command.md"
	marker   = "<!-- Below this line: go test ./internal/cli -run TestDocument -update, in cmd/ostiary. -->\n"
)

// The document has the help of every command, so that the two do not differ.
func TestDocument(t *testing.T) {
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(content), marker)
	if !ok {
		t.Fatalf("%s has no line %s", document, marker)
	}
	var b strings.Builder
	b.WriteString(head + marker)
	root := (&app{World: World{Out: &b, Err: &b, Env: func(string) string { return "" }}}).root()
	describe(&b, root)
	if *update {
		if err := os.WriteFile(document, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(content), b.String()); diff != "" {
		t.Errorf("%s (-is +should be):\n%s", document, diff)
	}
}

// describe writes what the help says about a command and those below it.
func describe(b *strings.Builder, c *cobra.Command) {
	if !c.HasSubCommands() {
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintf(b, "\n### %s\n\n%s\n\n```\n%s\n", c.CommandPath(), strings.TrimSpace(text), c.UseLine())
		if usage := c.LocalNonPersistentFlags().FlagUsages(); usage != "" {
			fmt.Fprintf(b, "\n%s", usage)
		}
		fmt.Fprintf(b, "```\n\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	for _, sub := range c.Commands() {
		if name := sub.Name(); name != "help" && name != "completion" {
			describe(b, sub)
		}
	}
}

// Each command that the documents show is one, with flags and arguments that it takes. The
// names alone are checked by the root module, for commands within a sentence.
func TestCommandsInDocuments(t *testing.T) {
	files, err := filepath.Glob("../../../../doc/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shell := regexp.MustCompile("(?ms)^ *```(?:sh|console)\n(.*?)^ *```$")
	command := regexp.MustCompile(`(?m)(?:^|[ (])(xargs [^|\n]*)?ostiary ((?:[^|;&<>()#\n]|<[a-z -]+>)+)`)
	word := regexp.MustCompile(`(?:'[^']*'|"[^"]*"|\S)+`)
	shown := 0
	for _, file := range append(files, "../../../../README.md") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range shell.FindAllStringSubmatch(string(content), -1) {
			for _, m := range command.FindAllStringSubmatch(strings.ReplaceAll(block[1], "\\\n", " "), -1) {
				shown++
				words := word.FindAllString(m[2], -1)
				if m[1] != "" {
					words = append(words, "id:1") // which xargs has read
				}
				c, args, err := (&app{World: World{Env: func(string) string { return "" }}}).root().Find(words)
				if err == nil {
					err = c.ParseFlags(args)
				}
				if err == nil {
					err = c.ValidateArgs(c.Flags().Args())
				}
				if err == nil && !c.Runnable() {
					err = errors.New("not a command")
				}
				if err != nil {
					t.Errorf("%s: ostiary %s: %v", filepath.Base(file), m[2], err)
				}
			}
		}
	}
	if shown < 80 {
		t.Errorf("only %d commands were found", shown)
	}
}

// Every command has an example, and every flag says what it takes.
func TestEveryCommandIsExplained(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if name := c.Name(); name == "help" || name == "completion" {
			return
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 90 {
			t.Errorf("%s: the short help is %q", c.CommandPath(), c.Short)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, usage := pflag.UnquoteUsage(f); usage == "" || f.Value.Type() != "bool" && f.Name != "help" && !strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: the help is %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())
}

// No flag takes a secret.
func TestNoFlagTakesASecret(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			secret := strings.Contains(f.Name, "password") || strings.Contains(f.Name, "secret") || strings.Contains(f.Name, "dsn")
			file := strings.Contains(f.Usage, "`file`")
			if secret && f.Value.Type() != "bool" && !file && c.Name() != "update_password" {
				t.Errorf("%s --%s", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())
}
