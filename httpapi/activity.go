package httpapi

import (
	"net/http"
	"strconv"

	"github.com/ostiary/auth/store"
)

// activityEntry is AWX's representation of an entry of the activity stream.
type activityEntry struct {
	ID          int64          `json:"id"`
	Type        string         `json:"type"`
	URL         string         `json:"url"`
	Related     map[string]any `json:"related"`
	Summary     map[string]any `json:"summary_fields"`
	Timestamp   timestamp      `json:"timestamp"`
	Operation   string         `json:"operation"`
	Changes     map[string]any `json:"changes"`
	Object1     string         `json:"object1"`
	Object2     string         `json:"object2"`
	Association string         `json:"object_association"` // always empty, as for these objects in AWX
	Node        string         `json:"action_node"`        // always empty: no process has a name
	ObjectType  string         `json:"object_type"`        // always empty, as for these objects in AWX
}

// activityFields describes activityEntry.
var activityFields = fields{
	"id":        {Type: "integer", Label: "ID", ReadOnly: true},
	"timestamp": {Type: "datetime", Label: "Timestamp", ReadOnly: true},
	"operation": {Type: "choice", Label: "Operation", HelpText: "What was done.", ReadOnly: true, Choices: [][2]string{
		{"create", "Entity Created"}, {"update", "Entity Updated"}, {"delete", "Entity Deleted"},
		{"associate", "Entity Associated with another Entity"}, {"disassociate", "Entity was Disassociated with another Entity"},
	}},
	"changes":            {Type: "object", Label: "Changes", HelpText: "The new values, or for an update the old and the new one.", ReadOnly: true},
	"object1":            {Type: "string", Label: "Object1", HelpText: "The kind of object that was changed.", ReadOnly: true},
	"object2":            {Type: "string", Label: "Object2", HelpText: "The kind of object that it was associated with.", ReadOnly: true},
	"object_association": {Type: "string", Label: "Object association", ReadOnly: true},
	"action_node":        {Type: "string", Label: "Action node", ReadOnly: true},
	"object_type":        {Type: "string", Label: "Object type", ReadOnly: true},
}

func activityPath(id int64) string {
	return "/api/v2/activity_stream/" + strconv.FormatInt(id, 10) + "/"
}

// showActivity returns the representation of an entry. Only objects that exist
// and that the caller may see are links.
func showActivity(e store.Activity, of actors) activityEntry {
	shown := activityEntry{
		ID:        e.ID,
		Type:      "activity_stream",
		URL:       activityPath(e.ID),
		Related:   map[string]any{},
		Summary:   map[string]any{},
		Timestamp: timestamp(e.At),
		Operation: string(e.Operation),
		Changes:   showChanges(e),
		Object1:   objectNames[e.Object],
		Object2:   objectNames[e.Associated],
	}
	if e.ActorID != "" {
		actor := of.users[e.ActorID]
		if actor.Name == "" {
			actor.Name = e.Actor // of a user who was deleted
		}
		shown.Summary["actor"] = userSummary{userID(e.ActorID), actor.Name, actor.FirstName, actor.LastName}
		if of.visible[e.ActorID] {
			shown.Related["actor"] = userPath(e.ActorID)
		}
	}
	for _, kind := range []store.ObjectKind{e.Object, e.Associated} {
		of.showObject(&shown, kind, e)
	}
	return shown
}

// showObject adds an object to the links and to the summary.
func (of actors) showObject(shown *activityEntry, kind store.ObjectKind, e store.Activity) {
	name, link := objectNames[kind], ""
	switch {
	case kind == store.ObjectUser:
		u := of.users[e.UserID]
		if u.Name == "" {
			u.Name = e.User
		}
		shown.Summary[name] = []userSummary{{userID(e.UserID), u.Name, u.FirstName, u.LastName}}
		if of.visible[e.UserID] {
			link = userPath(e.UserID)
		}
	case kind == store.ObjectToken && e.TokenID != 0:
		t, exists := of.tokens[e.TokenID]
		summary := map[string]any{"id": e.TokenID, "user_id": userID(e.UserID), "description": t.Description, "application_id": nil, "scope": t.Scopes}
		if e.ApplicationID != 0 {
			summary["application_id"] = e.ApplicationID
		}
		shown.Summary[name] = []any{summary}
		if exists {
			link = tokenPath(e.TokenID)
		}
	case kind == store.ObjectApplication:
		app, exists := of.applications[e.ApplicationID]
		if !exists {
			app.Name = e.Application
		}
		shown.Summary[name] = []any{map[string]any{"id": e.ApplicationID, "name": app.Name, "description": app.Description}}
		if exists {
			link = applicationPath(e.ApplicationID)
		}
	}
	if link != "" {
		shown.Related[name] = []string{link}
	}
}

func (a *api) listActivities(w http.ResponseWriter, r *http.Request) error {
	return a.writeActivities(w, r, store.ActivityFilter{})
}

func (a *api) listUserActivities(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	if p := principal(r); !mayManage(p, u) && !p.Auditor {
		return errForbidden
	}
	return a.writeActivities(w, r, store.ActivityFilter{ConcernedID: u.ID})
}

func (a *api) listTokenActivities(w http.ResponseWriter, r *http.Request) error {
	t, err := a.pathToken(r)
	if err != nil {
		return err
	}
	return a.writeActivities(w, r, store.ActivityFilter{TokenID: t.ID})
}

func (a *api) listApplicationActivities(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.writeActivities(w, r, store.ActivityFilter{ApplicationID: app.ID})
}

func (a *api) getActivity(w http.ResponseWriter, r *http.Request) error {
	id, err := tokenID(r)
	if err != nil {
		return err
	}
	p := principal(r)
	e, err := a.Activity.Entry(r.Context(), p, id)
	if err != nil {
		return err
	}
	of, err := a.actorsOf(r.Context(), p, []store.Activity{e})
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, showActivity(e, of))
}
