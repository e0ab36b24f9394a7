package httpapi

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// describe returns the descriptions of the routes. A document is made when
// somebody asks for it, and once.
func (rt *router) describe() descriptions {
	var made [2]func() []byte
	for i, basic := range []bool{false, true} {
		made[i] = sync.OnceValue(func() []byte {
			doc, err := json.Marshal(rt.document(basic))
			if err != nil {
				panic(err) // maps, texts and lists always encode
			}
			return doc
		})
	}
	document := func() []byte {
		if rt.api.Gate.AcceptsBasic() { // which can change while the service runs
			return made[1]()
		}
		return made[0]()
	}
	return descriptions{document, rt.subjects}
}

// document returns the description of all routes of the configuration in the
// form of OpenAPI 3.1. Basic says whether the gate accepts HTTP Basic.
func (rt *router) document(basic bool) schema {
	p, paths := parts{components{}, schema{}, rt.api.securitySchemes(basic)}, schema{}
	var tags []schema
	for i := range rt.routes {
		s := &rt.routes[i]
		if tag := s.subject(); !slices.ContainsFunc(tags, func(t schema) bool { return t["name"] == tag }) {
			tags = append(tags, schema{"name": tag, "description": subjectTexts[tag]})
		}
		for _, path := range rt.api.pathsOf(s) {
			item := schema{}
			for _, method := range s.methods.list() {
				item[strings.ToLower(method)] = rt.api.operation(p, s, path, method)
			}
			if list := pathParameters(s.segments); len(list) > 0 {
				item["parameters"] = list
			}
			paths[path] = item
		}
	}
	return schema{
		"openapi": "3.1.1",
		"info": schema{
			"title":   cmp.Or(rt.api.PageOptions.Product, "Authentication") + " API",
			"version": "v2",
			"description": "Users, sessions, tokens and applications in the wire format of AWX. Every path also answers HEAD as GET, and OPTIONS. " +
				"Every list, body and error is JSON; browsers that ask for text/html get errors as pages.",
		},
		"jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
		"servers":           []schema{{"url": "/"}},
		"tags":              tags,
		"paths":             paths,
		"components":        schema{"schemas": p.schemas, "responses": p.responses, "securitySchemes": p.schemes},
	}
}

// pathsOf returns the paths of a route: its own, and the one of the gateway.
func (a *api) pathsOf(s *served) []string {
	path := strings.Join(s.segments, "/")
	list := []string{path}
	if !a.GatewayPaths {
		return list
	}
	for first, prefix := range gatewayRoutes {
		if n := len(prefix); len(s.segments) > n && slices.Equal(s.segments[:n], prefix) && s.segments[n] == first {
			list = append(list, "/api/gateway/v1/"+strings.Join(s.segments[n:], "/"))
		}
	}
	return list
}

// operation describes a method of a route.
func (a *api) operation(p parts, s *served, path, method string) schema {
	e := s.speaks[method]
	o := schema{
		"operationId": operationID(method, path),
		"summary":     cmp.Or(e.about, sentence(s.about)),
		"tags":        []string{s.subject()},
		"security":    s.security(method, p.schemes),
	}
	if list := e.parameters(); len(list) > 0 {
		o["parameters"] = list
	}
	if e.body != nil {
		o["requestBody"] = e.body.content(s.fields)
	}
	responses := schema{}
	for _, one := range e.answers {
		responses[strconv.Itoa(one.status)] = a.success(p.schemas, one)
	}
	for _, status := range e.refusals(s, method) {
		responses[strconv.Itoa(status)] = p.refusal(status, e.oauth)
	}
	o["responses"] = responses
	return o
}

// success describes an answer.
func (a *api) success(c components, one answer) schema {
	described := schema{"description": http.StatusText(one.status)}
	if one.status == http.StatusCreated || one.status >= 300 {
		described["headers"] = schema{"Location": schema{"description": "Where to go on.", "schema": schema{"type": "string"}}}
	}
	content := schema{}
	body := one.body
	if list, ok := body.(either); ok && list[len(list)-1] == (pageBody{}) { // for browsers
		content["text/html"] = schema{"schema": a.bodySchema(c, pageBody{})}
		body = list[0]
	}
	switch body.(type) {
	case nil:
		return described
	case pageBody:
		content["text/html"] = schema{"schema": a.bodySchema(c, body)}
	default:
		content["application/json"] = schema{"schema": a.bodySchema(c, body)}
	}
	described["content"] = content
	return described
}

// content describes the body of a request to a route with these fields. A form
// may have parameters that nobody knows (RFC 6749 section 3.1), an object not.
func (in *input) content(of fields) schema {
	media, required := schema{}, false
	add := func(name string, strict bool) {
		s := in.schema(of)
		if !strict && in.writable != nil {
			delete(s, "additionalProperties")
		}
		required = s["required"] != nil
		described := schema{"schema": s}
		if example := in.exampleFor(of); example != nil {
			described["example"] = example
		}
		media[name] = described
	}
	if in.forms {
		add("application/x-www-form-urlencoded", false)
	}
	if in.json {
		add("application/json", true)
	}
	return schema{"content": media, "required": required}
}

// operationID returns an identifier such as get_v2_users_user.
func operationID(method, path string) string {
	id := strings.ToLower(method)
	for segment := range strings.SplitSeq(path, "/") {
		if segment = strings.Trim(segment, "{}."); segment != "" && segment != "api" {
			id += "_" + strings.ReplaceAll(segment, "-", "_")
		}
	}
	return id
}

// sentence begins with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// subjects are the headings of the document by the segments of paths. The last
// one of a path counts.
var subjects = map[string]string{
	"me": "Users", "users": "Users", "sessions": "Sessions", "activity_stream": "Activity", "login": "Sessions", "logout": "Sessions",
	"tokens": "Tokens", "personal_tokens": "Tokens", "authorized_tokens": "Tokens", "applications": "Applications",
	"o": "OAuth", ".well-known": "OAuth", "account": "Pages",
}

// subjectTexts say what the headings are about.
var subjectTexts = map[string]string{
	"API":              "What there is.",
	"Users":            "Who may log in.",
	"Sessions":         "Logins in browsers, where they are, and their end.",
	"Tokens":           "Access tokens of people and of applications.",
	"Applications":     "The clients of OAuth.",
	"OAuth":            "The endpoints of RFC 6749, 7009, 7662, 8414, 8628 and 9728.",
	"Activity":         "Who did what to users, tokens and applications.",
	"Pages":            "Pages for people; programs have no use for them.",
	"Resources of AWX": "Empty lists, for clients of AWX that ask for them.",
}

// subject returns the heading of a route.
func (rt *route) subject() string {
	subject := "API"
	for segment := range strings.SplitSeq(rt.pattern, "/") {
		subject = cmp.Or(subjects[segment], subject)
		if subject == "OAuth" || subject == "Pages" {
			break
		}
	}
	if subject == "API" && rt.access == protected {
		return "Resources of AWX"
	}
	return subject
}

// variables describe the segments of paths that match any text.
var variables = map[string]field{
	"user":         {Type: "string", Label: "User", HelpText: "The ID or the name of a user."},
	"id":           {Type: "integer", Label: "ID"},
	"app":          {Type: "string", Label: "Application", HelpText: "Its ID, or its name, \"++\" and the name of its organization."},
	"organization": {Type: "integer", Label: "Organization", HelpText: "Its ID."},
}

func pathParameters(segments []string) []schema {
	var list []schema
	for _, segment := range segments {
		if variable(segment) {
			name := strings.Trim(segment, "{}")
			one := parameterOf(name, variables[name])
			one["in"], one["required"] = "path", true
			list = append(list, one)
		}
	}
	return list
}

func parameterOf(name string, f field) schema {
	s := fieldSchema(f)
	delete(s, "description")
	return schema{"name": name, "in": "query", "description": describeField(f), "schema": s}
}

// parameters describe the query of the URL.
func (e *exchange) parameters() []schema {
	var list []schema
	for _, name := range slices.Sorted(maps.Keys(e.query)) {
		list = append(list, parameterOf(name, e.query[name]))
	}
	if e.list != nil {
		list = append(list, e.list.parameters()...)
	}
	return list
}

// parameters describe what every list takes, and the filters of this one.
func (s *resource) parameters() []schema {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.orders)) {
		names = append(names, name, "-"+name)
	}
	size := parameterOf("page_size", field{Type: "integer", Label: "Page size", HelpText: "Objects of a page, at most " + strconv.Itoa(maxPageSize)})
	size["schema"] = schema{"type": "integer", "minimum": 1, "default": defaultPageSize}
	list := []schema{
		parameterOf("page", field{Type: "string", Label: "Page", HelpText: `The number of the page from 1, or "last"`}), size,
		parameterOf("order_by", field{Type: "string", Label: "Order", HelpText: "A field, or several with commas between; with a minus the greatest first. Fields: " + strings.Join(names, ", ")}),
		parameterOf("order", field{Type: "string", Label: "Order", HelpText: "Another name of order_by"}),
		parameterOf("count_disabled", field{Type: "string", Label: "Count disabled", HelpText: "With any value nothing is counted, and the answer has results only"}),
		parameterOf("format", field{Type: "string", Label: "Format", HelpText: "Ignored"}),
	}
	if s.searched {
		list = append(list, parameterOf("search", field{Type: "string", Label: "Search", HelpText: "A text in one of the main fields, in either case"}))
	}
	if len(s.filters) == 0 {
		return list
	}
	for _, name := range slices.Sorted(maps.Keys(s.filters)) {
		list = append(list, parameterOf(name, field{Type: "string", Label: sentence(strings.ReplaceAll(name, "_", " ")), HelpText: "Only objects with this value"}))
	}
	return append(list, schema{
		"name": "lookups", "in": "query", "style": "form", "explode": true,
		"description": "Filters that compare, such as created__gt=2027-01-31 or or__not__id__in=1,2. At most " + strconv.Itoa(maxConditions) + " filters.",
		"schema": schema{
			"type": "object", "additionalProperties": schema{"type": "string"},
			"propertyNames": schema{"pattern": s.filters.pattern()},
		},
	})
}

// pattern returns the regular expression of the names of filters that compare.
func (f filters) pattern() string {
	names := slices.Sorted(maps.Keys(lookups))
	for _, name := range []string{"exact", "contains", "startswith", "endswith"} {
		names = append(names, "i"+name)
	}
	return "^((or|not|chain)__)*(" + strings.Join(slices.Sorted(maps.Keys(f)), "|") + ")(__id)?(__(" + strings.Join(names, "|") + "))?$"
}
