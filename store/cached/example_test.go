package cached_test

import (
	"fmt"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store/cached"
	"github.com/ostiary/auth/store/memory"
)

// The store of a service is package sqlstore; in memory nothing is saved.
func ExampleNew() {
	st, err := cached.New(memory.New(), &cached.Options{MaxAge: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	_, err = auth.NewTokens(st, st, nil)
	fmt.Println(err)
	// Output: <nil>
}
