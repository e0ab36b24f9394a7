package httpapi

import (
	"encoding/json"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// A schema is a JSON Schema (draft 2020-12), or another object of the document.
type schema = map[string]any

// components has the schemas of the representations, by their names.
type components map[string]schema

// named are the representations that get a name, with the fields that describe
// them.
var named = map[reflect.Type]struct {
	name   string
	fields fields
}{
	reflect.TypeFor[user]():                    {"User", userFields},
	reflect.TypeFor[token]():                   {"Token", tokenFields},
	reflect.TypeFor[application]():             {"Application", applicationFields},
	reflect.TypeFor[sessionShown]():            {"Session", sessionFields},
	reflect.TypeFor[envelope[user]]():          {"Users", listFields},
	reflect.TypeFor[envelope[token]]():         {"Tokens", listFields},
	reflect.TypeFor[envelope[application]]():   {"Applications", listFields},
	reflect.TypeFor[envelope[sessionShown]]():  {"Sessions", listFields},
	reflect.TypeFor[activityEntry]():           {"Activity", activityFields},
	reflect.TypeFor[envelope[activityEntry]](): {"Activities", listFields},
	reflect.TypeFor[envelope[struct{}]]():      {"Nothing", listFields},
	reflect.TypeFor[me]():                      {"Me", userFields.and(listFields)},
	reflect.TypeFor[oauthError]():              {"OAuthError", nil},
	reflect.TypeFor[issuedToken]():             {"IssuedToken", nil},
}

// commonFields describe what all representations have.
var commonFields = fields{
	"type":           {Type: "string", Label: "Type", HelpText: "What the object is.", ReadOnly: true},
	"url":            {Type: "string", Label: "URL", HelpText: "The path of the object.", ReadOnly: true},
	"related":        {Type: "object", Label: "Related", HelpText: "Paths of what belongs to it, by name.", ReadOnly: true},
	"summary_fields": {Type: "object", Label: "Summary", HelpText: "The main fields of related objects.", ReadOnly: true},
	"refresh_token":  {Type: "string", Label: "Refresh token", HelpText: "Shown once, when the token is created.", ReadOnly: true},
	"password":       {Type: "string", Label: "Password", HelpText: "Always masked."},
}

var listFields = fields{
	"count":    {Type: "integer", Label: "Count", HelpText: "How many there are. Exact up to 10,000; beyond that it tells whether there are more.", ReadOnly: true},
	"next":     {Type: "string", Label: "Next", HelpText: "The path of the next page.", ReadOnly: true},
	"previous": {Type: "string", Label: "Previous", HelpText: "The path of the previous page.", ReadOnly: true},
	"results":  {Type: "list", Label: "Results", HelpText: "The objects of this page.", ReadOnly: true},
}

// of returns the schema of what [json.Marshal] makes of a value of the type.
func (c components) of(t reflect.Type) schema {
	switch t {
	case reflect.TypeFor[timestamp]():
		return schema{"type": []string{"string", "null"}, "format": "date-time"}
	case reflect.TypeFor[userID]():
		return schema{"type": []string{"integer", "string", "null"}}
	case reflect.TypeFor[netip.Prefix]():
		return schema{"type": "string"}
	}
	if known, ok := named[t]; ok {
		if c[known.name] == nil {
			c[known.name] = schema{} // for a type that has itself
			c[known.name] = c.object(t, known.fields)
		}
		return reference("schemas", known.name)
	}
	switch t.Kind() {
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.Pointer:
		return nullable(c.of(t.Elem()))
	case reflect.Slice:
		return schema{"type": "array", "items": c.of(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return schema{"type": "object"}
		}
		return schema{"type": "object", "additionalProperties": c.of(t.Elem())}
	case reflect.Struct:
		return c.object(t, nil)
	}
	panic("httpapi: no schema for " + t.String()) // TestSchema has all types
}

func nullable(s schema) schema {
	if one, ok := s["type"].(string); ok {
		s["type"] = []string{one, "null"}
	}
	return s
}

func reference(kind, name string) schema { return schema{"$ref": "#/components/" + kind + "/" + name} }

// object returns the schema of a struct. Fields describe its members.
func (c components) object(t reflect.Type, f fields) schema {
	properties, required := schema{}, []string{}
	c.members(t, properties, &required)
	for name, s := range properties {
		one, ok := f[name]
		if !ok && f != nil {
			one, ok = commonFields[name]
		}
		if !ok {
			continue
		}
		described := s.(schema)
		described["description"] = describeField(one)
		if one.ReadOnly {
			described["readOnly"] = true
		}
		if len(one.Choices) > 0 {
			described["enum"] = values(one)
		}
	}
	slices.Sort(required)
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if _, list := properties["results"]; list && properties["id"] == nil {
		required = []string{"results"} // a client can ask for nothing else
	}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// members adds the members of a struct, and those of structs that are embedded
// in it.
func (c components) members(t reflect.Type, properties schema, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			c.members(f.Type, properties, required)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = c.of(f.Type)
		if options != "omitempty" {
			*required = append(*required, name)
		}
	}
}

// example returns the schema of a document whose members are always the same.
func exampleSchema(doc map[string]any) schema {
	properties := schema{}
	for name, value := range doc {
		properties[name] = components{}.of(reflect.TypeOf(value))
	}
	return schema{
		"type": "object", "properties": properties, "additionalProperties": false, "required": slices.Sorted(maps.Keys(properties)),
	}
}

func describeField(f field) string {
	if f.HelpText == "" {
		return f.Label + "."
	}
	return f.Label + ": " + strings.TrimSuffix(f.HelpText, ".") + "."
}

func values(f field) []string {
	list := make([]string, len(f.Choices))
	for i, choice := range f.Choices {
		list[i] = choice[0]
	}
	return list
}

// fieldTypes are the types of JSON Schema for those of OPTIONS.
var fieldTypes = map[string]schema{
	"string":   {"type": "string"},
	"choice":   {"type": "string"},
	"integer":  {"type": "integer"},
	"boolean":  {"type": "boolean"},
	"datetime": {"type": "string", "format": "date-time"},
	"id":       {"type": "integer"},
	"list":     {"type": "array", "items": schema{"type": "string"}},
	"object":   {"type": "object"},
}

// fieldSchema returns the schema of a field of a request.
func fieldSchema(f field) schema {
	s := maps.Clone(fieldTypes[f.Type])
	s["description"] = describeField(f)
	if len(f.Choices) > 0 {
		s["enum"] = values(f)
	}
	return s
}

// inputSchema returns the schema of the body of a request to a route with these
// fields.
func (in *input) schema(of fields) schema {
	if in.fields != nil {
		of = in.fields
	}
	properties, required := schema{}, []string{}
	for _, name := range in.writable {
		f := of[name]
		s := fieldSchema(f)
		if f.ReadOnly {
			s["readOnly"] = true
		}
		if f.WriteOnly {
			s["writeOnly"] = true
		}
		properties[name] = s
		if f.Required && !in.optional && name != in.spared {
			required = append(required, name)
		}
	}
	for _, name := range in.ignored {
		properties[name] = schema{"description": "Ignored: a representation that was read can be sent back.", "readOnly": true}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if in.writable == nil && in.forms { // for the page itself
		s = schema{"type": "object", "additionalProperties": schema{"type": []string{"string", "array"}}, "description": "The fields of the form on the page."}
	}
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	return s
}

// exampleFor returns the example of a body for a route with these fields.
func (in *input) exampleFor(of fields) map[string]any {
	fit := maps.Clone(in.example)
	for name, f := range of {
		_, given := fit[name]
		switch {
		case given && f.ReadOnly:
			delete(fit, name)
		case fit != nil && !given && f.Required && f.Type == "id" && !in.optional && name != in.spared:
			fit[name] = 1
		}
	}
	return fit
}

// bodySchema returns the schema of a body of an answer.
func (a *api) bodySchema(c components, body any) schema {
	switch body := body.(type) {
	case pageBody:
		return schema{"type": "string"}
	case func(*api) map[string]any:
		return exampleSchema(body(a))
	case either:
		var list []schema
		for _, one := range body {
			list = append(list, a.bodySchema(c, one))
		}
		return schema{"anyOf": list}
	}
	return c.of(reflect.TypeOf(body))
}

// asJSON is what an example looks like on the wire.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // examples are literals
		panic(err)
	}
	return string(b)
}
