package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	configurationPage = "../../doc/configuration.md"
	tablesBegin       = "<!-- The tables are made by TestConfigurationPage. -->\n"
	tablesEnd         = "<!-- The end of the tables. -->\n"
)

// TestConfigurationPage holds that the page lists the settings as they are. With
// OSTIARY_WRITE_PAGE it writes them there.
func TestConfigurationPage(t *testing.T) {
	b, err := os.ReadFile(configurationPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(b), tablesBegin)
	is, after, ok2 := strings.Cut(rest, tablesEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the tables", configurationPage)
	}
	want := settingsTables()
	if os.Getenv("OSTIARY_WRITE_PAGE") != "" {
		if err := os.WriteFile(configurationPage, []byte(before+tablesBegin+want+tablesEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if is != want {
		t.Errorf("the settings are not those of the page; OSTIARY_WRITE_PAGE=1 go test -run TestConfigurationPage ./server writes\n%s", want)
	}
}

func settingsTables() string {
	var b strings.Builder
	cells := strings.NewReplacer("\n", " ", "|", `\|`, "<", "&lt;", "`", "")
	for _, topic := range topics {
		fmt.Fprintf(&b, "\n### %s\n\n| setting | default | meaning |\n| --- | --- | --- |\n", topic.title)
		f := flag.NewFlagSet("", flag.ContinueOnError)
		var c config
		topic.add(&c, f)
		f.VisitAll(func(f *flag.Flag) {
			value := f.DefValue
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, value, cells.Replace(f.Usage))
		})
	}
	return b.String() + "\n"
}

// TestExampleFile holds that the file which is delivered has no setting but known
// ones, each as a comment or with a value that is good.
func TestExampleFile(t *testing.T) {
	b, err := os.ReadFile("../deploy/ostiary.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	settings := 0
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(text, " ") {
			line = text // a setting that is not in force
			settings++
		}
		all.WriteString(line)
	}
	if settings < 10 {
		t.Errorf("%d settings are comments", settings)
	}
	for name, text := range map[string]string{"as it is": string(b), "with all settings": all.String()} {
		c, err := parseFlags([]string{"-config", inFile(t, text)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.tlsCert, c.tlsKey, c.users, c.db = "", "", "", "test.db" // files of the machine
		if _, err := c.checkAll(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
