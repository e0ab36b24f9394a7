package httpapi

import (
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

var errNoToken = &auth.Error{Status: http.StatusNotFound, Detail: "The request has no token: send it with the token in the Authorization field."}

// What a token can change of itself, and what it cannot and may send back.
var (
	selfChangeable = append([]string{"expires"}, tokenChangeable...)
	selfKept       = append([]string{"application"}, tokenIgnored...)
)

// selfToken returns the token that authenticates the request.
func (a *api) selfToken(r *http.Request) (store.Token, error) {
	p := principal(r)
	if p.TokenID == 0 {
		return store.Token{}, errNoToken
	}
	return a.Tokens.Token(r.Context(), p, p.TokenID)
}

// getSelf shows a token itself, whatever its scopes are.
func (a *api) getSelf(w http.ResponseWriter, r *http.Request) error {
	t, err := a.selfToken(r)
	if err != nil {
		return err
	}
	return a.lookUpToken(w, r, t)
}

// changeSelf lets a token describe and narrow itself. Other than at the address of
// the token by its ID, the expiry is not ignored.
func (a *api) changeSelf(w http.ResponseWriter, r *http.Request) error {
	if !principal(r).Scopes.Has(auth.ScopeWrite) {
		return errWrite
	}
	t, err := a.selfToken(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, selfChangeable, selfKept)
	if err != nil {
		return err
	}
	var c auth.TokenChange
	expires, err := o.instant("expires")
	if err != nil {
		return err
	}
	if o.given("expires") {
		c.Expires = &expires
	}
	return a.change(w, r, t, o, c)
}

// deleteSelf ends the token that asks. Whoever has a personal one may end it,
// whatever its scopes are; an application needs the scope write.
func (a *api) deleteSelf(w http.ResponseWriter, r *http.Request) error {
	t, err := a.selfToken(r)
	if err != nil {
		return err
	}
	if t.ApplicationID != 0 && !principal(r).Scopes.Has(auth.ScopeWrite) {
		return errWrite
	}
	if err := a.Tokens.End(r.Context(), principal(r), t.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// rotateSelf gives the token that asks a new secret; the old one is dead.
func (a *api) rotateSelf(w http.ResponseWriter, r *http.Request) error {
	t, err := a.selfToken(r)
	if err != nil {
		return err
	}
	return a.rotate(w, r, t.ID)
}
