package activity

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/store"
)

// A Change is a field that an entry is about. Field is the key of the attribute in
// the audit event, or one of the fields below. Old is nil unless the operation is an
// update. The values are those of encoding/json.
type Change struct {
	Field string `json:"field"`
	Old   any    `json:"old,omitempty"`
	New   any    `json:"new,omitempty"`
}

// The fields whose values are secret. Their Old and New are nil.
const (
	FieldToken    = "token"
	FieldSecret   = "client_secret"
	FieldPassword = "password"
)

// Changes returns the changes of an entry. It returns none if the text is not from
// this package.
func Changes(a store.Activity) (list []Change) {
	if json.Unmarshal([]byte(a.Changes), &list) != nil {
		return nil
	}
	return list
}

// An event says what an audit event means.
type event struct {
	operation          store.Operation
	object, associated store.ObjectKind
	secret             string // that is new
}

var events = map[string]event{
	audit.UserCreated:        {operation: store.OperationCreate, object: store.ObjectUser},
	audit.UserChanged:        {operation: store.OperationUpdate, object: store.ObjectUser},
	audit.UserDeleted:        {operation: store.OperationDelete, object: store.ObjectUser},
	audit.PasswordChanged:    {operation: store.OperationUpdate, object: store.ObjectUser, secret: FieldPassword},
	audit.TokenIssued:        {operation: store.OperationCreate, object: store.ObjectToken},
	audit.TokenChanged:       {operation: store.OperationUpdate, object: store.ObjectToken},
	audit.TokenRotated:       {operation: store.OperationUpdate, object: store.ObjectToken, secret: FieldToken},
	audit.TokenRevoked:       {operation: store.OperationDelete, object: store.ObjectToken},
	audit.ApplicationCreated: {operation: store.OperationCreate, object: store.ObjectApplication},
	audit.ApplicationChanged: {operation: store.OperationUpdate, object: store.ObjectApplication},
	audit.ApplicationRotated: {operation: store.OperationUpdate, object: store.ObjectApplication, secret: FieldSecret},
	audit.ApplicationDeleted: {operation: store.OperationDelete, object: store.ObjectApplication},
	audit.Consented:          {operation: store.OperationAssociate, object: store.ObjectUser, associated: store.ObjectApplication},
	audit.ConsentWithdrawn:   {operation: store.OperationDisassociate, object: store.ObjectUser, associated: store.ObjectApplication},
}

// shown are the attributes that describe an object.
var shown = map[store.ObjectKind][]string{
	store.ObjectUser:  {audit.KeyUser, audit.KeyAdmin, audit.KeyAuditor, audit.KeyActive, audit.KeyService},
	store.ObjectToken: {audit.KeyScope, audit.KeyExpires, audit.KeyApplicationID, audit.KeyParentID},
	store.ObjectApplication: {
		audit.KeyApplication, audit.KeyOrganizationID, audit.KeyConfidential, audit.KeyGrantType, audit.KeyRedirectURIs, audit.KeySkipConsent,
		audit.KeyRequirePKCE, audit.KeyResource, audit.KeyDisabled,
	},
}

// entryOf returns the entry for an audit event, and whether it has one.
func entryOf(r slog.Record) (store.Activity, bool) {
	ev, ok := events[r.Message]
	if !ok {
		return store.Activity{}, false
	}
	attrs := make(attributes)
	r.Attrs(func(a slog.Attr) bool {
		parts := maxParts
		a.Value = bounded(a.Value, maxDepth, &parts)
		each(a, func(key string, v slog.Value) { attrs[key] = v })
		return true
	})
	a := store.Activity{
		At:        r.Time,
		Operation: ev.operation, Object: ev.object, Associated: ev.associated,
		ActorID: attrs.text(audit.KeyActorID), Actor: attrs.text(audit.KeyActor), ActorTokenID: attrs.number(audit.KeyActorTokenID),
		UserID: attrs.text(audit.KeyUserID), User: attrs.text(audit.KeyUser), TokenID: attrs.number(audit.KeyTokenID),
		ApplicationID: attrs.number(audit.KeyApplicationID), Application: attrs.text(audit.KeyApplication),
		OrganizationID: attrs.number(audit.KeyOrganizationID),
	}
	if a.At.IsZero() {
		a.At = time.Now()
	}
	if a.Associated != "" { // people decide for themselves
		a.UserID, a.ActorID = cmp.Or(a.UserID, a.ActorID), cmp.Or(a.ActorID, a.UserID)
	}
	if a.Object == store.ObjectToken && a.Operation == store.OperationDelete && a.TokenID == 0 {
		return ofMany(a), true
	}
	a.Changes = encode(attrs.changes(ev, a))
	return a, true
}

// ofMany returns the entry for the end of all tokens: of a user, of an application, or
// of everybody.
func ofMany(a store.Activity) store.Activity {
	switch {
	case a.UserID != "":
		a.Operation, a.Object, a.Associated = store.OperationDisassociate, store.ObjectUser, store.ObjectToken
	case a.ApplicationID != 0:
		a.Operation, a.Object, a.Associated = store.OperationDisassociate, store.ObjectApplication, store.ObjectToken
	}
	a.Changes = encode(nil)
	return a
}

// attributes are those of an event.
type attributes map[string]slog.Value

// each calls f with an attribute, resolved. In place of a group without a name it takes
// what is in the group, see [slog.Handler].
func each(a slog.Attr, f func(key string, v slog.Value)) {
	v := a.Value.Resolve()
	if a.Key != "" || v.Kind() != slog.KindGroup {
		f(a.Key, v)
		return
	}
	for _, inner := range v.Group() {
		each(inner, f)
	}
}

func (a attributes) text(key string) string {
	if v, ok := a[key]; ok && v.Kind() == slog.KindString {
		return clean(v.String())
	}
	return ""
}

func (a attributes) number(key string) int64 {
	if v, ok := a[key]; ok && v.Kind() == slog.KindInt64 {
		return v.Int64()
	}
	return 0
}

// changes returns what an event says about its object.
func (a attributes) changes(ev event, of store.Activity) (list []Change) {
	switch {
	case ev.secret != "":
		return []Change{{Field: ev.secret}}
	case of.Operation == store.OperationAssociate:
		return []Change{{Field: audit.KeyScope, New: a.value(audit.KeyScope)}}
	case of.Operation == store.OperationUpdate:
		if before, ok := a[audit.KeyBefore]; ok && before.Kind() == slog.KindGroup {
			each(slog.Attr{Value: before}, func(key string, was slog.Value) {
				is := a[key]
				if same(was, is) {
					return
				}
				if l, m := texts(was), texts(is); tooLong(l) || tooLong(m) {
					// What is new must not be behind the cut.
					was, is = slog.AnyValue(without(l, m)), slog.AnyValue(without(m, l))
				}
				list = append(list, Change{key, valueOf(was), valueOf(is)})
			})
		}
	case of.Associated == "":
		for _, key := range shown[of.Object] {
			if v := a.value(key); v != nil && v != int64(0) {
				list = append(list, Change{Field: key, New: v})
			}
		}
	}
	return list
}

// value returns an attribute as it is stored, nil for none.
func (a attributes) value(key string) any {
	v, ok := a[key]
	if !ok {
		return nil
	}
	return valueOf(v)
}

// same reports whether two attributes are equal, of which valueOf shows a part only.
func same(v, w slog.Value) bool {
	if l, m := texts(v), texts(w); l != nil || m != nil {
		return slices.Equal(l, m)
	}
	switch k := v.Kind(); {
	case k != w.Kind() || k == slog.KindAny && v.Any() == any(tooMuch{}):
		return false
	case k == slog.KindGroup:
		return slices.EqualFunc(v.Group(), w.Group(), func(a, b slog.Attr) bool {
			return a.Key == b.Key && same(a.Value.Resolve(), b.Value.Resolve())
		})
	case k == slog.KindAny && (!canCompare(v) || !canCompare(w)):
		// Equal panics for a map, a slice or a function, and for what holds one. The Go
		// syntax tells apart what has the same text: two secrets, or 1 and "1".
		return fmt.Sprintf("%#v", v.Any()) == fmt.Sprintf("%#v", w.Any())
	}
	return v.Equal(w)
}

// canCompare reports whether Go can compare a value with one of its type.
func canCompare(v slog.Value) bool { return reflect.ValueOf(v.Any()).Comparable() }

// texts returns the texts of an attribute that is a list of them, or nil.
func texts(v slog.Value) []string {
	list, _ := v.Any().([]string)
	return list
}

func tooLong(list []string) bool { return len(strings.Join(list, " ")) > maxText }

// without returns the texts of list that are not among others.
func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}

// valueOf returns text for everything that is no number and no bool.
func valueOf(v slog.Value) any {
	switch v.Kind() {
	case slog.KindBool:
		return v.Bool()
	case slog.KindInt64:
		return v.Int64()
	case slog.KindTime:
		if v.Time().IsZero() {
			return nil
		}
		return v.Time().UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	switch list := v.Any().(type) {
	case nil:
		return nil
	case []string:
		return clean(strings.Join(list, " "))
	}
	return clean(v.String())
}

// clean returns text that a store takes, cut as in events.
func clean(s string) string {
	if len(s) > maxText {
		s = audit.Clip(s)
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// maxText is the length of the longest text that was cut for an event, in bytes.
const maxText = 256 + len("…")

// encode returns the text of changes.
func encode(list []Change) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// The values are text, numbers and bools, which can be encoded.
	if err := e.Encode(list); err != nil || b.Len() > store.MaxChanges {
		return "[]"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
