package httpapi

import (
	"net/http"
	"strconv"

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

func (a *api) showSession(r *http.Request, s store.Session) sessionShown {
	path := userPath(s.UserID)
	shown := sessionShown{
		ID:       s.ID,
		Type:     "session",
		URL:      path + "sessions/" + strconv.FormatInt(s.ID, 10) + "/",
		Related:  map[string]string{"user": path},
		User:     userID(s.UserID),
		Created:  timestamp(s.Created),
		LastSeen: timestamp(s.Seen),
		Expires:  timestamp(s.Expires),
		Browser:  s.Agent,
		Current:  s.ID == a.Session.Current(r.Context()),
	}
	if s.Address.IsValid() {
		address := s.Address.String()
		shown.Address = &address
	}
	return shown
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
	e, err := fetch(q, list, func(sessions []store.Session) ([]sessionShown, error) {
		shown := make([]sessionShown, len(sessions))
		for i, s := range sessions {
			shown[i] = a.showSession(r, s)
		}
		return shown, nil
	})
	if err != nil {
		return err
	}
	return writeList(w, r, q, e)
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
	return writeJSON(w, r, http.StatusOK, a.showSession(r, s))
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
