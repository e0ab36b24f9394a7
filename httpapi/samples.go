package httpapi

import (
	"bytes"
	"fmt"
	"html"
)

// try renders every page with all of its data and with the least, so that a
// host's page with a misspelt field is refused when the program starts.
func (p pages) try(account bool) error {
	everything := consent{
		User: "user", Application: "application", Organization: "organization",
		Scopes: []string{"scope", "scope"}, Resources: []string{"resource", "resource"}, Lifetime: "lifetime",
	}
	parameters := []parameter{{"sample", "value of a sample"}, {shownField, "digest"}}
	samples := []sample{
		{"login.html", p.login, loginData{}, nil},
		{"login.html", p.login, loginData{Next: "/", Username: "user", Error: "error"}, nil},
		{"consent.html", p.consent, consentData{}, nil},
		{"consent.html", p.consent, consentData{everything, "target", "error", parameters}, parameters},
		{"consent.html", p.consent, consentData{consent{Application: "host", Document: "address", Claim: "name", LoopbackOnly: true}, "target", "", nil}, nil},
		{"device.html", p.device, deviceData{}, nil},
		{"device.html", p.device, deviceData{UserCode: "code", Error: "error"}, nil},
		{"device.html", p.device, deviceData{consent{Application: "application"}, "code", "", nil}, nil},
		{"device.html", p.device, deviceData{everything, "code", "error", parameters}, parameters},
		{"message.html", p.message, messageData{}, nil},
		{"message.html", p.message, messageData{"title", "text", true, "/", "label"}, nil},
	}
	line := schemaLine{"name", "text", true}
	operations := []schemaOperation{{Method: "GET"}}
	for _, access := range []string{"read", "write", "credential", "client", "session"} {
		operations = append(operations, schemaOperation{"GET", "/", "about", access, []schemaLine{line}, []schemaLine{line}, []string{"200"}, []string{"400"}, "example"})
	}
	samples = append(samples,
		sample{"schema.html", p.schema, schemaData{}, nil},
		sample{"schema.html", p.schema, schemaData{"/", []schemaSubject{{"id", "title", operations}}}, nil})
	if account {
		samples = append(samples, p.account.samples()...)
	}
	for _, sample := range samples {
		body, err := sample.page.render(sample.data)
		if err != nil {
			return fmt.Errorf("%w (in %s or layout.html)", err, sample.name)
		}
		for _, hidden := range sample.parameters {
			if !bytes.Contains(body, []byte(html.EscapeString(hidden.Name))) || !bytes.Contains(body, []byte(html.EscapeString(hidden.Value))) {
				return fmt.Errorf("httpapi: %s must send all of .Parameters with its form, as hidden fields", sample.name)
			}
		}
	}
	return nil
}
