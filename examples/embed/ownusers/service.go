// Package ownusers is a service that had a table of users before.
package ownusers

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// People is the table. It implements store.Users, which the library asks. In SQL
// each method is one statement; the suite storetest.RunUsers checks them.
type People struct {
	mu   sync.Mutex
	rows map[string]*person // by ID
}

type person struct {
	email, hash string
	active      bool
	changes     int64 // of the password, and ends of the account
}

// Add adds a person, whose e-mail address is the name for a login.
func (p *People) Add(email string, active bool) (id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rows == nil {
		p.rows = make(map[string]*person)
	}
	id = fmt.Sprintf("p%d", len(p.rows)+1)
	p.rows[id] = &person{email: email, active: active}
	return id
}

// find calls f with the row that has an ID, or returns store.ErrNotFound.
func (p *People) find(id string, f func(*person) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if row := p.rows[id]; row != nil {
		return f(row)
	}
	return store.ErrNotFound
}

// UserByID implements store.Users.
func (p *People) UserByID(_ context.Context, id string) (u store.User, err error) {
	err = p.find(id, func(row *person) error {
		u = store.User{ID: id, Name: row.email, Active: row.active, Epoch: row.changes}
		return nil
	})
	return u, err
}

// UserByName implements store.Users.
func (p *People) UserByName(ctx context.Context, name string) (store.User, error) {
	p.mu.Lock()
	found := ""
	for id, row := range p.rows {
		if row.email == name {
			found = id
		}
	}
	p.mu.Unlock()
	return p.UserByID(ctx, found)
}

// PasswordHash implements store.Users.
func (p *People) PasswordHash(_ context.Context, id string) (hash string, err error) {
	err = p.find(id, func(row *person) error { hash = row.hash; return nil })
	return hash, err
}

// SwapPasswordHash implements store.Users: the same password has a stronger hash.
func (p *People) SwapPasswordHash(_ context.Context, id, prev, next string) error {
	return p.find(id, func(row *person) error {
		if row.hash != prev {
			return store.ErrConflict
		}
		row.hash = next
		return nil
	})
}

// SetPasswordHash implements store.Users. It ends the sessions of the person by the
// new Epoch.
func (p *People) SetPasswordHash(_ context.Context, id, hash string) error {
	return p.find(id, func(row *person) error { row.hash = hash; row.changes++; return nil })
}

// New returns the service. With SQL, sqlstore.Options.Users takes the table.
func New(people *People) (http.Handler, *auth.Passwords) {
	db := memory.NewWithUsers(people) // sessions and tokens
	passwords := auth.Must(auth.NewPasswords(people, db, nil))
	tokens := auth.Must(auth.NewTokens(db, people, nil))
	session := auth.Must(auth.NewSession(db, people, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)
	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: people, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	return session.Handler(mux), passwords
}
