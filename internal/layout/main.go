// The program layout prints how the files of packages depend on each other and
// holds the limits of the repository: the number of exported names of the module's
// root package, the length of a file, and the size of a circle of files.
//
//	go run ./internal/layout [-v] [-exported 70] [-lines 450] [-circle 5] [package ...]
//
// Without packages it looks at those that users read first. A limit of 0 is no
// limit. The exit status is 1 when a limit is broken.
//
// A file uses another one when it names what the other one declares: a type, a
// function, a constant, a variable, a method or a field. A circle is a set of files
// of which each uses every other one, directly or through others of the set. Test
// files count nowhere.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// limits are the numbers that a package must not exceed. Zero is no limit.
type limits struct {
	exported, lines, circle int
}

func main() {
	var (
		most    limits
		verbose = flag.Bool("v", false, "name an example for each edge of a circle")
		quiet   = flag.Bool("q", false, "print broken limits only")
	)
	flag.IntVar(&most.exported, "exported", 70, "exported names of the module's root package")
	flag.IntVar(&most.lines, "lines", 450, "lines of a file")
	flag.IntVar(&most.circle, "circle", 5, "files of a circle")
	flag.Parse()

	patterns := flag.Args()
	if len(patterns) == 0 {
		patterns = present(".", "./httpapi", "./oauth", "./gateway")
	}
	out := io.Writer(os.Stdout)
	if *quiet {
		out = io.Discard
	}
	broken, err := run(out, patterns, most, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "layout:", err)
		os.Exit(2)
	}
	for _, b := range broken {
		fmt.Fprintln(os.Stderr, "layout:", b)
	}
	if len(broken) > 0 {
		os.Exit(1)
	}
}

// present returns those of the folders that exist.
func present(folders ...string) []string {
	return slices.DeleteFunc(folders, func(folder string) bool {
		_, err := os.Stat(folder)
		return err != nil
	})
}

// run prints the packages and returns one line for each limit that is broken.
func run(w io.Writer, patterns []string, most limits, verbose bool) (broken []string, err error) {
	packages, err := load(patterns)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		hold := func(n, limit int, what string) {
			if limit > 0 && n > limit {
				broken = append(broken, fmt.Sprintf("%s: %s: %d, at most %d", p.path, what, n, limit))
			}
		}
		fmt.Fprintf(w, "%s: %d files, %d exported names, %d methods and fields\n", p.path, len(p.lines), p.names, p.members)
		if p.path == p.module {
			hold(p.names, most.exported, "exported names")
		}
		for _, file := range slices.Sorted(maps.Keys(p.lines)) {
			hold(p.lines[file], most.lines, "lines of "+file)
		}
		for _, circle := range circles(p.uses) {
			fmt.Fprintf(w, "  circle of %d: %s\n", len(circle), strings.Join(circle, " "))
			hold(len(circle), most.circle, "files of the circle with "+circle[0])
			if verbose {
				printEdges(w, circle, p.uses)
			}
		}
	}
	return broken, nil
}

// printEdges prints why the files of a circle use each other.
func printEdges(w io.Writer, circle []string, uses graph) {
	for _, from := range circle {
		for _, to := range circle {
			names := uses[from][to]
			if len(names) == 0 {
				continue
			}
			example := slices.MinFunc(slices.Collect(maps.Keys(names)), func(a, b string) int {
				return cmp.Or(names[b]-names[a], strings.Compare(a, b)) // the most used
			})
			more := ""
			if len(names) > 1 {
				more = fmt.Sprintf(" and %d more", len(names)-1)
			}
			fmt.Fprintf(w, "    %s -> %s: %s%s\n", from, to, example, more)
		}
	}
}
