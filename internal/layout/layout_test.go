package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	const path = "github.com/ostiary/auth/internal/layout/testdata/fixture"
	const short = path + `: 5 files, 2 exported names, 2 methods and fields
  circle of 3: fixture.go lock.go oil.go
`
	for _, tt := range []struct {
		name    string
		most    limits
		verbose bool
		want    string
		broken  []string
	}{
		{"no limits", limits{}, false, short, nil},
		{"at the limits", limits{exported: 2, lines: 11, circle: 3}, false, short, nil},
		{"above the limits", limits{lines: 10, circle: 2}, false, short, []string{
			path + ": lines of fixture.go: 11, at most 10",
			path + ": files of the circle with fixture.go: 3, at most 2",
		}},
		{"names are limited in the root package", limits{exported: 1}, false, short, nil},
		{"examples of the edges", limits{}, true, short + `    fixture.go -> lock.go: lock and 1 more
    lock.go -> fixture.go: Limit
    lock.go -> oil.go: oiled
    oil.go -> fixture.go: Door and 1 more
    oil.go -> lock.go: lock and 1 more
`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			broken, err := run(&out, []string{"./testdata/fixture"}, tt.most, tt.verbose)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.broken, broken); diff != "" {
				t.Errorf("broken limits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunRoot(t *testing.T) {
	broken, err := run(&strings.Builder{}, []string{"github.com/ostiary/auth"}, limits{exported: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) != 1 || !strings.HasPrefix(broken[0], "github.com/ostiary/auth: exported names: ") {
		t.Errorf("broken limits %q, want the exported names", broken)
	}
}

func TestRunUnknownPackage(t *testing.T) {
	if _, err := run(&strings.Builder{}, []string{"./testdata/absent"}, limits{}, false); err == nil {
		t.Error("no error for a package that does not exist")
	}
}

func TestCircles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edges string
		want  [][]string
	}{
		{"nothing", "", nil},
		{"a line is no circle", "a>b b>c", nil},
		{"two", "a>b b>a", [][]string{{"a", "b"}}},
		{"a circle behind a line", "a>b b>c c>b", [][]string{{"b", "c"}}},
		{"two circles and a bridge", "d>e e>d e>a a>b b>c c>a", [][]string{{"a", "b", "c"}, {"d", "e"}}},
		{"circles that share a file are one", "a>b b>a b>c c>b", [][]string{{"a", "b", "c"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := make(graph)
			for edge := range strings.FieldsSeq(tt.edges) {
				from, to, _ := strings.Cut(edge, ">")
				g.add(from, to, "x")
			}
			if diff := cmp.Diff(tt.want, circles(g)); diff != "" {
				t.Errorf("circles (-want +got):\n%s", diff)
			}
		})
	}
}
