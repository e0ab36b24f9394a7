package httpapi

// A sample is what a page is tried with. Parameters are hidden fields that it must
// have.
type sample struct {
	name       string
	page       *page
	data       any
	parameters []parameter
}

// samples are what each page of the account is tried with: as little as there may
// be, and everything that it can show.
func (p *accountPages) samples() []sample {
	wrong := make(problems)
	for _, name := range formFields {
		wrong[name] = "problem"
	}
	full := frame{"user", "digest", []section{{"title", "/", true}, {"title", "/", false}}, "notice", "error", wrong}
	at := moment{"2027-01-31T12:00:00Z", "2027-01-31", "in 3 days"}
	texts, choices := []string{"text", "text"}, []choice{{"value", "text", true}, {"value", "text", false}}
	shown := []parameter{{shownField, "digest"}}
	token := tokenLine{"/", "name", texts, texts, at, at, at, false, true, 1}
	expired := tokenLine{"/", "name", texts, texts, at, at, at, true, false, 0}
	listed := pager{1, 2, 3, "/", "/"}
	app := applicationLine{"/", "name", "organization", "id", "type", "grant", true, at, 1}
	app2 := app
	app2.Confidential = false
	revised := append(shown, parameter{"revision", "of the record"})
	return []sample{
		{"profile.html", p.profile, profileData{}, nil},
		{"profile.html", p.profile, profileData{full, "first", "last", "email", true}, shown},
		{"password.html", p.password, passwordData{frame{Shown: "digest"}, "", false}, shown},
		{"password.html", p.password, passwordData{full, "least", true}, shown},
		{"sessions.html", p.sessions, sessionsData{frame: frame{Shown: "digest"}}, nil},
		{"sessions.html", p.sessions, sessionsData{full, []sessionLine{{1, "browser", "address", at, at, true}, {4711, "", "", at, at, false}}, listed, true}, append(shown, parameter{"end", "4711"})},
		{"tokens.html", p.tokens, tokensData{}, nil},
		{"tokens.html", p.tokens, tokensData{full, []tokenLine{token, expired, {}}, listed}, nil},
		{"token_new.html", p.newToken, newTokenData{frame: frame{Shown: "digest"}}, shown},
		{"token_new.html", p.newToken, newTokenData{full, "description", "addresses", choices, "day", "day", "day", "lifetime", "ID of the newest"}, append(shown, parameter{"newest", "ID of the newest"})},
		{"token.html", p.token, tokenData{frame: frame{Shown: "digest"}}, shown},
		{"token.html", p.token, tokenData{full, token, "description", choices, true, "day", "day", "day", "of the record"}, revised},
		{"token.html", p.token, tokenData{full, expired, "description", choices, false, "", "", "", "of the record"}, revised},
		{"connections.html", p.connections, connectionsData{}, nil},
		{"connections.html", p.connections, connectionsData{full, []connection{{Path: "/", Name: "name", Scopes: texts, Targets: texts, Since: at, LastUsed: at, Tokens: 1}, {}}, true}, nil},
		{"applications.html", p.applications, applicationsData{}, nil},
		{"applications.html", p.applications, applicationsData{frame: full, MayCreate: true}, nil},
		{"applications.html", p.applications, applicationsData{full, []applicationLine{app, {}}, listed, true}, nil},
		{"application_new.html", p.newApplication, newApplicationData{frame: frame{Shown: "digest"}}, shown},
		{"application_new.html", p.newApplication, newApplicationData{full, "name", "description", "uris", choices, "1", choices, choices, true, true, true, "https://jobs.example/"}, shown},
		{"application.html", p.applied, applicationData{frame: frame{Shown: "digest"}}, shown},
		{"application.html", p.applied, applicationData{full, app, "name", "description", "uris", true, true, true, "https://jobs.example/", choices, "of the record"}, revised},
		{"application.html", p.applied, applicationData{full, app2, "name", "description", "uris", false, false, false, "", nil, "of the record"}, revised},
		{"secret.html", p.secret, secretData{}, nil},
		{"secret.html", p.secret, secretData{full, "title", "text", []secretValue{{"id", "label", "what is shown once"}}, "example", "/", "label"}, []parameter{{"id", "what is shown once"}}},
		{"confirm.html", p.confirm, confirmData{frame: frame{Shown: "digest"}}, shown},
		{"confirm.html", p.confirm, confirmData{full, "title", "text", texts, "option", "button", "/"}, shown},
	}
}
