package httpapi

import "maps"

// A field describes a field of a resource as AWX's clients expect it.
type field struct {
	Type     string      `json:"type"`
	Label    string      `json:"label"`
	HelpText string      `json:"help_text,omitempty"`
	Required bool        `json:"required"`
	ReadOnly bool        `json:"read_only"`
	Choices  [][2]string `json:"choices,omitempty"` // value and label

	WriteOnly bool `json:"write_only,omitempty"` // no answer has it
}

// fields are the fields of a resource by their names.
type fields map[string]field

// with returns a copy of f with a change of the named field.
func (f fields) with(name string, change func(*field)) fields {
	changed := maps.Clone(f)
	one := changed[name]
	change(&one)
	changed[name] = one
	return changed
}

// readOnly returns f for a path where that field cannot be set.
func (f fields) readOnly(name string) fields {
	return f.with(name, func(one *field) { one.ReadOnly, one.Required = true, false })
}

// required returns f for a path where that field must be set.
func (f fields) required(name string) fields {
	return f.with(name, func(one *field) { one.Required = true })
}

// A description is the answer to OPTIONS.
type description struct {
	Name    string            `json:"name"`
	Renders []string          `json:"renders"`
	Parses  []string          `json:"parses"`
	Actions map[string]fields `json:"actions"`
}

// describe returns the description of a route. AWX's own client makes its
// commands of it, and crashes on actions other than GET and POST.
func describe(path string, f fields, allowed []string) description {
	actions := make(map[string]fields)
	for _, method := range allowed {
		switch method {
		case "GET":
			shown := make(fields, len(f))
			for name, one := range f {
				if one.Required = false; !one.WriteOnly {
					shown[name] = one
				}
			}
			actions["GET"] = shown
		case "POST":
			writable := make(fields)
			for name, one := range f {
				if !one.ReadOnly {
					writable[name] = one
				}
			}
			actions["POST"] = writable
		}
	}
	return description{path, []string{"application/json"}, []string{"application/json"}, actions}
}
