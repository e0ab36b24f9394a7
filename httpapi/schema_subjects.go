package httpapi

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// subjects returns all routes of the configuration by their subjects.
func (rt *router) subjects(host string) (list []schemaSubject) {
	for i := range rt.routes {
		s := &rt.routes[i]
		at := slices.IndexFunc(list, func(have schemaSubject) bool { return have.Title == s.subject() })
		if at < 0 {
			at = len(list)
			list = append(list, schemaSubject{ID: "subject-" + strconv.Itoa(at+1), Title: s.subject()})
		}
		for _, path := range rt.api.pathsOf(s) {
			for _, method := range s.methods.list() {
				list[at].Operations = append(list[at].Operations, s.describe(method, path, host))
			}
		}
	}
	return list
}

// describe returns what a method of the route does.
func (s *served) describe(method, path, host string) schemaOperation {
	e := s.speaks[method]
	o := schemaOperation{Method: method, Path: path, About: cmp.Or(e.about, sentence(s.about)), Access: s.needs(method)}
	for _, parameter := range append(pathParameters(s.segments), e.parameters()...) {
		o.Parameters = append(o.Parameters, schemaLine{parameter["name"].(string), parameter["description"].(string), parameter["required"] == true})
	}
	if e.body != nil {
		described := e.body.schema(s.fields)
		required, _ := described["required"].([]string)
		for _, name := range e.body.writable {
			text := described["properties"].(schema)[name].(schema)["description"].(string)
			o.Fields = append(o.Fields, schemaLine{name, text, slices.Contains(required, name)})
		}
	}
	page := false
	for _, one := range e.answers {
		o.Answers = append(o.Answers, strconv.Itoa(one.status))
		_, is := one.body.(pageBody)
		page = page || is
	}
	for _, status := range e.refusals(s, method) {
		o.Refusals = append(o.Refusals, strconv.Itoa(status))
	}
	if !page {
		o.Example = e.curl(method, host+examplePath.Replace(path), o.Access, s.fields)
	}
	return o
}

// needs returns who may use a method of the route, see schemaOperation.
func (rt *route) needs(method string) string {
	switch {
	case rt.speaks[method].oauth:
		return "client"
	case rt.access == anyScope:
		return "credential"
	case rt.access == protected && method == http.MethodGet:
		return "read"
	case rt.access == protected:
		return "write"
	case rt.access == session && rt.subject() != "Sessions":
		return "session"
	}
	return ""
}

// examplePath replaces the variable segments of paths in examples.
var examplePath = strings.NewReplacer("{user}", "alice", "{id}", "1", "{app}", "1", "{organization}", "1")

// curl returns a command line. Its secrets are variables of the shell.
func (e *exchange) curl(method, address, access string, of fields) string {
	line := "curl"
	switch access {
	case "client":
		line += ` -u "$CLIENT_ID:$CLIENT_SECRET"`
	case "":
	default:
		line += ` -H "Authorization: Bearer $TOKEN"`
	}
	switch {
	case e.body != nil && e.body.example != nil && e.body.json:
		line += " -X " + method + " -H 'Content-Type: application/json' -d '" + asJSON(e.body.exampleFor(of)) + "'"
	case e.body != nil && e.body.example != nil:
		form := url.Values{}
		for name, value := range e.body.example {
			form.Set(name, value.(string))
		}
		line += " -d '" + form.Encode() + "'"
	case method != http.MethodGet:
		line += " -X " + method
	}
	return line + " '" + address + "'"
}
