package httpapi

import "net/http"

// emptyFields describes what an empty resource would have.
var emptyFields = fields{
	"id":   {Type: "integer", Label: "ID", ReadOnly: true},
	"name": {Type: "string", Label: "Name", ReadOnly: true},
}

// emptyResource returns the route of a resource that AWX has and the host has
// not. One that the host has, by Config.Links, is not there.
func emptyResource(name string) route {
	return route{
		pattern: "/api/v2/" + name + "/", access: protected,
		when: condition{"With Config.EmptyResources, unless Config.Links has the name:", func(c *Config) bool {
			return c.EmptyResources && c.Links[name] == ""
		}},
		methods: methods{"GET": (*api).listNothing}, fields: emptyFields,
		speaks: exchanges{"GET": {about: "List nothing", answers: []answer{{http.StatusOK, envelope[struct{}]{}}}}},
		about:  "an empty list",
	}
}

// listNothing answers with an empty list, whatever the query asks for.
func (a *api) listNothing(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, r, http.StatusOK, envelope[struct{}]{Results: []struct{}{}})
}
