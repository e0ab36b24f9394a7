package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/internal/golist"
)

func TestDeclarations(t *testing.T) {
	const want = `
const Untyped untyped string = "x"
const Wait time.Duration = 2000000000
func New[T any](items ...T) List[T]
type Alias = http.Handler
type Asker interface
type Asker, method Ask(r *http.Request) (string, error)
type Base struct
type Base, field ID int64
type Base, method *Set(id int64)
type Base, method Value() int
type Door struct
type Door, embeds Base
type Door, field Name string "json:\"name\""
type Door, field Shown bool
type Door, method *Open(within time.Duration) error
type Door, method *Set(id int64)
type Door, method Promoted()
type Door, method Value() int
type Kind uint8
type List[T any] struct
type List[T any], field Items []T
type Number interface{~int | ~float64}
var Err error
`
	packages, imports, err := golist.List(".", "./testdata/fixture")
	if err != nil {
		t.Fatal(err)
	}
	p, err := imports.Import(packages[0].ImportPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), declarations(p)); diff != "" {
		t.Errorf("declarations (-want +got):\n%s", diff)
	}
}

func TestListLeavesOut(t *testing.T) {
	var got strings.Builder
	if err := list(&got, ".", "."); err != nil { // a command, and internal
		t.Fatal(err)
	}
	if got.Len() > 0 {
		t.Errorf("listed:\n%s", &got)
	}
}
