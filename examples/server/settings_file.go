package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// An entry is a setting in the configuration file.
type entry struct {
	name, value string
	file        string
	line        int
}

// at says where the entry is.
func (e entry) at() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.name) }

// maxFile limits the configuration file, in bytes.
const maxFile = 1 << 20

func readFile(path string, known []string) ([]entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; write the file, or leave the setting out", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return parseFile(path, b, known)
}

// parseFile reads YAML with one setting on each line, in the text that a flag has; a
// list may be one of YAML, too.
func parseFile(path string, b []byte, known []string) ([]entry, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%s: not UTF-8", path)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", path, plain(err))
	}
	if err := d.Decode(&more); err != io.EOF {
		return nil, fmt.Errorf("%s:%d: there is a second document; write all settings into one", path, max(more.Line, 1))
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: write settings, such as session-idle: 30m", path, root.Line)
	}
	var entries []entry
	lines := make(map[string]int)
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		e := entry{name: key.Value, file: path, line: key.Line}
		if key.Kind != yaml.ScalarNode || !slices.Contains(known, e.name) {
			return nil, fmt.Errorf("%s:%d: %q is no setting%s", path, key.Line, e.name, suggest(e.name, known, ""))
		}
		if first, twice := lines[e.name]; twice {
			return nil, fmt.Errorf("%s: line %d has it, too; leave one of them out", e.at(), first)
		}
		lines[e.name] = e.line
		var err error
		if e.value, err = text(value, true); err != nil {
			return nil, fmt.Errorf("%s: %w", e.at(), err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// text returns a value as a flag would have it. What is between quotes, and what
// looks like a number or a truth value, is taken as it is written.
func text(value *yaml.Node, lists bool) (string, error) {
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		return "", nil
	case value.Kind == yaml.ScalarNode && !strings.Contains(value.Value, "\x00"):
		return value.Value, nil
	case value.Kind == yaml.SequenceNode && lists:
		var parts []string
		for _, element := range value.Content {
			part, err := text(element, false)
			if err != nil {
				return "", err
			}
			if part == "" || strings.Contains(part, ",") {
				return "", fmt.Errorf("line %d: an element of a list must have text without a comma", element.Line)
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), nil
	case value.Kind == yaml.AliasNode:
		return "", errors.New("aliases are not taken; write the value")
	}
	return "", errors.New("write one value, or a list of them")
}

// plain is an error of the library without its name.
func plain(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "yaml: ")) }
