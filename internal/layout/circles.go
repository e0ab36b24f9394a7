package main

import (
	"cmp"
	"maps"
	"slices"
)

// circles returns the strongly connected components of g that have more than one
// file, the largest first. It is Tarjan's algorithm.
func circles(g graph) [][]string {
	var (
		found   [][]string
		stack   []string
		onStack = make(map[string]bool)
		index   = make(map[string]int) // in the order of visits, from 1
		lowest  = make(map[string]int) // index that is reached from here
		visit   func(file string)
	)
	visit = func(file string) {
		index[file] = len(index) + 1
		lowest[file] = index[file]
		stack = append(stack, file)
		onStack[file] = true
		for _, next := range slices.Sorted(maps.Keys(g[file])) {
			switch {
			case index[next] == 0:
				visit(next)
				lowest[file] = min(lowest[file], lowest[next])
			case onStack[next]:
				lowest[file] = min(lowest[file], index[next])
			}
		}
		if lowest[file] != index[file] {
			return
		}
		at := slices.Index(stack, file)
		circle := slices.Sorted(slices.Values(stack[at:]))
		stack = stack[:at]
		for _, member := range circle {
			delete(onStack, member)
		}
		if len(circle) > 1 {
			found = append(found, circle)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(g)) {
		if index[file] == 0 {
			visit(file)
		}
	}
	slices.SortStableFunc(found, func(a, b []string) int {
		return cmp.Or(len(b)-len(a), cmp.Compare(a[0], b[0]))
	})
	return found
}
