package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/store"
)

// sessionShown is a login session, which AWX does not show. Nothing in it opens
// anything.
type sessionShown struct {
	ID       int64             `json:"id"`
	Type     string            `json:"type"`
	URL      string            `json:"url"`
	Related  map[string]string `json:"related"`
	User     userID            `json:"user"`
	Created  timestamp         `json:"created"` // when it was seen first
	LastSeen timestamp         `json:"last_seen"`
	Expires  timestamp         `json:"expires"`
	Address  *string           `json:"address"` // where it was seen last; null if that is not known
	Browser  string            `json:"browser"` // that logged in
	Current  bool              `json:"current"` // it is the one that asks
}

// sessionFields describes sessionShown.
var sessionFields = fields{
	"id":        {Type: "integer", Label: "ID", ReadOnly: true},
	"user":      {Type: "id", Label: "User", ReadOnly: true},
	"created":   {Type: "datetime", Label: "First seen", ReadOnly: true},
	"last_seen": {Type: "datetime", Label: "Last seen", HelpText: "Exact to a minute.", ReadOnly: true},
	"expires":   {Type: "datetime", Label: "Expires", HelpText: "When the session ends unless it is used before.", ReadOnly: true},
	"address":   {Type: "string", Label: "Address", HelpText: "The address that the session was last seen at.", ReadOnly: true},
	"browser":   {Type: "string", Label: "Browser", HelpText: "What the client that logged in says it is.", ReadOnly: true},
	"current":   {Type: "boolean", Label: "Current", HelpText: "Whether the request itself belongs to the session.", ReadOnly: true},
}

var sessionOrders = map[string]store.OrderBy{"created": store.OrderCreated}

// appendSession appends the JSON of a session. Current is the session that asks.
func appendSession(b []byte, s store.Session, current int64) []byte {
	b = appendNumber(b, `{"id":`, s.ID)
	b = append(b, `,"type":"session","url":"`...)
	from := len(b)
	b = appendUserPath(b, s.UserID)
	to := len(b)
	b = appendNumber(b, "sessions/", s.ID)
	b = append(append(append(b, `/","related":{"user":"`...), b[from:to]...), `"},"user":`...)
	b = userID(s.UserID).append(b)
	b = appendTime(b, `,"created":`, s.Created)
	b = appendTime(b, `,"last_seen":`, s.Seen)
	b = appendTime(b, `,"expires":`, s.Expires)
	if s.Address.IsValid() {
		b = appendText(b, `,"address":`, s.Address.String())
	} else {
		b = append(b, `,"address":null`...)
	}
	b = appendText(b, `,"browser":`, s.Agent)
	b = appendBool(b, `,"current":`, s.ID == current)
	return append(b, '}')
}

// listSessions lists the sessions of a user, the newest first.
func (a *api) listSessions(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	q, err := parseList(r, nil, sessionOrders)
	if err != nil {
		return err
	}
	if !q.values.Has("order_by") && !q.values.Has("order") {
		q.Descending = true
	}
	list := func(page store.Page) ([]store.Session, int, error) {
		return a.Session.List(r.Context(), principal(r), u.ID, page)
	}
	e, err := fetch(q, list, func(sessions []store.Session) ([]store.Session, error) { return sessions, nil })
	if err != nil {
		return err
	}
	current := a.Session.Current(r.Context())
	return writeList(w, r, q, e, func(b []byte, s store.Session) []byte { return appendSession(b, s, current) })
}

// endSessions ends the sessions of a user but the one that asks.
func (a *api) endSessions(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err == nil {
		_, err = a.Session.EndOthers(r.Context(), principal(r), u.ID)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) getSession(w http.ResponseWriter, r *http.Request) error {
	u, id, err := a.pathSession(r)
	if err != nil {
		return err
	}
	s, err := a.Session.Find(r.Context(), principal(r), u.ID, id)
	if err != nil {
		return err
	}
	current := a.Session.Current(r.Context())
	return writeAppended(w, r, http.StatusOK, func(b []byte) []byte { return appendSession(b, s, current) })
}

func (a *api) endSession(w http.ResponseWriter, r *http.Request) error {
	u, id, err := a.pathSession(r)
	if err == nil {
		err = a.Session.EndOne(r.Context(), principal(r), u.ID, id)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// pathSession returns the user and the ID of the session that the path names.
func (a *api) pathSession(r *http.Request) (store.User, int64, error) {
	u, err := a.pathUser(r)
	if err != nil {
		return store.User{}, 0, err
	}
	id, err := tokenID(r)
	return u, id, err
}
