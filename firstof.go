package auth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/ostiary/auth/internal/options"
)

// FirstOf returns an authenticator that asks the given ones in order, until one
// returns something else than [ErrNoCredentials]. It panics if there are none
// or if one is nil.
func FirstOf(as ...Authenticator) Authenticator {
	if len(as) == 0 {
		panic("auth: FirstOf of no Authenticators: name one at least, or everybody is kept out")
	}
	c := make(chain, len(as))
	for i, a := range as {
		c[i] = notNil(a)
	}
	return c
}

// notNil returns a, and panics if it is nil.
func notNil(a Authenticator) Authenticator {
	if options.IsNil(a) {
		panic("auth: nil Authenticator: build it before FirstOf or NewGate, and look at the error of its constructor")
	}
	return a
}

type chain []Authenticator

func (c chain) Authenticate(r *http.Request) (*Principal, error) {
	var p Principal
	return onHeap(&p, c.authenticate(&incoming{Request: r}, authorizationOf(r), &p))
}

func (c chain) authenticate(r *incoming, a authorization, p *Principal) error {
	for _, part := range c {
		if err := ask(part, r, a, p); !noCredentials(err) {
			return err
		}
	}
	return ErrNoCredentials
}

// noCredentials reports whether err wraps [ErrNoCredentials].
func noCredentials(err error) bool {
	if e, ok := err.(*Error); err == nil || ok && e.Err == nil {
		return false // as errors.Is finds, but slowly
	}
	return err == ErrNoCredentials || errors.Is(err, ErrNoCredentials)
}

// parts returns the authenticators that a consists of, and whether all of them are
// types of this package. A type of the host may ask whom it likes.
func parts(a Authenticator) (list []Authenticator, ours bool) {
	switch a := a.(type) {
	case *Bearer, *Session, *Basic, *ProxyUsers:
		return []Authenticator{a}, true
	case chain:
		ours = true
		for _, one := range a {
			inner, known := parts(one)
			list, ours = append(list, inner...), ours && known
		}
		return list, ours
	}
	return []Authenticator{a}, false
}

// withoutField returns what a is for requests without an Authorization field: the parts
// that know no credential but that field have no say.
func withoutField(a Authenticator) Authenticator {
	if _, ok := a.(chain); !ok {
		return a
	}
	list, _ := parts(a)
	var rest chain
	for _, part := range list {
		switch part.(type) {
		case *Bearer, *Basic:
		default:
			rest = append(rest, part)
		}
	}
	return rest
}

// partsOf returns those of the parts that have the type P. It is for types of this
// package: a type of the host that embeds one is the host's business.
func partsOf[P Authenticator](list []Authenticator) (found []P) {
	for _, a := range list {
		if p, ok := a.(P); ok {
			found = append(found, p)
		}
	}
	return found
}

// ask asks a, and sets p if it returns no error. The types of this package do not put
// their principal on the heap, because the gate puts it into its carrier. The field
// is that of r. Code of the host gets r settled.
//
// The switch must name exact types. An interface with an unexported method would
// also hold for a type of the host that embeds one of ours, because Go promotes
// that method, and the Authenticate of the host would never be called.
func ask(a Authenticator, r *incoming, field authorization, p *Principal) error {
	switch a := a.(type) {
	case *Bearer:
		return a.authenticate(*r, field, p)
	case *Basic:
		return a.authenticate(r, field, p)
	case chain:
		return a.authenticate(r, field, p)
	case *Session:
		return a.authenticate(r, field, p)
	}
	return askOther(a, r.settle(), p)
}

// askOther is ask for types that do not get the field.
func askOther(a Authenticator, r *http.Request, p *Principal) error {
	var found Principal
	var err error
	switch a := a.(type) {
	case *ProxyUsers:
		found, err = a.authenticate(r)
	default:
		host, err := a.Authenticate(r)
		switch {
		case err != nil:
			return err
		case host == nil:
			return fmt.Errorf("auth: %T returned neither a principal nor an error", a)
		}
		*p = *host
		return nil
	}
	if err == nil {
		*p = found
	}
	return err
}
