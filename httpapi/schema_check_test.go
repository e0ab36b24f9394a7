package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A described is a document of OpenAPI, or a part of one.
type described map[string]any

// documents has each document that was read, by its text.
var documents sync.Map

// parse returns the document of a text.
func parse(t testing.TB, text string) described {
	t.Helper()
	if known, ok := documents.Load(text); ok {
		return known.(described)
	}
	var doc described
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	documents.Store(text, doc)
	return doc
}

// at returns the part of the document at a path of names, or nil.
func (d described) at(names ...string) described {
	for _, name := range names {
		next, ok := d[name].(map[string]any)
		if !ok {
			return nil
		}
		d = next
	}
	return d
}

// follow returns the part that a reference leads to, or d itself.
func (d described) follow(doc described) described {
	for d["$ref"] != nil {
		d = doc.at(strings.Split(strings.TrimPrefix(d["$ref"].(string), "#/"), "/")...)
	}
	return d
}

// path returns the item of the path that matches. A segment that is written out
// goes before one that is not.
func (d described) path(escaped string) described {
	segments := strings.Split(escaped, "/")
	var found described
	least := 1 << 30
	for pattern := range d.at("paths") {
		parts, variables := strings.Split(pattern, "/"), strings.Count(pattern, "{")
		if len(parts) != len(segments) || variables >= least {
			continue
		}
		fits := true
		for i, part := range parts {
			segment, err := url.PathUnescape(segments[i])
			if strings.HasPrefix(part, "{") {
				fits = fits && segment != "" && err == nil
			} else {
				fits = fits && segment == part
			}
		}
		if fits {
			found, least = d.at("paths", pattern), variables
		}
	}
	return found
}

// disagreements returns what an exchange has that the document has not.
func (d described) disagreements(r *http.Request, sent []byte, reply reply) []string {
	item := d.path(r.URL.EscapedPath())
	if item == nil {
		if !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/.well-known/") || reply.status/100 == 3 || reply.status == 404 {
			return nil
		}
		return []string{"the path is not described"}
	}
	method := strings.ToLower(strings.Replace(r.Method, "HEAD", "GET", 1))
	operation := item.at(method)
	switch {
	case r.Method == "OPTIONS":
		return nil
	case operation == nil && (reply.status == 405 || reply.status == 401 || reply.status == 403 || reply.status == 503 || reply.status == 400):
		return nil
	case operation == nil:
		return []string{"the method is not described"}
	}
	answer := described(operation.at("responses", fmt.Sprint(reply.status))).follow(d)
	if answer == nil {
		return []string{"the status is not described"}
	}
	wrong := d.wrongAnswer(answer, r, reply)
	if reply.status/100 == 2 || reply.status/100 == 3 {
		wrong = append(wrong, d.wrongRequest(operation, r, sent)...)
	}
	return wrong
}

func (d described) wrongAnswer(answer described, r *http.Request, reply reply) []string {
	media, _, _ := strings.Cut(reply.header.Get("Content-Type"), ";")
	content := answer.at("content")
	switch {
	case reply.status/100 == 3 || r.Method == "HEAD":
		return nil
	case content == nil:
		if reply.body != "" {
			return []string{"the answer has a body, which is not described"}
		}
		return nil
	case content.at(media) == nil:
		return []string{"the type of the answer is not described: " + media}
	case media != "application/json":
		return nil
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(reply.body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return []string{"the answer is no JSON: " + err.Error()}
	}
	return d.faults("answer", content.at(media, "schema"), value)
}

// wrongRequest checks the parameters and the body of a request that was accepted:
// their names and that nothing is missing. Values may be written as AWX allows.
func (d described) wrongRequest(operation described, r *http.Request, sent []byte) (wrong []string) {
	parameters, _ := operation["parameters"].([]any)
	list := slices.ContainsFunc(parameters, func(p any) bool { return p.(map[string]any)["name"] == "page" })
	for name := range r.URL.Query() {
		known := slices.ContainsFunc(parameters, func(p any) bool {
			names, _ := described(p.(map[string]any)).at("schema", "propertyNames")["pattern"].(string)
			return p.(map[string]any)["name"] == name || names != "" && regexp.MustCompile(names).MatchString(name)
		})
		if list && !known {
			wrong = append(wrong, "the parameter "+name+" is not described")
		}
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if len(bytes.TrimSpace(sent)) == 0 {
		if operation.at("requestBody")["required"] == true {
			wrong = append(wrong, "a body is described as required")
		}
		return wrong
	}
	body := operation.at("requestBody", "content", media, "schema")
	if body == nil {
		if operation.at("requestBody") == nil {
			return wrong // no handler reads it
		}
		return append(wrong, "the type of the body is not described: "+media)
	}
	given := make(map[string]bool)
	if media == "application/json" {
		var members map[string]any
		if json.Unmarshal(sent, &members) == nil {
			for name := range members {
				given[name] = true
			}
		}
	} else if form, err := url.ParseQuery(string(sent)); err == nil {
		for name := range form {
			given[name] = true
		}
	}
	for name := range given {
		if body["additionalProperties"] == false && body.at("properties", name) == nil {
			wrong = append(wrong, "the field "+name+" is not described")
		}
	}
	required, _ := body["required"].([]any)
	for _, name := range required {
		if !given[name.(string)] {
			wrong = append(wrong, fmt.Sprintf("the field %s is described as required", name))
		}
	}
	return wrong
}

// schemaWords are the words of JSON Schema that faults understands, and those
// that restrict nothing.
var schemaWords = []string{
	"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "format", "minProperties", "minItems", "$ref",
	"description", "readOnly", "writeOnly",
}

// faults returns where a value does not fit a schema.
func (d described) faults(at string, s described, value any) (wrong []string) {
	for word := range s {
		if !slices.Contains(schemaWords, word) {
			return []string{at + ": the schema has the unknown word " + word}
		}
	}
	s = s.follow(d)
	if either, ok := s["anyOf"].([]any); ok {
		for _, one := range either {
			found := d.faults(at, one.(map[string]any), value)
			if len(found) == 0 {
				return nil
			}
			wrong = append(wrong, found...)
		}
		return wrong
	}
	is, text := kindOf(value), fmt.Sprint(value)
	if types, ok := s["type"].([]any); ok && !slices.Contains(types, any(is)) || s["type"] != nil && !ok && s["type"] != is {
		return []string{fmt.Sprintf("%s is %s, not %v", at, is, s["type"])}
	}
	if allowed, ok := s["enum"].([]any); ok && !slices.ContainsFunc(allowed, func(v any) bool { return reflect.DeepEqual(v, value) }) {
		wrong = append(wrong, fmt.Sprintf("%s is none of %v", at, allowed))
	}
	if s["format"] == "date-time" && value != nil {
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			wrong = append(wrong, at+" is no time")
		}
	}
	switch value := value.(type) {
	case []any:
		if least, ok := s["minItems"].(float64); ok && len(value) < int(least) {
			wrong = append(wrong, at+" is too short")
		}
		for i, one := range value {
			wrong = append(wrong, d.faults(fmt.Sprintf("%s[%d]", at, i), s.at("items"), one)...)
		}
	case map[string]any:
		wrong = append(wrong, d.objectFaults(at, s, value)...)
	}
	return wrong
}

func (d described) objectFaults(at string, s described, value map[string]any) (wrong []string) {
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s has no %v", at, name))
		}
	}
	if least, ok := s["minProperties"].(float64); ok && len(value) < int(least) {
		wrong = append(wrong, at+" is empty")
	}
	for _, name := range slices.Sorted(maps.Keys(value)) {
		below := at + "." + name
		switch {
		case s.at("properties", name) != nil:
			wrong = append(wrong, d.faults(below, s.at("properties", name), value[name])...)
		case s["additionalProperties"] == false:
			wrong = append(wrong, below+" is not described")
		case s.at("additionalProperties") != nil:
			wrong = append(wrong, d.faults(below, s.at("additionalProperties"), value[name])...)
		}
	}
	return wrong
}

// kindOf returns the type of a value in the words of JSON Schema.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
