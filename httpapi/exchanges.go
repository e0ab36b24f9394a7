package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/oauth"
)

// The resources of the routes.
var (
	userResource = resource{
		name: "a user", plural: "users", shown: user{}, listed: envelope[user]{},
		fields: userFields, filters: userFilters, orders: userOrders, searched: true,
		body: input{json: true, writable: userWritable, ignored: userIgnored, spared: "password", example: map[string]any{
			"username": "alice", "email": "alice@example.com", "password": "a passphrase of her own choice",
		}},
		changed: &input{json: true, writable: userWritable, ignored: userIgnored, example: map[string]any{"first_name": "Alice"}},
		refused: []int{http.StatusConflict},
	}
	meResource      = resource{orders: meOrders}
	sessionResource = resource{
		name: "a session", plural: "the sessions of a user", shown: sessionShown{}, listed: envelope[sessionShown]{},
		fields: sessionFields, orders: sessionOrders,
	}
	activityResource = resource{
		name: "an entry of the activity stream", plural: "entries of the activity stream", shown: activityEntry{}, listed: envelope[activityEntry]{},
		fields: activityFields, filters: activityFilters, orders: activityOrders,
	}
	tokenResource = resource{
		name: "a token", plural: "tokens", shown: token{}, listed: envelope[token]{},
		fields: tokenFields, filters: tokenFilters, orders: tokenOrders, searched: true,
		body: input{json: true, writable: tokenCreatable, ignored: tokenIgnored, example: map[string]any{
			"description": "nightly report", "scope": "read",
		}},
		changed: &input{json: true, writable: tokenChangeable, ignored: tokenKept, example: map[string]any{"description": "weekly report"}},
		refused: []int{http.StatusConflict},
	}
	applicationResource = resource{
		name: "an application", plural: "applications", shown: application{}, listed: envelope[application]{},
		fields: applicationFields, filters: applicationFilters, orders: applicationOrders, searched: true,
		body: input{json: true, writable: applicationWritable, ignored: applicationIgnored, spared: "organization", example: map[string]any{
			"name": "Reports", "client_type": oauth.ClientConfidential, "authorization_grant_type": oauth.GrantAuthorizationCode,
			"redirect_uris": "https://reports.example.com/callback", "organization": 1,
		}},
		changed: &input{json: true, writable: applicationWritable, ignored: applicationIgnored, example: map[string]any{
			"description": "The reports of the day",
		}},
		refused: []int{http.StatusConflict},
	}
)

var meExchanges = exchanges{"GET": {about: "Show the user of the request, as AWX's list of one", list: &meResource, answers: []answer{{http.StatusOK, me{}}}}}

// ending is a parameter of the end of a token.
var ending = fields{"minted": {Type: "boolean", Label: "Minted", HelpText: "Also end the tokens that this one issued."}}

// The exchanges of a token.
var (
	tokenExchanges = tokenResource.single().with("DELETE", exchange{
		about: "End a token", query: ending, answers: []answer{{http.StatusNoContent, nil}}, refused: []int{http.StatusBadRequest},
	})
	selfExchanges = tokenResource.single().with("PATCH", exchange{
		about:   "Describe or narrow the token that asks",
		body:    &input{json: true, optional: true, writable: selfChangeable, ignored: selfKept, example: map[string]any{"scope": "read"}},
		answers: []answer{{http.StatusOK, token{}}}, refused: []int{http.StatusNotFound, http.StatusConflict},
	}).with("GET", exchange{
		about: "Show the token that asks", answers: []answer{{http.StatusOK, token{}}}, refused: []int{http.StatusNotFound},
	}).with("DELETE", exchange{
		about: "End the token that asks", answers: []answer{{http.StatusNoContent, nil}}, refused: []int{http.StatusNotFound},
	})
	reportExchanges = exchanges{"POST": {
		about:   "End tokens that were found in public",
		body:    &input{json: true, writable: reportWritable, example: map[string]any{"tokens": []string{"what was found"}}},
		answers: []answer{{http.StatusNoContent, nil}},
	}}
	endSessionsExchange = exchange{about: "End all other sessions of a user", answers: []answer{{http.StatusNoContent, nil}}}
)

// wayBack is where a login and a logout lead to.
var wayBack = fields{"next": {Type: "string", Label: "Next", HelpText: "The path on this host to go to afterwards."}}

// The exchanges of sessions.
var (
	loginExchanges = exchanges{
		"GET": {about: "Show the login page", query: wayBack, answers: []answer{{http.StatusOK, pageBody{}}, {http.StatusFound, nil}}},
		"POST": {
			about: "Log in: start a session", answers: []answer{{http.StatusOK, user{}}, {http.StatusFound, nil}},
			body: &input{json: true, forms: true, writable: loginWritable, fields: loginFields, example: map[string]any{
				"username": "alice", "password": "the password",
			}},
			refused: []int{http.StatusUnauthorized},
		},
	}
	logoutExchange  = exchange{about: "Log out: end the session", query: wayBack, answers: []answer{{http.StatusNoContent, nil}, {http.StatusFound, nil}}}
	logoutExchanges = exchanges{"GET": logoutExchange, "POST": logoutExchange}

	loginWritable = []string{"username", "password", "next"}
	loginFields   = fields{
		"username": {Type: "string", Label: "Username", Required: true},
		"password": {Type: "string", Label: "Password", Required: true},
		"next":     wayBack["next"],
	}
)
