package memory

import (
	"slices"

	"github.com/ostiary/auth/store"
)

// counted returns how many tokens a filter lists, if numbers that are kept say so: no
// token has to be looked at then. What they count are the tokens that are not marked
// as revoked. Those that have ended all the same are the ones that markings are to
// find, so that the numbers say nothing while there are markings. Nor do they while a
// family with tokens of several users has minted: its children can end by a cut-off of
// one of its users, and no marking follows.
func (s *Store) counted(f store.TokenFilter) (n int, known bool) {
	if len(s.cuts.todo) > 0 || s.mixedMinters > 0 ||
		f.ID != 0 || f.Scopes != "" || f.Description != nil || f.Search != "" || len(f.Where) > 0 {
		return 0, false
	}
	switch all := f.All || f.OwnerID != "" && f.OwnerID == f.UserID; {
	case f.ApplicationID != 0:
		return s.countedOf(f, all), true
	case all && f.OwnerID == "":
		return ofKind(s.every.n, s.expiring.n, f.Kind), true
	case all:
		return s.countedOwn(f.OwnerID, f.Kind), true
	}
	if f.OwnerID == "" && f.UserID != "" {
		n = s.countedOwn(f.UserID, f.Kind)
	}
	if f.Kind == store.PersonalToken {
		return n, true
	}
	for app := range s.appsOf(f.Organizations) {
		if f.OwnerID != "" {
			n += s.countedBoth(f.OwnerID, app.ID)
			continue
		}
		n += s.byVia.count(app.ID)
		if f.UserID != "" { // whose own are counted already
			n -= s.countedBoth(f.UserID, app.ID)
		}
	}
	return n, true
}

// countedOf is counted for the tokens of the filter's application. All says that f
// leaves out none of them for who asks.
func (s *Store) countedOf(f store.TokenFilter, all bool) int {
	owner := f.OwnerID
	if app := s.apps[f.ApplicationID]; !all && (app == nil || !slices.Contains(f.Organizations, app.OrganizationID)) {
		if owner != "" || f.UserID == "" {
			return 0
		}
		owner = f.UserID
	}
	switch {
	case f.Kind == store.PersonalToken:
		return 0
	case owner == "":
		return s.byVia.count(f.ApplicationID)
	}
	return s.countedBoth(owner, f.ApplicationID)
}

// countedOwn counts the tokens of a user.
func (s *Store) countedOwn(user string, kind store.TokenKind) int {
	if a := s.account(user); a != nil {
		return a.tokens.count(kind)
	}
	return 0
}

// countedBoth counts the tokens of a user and an application.
func (s *Store) countedBoth(user string, application int64) int {
	a := s.account(user)
	if a == nil {
		return 0
	}
	r, _ := s.parties.find(partyKey{owner: a, application: application, via: application})
	if p := s.parties.get(r); p != nil {
		return p.value.live
	}
	return 0
}

// count counts the tokens of an application.
func (xs shelves) count(application int64) int {
	if x := xs[application]; x != nil {
		return x.count(store.ApplicationToken)
	}
	return 0
}
