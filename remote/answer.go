package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/jsonobject"
)

// expected is what the answer about a live token must say.
type expected struct {
	issuer, resource string
	unbound          bool
}

// read returns the entry of a live token. It returns an [*auth.Error] for a token that is not good here, and any other error for an
// answer that means nothing.
func (x expected) read(body []byte, now time.Time) (entry, error) {
	o, err := jsonobject.Members(body)
	if err != nil {
		return entry{}, fmt.Errorf("the answer %w", err)
	}
	r := reader{members: o}
	active := required[bool](&r, "active")
	if r.err != nil {
		return entry{}, r.err
	}
	if !active {
		return entry{}, errInvalid
	}
	issuer, kind, scope, audience := optional[string](&r, "iss"), optional[string](&r, "token_type"), optional[string](&r, "scope"), r.audience()
	id, name := optional[string](&r, "sub"), optional[string](&r, "username")
	e := entry{
		tokenID:     r.tokenID(),
		application: optional[int64](&r, "application"),
		via:         optional[int64](&r, "via_application"),
		expires:     required[int64](&r, "exp"),
		admin:       optional[bool](&r, "is_superuser"),
		audits:      optional[bool](&r, "is_system_auditor"),
	}
	switch {
	case r.err != nil:
		return entry{}, r.err
	case issuer != x.issuer:
		return entry{}, errors.New("the answer is of another issuer, or of none")
	case !scopes(scope):
		return entry{}, errors.New("the scope of the answer is none")
	case e.application < 0 || e.via < 0 || e.application == 0 && id == "":
		return entry{}, errors.New("the answer names neither a user nor an application")
	case e.expires <= 0 || e.expires > maxExpires:
		return entry{}, errors.New("the expiry of the answer is none")
	case len(id)+len(name) > math.MaxUint16:
		return entry{}, errors.New("the names of the answer are too long")
	case !ascii.EqualFold(kind, "bearer"):
		return entry{}, errInvalid // a refresh token has no type
	case len(audience) == 0 && !x.unbound, len(audience) > 0 && !slices.Contains(audience, x.resource):
		return entry{}, errAudience
	case now.Unix() >= e.expires:
		return entry{}, errExpired
	}
	e.text, e.name, e.scopes = id+name+scope, uint16(len(id)), uint16(len(id)+len(name))
	return e, nil
}

// maxExpires is the end of the year 9999, in seconds since 1970.
const maxExpires = 253402300799

// scopes reports whether s is empty or a list of scopes, separated by single
// spaces, without the one that permits everything (RFC 6749 section 3.3).
func scopes(s string) bool {
	if s == "" {
		return true
	}
	for word := range strings.SplitSeq(s, " ") {
		if !ascii.Scope(word) || word == string(auth.Unrestricted) {
			return false
		}
	}
	return true
}

// A reader takes members out of an object and keeps the first error.
type reader struct {
	members map[string]json.RawMessage
	err     error
}

// required returns the member of that name, which must be there with its type.
func required[T bool | int64 | string](r *reader, name string) (v T) {
	if _, ok := r.members[name]; !ok && r.err == nil {
		r.err = fmt.Errorf("the answer has no %s", name)
	}
	return optional[T](r, name)
}

// optional returns the member of that name, or the zero value if there is none.
func optional[T bool | int64 | string](r *reader, name string) (v T) {
	var p *T
	if raw, ok := r.members[name]; ok {
		if err := json.Unmarshal(raw, &p); err != nil || p == nil {
			if r.err == nil {
				r.err = fmt.Errorf("the %s of the answer has another type", name)
			}
			return v
		}
		v = *p
	}
	return v
}

// tokenID returns the ID of the token, which package httpapi has in jti.
func (r *reader) tokenID() int64 {
	text := required[string](r, "jti")
	id, err := strconv.ParseInt(text, 10, 64)
	if r.err == nil && (err != nil || id <= 0 || strconv.FormatInt(id, 10) != text) {
		r.err = errors.New("the jti of the answer is no ID of a token")
	}
	return id
}

// audience returns the resources of the token, which are one text or a list.
func (r *reader) audience() (list []string) {
	raw, ok := r.members["aud"]
	if !ok {
		return nil
	}
	if bytes.HasPrefix(raw, []byte(`"`)) {
		return []string{required[string](r, "aud")}
	}
	if err := json.Unmarshal(raw, &list); r.err == nil && (err != nil || len(list) == 0 || slices.Contains(list, "")) {
		r.err = errors.New("the aud of the answer has another type")
	}
	return list
}
