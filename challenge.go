package auth

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// challenge has the WWW-Authenticate values of a gate (RFC 9110 section 11.6.1).
type challenge struct {
	plain  []string // of a 401 without a cause
	bearer string   // the Bearer challenge without error parameters and scope
	scope  string
	others []string // further challenges, each in a field line of its own
}

// newChallenge panics if an option cannot stand in a challenge.
func newChallenge(o *GateOptions) challenge {
	realm := o.Realm
	if realm == "" {
		realm = "api"
	}
	if ascii.Quotable(realm) != realm {
		panic("auth: GateOptions.Realm " + strconv.Quote(realm) + " has characters that cannot stand in a challenge")
	}
	c := challenge{bearer: `Bearer realm="` + realm + `"`, scope: o.Scope}
	if o.Scope != "" {
		for word := range strings.SplitSeq(o.Scope, " ") {
			if !ascii.Scope(word) {
				panic("auth: GateOptions.Scope " + strconv.Quote(o.Scope) + " is not a list of scope-tokens with single spaces (RFC 6749 section 3.3)")
			}
		}
	}
	if o.ResourceMetadata != "" {
		u, err := url.Parse(o.ResourceMetadata)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" ||
			ascii.Quotable(o.ResourceMetadata) != o.ResourceMetadata {
			panic("auth: GateOptions.ResourceMetadata " + strconv.Quote(o.ResourceMetadata) + " is not an absolute URL (RFC 9728 section 5.1)")
		}
		c.bearer += `, resource_metadata="` + o.ResourceMetadata + `"`
	}
	if o.Basic {
		c.others = []string{`Basic realm="` + realm + `", charset="UTF-8"`}
	}
	c.plain = c.with(&Error{Status: http.StatusUnauthorized})
	return c
}

// with returns the challenges of a refusal, with the parameters of RFC 6750
// section 3. None of them occurs twice.
func (c *challenge) with(e *Error) []string {
	scope := e.Scope
	if scope == "" {
		scope = c.scope
	}
	if e.Code == "" && scope == c.scope && c.plain != nil {
		return c.plain
	}
	first := c.bearer
	if e.Code != "" {
		first += `, error="` + ascii.Quotable(e.Code) + `"`
		if e.Status == http.StatusUnauthorized && e.Detail != detailUnauthorized {
			first += `, error_description="` + ascii.Quotable(e.Detail) + `"`
		}
	}
	if scope != "" {
		first += `, scope="` + ascii.Quotable(scope) + `"`
	}
	return slices.Concat([]string{first}, c.others)
}
