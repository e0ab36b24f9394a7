package httpapi

// schemaData is the data of the page that describes the API. It is made of the
// table of routes, as the document of OpenAPI is.
type schemaData struct {
	Document string // its path
	Subjects []schemaSubject
}

// A schemaSubject is what the routes of one subject can do.
type schemaSubject struct {
	ID, Title  string
	Operations []schemaOperation
}

// A schemaOperation is a method of a route.
type schemaOperation struct {
	Method, Path, About string
	// Access is who may use it: "read" or "write" is for credentials with that
	// scope, "credential" for any, "client" for applications, "session" for
	// people, "" for everybody.
	Access             string
	Parameters, Fields []schemaLine
	Answers            []string // the statuses of success
	Refusals           []string
	Example            string // a command line, "" for pages
}

// A schemaLine describes a parameter or a field.
type schemaLine struct {
	Name, Text string
	Required   bool
}

// descriptions are what the table of routes says about the API.
type descriptions struct {
	document func() []byte                  // of OpenAPI
	subjects func(a string) []schemaSubject // for the page, with examples for an address
}
