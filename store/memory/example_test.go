package memory_test

import (
	"context"
	"fmt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// One store for users, tokens, sessions and attempts.
func ExampleNew() {
	db := memory.New()
	alice, err := db.InsertUser(context.Background(), store.User{Name: "alice", Active: true})
	fmt.Println(alice.ID, alice.Name, err)
	_, err = db.InsertUser(context.Background(), store.User{Name: "alice", Active: true})
	fmt.Println(err)
	// Output:
	// 1 alice <nil>
	// store: already exists
}

// A store of tokens and sessions for the users of a host.
func ExampleNewWithUsers() {
	host := memory.New() // any store.Users
	db := memory.NewWithUsers(host)
	tokens, err := auth.NewTokens(db, host, nil)
	fmt.Println(tokens.Prefix(), err)
	// Output: ost <nil>
}
